"""`edgecl eval` and `edgecl bench`: figures that can be compared."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import typer

from edgecl.cli.options import HomeOption, JsonOption
from edgecl.cli.terminal import Terminal

commands = typer.Typer()
evaluations = typer.Typer(no_args_is_help=True, help="Measure learning on folders of images.")
commands.add_typer(evaluations, name="eval")

SIZES = [10, 100, 1000]
Images = Annotated[
    Path, typer.Argument(metavar="DIR", readable=False, help="Images as train/CLASS/* and test/CLASS/*.")
]
Keep = Annotated[int, typer.Option(min=1, help="Examples kept of each class.")]
OrderSeed = Annotated[int, typer.Option(min=0, help="Seed of the order in which the classes are taught.")]
Head = Annotated[str, typer.Option(help="File in heads/ that learns.")]
PrecisionOption = Annotated[Literal["int8", "fp32"], typer.Option(help="Of trunk and tail.")]
Cache = Annotated[Path | None, typer.Option(help="Folder to keep embeddings in between runs.", show_default=False)]


@evaluations.command("nc")
def new_classes(
    folder: Images,
    keep: Keep = 20,
    order_seed: OrderSeed = 0,
    head: Head = "softmax",
    precision: PrecisionOption = "int8",
    cache: Cache = None,
    lessons: Annotated[
        int | None,
        typer.Option(min=1, help="Lessons that share the classes; else one class each.", show_default=False),
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A published strategy instead of edgecl's head: it keeps what it keeps, and has its own head. "
            "In 10 lessons if not told otherwise. Needs edgecl[train].",
        ),
    ] = None,
    consolidate: Annotated[
        str | None,
        typer.Option(
            metavar="RECIPE",
            help="Train the tail once at the end, on what the memory kept, and test again. Needs edgecl[train].",
        ),
    ] = None,
    times: Annotated[
        int,
        typer.Option(min=1, max=100, help="Consolidate again what the last one became, so often or until refused."),
    ] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of that training.")] = 0,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """New classes: teach one class a lesson, or several, test on all taught so far."""
    from edgecl.evaluate.consolidated import new_classes_consolidated
    from edgecl.evaluate.new_classes import new_classes
    from edgecl.evaluate.protocol import Setting
    from edgecl.evaluate.published import new_classes_by
    from edgecl.evaluate.report import new_classes_text
    from edgecl.home import Home
    from edgecl.releases.slots import current

    if strategy is not None and consolidate is not None:
        raise typer.BadParameter("a published strategy trains the tail itself", param_hint="--consolidate")
    terminal = Terminal(as_json)
    place = Home.at(home)
    backbone = place.backbone(precision)
    setting = Setting(folder, keep, order_seed, head, cache, lessons)
    with terminal.progress("embedding") as step:
        told, training = (
            (
                lambda done, total: step(done, f"embedding {done} of {total} images", total),
                lambda done, total: step(done, f"lesson {done} of {total}", total),
            ),
            lambda done, total: step(done, f"training, step {done} of {total}", total),
        )
        if strategy is not None:
            result = new_classes_by(strategy, setting, backbone, *told)
        elif consolidate is not None:
            release = current(place.folder)
            result = new_classes_consolidated(consolidate, seed, setting, backbone, release, *told, training, times)
        else:
            result = new_classes(setting, backbone, *told)
    terminal.answer(dataclasses.asdict(result), new_classes_text(result))


@evaluations.command("openset")
def open_set(
    folder: Images,
    unknown: Annotated[Path, typer.Option(metavar="DIR2", help="Images of nothing that is taught.")],
    unseen_classes: Annotated[int, typer.Option(min=1, help="Classes left out, the last of the order.")] = 1,
    keep: Keep = 20,
    order_seed: OrderSeed = 0,
    head: Head = "softmax",
    precision: PrecisionOption = "int8",
    cache: Cache = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Open set: teach some classes, then ask about those, about like ones and about anything else."""
    from edgecl.evaluate.open_set import open_set
    from edgecl.evaluate.protocol import Setting
    from edgecl.evaluate.report import open_set_text
    from edgecl.home import Home

    terminal = Terminal(as_json)
    backbone = Home.at(home).backbone(precision)
    with terminal.progress("embedding") as step:
        result = open_set(
            Setting(folder, keep, order_seed, head, cache),
            unknown,
            unseen_classes,
            backbone,
            lambda done, total: step(done, f"embedding {done} of {total} images", total),
        )
    terminal.answer(dataclasses.asdict(result), open_set_text(result))


@commands.command()
def bench(
    precision: PrecisionOption = "int8",
    threads: Annotated[int, typer.Option(min=0, max=1024, help="0 for as many as the machine has cores.")] = 1,
    classes: Annotated[list[int], typer.Option(min=1, help="Classes known when a lesson is timed.")] = SIZES,
    frames: Annotated[int, typer.Option(min=1, help="Over which frame to prediction is timed.")] = 200,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """How fast this machine sees and learns, in what memory."""
    from edgecl.evaluate import speed
    from edgecl.evaluate.report import speed_text
    from edgecl.home import Home
    from edgecl.releases import current

    terminal = Terminal(as_json)
    place = Home.at(home)
    settings = place.settings.backbone.model_copy(update={"precision": precision, "threads": threads})
    with terminal.progress("measuring") as step:
        result = speed.measure(
            current(place.folder),
            settings,
            classes,
            frames,
            lambda now: step(now=now),
        )
    terminal.answer(dataclasses.asdict(result), speed_text(result))
