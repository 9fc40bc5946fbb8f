"""`edgecl eval` and `edgecl bench`: figures that can be compared."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edgecl.cli.options import HomeOption, JsonOption
from edgecl.cli.terminal import Terminal

if TYPE_CHECKING:
    from edgecl.backbone import Backbone

commands = typer.Typer()
evaluations = typer.Typer(no_args_is_help=True, help="Measure learning on folders of images.")
commands.add_typer(evaluations, name="eval")

Images = Annotated[Path, typer.Argument(metavar="DIR", help="Images as train/CLASS/* and test/CLASS/*.")]
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
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """New classes: teach one class a lesson, test on all taught so far."""
    from edgecl.evaluate import protocols
    from edgecl.evaluate.report import new_classes_text

    terminal = Terminal(json)
    with terminal.progress("embedding") as step:
        result = protocols.new_classes(
            folder,
            _backbone(home, precision),
            keep=keep,
            order_seed=order_seed,
            head=head,
            cache=cache,
            progress=lambda done, total: step(done, f"embedding {done} of {total} images", total),
            on_lesson=lambda done, total: step(done, f"lesson {done} of {total}", total),
        )
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
    json: JsonOption = False,
) -> None:
    """Open set: teach some classes, then ask about those, about like ones and about anything else."""
    from edgecl.evaluate import protocols
    from edgecl.evaluate.report import open_set_text

    terminal = Terminal(json)
    with terminal.progress("embedding") as step:
        result = protocols.open_set(
            folder,
            unknown,
            _backbone(home, precision),
            unseen_classes=unseen_classes,
            keep=keep,
            order_seed=order_seed,
            head=head,
            cache=cache,
            progress=lambda done, total: step(done, f"embedding {done} of {total} images", total),
        )
    terminal.answer(dataclasses.asdict(result), open_set_text(result))


@commands.command()
def bench(
    precision: PrecisionOption = "int8",
    threads: Annotated[int, typer.Option(min=0, help="0 for as many as the machine has cores.")] = 1,
    classes: Annotated[list[int] | None, typer.Option(min=1, help="Classes known when a lesson is timed.")] = None,
    frames: Annotated[int, typer.Option(min=1, help="Over which frame to prediction is timed.")] = 200,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """How fast this machine sees and learns, and the memory it takes."""
    from edgecl.config import BackboneSettings, default_home
    from edgecl.evaluate import speed
    from edgecl.evaluate.report import speed_text
    from edgecl.releases import current

    terminal = Terminal(json)
    settings = BackboneSettings(precision=precision, threads=threads)
    with terminal.progress("measuring") as step:
        result = speed.measure(
            current(home or default_home()),
            settings,
            classes or [10, 100, 1000],
            frames,
            lambda now: step(now=now),
        )
    terminal.answer(dataclasses.asdict(result), speed_text(result))


def _backbone(home: Path | None, precision: Literal["int8", "fp32"]) -> Backbone:
    from edgecl.backbone import Backbone
    from edgecl.config import BackboneSettings, default_home, load_settings
    from edgecl.releases import current

    home = home or default_home()
    threads = load_settings(home).backbone.threads
    return Backbone(current(home), BackboneSettings(precision=precision, threads=threads))
