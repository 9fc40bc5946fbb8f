"""Teaching, and changing what was taught."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgecl.cli.options import HomeOption, JsonOption
from edgecl.cli.terminal import Terminal, columns, moment, plural, share, size

if TYPE_CHECKING:
    from edgecl.learner import LessonReport
    from edgecl.memory.forgetting import ForgetProof
    from edgecl.types import Lesson

SECONDS = 5.0  # of a source without an end

commands = typer.Typer()


@commands.command()
def teach(
    label: Annotated[str, typer.Argument(metavar="LABEL", help="Name of the class; a new name makes a new class.")],
    src: Annotated[
        str, typer.Argument(metavar="SRC", help="Camera address, video, folder, image, or - for standard input.")
    ],
    limit: Annotated[int | None, typer.Option(min=1, help="Look at no more than so many frames.")] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, help=f"Look no longer; {SECONDS:g} for a camera unless --limit is given.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Teach one class from a camera, a video or pictures."""
    from edgecl.cameras.footage import ends, footage
    from edgecl.cli.exporting import ensure_backbone
    from edgecl.errors import CameraStalled, FrameUnusable
    from edgecl.hands import hands_of
    from edgecl.home import Home
    from edgecl.records import of_report
    from edgecl.types import check_label

    terminal = Terminal(as_json)
    label = check_label(label)
    place = Home.at(home)
    if limit is None and seconds is None and not ends(src):
        seconds = SECONDS
    ensure_backbone(place, terminal)
    with hands_of(place) as hands, terminal.progress(f"looking at {label}", limit) as step:
        held = hands.hold(src, label, seconds) if seconds is not None and limit is None else None
        if held is not None:  # a daemon looks through that camera, and nobody else can
            terminal.answer(of_report(held), lesson_text(held))
            return
        burst = hands.burst()
        try:
            for found in footage(src, place.settings.camera, limit, seconds):
                if isinstance(found, CameraStalled):  # a lesson is all or nothing
                    raise found
                if isinstance(found, FrameUnusable):
                    burst.reject("unreadable")
                    terminal.note(f"edgecl: {found}")
                else:
                    burst.add(found)
                step(burst.seen, f"looking at {label}: {plural(burst.seen, 'frame')}, {len(burst.candidates)} usable")
        except KeyboardInterrupt:
            terminal.note(f"edgecl: interrupted after {plural(burst.seen, 'frame')}; nothing was taught")
            raise
        step(burst.seen, f"learning {label}")
        report = hands.teach(label, burst, "folder" if ends(src) else "camera")
    terminal.answer(of_report(report), lesson_text(report))


