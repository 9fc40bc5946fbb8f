#!/bin/sh
# Makes ROOT, a Debian 12 for arm64, and installs a bundle in it, so that the real arm64 packages run on another
# processor, emulated. As root, after `apt install debootstrap qemu-user-static`:
#
#     make bundle TARGET=aarch64-cp311
#     deploy/arm64_root.sh dist/edgecl-*-aarch64-cp311.tar ROOT
#     EDGECL_ARM64_ROOT=ROOT .venv/bin/python benchmarks/arm64.py
set -eu
[ $# -eq 2 ] || { echo "usage: $0 BUNDLE.tar ROOT" >&2; exit 2; }
bundle=$1 root=$2

if ! [ -e /proc/sys/fs/binfmt_misc/qemu-aarch64 ]; then # where no systemd has told the kernel who runs arm64
    mountpoint -q /proc/sys/fs/binfmt_misc || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
    cat /usr/lib/binfmt.d/qemu-aarch64.conf > /proc/sys/fs/binfmt_misc/register
fi
[ -e "$root/usr/bin/python3" ] ||
    debootstrap --arch=arm64 --variant=minbase --include=python3,libgl1,libglib2.0-0 bookworm "$root"
tar -xf "$bundle" -C "$root/root"
# QEMU_CPU: a Raspberry Pi 4's. Under QEMU 7.2's own choice NumPy's matrix products come out wrong.
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root QEMU_CPU=cortex-a72 \
    chroot "$root" python3 "/root/$(basename "$bundle" .tar)/install.py"
