"""New classes by a published strategy, on the same pictures in the same order as by edgecl's own head."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from edgecl.backbone import Backbone
from edgecl.errors import InputRefused
from edgecl.evaluate.answers import Answers
from edgecl.evaluate.new_classes import NewClasses, learning
from edgecl.evaluate.protocol import Result, Setting, lessons_of
from edgecl.evaluate.streams import Progress, latent_stream

LESSONS = 10  # where nothing else is said; fewer where there are fewer classes


def new_classes_by(
    strategy: str,
    setting: Setting,
    backbone: Backbone,
    progress: Progress | None = None,
    on_lesson: Callable[[int, int], None] | None = None,
) -> NewClasses:
    """Let `strategy` learn lesson after lesson, and test on all classes taught so far.

    It begins with the tail as it was published, whatever the active release has made of it, and trains it in float32 on
    all training pictures of a lesson. Its seed is that of the order.

    Args:
        strategy: file in `workstation/strategies/`.
        setting: what is taught, and how; `keep` and `head` are those of the strategy.
        backbone: its trunk makes the latents.
        progress: called with images seen and images in all.
        on_lesson: called with lessons taught and lessons in all.

    Raises:
        InputRefused: the folder is not laid out as train/CLASS/*, test/CLASS/*, has fewer classes than lessons, or this
            backbone has no tail to train.
        ConfigRefused: no such strategy.
        ConsolidationRefused: training went out of bounds.
        ExtraMissing: PyTorch is not installed.
    """
    from edgecl.workstation import nets  # here, for a device that evaluates its head has no PyTorch
    from edgecl.workstation.strategies import strategy_of

    made = strategy_of(strategy)
    name = backbone.manifest.name
    if name not in nets.SCALINGS:
        raise InputRefused(
            f"found backbone {name}, whose tail cannot be trained, expected one of {', '.join(nets.SCALINGS)}"
        )
    stream = latent_stream(setting.folder, backbone, setting.order_seed, setting.cache, progress)
    lessons = lessons_of(len(stream.names), setting.lessons or min(LESSONS, len(stream.names)))
    learner = made(nets.efficientnet_lite(name).tail, len(stream.names), seed=setting.order_seed)
    answers = Answers(stream.test.labels, lessons)
    seconds = []
    for lesson in lessons:
        shown = stream.train.select(np.isin(stream.train.labels, lesson))
        real = shown.real()
        begun = time.perf_counter()
        learner.learn(real, shown.labels)
        seconds.append(time.perf_counter() - begun)
        answers.add(learner.logits(stream.test.select(answers.asked).real())[:, : lesson.stop])
        if on_lesson is not None:
            on_lesson(len(seconds), len(lessons))
    kept_most = int(np.bincount(stream.train.labels).max()) if learner.examples_kept else 0
    latent_bytes = int(np.prod(backbone.manifest.latent_shape))
    return NewClasses(
        **vars(Result.heading("nc", replace(setting, head=strategy, keep=kept_most), backbone)),
        **learning(answers, stream.names, seconds),
        bytes_memory=learner.examples_kept * latent_bytes + 4 * learner.numbers_kept,
    )
