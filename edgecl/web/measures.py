"""What is counted and measured while the daemon runs, in the form that Prometheus collects."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from edgecl import __version__
from edgecl.daemon.daemon import Daemon
from edgecl.daemon.snapshots import Live
from edgecl.process import peak_rss_mb, rss_mb

SECONDS = (0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.1, 0.2, 0.5, 1.0, 2.0)


class Measures:
    """The measures of one daemon; `heard` is its listener.

    Attributes:
        registry: to collect from.
        broker: whether the MQTT broker lets us in; None where none is named.
    """

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self.broker: Callable[[], bool] | None = None
        self.registry = CollectorRegistry()
        camera = ["camera"]
        self._frames = Counter("edgecl_frames", "Frames that were answered.", camera, registry=self.registry)
        self._unknown = Counter("edgecl_frames_unknown", "Of these, unknown.", camera, registry=self.registry)
        self._failed = Counter("edgecl_frames_failed", "Frames without an answer.", camera, registry=self.registry)
        self._age = Histogram(
            "edgecl_frame_age_seconds",
            "From the camera to the answer.",
            camera,
            buckets=SECONDS,
            registry=self.registry,
        )
        self._look = Histogram(
            "edgecl_look_seconds", "What one answer takes.", camera, buckets=SECONDS, registry=self.registry
        )
        self.registry.register(self)

    def heard(self, live: Live | None) -> None:
        """Count an answer; called on the owner's thread."""
        if live is None:
            return
        self._frames.labels(live.camera).inc()
        self._age.labels(live.camera).observe(live.age_s)
        self._look.labels(live.camera).observe(live.seconds)
        if live.prediction is None:
            self._failed.labels(live.camera).inc()
        elif live.prediction.label is None:
            self._unknown.labels(live.camera).inc()

    def collect(self) -> Iterator[Metric]:
        """What is known without counting."""
        yield from self._of_cameras()
        yield from self._of_memory()
        yield _gauge("edgecl_start_time_seconds", "When the daemon began.", self._daemon.began_at)
        yield _gauge("edgecl_memory_bytes", "Memory that the process holds.", rss_mb() * 1e6)
        yield _gauge("edgecl_memory_peak_bytes", "The most that it held.", peak_rss_mb() * 1e6)
        info = GaugeMetricFamily("edgecl_info", "What runs.", labels=["version", "precision"])
        info.add_metric([__version__, self._daemon.state.execution.precision], 1)
        yield info
        if self.broker is not None:
            yield _gauge("edgecl_broker_up", "Whether the MQTT broker lets us in.", float(self.broker()))
        yield from self._of_board()

    def _of_board(self) -> Iterator[Metric]:
        effort, readings = self._daemon.state.effort, self._daemon.state.board
        if readings.temperature_c is not None:
            yield _gauge("edgecl_temperature_celsius", "Of the hottest part of the board.", readings.temperature_c)
        held_back = bool(readings.held_back)
        yield _gauge("edgecl_board_held_back", "Whether the board runs slower than it could.", float(held_back))
        yield _gauge("edgecl_slowed", "Whether fewer frames are looked at for that.", float(effort.every > 1))
        yield _gauge("edgecl_learning_rests", "Whether nothing is learned for that.", float(not effort.learns))

    def _of_cameras(self) -> Iterator[Metric]:
        read = CounterMetricFamily("edgecl_camera_frames", "Frames that a camera gave.", labels=["camera"])
        dropped = CounterMetricFamily(
            "edgecl_camera_dropped", "Of these, not looked at: newer ones came.", labels=["camera"]
        )
        losses = CounterMetricFamily("edgecl_camera_losses", "How often a camera was lost.", labels=["camera"])
        up = GaugeMetricFamily("edgecl_camera_up", "Whether it gives pictures.", labels=["camera"])
        silent = GaugeMetricFamily("edgecl_camera_silent_seconds", "Since its last picture.", labels=["camera"])
        now = time.monotonic()
        for name, camera in self._daemon.cameras.items():
            found = camera.condition
            read.add_metric([name], found.frames)
            dropped.add_metric([name], found.dropped)
            losses.add_metric([name], found.losses)
            up.add_metric([name], float(found.phase == "open" and found.trouble is None))
            silent.add_metric([name], now - (found.last_frame or found.since))
        yield from (read, dropped, losses, up, silent)

    def _of_memory(self) -> Iterator[Metric]:
        state = self._daemon.state
        examples = GaugeMetricFamily("edgecl_examples", "Kept of a class.", labels=["label"])
        accuracy = GaugeMetricFamily("edgecl_held_out_accuracy", "Of a class, on its left-out half.", labels=["label"])
        for one in state.classes:
            examples.add_metric([one.name], one.examples)
            if one.accuracy is not None:
                accuracy.add_metric([one.name], one.accuracy)
        yield from (examples, accuracy)
        yield _gauge("edgecl_classes", "Known.", len(state.classes))
        yield _gauge("edgecl_revision", "Changes of the memory so far.", state.revision)
        yield _gauge("edgecl_learning", "Whether something is not learned yet.", float(state.learning))
        yield _gauge("edgecl_reviews", "Frames that wait for a person.", state.reviews)
        yield _gauge("edgecl_newcomers", "New things that wait for a name.", state.newcomers)
        if state.release is not None:
            yield _gauge("edgecl_release", "Number of the release that runs.", state.release)
        lessons = CounterMetricFamily("edgecl_lessons", "Taught since the daemon began, undone ones too.")
        lessons.add_metric([], state.lessons)
        yield lessons


def _gauge(name: str, words: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, words, value=value)