@commands.command()
def correct(
    example: Annotated[int, typer.Argument(metavar="EXAMPLE_ID", help="See: edgecl examples LABEL")],
    label: Annotated[str, typer.Argument(metavar="LABEL", help="The class it belongs to.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Count one kept example as another class."""
    from edgecl.hands import hands_of
    from edgecl.home import Home
    from edgecl.records import of_lesson

    with hands_of(Home.at(home)) as hands:
        lesson = hands.correct(example, label)
    Terminal(as_json).answer(of_lesson(lesson), change_text(lesson))


@commands.command()
def undo(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Take back the newest lesson; can be repeated.

    A correction, a new name and a merge are lessons too. Forgetting is final.
    """
    from edgecl.hands import hands_of
    from edgecl.home import Home
    from edgecl.records import of_lesson

    with hands_of(Home.at(home)) as hands:
        lesson = hands.undo()
    Terminal(as_json).answer(of_lesson(lesson), f"undone: {change_text(lesson)}")


@commands.command()
def forget(
    label: Annotated[str, typer.Argument(metavar="LABEL", help="The class.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete a class for good and prove it.

    Its examples, pictures and review frames go too. This cannot be undone.
    """
    import sys

    from edgecl.errors import InputRefused
    from edgecl.hands import hands_of
    from edgecl.home import Home
    from edgecl.records import of_proof

    terminal = Terminal(as_json)
    place = Home.at(home)
    with place.store(writable=False) as store:
        kept = store.forgettable(label)
    if not yes:
        if sys.stdin is None or not sys.stdin.isatty():
            raise InputRefused(
                f"found nobody to ask whether {label!r} shall be deleted for good, expected a terminal or --yes; "
                "nothing was changed"
            )
        question = f"Delete {label!r} and its {plural(kept, 'example')} for good? This cannot be undone."
        typer.confirm(question, abort=True, err=True)
    with hands_of(place) as hands, terminal.progress(f"forgetting {label}"):
        proof = hands.forget(label)
    terminal.answer(of_proof(proof), proof_text(proof))


@commands.command()
def history(
    limit: Annotated[int, typer.Option(min=1, max=10**9, help="At most so many lessons, the newest first.")] = 20,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what was taught and changed, the newest first."""
    from edgecl.home import Home
    from edgecl.records import of_lesson

    with Home.at(home).store(writable=False) as store:
        lessons = store.history(limit)
    rows = [(str(one.id), moment(one.taken_at), change_text(one) + _undone(one)) for one in lessons]
    text = columns(("lesson", "when", "what"), rows, right=(0,)) if rows else "nothing was taught yet"
    Terminal(as_json).answers([of_lesson(lesson) for lesson in lessons], text)


@commands.command()
def examples(
    label: Annotated[str, typer.Argument(metavar="LABEL", help="The class.")],
    pictures: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write each example's picture there, as ID.jpg.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what is kept of a class.

    The numbers are those that `edgecl correct` takes.
    """
    from edgecl.files import private_folder, write_durably
    from edgecl.home import Home
    from edgecl.records import of_example

    with Home.at(home).store(writable=False) as store:
        kept = list(store.examples(store.class_id(label)))
    for example in kept if pictures is not None else ():
        if pictures is not None and example.thumbnail is not None:
            write_durably(private_folder(pictures) / f"{example.id}.jpg", example.thumbnail)
    rows = [(str(one.id), str(one.lesson), moment(one.taken_at), one.camera) for one in kept]
    text = columns(("example", "lesson", "taken", "source"), rows, right=(0, 1))
    Terminal(as_json).answers([of_example(one, label) for one in kept], text)


def lesson_text(report: LessonReport) -> str:
    """What a lesson did, in three lines."""
    if report.waits is not None:
        return f"{change_text(report.lesson)}\nkept, and learned later: {report.waits}"
    others = "no other class yet"
    if report.others_after is not None:
        others = f"the others {share(report.others_before)} → {share(report.others_after)}"
    known = "not known from a single example" if report.accuracy is None else share(report.accuracy)
    return (
        f"{change_text(report.lesson)}\n"
        f"left-out examples answered right: {report.lesson.label} {known}, {others}\n"
        f"{report.first_ms:.0f} ms to the first answer, {report.full_ms:.0f} ms until all was learned"
    )


def change_text(lesson: Lesson) -> str:
    """One lesson in a line."""
    label = repr(lesson.label) if lesson.label else "a forgotten class"
    if lesson.kind == "teach":
        why = ", ".join(f"{count} {reason}" for reason, count in lesson.reasons.items())
        return (
            f"taught {label}: {plural(lesson.seen, 'frame')} seen, {lesson.kept} kept, {lesson.redundant} redundant, "
            f"{lesson.rejected} rejected" + (f" ({why})" if why else "")
        )
    before = repr(lesson.detail.get("from_label") or "a forgotten class")
    return {
        "correct": f"example {lesson.detail.get('example')} counts as {label}, no longer as {before}",
        "rename": f"class {before} is now called {label}",
        "merge": f"class {before} was merged into {label}",
        "deny": f"{plural(lesson.kept, 'view')} said not to be {label}",
        "drop": f"example {lesson.detail.get('example')} of {label} was taken out",
        "forget": "a class was forgotten for good",
    }[lesson.kind]


def proof_text(proof: ForgetProof) -> str:
    """What was deleted, and the evidence."""
    left = f"searched the memory's files for {plural(proof.fragments, 'fragment')} of what was deleted: none left"
    if not proof.fragments:
        left = "each of its pictures is also one of another class, which stays"
    elif proof.found:
        left = (
            f"{proof.found} of {plural(proof.fragments, 'fragment')} are still in the log, because another process is "
            "reading; they go when it is done"
        )
    copies = f"\nolder copies beside the memory still hold it, delete them too: {', '.join(proof.copies)}"
    return (
        f"forgot {proof.label!r}: {plural(proof.examples, 'example')}, {plural(proof.thumbnails, 'picture')}, "
        f"{plural(proof.embeddings, 'embedding')} and {plural(proof.reviews, 'review frame')} "
        f"({size(proof.bytes_deleted)}) deleted for good\n{left}{copies if proof.copies else ''}"
    )


def _undone(lesson: Lesson) -> str:
    return "" if lesson.undone_at is None else f" (undone {moment(lesson.undone_at)})"
