"""The values of edgecl as plain records: what `--json` prints.

Times are s, UTC since the epoch; shares, probabilities and accuracies are in [0, 1].
"""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict  # the one of Python 3.12, by which pydantic describes what the API answers

from edgecl.demonstration import Demonstration
from edgecl.doctor import Finding
from edgecl.learner import LessonReport
from edgecl.memory.forgetting import ForgetProof
from edgecl.memory.reviews import ReviewFrame
from edgecl.overview import ClassSummary, Status
from edgecl.releases.journal import State, Trial
from edgecl.releases.listing import Listed
from edgecl.releases.swap import Switched
from edgecl.runtime import Execution
from edgecl.types import Example, Frame, Lesson, Prediction

Record = dict[str, Any]


class LessonRecord(TypedDict):
    """One act of teaching or of changing what was taught."""

    lesson: int
    kind: str
    class_id: int
    label: str
    origin: str
    seen: int
    kept: int
    redundant: int
    rejected: int
    reasons: dict[str, int]
    taken_at: float
    undone_at: float | None
    example: int | None
    from_label: str | None


class ReportRecord(LessonRecord):
    """A lesson with what it did to the head."""

    accuracy: float | None
    others_before: float | None
    others_after: float | None
    first_ms: float
    full_ms: float
    waits: str | None


class ShareRecord(TypedDict):
    """How probable a class is."""

    label: str
    probability: float


class PredictionRecord(TypedDict):
    """The answer for one frame; without a label it is unknown."""

    source: str
    index: int
    label: str | None
    probability: float
    top: list[ShareRecord]
    unknown_score: float
    age: float
    taken_at: float


class ReviewRecord(TypedDict):
    """A frame kept for review, without its picture."""

    review: int
    guess: str | None
    probability: float
    unknown_score: float
    taken_at: float
    camera: str


class ExampleRecord(TypedDict):
    """A kept example, without its latent."""

    example: int
    lesson: int
    label: str
    taken_at: float
    camera: str


class ProofRecord(TypedDict):
    """What forgetting a class deleted, and what of it is still on the disk."""

    label: str
    lesson: int
    examples: int
    embeddings: int
    thumbnails: int
    reviews: int
    heads: int
    bytes_deleted: int
    fragments: int
    found: int
    copies: list[str]


class ClassRecord(TypedDict):
    """One class as the memory and the head know it."""

    label: str
    id: int
    examples: int
    accuracy: float | None
    taught_at: float | None


class TrialRecord(TypedDict):
    """How far a trial is."""

    seconds: float
    frames: int
    starts: int
    accuracy: float | None


class ReleaseRecord(TypedDict):
    """One release of a home."""

    number: int
    state: State
    parent: int | None
    accuracy: float | None
    created_at: float
    active: bool
    previous: int | None
    since: float
    reason: str
    recipe: str | None
    accuracy_before: float | None
    signed_by: str | None
    bytes: int
    trial: TrialRecord | None


class SwitchedRecord(TypedDict):
    """What switching to a release did."""

    number: int
    state: State
    previous: int
    accuracy_before: float | None
    accuracy_after: float | None
    latency_ratio: float
    embedded: int
    switch_ms: float
    seconds: float


def of_lesson(lesson: Lesson) -> LessonRecord:
    """One act of teaching or of changing what was taught."""
    return {
        "lesson": lesson.id,
        "kind": lesson.kind,
        "class_id": lesson.class_id,
        "label": lesson.label,
        "origin": lesson.origin,
        "seen": lesson.seen,
        "kept": lesson.kept,
        "redundant": lesson.redundant,
        "rejected": lesson.rejected,
        "reasons": dict(lesson.reasons),
        "taken_at": lesson.taken_at,
        "undone_at": lesson.undone_at,
        "example": lesson.detail.get("example"),
        "from_label": lesson.detail.get("from_label"),
    }


def of_report(report: LessonReport) -> ReportRecord:
    """A lesson with what it did to the head."""
    return {
        **of_lesson(report.lesson),
        "accuracy": report.accuracy,
        "others_before": report.others_before,
        "others_after": report.others_after,
        "first_ms": round(report.first_ms, 1),
        "full_ms": round(report.full_ms, 1),
        "waits": report.waits,
    }


def lesson_of(record: Record) -> Lesson:
    """The lesson that `of_lesson` told; whether it is final is not told.

    Raises:
        KeyError, TypeError: it is no such record.
    """
    detail = {key: record[key] for key in ("example", "from_label") if record[key] is not None}
    names = ("kind", "class_id", "label", "origin", "seen", "kept", "redundant", "rejected", "reasons")
    told = {name: record[name] for name in (*names, "taken_at", "undone_at")}
    return Lesson(id=record["lesson"], **told, detail=detail)


def report_of(record: Record) -> LessonReport:
    """The report that `of_report` told.

    Raises:
        KeyError, TypeError: it is no such record.
    """
    names = ("accuracy", "others_before", "others_after", "first_ms", "full_ms", "waits")
    return LessonReport(lesson_of(record), **{name: record[name] for name in names})


def of_prediction(frame: Frame, prediction: Prediction) -> PredictionRecord:
    """The answer for one frame."""
    return {
        "source": frame.camera,
        "index": frame.index,
        "label": prediction.label,
        "probability": round(prediction.probability, 6),
        "top": [{"label": label, "probability": round(share, 6)} for label, share in prediction.top],
        "unknown_score": round(prediction.unknown_score, 6),
        "age": round(prediction.age, 6),
        "taken_at": frame.taken_at,
    }


