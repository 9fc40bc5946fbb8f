"""Saying what is in pictures, and the frames that were kept because the answer was uncertain."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from edgecl.cli.options import HomeOption, JsonOption
from edgecl.cli.terminal import Terminal, columns, moment, plural, share

if TYPE_CHECKING:
    from edgecl.types import Frame, Prediction

commands = typer.Typer()
review = typer.Typer(help="Look through uncertain frames.", invoke_without_command=True)
commands.add_typer(review, name="review")


@commands.command()
def predict(
    src: Annotated[list[str], typer.Argument(metavar="SRC...", help="Cameras, videos, folders, images, or -.")],
    smooth: Annotated[bool, typer.Option(help="Judge a frame in the light of the last ones of its stream.")] = True,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many frames of each source.")] = None,
    every: Annotated[int, typer.Option(min=1, help="Only every so many-th frame.")] = 1,
    review: Annotated[bool, typer.Option("--review", help="Keep uncertain frames, see: edgecl review")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is in pictures, videos or cameras.

    A camera goes on until Ctrl-C. It also works beside a process that teaches; --review, beside the daemon alone.
    """
    from edgecl.cameras.footage import footage
    from edgecl.errors import CameraError, CameraStalled, InputRefused
    from edgecl.hands import daemon_of
    from edgecl.home import Home
    from edgecl.records import of_prediction
    from edgecl.review import note, uncertain
    from edgecl.types import Frame

    terminal = Terminal(as_json)
    place = Home.at(home)
    refused = False
    daemon = daemon_of(place) if review else None
    with place.watched(writable=review and daemon is None, live=any(map(_goes_on, src))) as watch:
        learner = watch.learner
        for url in src:
            answers: Counter[str] = Counter()
            away, waiting = False, 0
            try:
                for found in footage(url, place.settings.camera, limit, every=every):
                    if not isinstance(found, Frame):
                        if not away:  # a camera that stays away says so again and again
                            terminal.note(f"edgecl: {found}")
                        away = isinstance(found, CameraStalled)
                        refused |= not away
                        continue
                    if away:
                        terminal.note(f"edgecl: {found.camera} gives pictures again")
                        away = False
                    sight = watch.see(found.image)
                    for text in watch.news():
                        terminal.note(f"edgecl: {text}")
                    prediction = learner.answer(found, sight, smooth)
                    kept = {}
                    if daemon is not None:
                        kept = {"review": daemon.keep_for_review(found) if uncertain(prediction) else None}
                    elif review:
                        kept = {"review": note(learner, found, sight, prediction)}
                    waiting += kept.get("review") is not None
                    terminal.answer(of_prediction(found, prediction) | kept, _text(found, prediction))
                    answers[prediction.label or "unknown"] += 1
            except (CameraError, InputRefused) as error:  # the other sources may be sound
                terminal.note(f"edgecl: {error}")
                refused = True
            except KeyboardInterrupt:  # the usual end of a camera
                _sum_up(terminal, url, answers, waiting if review else None)
                raise
            refused |= away
            _sum_up(terminal, url, answers, waiting if review else None)
    if refused:
        raise typer.Exit(1)


@review.callback()
def default(context: typer.Context, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Look through uncertain frames.

    They are kept by `edgecl predict --review`: those whose answer has a low probability, and those neither clearly
    known nor clearly unknown. Alone the same as `edgecl review list`.
    """
    if context.invoked_subcommand is None:
        list_reviews(home, as_json)


@review.command("list")
def list_reviews(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the frames that wait for a person, the oldest first."""
    from edgecl.home import Home
    from edgecl.records import of_review

    with Home.at(home).store(writable=False) as store:
        frames = list(store.reviews)
    rows = [
        (
            str(one.id),
            moment(one.taken_at),
            one.guess or "–",
            share(one.probability),
            f"{one.unknown_score:.2f}",
            one.camera,
        )
        for one in frames
    ]
    titles = ("frame", "taken", "guess", "probability", "unknown", "source")
    text = columns(titles, rows, right=(0, 3, 4)) if rows else "no frame waits for review"
    Terminal(as_json).answers([of_review(frame) for frame in frames], text)


@review.command("label")
def label_review(
    frame: Annotated[int, typer.Argument(metavar="ID", help="Number of the frame, see: edgecl review")],
    label: Annotated[str, typer.Argument(metavar="LABEL", help="What it shows.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Teach a frame that waits for review."""
    from edgecl.cli.teaching import lesson_text
    from edgecl.hands import hands_of
    from edgecl.home import Home
    from edgecl.records import of_report

    with hands_of(Home.at(home)) as hands:
        report = hands.teach_review(frame, label)
    Terminal(as_json).answer(of_report(report), lesson_text(report))


@review.command("drop")
def drop_review(
    frame: Annotated[int, typer.Argument(metavar="ID", help="Number of the frame, see: edgecl review")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete a frame that waits for review."""
    from edgecl.hands import hands_of
    from edgecl.home import Home
    from edgecl.records import of_review

    place = Home.at(home)
    with place.store(writable=False) as store:
        dropped = store.reviews.get(frame)  # so that a mistyped home is not made
    with hands_of(place) as hands:
        hands.drop_review(frame)
    Terminal(as_json).answer(of_review(dropped), f"deleted review frame {dropped.id}")


def _goes_on(url: str) -> bool:
    """Whether a source gives frames until someone ends it."""
    from edgecl.cameras import is_live
    from edgecl.errors import CameraError

    try:
        return is_live(url)
    except CameraError:  # said when its turn comes
        return False


def _text(frame: Frame, prediction: Prediction) -> str:
    others = [f"{label} {share(value)}" for label, value in prediction.top[prediction.label is not None :][:2]]
    answer = f"{prediction.label} {share(prediction.probability)}" if prediction.label is not None else "unknown"
    near = f"({', '.join(others)})" if others else ""
    return f"{frame.camera} {frame.index:>5}  {answer:<20} {near:<32} {1000 * prediction.age:4.0f} ms"


def _sum_up(terminal: Terminal, url: str, answers: Counter[str], waiting: int | None) -> None:
    """What share of the frames showed what, but for a single picture; and how many wait for review, if it was asked."""
    from edgecl.cameras import redact

    if terminal.as_json or not answers:
        return
    parts = [f"{label} {share(count / answers.total())}" for label, count in answers.most_common()]
    if answers.total() > 1:
        terminal.note(f"{redact(url)}: {plural(answers.total(), 'frame')}: {', '.join(parts)}")
    if waiting is not None:
        terminal.note(f"{redact(url)}: {waiting} kept for review{', see: edgecl review' if waiting else ''}")
