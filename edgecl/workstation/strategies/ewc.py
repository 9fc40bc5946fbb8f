"""Elastic weight consolidation: what mattered earlier has a price (Kirkpatrick et al., 2017, arXiv 1612.00796).

Tail and head are guarded alike. In one growing classification problem there is one head, which all lessons share: its
rows are forgotten as easily as the tail is. Rows of classes that did not come up yet matter to nothing and are free.
"""

from __future__ import annotations

from edgecl.workstation.incremental import Incremental, Settings, parameters_of
from edgecl.workstation.penalties.ewc import Penalty
from edgecl.workstation.quadratic import Quadratic


class Strategy(Incremental):
    """Naive with the penalty `ewc` on tail and head."""

    defaults = Settings(tail_rate_later=0.0003, strength=10.0)

    def _new_penalty(self) -> Quadratic:
        return Penalty(parameters_of(tail=self.tail, head=self.head), self.settings.strength)
