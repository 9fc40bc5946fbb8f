"""The fitted head between two starts: kept with its calibration, and taken up if it is of the memory as it is now."""

from __future__ import annotations

from collections.abc import Collection

from edgecl.backbone import Backbone
from edgecl.errors import BackboneMismatch
from edgecl.memory.store import Store
from edgecl.recognition import Recogniser


def keep_head(store: Store, recogniser: Recogniser, revision: int) -> None:
    """Spare the next start the fit to the memory at `revision`.

    Raises:
        StoreUnwritable, StoreBusy: the disk refuses; costs time alone.
    """
    arrays, numbers = recogniser.to_arrays()
    store.heads.put(recogniser.head.tail, recogniser.head.name, revision, arrays, numbers)


def kept_head(store: Store, backbone: Backbone, name: str, class_ids: Collection[int]) -> Recogniser | None:
    """The head kept for this tail; None where there is none, of another revision, or one that does not fit."""
    stored = store.heads.get(backbone.tail_digest, name)
    if stored is None or stored[0] != store.revision:
        return None
    revision, arrays, numbers = stored
    try:
        kept = Recogniser.from_arrays(arrays, numbers, tail=backbone.tail_digest, revision=revision, name=name)
    except (KeyError, TypeError, ValueError, BackboneMismatch):
        return None
    return kept if kept.fits(backbone.dimension, class_ids) else None
