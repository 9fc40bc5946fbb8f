"""A probe that behaves in a way in which accelerators are known to: which one, its first argument says by provider.

A number is the time in ms with any number of threads, an object that by number of threads, a word what it does.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LIBRARY = "libcublasLt.so.12: cannot open shared object file"
RUNTIME_SAYS = (
    "\x1b[1;31m2026-01-01 00:00:00.0 [E:onnxruntime:Default, provider_bridge.cc:1 Get] 1 : FAIL : Failed to load "
    f"library libonnxruntime_providers_cuda.so with error: {LIBRARY}\n\x1b[m"
)


def probe(**behaviours: Any) -> Sequence[str]:
    """The command of a probe that behaves so."""
    return (sys.executable, __file__, json.dumps(behaviours))


def tell(job: dict[str, Any], threads: int, **found: Any) -> None:
    said = {"precision": job["precision"], "provider": job["provider"], "threads": threads}
    print(json.dumps(said | found), flush=True)


def main(behaviour: Any, job: dict[str, Any]) -> None:
    if isinstance(behaviour, int | float):
        behaviour = {str(threads): behaviour for threads in job["threads"]}
    if isinstance(behaviour, dict):
        for threads, ms in behaviour.items():
            tell(job, int(threads), median_ms=ms, quickest_ms=ms)
    elif behaviour.startswith("SIG"):
        name, _, more = behaviour.partition("+")
        os.kill(os.getpid(), int(getattr(signal, name)) + int(more or 0))
    elif behaviour == "breaks":
        raise RuntimeError("no kernel image is available")
    elif behaviour == "dies after the first":
        tell(job, job["threads"][0], median_ms=5.0, quickest_ms=5.0)
        os.abort()
    elif behaviour == "falls back":
        sys.stderr.write(RUNTIME_SAYS)
        tell(job, job["threads"][0], fault="ONNX Runtime runs the graph on the CPU")
    elif behaviour == "answers NaN":
        tell(job, job["threads"][0], median_ms=float("nan"), quickest_ms=float("nan"))
    elif behaviour == "babbles":
        print("a native library's own words\n{}\n[1]", flush=True)
        tell(job, job["threads"][0], median_ms=5.0, quickest_ms=5.0)
    elif behaviour == "writes without end":
        for _ in range(100):  # for ever, as far as a disk is concerned
            sys.stderr.write("warning\n" * 100_000)
        time.sleep(600)
    elif behaviour == "hangs until told":
        told = Path(job["engines"])
        if told.exists() and told.read_text() == "told":
            tell(job, 1, median_ms=5.0, quickest_ms=5.0)
        else:
            told.touch()
            time.sleep(600)
    elif behaviour == "hangs":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        Path(job["engines"]).write_text(str(child.pid))  # for who wants to see it gone
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]).get(json.loads(sys.argv[2])["provider"]), json.loads(sys.argv[2]))
