"""The classes: what there is, other names, one of two."""

from __future__ import annotations

from typing import Annotated

import typer

from edgecl.cli.options import HomeOption, JsonOption
from edgecl.cli.terminal import Terminal, columns, moment, share

commands = typer.Typer()
classes = typer.Typer(help="List, rename and merge classes.", no_args_is_help=True)
commands.add_typer(classes, name="classes")


@classes.command("list")
def list_classes(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List what was taught, and how well each class is known."""
    from edgecl.home import Home
    from edgecl.overview import class_summaries
    from edgecl.records import of_class

    with Home.at(home).learner(writable=False) as learner:
        found = class_summaries(learner)
    rows = [(one.name, str(one.id), str(one.examples), share(one.accuracy), moment(one.taught_at)) for one in found]
    text = columns(("class", "id", "examples", "held-out", "last taught"), rows, right=(1, 2, 3))
    Terminal(as_json).answers([of_class(one) for one in found], text if rows else "nothing was taught yet")


@classes.command()
def rename(
    label: Annotated[str, typer.Argument(metavar="LABEL", help="The class.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its new name.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a class another name."""
    from edgecl.cli.teaching import change_text
    from edgecl.hands import hands_of
    from edgecl.home import Home
    from edgecl.records import of_lesson

    with hands_of(Home.at(home)) as hands:
        lesson = hands.rename(label, new)
    Terminal(as_json).answer(of_lesson(lesson), change_text(lesson))


@classes.command()
def merge(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The class that goes; its name becomes free.")],
    target: Annotated[str, typer.Argument(metavar="TARGET", help="The class that gets its examples.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make one class of two."""
    from edgecl.cli.teaching import change_text
    from edgecl.hands import hands_of
    from edgecl.home import Home
    from edgecl.records import of_lesson

    with hands_of(Home.at(home)) as hands:
        lesson = hands.merge(source, target)
    Terminal(as_json).answer(of_lesson(lesson), change_text(lesson))
