"""AR1: the head of CWR+, and SI on the tail, which goes on learning (Maltoni and Lomonaco, 2019, arXiv 1806.08568).

The head needs no price: rows of earlier lessons are not trained. What SI guards is the tail and nothing else. Other
than in the authors' code, the scales and shifts of batch normalisation are guarded like the rest: its statistics stay
as they are, so these are weights like others.
"""

from __future__ import annotations

from edgecl.workstation.incremental import Settings, parameters_of
from edgecl.workstation.penalties.si import Penalty
from edgecl.workstation.quadratic import Quadratic
from edgecl.workstation.strategies import cwr_plus


class Strategy(cwr_plus.Strategy):
    """A `CopiedHead` and the penalty `si` on the tail."""

    defaults = Settings(tail_rate_later=0.0003, strength=10.0)

    def _new_penalty(self) -> Quadratic:
        return Penalty(parameters_of(tail=self.tail), self.settings.strength)
