"""Results in words."""

from __future__ import annotations

from edgecl.evaluate.consolidated import Consolidated, Round
from edgecl.evaluate.new_classes import NewClasses
from edgecl.evaluate.open_set import OpenSet
from edgecl.evaluate.speed import Speed

WEAKEST = 5


def new_classes_text(result: NewClasses) -> str:
    """A few lines for a person."""
    lessons = "one a lesson" if result.lessons == result.classes else f"in {result.lessons} lessons"
    weakest = sorted(result.per_class.items(), key=lambda item: item[1])[:WEAKEST]
    consolidated = [_consolidated(result)] if isinstance(result, Consolidated) else []
    return "\n".join(
        [
            f"{result.classes} classes of {result.stream}, {lessons}, "
            f"{result.examples_kept_per_class} examples kept of each; "
            f"{result.method}, {result.precision}, order {result.seed}",
            f"  final accuracy     {result.final_accuracy:.4f}",
            f"  average accuracy   {result.average_accuracy:.4f}",
            f"  forgetting         {result.forgetting:.4f}, among the classes known when taught "
            f"{result.forgetting_among_earlier:.4f}",
            f"  learning a lesson  {1000 * result.seconds_learning_median:.0f} ms "
            f"(95 % within {1000 * result.seconds_learning_p95:.0f} ms)",
            f"  memory             {result.bytes_memory / 1e6:.1f} MB",
            "  weakest classes    " + ", ".join(f"{name} {accuracy:.2f}" for name, accuracy in weakest),
            *consolidated,
        ]
    )


def _consolidated(result: Consolidated) -> str:
    first, *further = result.rounds
    lines = [
        f"  consolidated       {result.final_accuracy_consolidated:.4f} by {result.recipe} in {first.seconds:.0f} s; "
        f"{_round(first)}",
        *(f"  once more          in {one.seconds:.0f} s; {_round(one)}" for one in further),
    ]
    return "\n".join(lines)


def _round(one: Round) -> str:
    verdict = f"{100 * one.share:.0f} % of the way accepted" if one.share else "refused"
    return (
        f"held-out views {one.held_out_before:.4f} before, {one.held_out_after:.4f} after, {verdict}, "
        f"then {one.final_accuracy_released:.4f} on test"
    )


def open_set_text(result: OpenSet) -> str:
    """A few lines for a person."""
    return "\n".join(
        [
            f"{result.known_classes} classes of {result.stream} taught, {result.unseen_classes} left out; "
            f"head {result.method}, {result.precision}, order {result.seed}",
            f"  far unknown        AUROC {result.auroc_far:.4f}, FPR at 95 % TPR {result.fpr95_far:.4f}",
            f"  near unknown       AUROC {result.auroc_near:.4f}, FPR at 95 % TPR {result.fpr95_near:.4f}",
            f"  accepted           known {result.accepted_known:.3f}, near {result.accepted_near:.3f}, "
            f"far {result.accepted_far:.3f}",
            f"  accuracy           {result.accuracy_known:.4f} of all known, "
            f"{result.accuracy_accepted:.4f} of the accepted",
            f"  calibration error  {result.ece:.4f} of the accepted",
        ]
    )


def speed_text(result: Speed) -> str:
    """A few lines for a person."""
    bare = (
        "the bare network could not be joined: install edgecl[train] to compare"
        if result.bare_ms_p50 is None
        else f"{result.pipeline_ratio:.2f} × the bare network's {result.bare_ms_p50:.2f} ms"
    )
    lines = [
        f"{result.precision}, {result.provider}, threads: {result.threads or 'all'}",
        f"  frame to embedding   {result.embed_ms_p50:.2f} ms",
        f"  frame to prediction  {result.pipeline_ms_p50:.2f} ms, {bare}",
    ]
    lines += [
        f"  lesson, {lesson.classes:5d} classes  {lesson.first_ms:.0f} ms to the first answer, {lesson.full_ms:.0f} ms "
        f"in full ({lesson.examples:,} examples)"
        for lesson in result.lessons
    ]
    return "\n".join(
        [
            *lines,
            f"  memory at its peak   {result.peak_rss_mb:.0f} MB",
            f"  start to prediction  {result.start_to_first_prediction_s:.2f} s",
        ]
    )
