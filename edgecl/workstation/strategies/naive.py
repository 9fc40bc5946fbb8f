"""Naive: train on each lesson as if there had been none before. What every other strategy has to beat."""

from __future__ import annotations

from edgecl.workstation.incremental import Incremental, Settings


class Strategy(Incremental):
    """Nothing is done against forgetting, but that later lessons move the tail little."""

    defaults = Settings(tail_rate_later=0.0003)
