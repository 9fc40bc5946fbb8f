#!/bin/sh
# Walks a Debian 12 for arm64 with nothing but Python through the two commands of docs/howto/pi.md, so that the real arm64
# packages run on another processor, emulated. ROOT is made, unless it is there: then its edgecl is upgraded. As root,
# after `apt install debootstrap qemu-user-static`:
#
#     make bundle TARGET=aarch64-cp311
#     deploy/arm64_root.sh dist/edgecl-*-aarch64-cp311.tar ROOT
#     EDGECL_ARM64_ROOT=ROOT .venv/bin/python benchmarks/arm64.py
#
# What ONNX Runtime says of cpuinfo is about /sys, which ROOT has not.
set -eu
[ $# -eq 2 ] || { echo "usage: $0 BUNDLE.tar ROOT" >&2; exit 2; }
bundle=$1 root=$2
export QEMU_CPU=cortex-a72 # a Raspberry Pi 4's. Under QEMU 7.2's own choice NumPy's matrix products come out wrong.

there() { # run a command in ROOT
    env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root QEMU_CPU="$QEMU_CPU" \
        chroot "$root" sh -ec "cd /root && $1"
}

if ! [ -e /proc/sys/fs/binfmt_misc/qemu-aarch64 ]; then # where no systemd has told the kernel who runs arm64
    mountpoint -q /proc/sys/fs/binfmt_misc || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
    cat /usr/lib/binfmt.d/qemu-aarch64.conf > /proc/sys/fs/binfmt_misc/register
fi
if ! [ -x "$root/usr/bin/python3" ] || [ -e "$root/debootstrap" ]; then # not there, or debootstrap broke off
    debootstrap --arch=arm64 --variant=minbase --include=python3 bookworm "$root"
fi
cp "$bundle" "$root/root/bundle.tar"
there 'rm -rf edgecl-* && tar xf bundle.tar && python3 -I edgecl-*/install.py'
if ! [ -e "$root/root/train" ]; then # after an upgrade it has to know what it was taught before
    PYTHONPATH=$(dirname "$0") python3 -c 'from trial import PICTURES; print(PICTURES)' | there '/opt/edgecl/bin/python -'
    there 'edgecl teach triangle train/triangle && edgecl teach disc train/disc'
fi
for thing in triangle disc; do
    there "edgecl predict --json test/$thing" |
        python3 -c 'import json, sys
found = [record["top"][0]["label"] for record in map(json.loads, sys.stdin) if record.get("top")]
print("asked for six pictures of", sys.argv[1], "it answers", *found)
sys.exit(found != 6 * sys.argv[1:])' $thing
done
