"""Recipes: which penalty, in which mode and strength, with which head, a consolidation trains by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import nn

from edgecl.errors import ConsolidationRefused
from edgecl.workstation import penalties
from edgecl.workstation.quadratic import Mode, Quadratic

DEFAULT = "ar1"
UNTRIED = 0.01  # strength of a penalty for which nobody has chosen one yet


@dataclass(frozen=True)
class Recipe:
    """One way to train the tail.

    Attributes:
        name: for the user.
        penalty: a file in `penalties/`, or None.
        strength: of the penalty, see `Quadratic`.
        first_strength: of it where it has measured nothing before this consolidation, whose first epoch is then all it
            goes by.
        mode: of the penalty.
        trains: whether the tail is trained at all.
        like_cwr: whether the head in training is without a bias, as that of CWR+. What CWR+ does between lessons has no
            place here: there is one, of all classes, and the head is thrown away.
    """

    name: str
    penalty: str | None = None
    strength: float = 0.0
    first_strength: float = 0.0
    mode: Mode = "penalty"
    trains: bool = True
    like_cwr: bool = False

    def penalty_on(self, params: Mapping[str, nn.Parameter]) -> Quadratic | None:
        """The penalty on `params` alone; None where there is none.

        Raises:
            ConsolidationRefused: the strength is out of range.
        """
        if self.penalty is None:
            return None
        return penalties.penalty_of(self.penalty)(params, self.strength, self.mode)


# Each strength is the best of those tried on held-out views of training pictures; docs/decisions/0011 has the figures.
# One epoch of eight tells less than a task: the first strength is an eighth, but of what guards from the first step.
RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("frozen", trains=False),
        Recipe("naive"),
        Recipe("l2sp", "l2sp", 0.03, 0.03),
        Recipe("ewc", "ewc", 0.03, 0.03 / 8),
        Recipe("si", "si", 0.1, 0.1 / 8),
        Recipe("mas", "mas", 0.1, 0.1 / 8),
        Recipe("ar1", "si", 0.1, 0.1 / 8, like_cwr=True),
        Recipe("ar1-star", "si", 1.0, 1.0, mode="scale", like_cwr=True),
    )
}


def recipe_of(name: str | None = None, strength: float | None = None) -> Recipe:
    """The recipe called `name`, the default one for None; with another strength, the first time too, if one is given.

    Raises:
        ConsolidationRefused: there is no such recipe, or it has no penalty to be strong.
    """
    recipe = RECIPES.get(name or DEFAULT)
    if recipe is None:
        raise ConsolidationRefused(f"found recipe {name!r}, expected one of {', '.join(RECIPES)}; choose one of these")
    if strength is None:
        return recipe
    if recipe.penalty is None:
        raise ConsolidationRefused(
            f"found a strength for {recipe.name!r}, which has no penalty; leave it out, or choose another recipe"
        )
    return replace(recipe, strength=strength, first_strength=strength)


def of_penalty(penalty: str, strength: float | None = None) -> Recipe:
    """The recipe that is the penalty called `penalty` and nothing else; also of one that has no recipe yet.

    Raises:
        ConsolidationRefused: there is no such penalty.
    """
    penalties.penalty_of(penalty)
    recipe = RECIPES.get(penalty, Recipe(penalty, penalty, UNTRIED, UNTRIED))
    return recipe if strength is None else replace(recipe, strength=strength, first_strength=strength)
