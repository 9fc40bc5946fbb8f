"""What an export does to a home: a memory is never made unreadable unless that is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from classifiers import classifier, saved
from commands import picture
from memories import draft, examples

from edgecl.backbone import Backbone
from edgecl.config import BackboneSettings, Settings
from edgecl.errors import BackboneMismatch, ExportRefused, InputRefused
from edgecl.home import Home
from edgecl.learner import Learner
from edgecl.memory.store import Store
from edgecl.releases import install_first
from edgecl.types import Frame
from edgecl.workstation import head_export, resize_graph
from edgecl.workstation.delivery import Delivery, Order, export_into, export_learned


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home.at(tmp_path / "home")
    return replace(home, settings=home.settings.model_copy(update={"backbone": BackboneSettings(precision="fp32")}))


@pytest.fixture
def first(tmp_path: Path) -> Order:
    return Order(saved(classifier(), tmp_path / "first.onnx"), precisions=("fp32",))


@pytest.fixture
def second(tmp_path: Path) -> Order:
    return Order(saved(classifier(gain=2), tmp_path / "second.onnx"), precisions=("fp32",))


def delivered(home: Home, order: Order, force: bool = False) -> Delivery:
    return export_into(home, order, force, lambda text: None)


def taught(home: Home, delivery: Delivery) -> None:
    """Teach the memory one lesson that the delivered trunk made, as far as the memory can tell."""
    graphs = delivery.manifest.graphs["fp32"]
    made = examples(2, trunk=graphs.trunk.sha256, shape=delivery.manifest.latent_shape)
    with home.store() as store:
        store.teach(draft("cup", 2, examples=made, tail=graphs.tail.sha256), undoable_lessons=20)


def test_the_same_classifier_may_be_exported_again_into_a_home_that_was_taught(home: Home, first: Order) -> None:
    taught(home, delivered(home, first))
    again = delivered(home, first)
    assert (again.replaced, again.manifest.name) == ("first", "first")


def test_a_classifier_that_could_not_read_the_memory_is_refused(home: Home, first: Order, second: Order) -> None:
    kept = delivered(home, first)
    taught(home, kept)
    with pytest.raises(BackboneMismatch, match=r"expected the same trunk; onnx:.*second\.onnx .*`edgecl forget`"):
        delivered(home, second)
    assert [path for path in (home.folder / "releases").iterdir() if path.is_dir()] == [kept.folder]


def test_another_network_is_refused_before_it_is_made(home: Home, first: Order) -> None:
    taught(home, delivered(home, first))
    told: list[str] = []
    with pytest.raises(BackboneMismatch, match="made by first"):
        export_into(home, Order("efficientnet-lite0"), False, told.append)
    assert told == []


def test_with_force_the_memory_can_be_forgotten_and_taught_anew(home: Home, first: Order, second: Order) -> None:
    taught(home, delivered(home, first))
    forced = delivered(home, second, force=True)
    with home.learner() as learner:
        assert learner.mismatch is not None
        learner.forget("cup")
    taught(home, forced)
    assert delivered(home, second).replaced == "second"


def test_the_network_that_made_the_memory_may_come_back_after_another_was_forced(
    home: Home, first: Order, second: Order
) -> None:
    taught(home, delivered(home, first))
    delivered(home, second, force=True)
    assert delivered(home, first).manifest.name == "first"


def test_what_an_export_that_was_cut_off_has_left_is_removed(home: Home, first: Order) -> None:
    (home.folder / "releases" / ".export-cut").mkdir(parents=True)
    folder = delivered(home, first).folder
    assert [path for path in folder.parent.iterdir() if path.is_dir()] == [folder]


# The head


@pytest.fixture
def learned(tmp_path: Path, backbone_folder: Path) -> Iterator[Learner]:
    with Store(tmp_path / "learned") as store:
        install_first(tmp_path / "learned", backbone_folder)
        learner = Learner(store, Backbone(backbone_folder), Settings())
        burst = learner.burst()
        for moment in range(4):
            burst.add(Frame(picture("cat", at_s=2.0 * moment), 1.0, 1.0, f"cat {moment}"))
        learner.teach("cat", burst, "folder")
        yield learner


def test_a_head_is_compared_on_pictures_smaller_and_larger_than_the_network_takes(learned: Learner, tmp_path: Path):
    made = export_learned(learned, tmp_path / "head.onnx", verify=True)
    assert made.report is not None
    assert made.report.pictures > len(list(learned.store.examples())) + 32
    assert made.report.embedding_cosine_min > 0.99


def test_a_graph_that_shrinks_pictures_wrongly_is_found(learned: Learner, tmp_path: Path, monkeypatch):
    right = resize_graph._shared_lengths

    def half(drawing, *lengths):
        return drawing.of("Mul", right(drawing, *lengths), drawing.value(0.5, np.float64))

    monkeypatch.setattr(resize_graph, "_shared_lengths", half)
    with pytest.raises(ExportRefused, match="pixels"):
        export_learned(learned, tmp_path / "head.onnx", verify=True)
    assert not (tmp_path / "head.onnx").exists()


def test_something_else_is_not_overwritten_by_a_head(learned: Learner, tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("precious")
    with pytest.raises(InputRefused, match=r"precious\.txt"):
        export_learned(learned, tmp_path / "precious.txt", verify=False)
    assert (tmp_path / "precious.txt").read_text() == "precious"


def test_a_head_replaces_an_earlier_one(learned: Learner, tmp_path: Path) -> None:
    for _ in range(2):
        made = export_learned(learned, tmp_path / "head.onnx", verify=False)
    assert (tmp_path / "head.onnx").stat().st_size == made.bytes


def test_a_head_that_does_not_answer_right_leaves_the_earlier_file(learned: Learner, tmp_path: Path, monkeypatch):
    export_learned(learned, tmp_path / "head.onnx", verify=False)
    before = (tmp_path / "head.onnx").read_bytes()
    monkeypatch.setattr(head_export, "COSINE_MIN", 1.5)
    with pytest.raises(ExportRefused, match="cosine"):
        export_learned(learned, tmp_path / "head.onnx", verify=True)
    assert (tmp_path / "head.onnx").read_bytes() == before
