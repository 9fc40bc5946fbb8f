"""Synaptic intelligence: what took the loss down in earlier lessons has a price (Zenke et al., 2017, arXiv 1703.04200).

Tail and head are guarded alike, for the reason that `ewc` gives.
"""

from __future__ import annotations

from edgecl.workstation.incremental import Incremental, Settings, parameters_of
from edgecl.workstation.penalties.si import Penalty
from edgecl.workstation.quadratic import Quadratic


class Strategy(Incremental):
    """Naive with the penalty `si` on tail and head."""

    defaults = Settings(tail_rate_later=0.0003, strength=10.0)

    def _new_penalty(self) -> Quadratic:
        return Penalty(parameters_of(tail=self.tail, head=self.head), self.settings.strength)
