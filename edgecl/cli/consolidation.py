"""`edgecl consolidate`: the slow half, on a machine with edgecl[train]."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from edgecl.cli.options import HomeOption, JsonOption
from edgecl.cli.terminal import Terminal, columns, plural

if TYPE_CHECKING:
    from edgecl.home import Home
    from edgecl.workstation.consolidate import Order, Outcome

commands = typer.Typer()


@commands.command()
def consolidate(
    recipe: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="ar1, ar1-star, ewc, l2sp, mas, si, naive (no penalty), frozen."),
    ] = None,
    penalty: Annotated[
        str | None, typer.Option(metavar="NAME", help="The recipe of a penalty: ewc, l2sp, si or mas.")
    ] = None,
    strength: Annotated[float | None, typer.Option(min=0.0, help="Of the penalty, instead of the recipe's.")] = None,
    memory: Annotated[
        str | None,
        typer.Option(metavar="SRC", help="A home, a backup file or http(s)://DEVICE; else this home's memory."),
    ] = None,
    audit: Annotated[bool, typer.Option("--audit", help="Show where the gradient of each layer came from.")] = False,
    minutes: Annotated[float | None, typer.Option(min=0.01, help="Train for no longer than about this.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, max=1000, help="Passes through the memory.")] = None,
    rate: Annotated[float | None, typer.Option(min=1e-6, max=1.0, help="Largest learning rate.")] = None,
    noise: Annotated[float | None, typer.Option(min=0.0, max=10.0, help="Added to latents, in deviations.")] = None,
    batch_renorm: Annotated[
        bool, typer.Option("--batch-renorm", help="Let batch normalisation follow the data, slowly.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of everything random.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a training that was cut off.")] = False,
    if_due: Annotated[
        bool,
        typer.Option(
            "--if-due",
            help="For timers: nothing on a hot board or before enough new lessons; goes on with what was cut off.",
        ),
    ] = False,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where to train.")] = "auto",
    nice: Annotated[int, typer.Option(min=0, max=19, help="How far to make way for other programs.")] = 10,
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Private key to sign with; else the home's own, if any.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Token of the device's API; else $EDGECL_TOKEN.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train the upper backbone on the memory.

    What is measured better on held-out views becomes a release, to be tried with `edgecl release install`. Status 0
    also where the candidate is refused: the reason says by which figure.
    """
    if recipe is not None and penalty is not None:
        raise typer.BadParameter("give a recipe or a penalty, not both", param_hint="--penalty")
    from edgecl.home import Home

    terminal = Terminal(as_json)
    place = Home.at(home)
    from edgecl.process import make_way

    make_way(nice)
    _require_training()
    from edgecl.effort import Rest, hindrance

    if if_due and (hot := hindrance(place.settings.heat)) is not None:  # before all that takes seconds to import
        held = _not_yet(recipe or penalty, f"not now: {hot}")
        terminal.answer(held, str(held["reason"]))
        return
    from edgecl.remote import Device, is_address, token_from
    from edgecl.workstation.consolidate import Order, consolidate
    from edgecl.workstation.recipes import of_penalty, recipe_of
    from edgecl.workstation.training import Plan

    given: dict[str, Any] = {"epochs": epochs, "rate": rate, "noise": noise, "minutes": minutes, "seed": seed}
    plan = Plan(batch_renorm=batch_renorm, **{name: value for name, value in given.items() if value is not None})
    chosen = recipe_of(recipe, strength) if penalty is None else of_penalty(penalty, strength)
    source: Path | Device | None = None if memory is None else Path(memory)
    if memory is not None and is_address(memory):
        source = Device.at(memory, token_from(token_file))
    order = Order(chosen, plan, source, device, "yes" if resume else "if-any" if if_due else "no", key)
    if if_due and (waiting := _waiting(place, order)) is not None:
        terminal.answer(waiting, str(waiting["reason"]))
        return
    with terminal.progress("consolidating") as step:
        rest = Rest(place.settings.heat, lambda now: step(now=now))

        def stepped(done: int, total: int) -> None:
            step(done, f"training, step {done} of {total}", total)
            rest()

        outcome = consolidate(place, order, lambda now: step(now=now), stepped)
    terminal.answer(outcome.record(), _text(outcome, audit))


def _require_training() -> None:
    """Miss what is needed at the end before hours are spent on the beginning."""
    from importlib.util import find_spec

    from edgecl.errors import ExtraMissing

    if not all(find_spec(name) for name in ("torch", "onnx", "onnxscript", "safetensors", "scipy", "matplotlib")):
        raise ExtraMissing("consolidating", "train")


def _waiting(place: Home, order: Order) -> dict[str, Any] | None:
    """What to answer where it is not time yet."""
    from edgecl.releases.slots import current
    from edgecl.workstation import due
    from edgecl.workstation.consolidate import FOLDER, source_of
    from edgecl.workstation.sources import memory_at

    source, name = source_of(place, order.memory)
    last = due.last_of(place.folder / FOLDER, name)
    if last.release is not None and current(place.folder).name == f"{last.release:04}":
        return None  # what the last one became runs, and may be trained further
    with memory_at(source) as store:
        lessons = due.lessons_since(last, store)
    needed = place.settings.consolidation.due_lessons
    if lessons >= needed:
        return None
    reason = f"not due: found {lessons} lessons since the last consolidation, expected {needed}"
    if last.release is not None:
        reason += f", or release {last.release}, which it became, to run"
    return _not_yet(order.recipe.name, reason)


def _not_yet(recipe: str | None, reason: str) -> dict[str, Any]:
    reason += "; nothing was done"
    return {"recipe": recipe, "accepted": False, "reason": reason, "release": None, "due": False}


def _text(outcome: Outcome, audit: bool) -> str:
    report = outcome.report
    lines = [report.made.chosen.verdict.reason]
    if outcome.release is None:
        lines.append(f"refused: no release was made; the report is in {outcome.folder}")
    else:
        unsigned = "" if outcome.signed else " --unsigned"
        lines.append(
            f"release {outcome.release} is ready; try it with: edgecl release install {outcome.release}{unsigned}"
        )
    if outcome.release is not None and report.made.chosen.share < 1.0:
        lines.append(
            f"it goes {100 * report.made.chosen.share:.0f} % of the way that was trained; all of it was refused: "
            f"{report.made.tried[0].verdict.reason}"
        )
    lines.append(
        f"{report.recipe.name}: {plural(len(report.made.trained.epochs), 'epoch')}, {report.seconds:.0f} s, "
        f"{report.peak_rss_mb:.0f} MB at most"
    )
    if audit:
        rows = [(one.layer, f"{one.cross_entropy:.3g}", f"{one.penalty:.3g}") for one in report.made.trained.audit]
        lines.append(columns(("layer", "cross-entropy", "penalty"), rows, right=(1, 2)))
    return "\n".join(lines)