def of_review(frame: ReviewFrame) -> ReviewRecord:
    """A frame kept for review, without its picture."""
    return {
        "review": frame.id,
        "guess": frame.guess,
        "probability": frame.probability,
        "unknown_score": frame.unknown_score,
        "taken_at": frame.taken_at,
        "camera": frame.camera,
    }


def of_example(example: Example, label: str) -> ExampleRecord:
    """A kept example, without its latent."""
    return {
        "example": example.id,
        "lesson": example.lesson,
        "label": label,
        "taken_at": example.taken_at,
        "camera": example.camera,
    }


def of_proof(proof: ForgetProof) -> ProofRecord:
    """What forgetting a class deleted, and what of it is still on the disk."""
    return {
        "label": proof.label,
        "lesson": proof.lesson.id,
        "examples": proof.examples,
        "embeddings": proof.embeddings,
        "thumbnails": proof.thumbnails,
        "reviews": proof.reviews,
        "heads": proof.heads,
        "bytes_deleted": proof.bytes_deleted,
        "fragments": proof.fragments,
        "found": proof.found,
        "copies": list(proof.copies),
    }


def proof_of(record: Record) -> ForgetProof:
    """The proof that `of_proof` told; of its lesson only the number is told.

    Raises:
        KeyError, TypeError: it is no such record.
    """
    lesson = Lesson(record["lesson"], "forget", 0, "", "", 0, 0, 0, 0, {}, 0.0)
    names = ("label", "examples", "embeddings", "thumbnails", "reviews", "heads", "bytes_deleted", "fragments", "found")
    return ForgetProof(lesson=lesson, copies=tuple(record["copies"]), **{name: record[name] for name in names})


def of_class(summary: ClassSummary) -> ClassRecord:
    """One class as the memory and the head know it."""
    return {
        "label": summary.name,
        "id": summary.id,
        "examples": summary.examples,
        "accuracy": summary.accuracy,
        "taught_at": summary.taught_at,
    }


def of_demonstration(result: Demonstration) -> Record:
    """What the scripted demonstration measured."""
    return {
        "passed": result.passed,
        "mean_accuracy": result.mean_accuracy,
        "forgetting": result.forgetting,
        "unknown_rejected": result.unknown_rejected,
        "survived_restart": result.survived_restart,
        "classes": [
            {
                "label": one.label,
                "kept": one.kept,
                "accuracy_then": one.accuracy_then,
                "accuracy_now": one.accuracy_now,
                "forgetting": one.forgetting,
                "first_ms": round(one.first_ms, 1),
                "full_ms": round(one.full_ms, 1),
            }
            for one in result.classes
        ],
    }


def of_release(found: Listed) -> ReleaseRecord:
    """One release of a home."""
    entry, document = found.entry, found.document
    return {
        "number": entry.number,
        "state": entry.state,
        "parent": document.parent if document is not None else None,
        "accuracy": document.accuracy_after if document is not None else None,
        "created_at": found.created_at,
        "active": found.active,
        "previous": entry.previous,
        "since": entry.since,
        "reason": entry.reason,
        "recipe": document.recipe if document is not None else None,
        "accuracy_before": document.accuracy_before if document is not None else None,
        "signed_by": found.key,
        "bytes": found.bytes,
        "trial": of_trial(found.trial) if found.trial is not None else None,
    }


def of_trial(trial: Trial) -> TrialRecord:
    """How far a trial is."""
    return {
        "seconds": round(trial.seconds, 1),
        "frames": trial.frames,
        "starts": trial.starts,
        "accuracy": trial.accuracy,
    }


def of_switched(done: Switched) -> SwitchedRecord:
    """What switching to a release did."""
    return {
        "number": done.number,
        "state": "trial",
        "previous": done.previous,
        "accuracy_before": done.accuracy_before,
        "accuracy_after": done.accuracy_after,
        "latency_ratio": round(done.latency_ratio, 3),
        "embedded": done.embedded,
        "switch_ms": round(done.switch_ms, 1),
        "seconds": round(done.seconds, 2),
    }


def of_status(status: Status) -> Record:
    """A home at a glance."""
    return {
        "home": str(status.home),
        "release": status.release,
        "backbone": status.backbone,
        **_of_execution(status.execution),
        "tail": status.tail,
        "classes": status.classes,
        "examples": status.examples,
        "bytes": status.bytes,
        "reviews": status.reviews,
        "revision": status.revision,
        "foreign_trunk": status.foreign_trunk,
        "head_revision": status.head_revision,
        "head_is_current": status.head_is_current,
        "last_lesson": of_lesson(status.last_lesson) if status.last_lesson is not None else None,
        "release_state": status.release_state,
        "trial": of_trial(status.trial) if status.trial is not None else None,
        "unsettled": status.unsettled,
        "daemon": None
        if status.daemon is None
        else {"pid": status.daemon.pid, "address": status.daemon.address, **_of_execution(status.running)},
    }


def _of_execution(found: Execution | None) -> Record:
    return {name: getattr(found, name, None) for name in ("precision", "provider", "threads")}


def of_finding(finding: Finding) -> Record:
    """One line of the doctor."""
    return {"check": finding.check, "state": finding.state, "found": finding.found, "remedy": finding.remedy}


def switched_of(record: Record) -> Switched:
    """The switch that `of_switched` told.

    Raises:
        KeyError, TypeError: it is no such record.
    """
    return Switched(**{name: record[name] for name in Switched.__dataclass_fields__})
