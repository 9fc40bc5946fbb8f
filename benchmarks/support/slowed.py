"""The command `edgecl` on a machine whose network takes ten times as long."""

from __future__ import annotations

import sys
import time
from typing import Any

from edgecl.backbone import Backbone
from edgecl.cli.app import main

TIMES = 10
_see = Backbone.see


def _slowly(backbone: Backbone, image: Any) -> Any:
    began = time.perf_counter()
    sight = _see(backbone, image)
    time.sleep((TIMES - 1) * (time.perf_counter() - began))
    return sight


if __name__ == "__main__":
    Backbone.see = _slowly  # type: ignore[method-assign]
    sys.exit(main())
