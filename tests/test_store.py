"""The memory as its caller sees it: lessons, undo, classes, views, heads, review frames, forgetting."""

import shutil
import sqlite3
import stat
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from memories import (
    DIMENSION,
    OTHER_TAIL,
    OTHER_TRUNK,
    TAIL,
    TRUNK,
    content,
    draft,
    examples,
    taught,
    teach,
    vectors,
)

from edgecl.errors import (
    BackboneMismatch,
    ClassUnknown,
    FrameUnusable,
    InputRefused,
    ItemUnknown,
    LabelRefused,
    NothingKept,
    NothingToUndo,
    StoreError,
)
from edgecl.memory.reviews import ReviewFrame
from edgecl.memory.store import Store


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "home") as store:
        yield store


def labels(store):
    """Example id → name of its class."""
    view = store.view(TAIL)
    return {int(e): view.names[int(c)] for e, c in zip(view.example_ids, view.class_ids, strict=True)}


# Lessons


def test_a_new_memory_holds_nothing(store):
    assert (dict(store.classes()), store.history(), len(store.view(TAIL)), store.revision) == ({}, (), 0, 0)


def test_a_lesson_comes_back_as_it_was_taught(store):
    lesson = teach(store, "cup", 3, seed=5)
    found = list(store.examples())
    for example, original in zip(found, examples(3, seed=5), strict=True):
        assert np.array_equal(example.latent.codes, original.latent.codes)
        assert (example.latent.scale, example.latent.zero_point) == (original.latent.scale, original.latent.zero_point)
        assert (example.trunk, example.thumbnail) == (original.trunk, original.thumbnail)
        assert (example.taken_at, example.camera) == (original.taken_at, original.camera)
        assert (example.lesson, example.class_id) == (lesson.id, lesson.class_id)
    assert np.array_equal(store.view(TAIL).vectors, vectors(3, seed=5))


def test_a_lesson_records_what_was_seen_and_why_frames_were_refused(store):
    lesson = teach(store, "cup", 3)
    assert (lesson.kind, lesson.label, lesson.origin) == ("teach", "cup", "camera")
    assert (lesson.seen, lesson.kept, lesson.redundant, lesson.rejected) == (5, 3, 1, 1)
    assert lesson.reasons == {"blurred": 1}
    assert store.history() == (lesson,)


def test_a_lesson_is_there_after_the_store_was_closed(tmp_path):
    taught(tmp_path / "home")
    with Store(tmp_path / "home") as store:
        before = content(store)
    with Store(tmp_path / "home", writable=False) as store:
        assert content(store) == before


def test_a_label_is_kept_in_one_form_of_unicode(store):
    teach(store, "cafe\u0301", seed=1)
    teach(store, "caf\u00e9", seed=2)
    assert list(store.classes().values()) == ["caf\u00e9"]


def test_every_change_raises_the_revision_by_one(store):
    revisions = [store.revision]
    for change in (
        lambda: teach(store, "cup"),
        lambda: store.correct(1, "mug"),
        lambda: store.rename("mug", "jug"),
        lambda: store.merge("jug", "cup"),
        lambda: store.undo(),
        lambda: store.forget("jug"),
    ):
        change()
        revisions.append(store.revision)
    assert revisions == list(range(7))


def test_heads_vectors_and_review_frames_leave_the_revision_alone(store):
    teach(store, "cup", 1)
    (frame,) = examples(1)
    store.heads.put(TAIL, "softmax", 1, {}, {})
    store.put_vectors(OTHER_TAIL, [1], vectors(1))
    store.reviews.add(ReviewFrame(0, frame.latent, TRUNK, None, None, 0.1, 0.9, 1.0, "usb:0"), keep=5)
    store.drop_tail(OTHER_TAIL)
    assert store.revision == 1


def test_what_was_made_by_a_tail_can_be_dropped_and_all_else_stays(store):
    teach(store, "cup", 3)
    before = content(store)
    store.put_vectors(OTHER_TAIL, [1, 2, 3], vectors(3))
    store.heads.put(OTHER_TAIL, "softmax", 1, {}, {})
    assert store.drop_tail(OTHER_TAIL) == 3
    assert store.drop_tail(OTHER_TAIL) == 0
    assert store.missing_vectors(OTHER_TAIL) == (1, 2, 3)
    assert store.heads.get(OTHER_TAIL, "softmax") is None
    assert (content(store), store.check()) == (before, [])


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"label": "a/b"}, LabelRefused),
        ({"examples": []}, NothingKept),
        ({"vectors": vectors(2)}, BackboneMismatch),
        ({"vectors": vectors(3).astype(np.float64)}, BackboneMismatch),
        ({"vectors": vectors(3, dimension=DIMENSION + 1)}, BackboneMismatch),
        ({"vectors": np.full((3, DIMENSION), np.nan, np.float32)}, FrameUnusable),
        ({"examples": examples(3, trunk=OTHER_TRUNK)}, BackboneMismatch),
        ({"examples": examples(2) + examples(1, trunk=OTHER_TRUNK)}, BackboneMismatch),
        ({"examples": examples(3, shape=(8, 4, 5))}, BackboneMismatch),
        ({"displaced": [99]}, ItemUnknown),
        ({"displaced": [2**70]}, ItemUnknown),
        ({"taken_at": float("nan")}, InputRefused),
    ],
)
def test_a_lesson_that_cannot_be_used_is_refused_and_changes_nothing(store, change, error):
    teach(store, "cup")
    before = content(store)
    with pytest.raises(error):
        store.teach(replace(draft("mug", 3, 7, displaced=[1]), **change), 20)
    assert content(store) == before


def test_another_trunk_is_named_in_the_refusal(store):
    teach(store, "cup")
    with pytest.raises(BackboneMismatch, match=r"bbbbbbbbbbbb.*dddddddddddd"):
        store.teach(draft("cup", 1, examples=examples(1, trunk=OTHER_TRUNK)), 20)


def test_a_camera_name_that_is_no_unicode_does_no_harm(store):
    (example,) = examples(1)
    odd = type(example)(**(vars(example) | {"camera": "\udcff:0"}))
    store.teach(draft("cup", 1, examples=[odd]), 20)
    assert next(store.examples()).camera == "?:0"


# Undo


def test_undo_takes_back_the_newest_lesson_and_then_the_one_before(store):
    teach(store, "cup", seed=1)
    teach(store, "mug", seed=2)
    assert store.undo().label == "mug"
    assert list(store.classes().values()) == ["cup"]
    assert store.undo().label == "cup"
    assert not store.classes()


def test_undo_brings_back_what_the_lesson_displaced(store):
    teach(store, "cup", 3, seed=1)
    before = content(store)
    teach(store, "cup", 2, seed=2, displaced=[1, 3])
    assert list(labels(store)) == [2, 4, 5]
    store.undo()
    assert content(store)["examples"] == before["examples"]
    assert content(store)["view"] == before["view"]


def test_undo_of_a_lesson_that_is_not_the_newest_changes_nothing(store):
    first, second = teach(store, "cup", seed=1), teach(store, "mug", seed=2)
    before = content(store)
    with pytest.raises(NothingToUndo, match=f"lesson {second.id} .*expected lesson {first.id}"):
        store.undo(first.id)
    assert content(store) == before
    assert store.undo(second.id).label == "mug"


def test_when_a_class_was_taught_last_is_that_of_its_newest_lesson_that_counts(tmp_path):
    times = iter(range(100))
    with Store(tmp_path / "clocked", clock=lambda: float(next(times))) as store:
        cup = teach(store, "cup", seed=1)
        mug = teach(store, "mug", seed=2)
        again = teach(store, "cup", seed=3)
        store.rename("mug", "beaker")
        assert store.last_taught() == {cup.class_id: again.taken_at, mug.class_id: mug.taken_at}
        store.undo()
        store.undo()
        assert store.last_taught() == {cup.class_id: cup.taken_at, mug.class_id: mug.taken_at}


def test_the_history_after_a_time_leaves_out_what_came_before(tmp_path):
    times = iter(range(100))
    with Store(tmp_path / "clocked", clock=lambda: float(next(times))) as store:
        lessons = [teach(store, "cup", seed=seed) for seed in (1, 2, 3)]
        told = store.history(after=lessons[0].taken_at)
    assert [one.id for one in told] == [lessons[2].id, lessons[1].id]


def test_an_undone_lesson_stays_in_the_history(tmp_path):
    with Store(tmp_path / "clocked", clock=lambda: 77.0) as store:
        teach(store, "cup")
        store.undo()
        assert store.history()[0].undone_at == 77.0


def test_numbers_are_not_given_out_again_after_undo(store):
    first = teach(store, "cup")
    store.undo()
    second = teach(store, "cup")
    assert second.class_id > first.class_id
    assert second.id > first.id
    assert min(labels(store)) == 4


def test_undo_without_a_lesson_says_so(store):
    with pytest.raises(NothingToUndo, match="edgecl history"):
        store.undo()


def test_what_was_displaced_is_deleted_once_its_lesson_is_too_old_to_undo(store):
    teach(store, "cup", 3, seed=1, undoable_lessons=2)
    teach(store, "cup", 1, seed=2, displaced=[1], undoable_lessons=2)
    assert store.missing_vectors(OTHER_TAIL) == (1, 2, 3, 4)
    teach(store, "cup", 1, seed=3, undoable_lessons=2)
    assert store.missing_vectors(OTHER_TAIL) == (1, 2, 3, 4, 5)
    teach(store, "cup", 1, seed=4, undoable_lessons=2)
    assert store.missing_vectors(OTHER_TAIL) == (2, 3, 4, 5, 6)


def test_only_the_newest_lessons_can_be_undone(store):
    for seed in range(5):
        teach(store, "cup", seed=seed, undoable_lessons=2)
    store.undo()
    store.undo()
    with pytest.raises(NothingToUndo):
        store.undo()


def test_with_no_undoable_lessons_what_is_displaced_is_deleted_at_once(store):
    teach(store, "cup", 3, seed=1, undoable_lessons=0)
    teach(store, "cup", 1, seed=2, displaced=[1, 2], undoable_lessons=0)
    assert store.missing_vectors(OTHER_TAIL) == (3, 4)


@pytest.mark.parametrize("change", ["rename", "merge"])
def test_undo_gives_a_name_back_that_a_forgotten_correction_took_meanwhile(store, change):
    teach(store, "lid", 1, seed=9)
    teach(store, "cup", 2, seed=1)
    teach(store, "mug", 2, seed=2)
    store.rename("cup", "jug") if change == "rename" else store.merge("cup", "lid")
    store.correct(4, "cup")
    store.forget("mug")
    assert store.undo().kind == change
    assert labels(store) == {1: "lid", 2: "cup", 3: "cup", 4: "cup"}
    assert store.undo().label == "cup"
    assert labels(store) == {1: "lid", 4: "cup"}
    assert store.check() == []


# Correct, rename, merge


def test_correcting_moves_one_example_and_undo_moves_it_back(store):
    teach(store, "cup", 2)
    lesson = store.correct(2, "mug")
    assert labels(store) == {1: "cup", 2: "mug"}
    assert lesson.detail == {"example": 2, "from_class_id": 1, "from_label": "cup"}
    store.undo()
    assert labels(store) == {1: "cup", 2: "cup"}
    assert list(store.classes().values()) == ["cup"]


@pytest.mark.parametrize("example_id", [0, -1, 99, 2**70])
def test_correcting_an_example_that_is_not_there_is_refused(store, example_id):
    teach(store, "cup")
    with pytest.raises(ItemUnknown):
        store.correct(example_id, "mug")


def test_correcting_a_displaced_example_is_refused(store):
    teach(store, "cup", 2, seed=1)
    teach(store, "cup", 1, seed=2, displaced=[1])
    with pytest.raises(ItemUnknown):
        store.correct(1, "mug")


def test_correcting_to_the_same_label_is_refused(store):
    teach(store, "cup")
    with pytest.raises(LabelRefused, match="already"):
        store.correct(1, "cup")


def test_renaming_keeps_the_class_and_its_examples(store):
    class_id = teach(store, "cup").class_id
    store.rename("cup", "mug")
    assert dict(store.classes()) == {class_id: "mug"}
    assert set(labels(store).values()) == {"mug"}
    store.undo()
    assert dict(store.classes()) == {class_id: "cup"}


def test_renaming_to_a_taken_name_is_refused_and_points_to_merge(store):
    teach(store, "cup", seed=1)
    teach(store, "mug", seed=2)
    with pytest.raises(LabelRefused, match="merge 'cup' 'mug'"):
        store.rename("cup", "mug")


def test_merging_counts_the_examples_as_the_target_and_undo_parts_them(store):
    teach(store, "cup", 2, seed=1)
    target = teach(store, "mug", 2, seed=2).class_id
    store.merge("cup", "mug")
    assert store.view(TAIL).class_ids.tolist() == [target] * 4
    assert [e.class_id for e in store.examples(class_id=target)] == [target] * 4
    store.undo()
    assert labels(store) == {1: "cup", 2: "cup", 3: "mug", 4: "mug"}


def test_merged_classes_can_be_merged_on(store):
    for seed, name in enumerate(("cup", "mug", "jug")):
        teach(store, name, 1, seed=seed)
    store.merge("cup", "mug")
    store.merge("mug", "jug")
    assert set(labels(store).values()) == {"jug"}


def test_the_name_of_a_merged_class_is_free_for_a_new_one(store):
    first = teach(store, "cup", seed=1).class_id
    teach(store, "mug", seed=2)
    store.merge("cup", "mug")
    assert teach(store, "cup", seed=3).class_id != first


def test_merging_a_class_into_itself_is_refused(store):
    teach(store, "cup")
    with pytest.raises(LabelRefused):
        store.merge("cup", "cup")


def test_an_unknown_class_is_answered_with_names_that_look_alike(store):
    teach(store, "coffee cup")
    with pytest.raises(ClassUnknown, match=r"'coffee cup'.*edgecl classes list"):
        store.class_id("cofee cup")


def test_an_unknown_class_in_an_empty_memory_is_answered_with_how_to_teach(store):
    with pytest.raises(ClassUnknown, match="edgecl teach"):
        store.rename("cup", "mug")


def test_examples_can_be_chosen_by_class_and_number(store):
    cup = teach(store, "cup", 3, seed=1).class_id
    teach(store, "mug", 3, seed=2)
    assert [e.id for e in store.examples(class_id=cup, ids=[2, 3, 4, 99])] == [2, 3]


def test_examples_can_be_read_while_lessons_go_on(store):
    teach(store, "cup", 70, seed=1)
    reading = store.examples()
    next(reading)
    store.correct(70, "mug")
    store.undo()
    assert len(list(reading)) == 69


# Tails and heads


def test_examples_without_an_embedding_by_a_new_tail_are_named(store):
    teach(store, "cup", 3)
    store.put_vectors(OTHER_TAIL, [2], vectors(1, dimension=9))
    assert store.missing_vectors(OTHER_TAIL) == (1, 3)
    with pytest.raises(BackboneMismatch, match=r"2 of 3 examples.*example 1"):
        store.view(OTHER_TAIL)


def test_a_new_tail_lives_beside_the_old_one(store):
    teach(store, "cup", 3)
    fresh = vectors(3, 8, dimension=9)
    store.put_vectors(OTHER_TAIL, [3, 1, 2], fresh)
    assert np.array_equal(store.view(OTHER_TAIL).vectors, fresh[[1, 2, 0]])
    assert np.array_equal(store.view(TAIL).vectors, vectors(3))


def test_embeddings_put_again_replace_the_old_ones(store):
    teach(store, "cup", 2)
    store.put_vectors(TAIL, [1, 2], vectors(2, 8))
    assert np.array_equal(store.view(TAIL).vectors, vectors(2, 8))


@pytest.mark.parametrize(
    ("ids", "given", "error"),
    [
        ([9], vectors(1), ItemUnknown),
        ([1, 1], vectors(2), InputRefused),
        ([1], vectors(2), BackboneMismatch),
        ([1], vectors(1, dimension=9), BackboneMismatch),
    ],
)
def test_embeddings_that_do_not_fit_are_refused(store, ids, given, error):
    teach(store, "cup", 2)
    with pytest.raises(error):
        store.put_vectors(TAIL, ids, given)
    assert np.array_equal(store.view(TAIL).vectors, vectors(2))


def test_a_head_comes_back_with_its_arrays_and_header(store):
    arrays = {"file": vectors(2), "ids": np.array([3, 9]), "none": np.zeros((0, 4)), "allow_pickle": np.array(2.5)}
    store.heads.put(TAIL, "softmax", 7, arrays, {"temperature": 1.5, "note": "ü"})
    revision, found, header = store.heads.get(TAIL, "softmax")
    assert (revision, header) == (7, {"temperature": 1.5, "note": "ü"})
    assert {name: (a.dtype, a.tolist()) for name, a in found.items()} == {
        name: (a.dtype, a.tolist()) for name, a in arrays.items()
    }


def test_a_newer_head_replaces_the_older_one_of_its_name(store):
    store.heads.put(TAIL, "softmax", 1, {"W": vectors(1)}, {})
    store.heads.put(TAIL, "softmax", 2, {"W": vectors(2)}, {})
    store.heads.put(TAIL, "slda", 1, {}, {})
    assert store.heads.get(TAIL, "softmax")[0] == 2
    assert store.heads.get(OTHER_TAIL, "softmax") is None


@pytest.mark.parametrize(
    ("arrays", "header"), [({"W": np.array([object()])}, {}), ({}, {"f": object()}), ({}, {"x": float("nan")})]
)
def test_a_head_that_only_pickle_could_hold_is_refused(store, arrays, header):
    with pytest.raises(InputRefused):
        store.heads.put(TAIL, "softmax", 1, arrays, header)


# Review frames


def test_review_frames_are_a_ring_of_the_newest(store):
    (frame,) = examples(1)
    for second in range(5):
        store.reviews.add(ReviewFrame(0, frame.latent, TRUNK, b"jpeg", None, 0.3, 0.7, float(second), "usb:0"), keep=3)
    assert [r.taken_at for r in store.reviews] == [2.0, 3.0, 4.0]


def test_a_review_frame_that_was_taken_is_gone(store):
    (frame,) = examples(1)
    number = store.reviews.add(ReviewFrame(0, frame.latent, TRUNK, b"jpeg", "cup", 0.3, 0.7, 1.0, "usb:0"), keep=3)
    taken = store.reviews.take(number)
    assert np.array_equal(taken.latent.codes, frame.latent.codes)
    assert (taken.guess, taken.thumbnail, taken.probability) == ("cup", b"jpeg", 0.3)
    with pytest.raises(ItemUnknown):
        store.reviews.take(number)


# Forgetting


def traces(home, pieces):
    """How many of `pieces` are in any file of the home; plain search, unlike the store's own."""
    data = b"".join(path.read_bytes() for path in home.iterdir() if path.is_file())
    return sum(piece in data for piece in pieces)


def secrets(n, seed):
    """Pieces of the latents, pictures and embeddings of noise, short enough to lie within a page somewhere."""
    blobs = [e.latent.codes.tobytes() for e in examples(n, seed)] + [e.thumbnail for e in examples(n, seed)]
    blobs += [v.tobytes() for v in vectors(n, seed)]
    return [blob[i : i + 12] for blob in blobs if blob for i in range(0, len(blob) - 12, 12)]


def test_forgetting_leaves_no_byte_of_the_class_in_the_home(store):
    teach(store, "cup", 4, seed=1)
    teach(store, "secret thing", 4, seed=2)
    store.heads.put(TAIL, "softmax", 2, {"W": vectors(2)}, {})
    assert traces(store.home, [*secrets(4, 2), b"secret thing"]) == len(secrets(4, 2)) + 1  # the search can find
    store.forget("secret thing")
    assert traces(store.home, [*secrets(4, 2), b"secret thing"]) == 0
    assert traces(store.home, secrets(4, 1)) == len(secrets(4, 1))


def test_the_proof_counts_what_was_deleted(store):
    teach(store, "cup", 4, seed=1)
    (frame,) = examples(1, seed=9)
    store.reviews.add(ReviewFrame(0, frame.latent, TRUNK, frame.thumbnail, "cup", 0.4, 0.6, 1.0, "usb:0"), keep=9)
    store.reviews.add(ReviewFrame(0, frame.latent, TRUNK, frame.thumbnail, None, 0.4, 0.6, 1.0, "usb:0"), keep=9)
    store.heads.put(TAIL, "softmax", 1, {}, {})
    proof = store.forget("cup")
    assert (proof.examples, proof.embeddings, proof.thumbnails, proof.reviews, proof.heads) == (4, 4, 3, 1, 1)
    assert proof.bytes_deleted == 4 * 128 + 3 * 300 + 4 * DIMENSION * 4 + 128 + 300
    assert proof.fragments > 0
    assert proof.found == 0
    assert store.heads.get(TAIL, "softmax") is None
    assert [r.guess for r in store.reviews] == [None]


def test_forgetting_takes_displaced_and_merged_examples_too(store):
    teach(store, "cup", 3, seed=1)
    teach(store, "mug", 2, seed=2)
    teach(store, "mug", 1, seed=3, displaced=[1, 4])
    store.merge("cup", "mug")
    assert store.forget("mug").examples == 6
    assert not store.missing_vectors(OTHER_TAIL)
    assert traces(store.home, [*secrets(3, 1), *secrets(2, 2), *secrets(1, 3), b"cup", b"mug"]) == 0


def test_forgetting_gives_back_what_the_class_had_displaced_elsewhere(store):
    teach(store, "cup", 3, seed=1)
    before = labels(store)
    teach(store, "mug", 1, seed=2, displaced=[1])
    store.forget("mug")
    assert labels(store) == before


def guess(store, label, seed=9):
    """Keep a frame for review that was taken for `label`; returns what a trace of it would be."""
    (frame,) = examples(1, seed)
    store.reviews.add(ReviewFrame(0, frame.latent, TRUNK, frame.thumbnail, label, 0.4, 0.6, 1.0, "usb:0"), keep=9)
    return [label.encode(), frame.thumbnail[20:60]]


def test_forgetting_takes_review_frames_that_were_guessed_under_an_older_name(store):
    teach(store, "Alice", 2, seed=1)
    pieces = guess(store, "Alice")
    store.rename("Alice", "Bob")
    assert store.forget("Bob").reviews == 1
    assert traces(store.home, pieces) == 0


def test_forgetting_takes_review_frames_that_were_guessed_as_a_class_merged_since(store):
    teach(store, "Alice", 1, seed=1)
    teach(store, "Bob", 1, seed=2)
    pieces = guess(store, "Alice")
    store.merge("Alice", "Bob")
    teach(store, "Alice", 1, seed=3)
    assert store.forget("Bob").reviews == 1
    assert traces(store.home, pieces[1:]) == 0


def test_forgetting_leaves_review_frames_of_a_new_class_with_an_old_name(store):
    teach(store, "Alice", 1, seed=1)
    store.rename("Alice", "Bob")
    teach(store, "Alice", 1, seed=2)
    guess(store, "Alice")
    assert store.forget("Bob").reviews == 0
    assert [frame.guess for frame in store.reviews] == ["Alice"]


def test_forgetting_takes_the_name_out_of_corrections_that_were_undone(store):
    teach(store, "cup", 2, seed=1)
    teach(store, "Secret", 2, seed=2)
    store.merge("cup", "Secret")
    store.correct(1, "mug")
    store.undo()
    store.undo()
    store.forget("Secret")
    assert labels(store) == {1: "cup", 2: "cup"}
    assert traces(store.home, [b"Secret"]) == 0


def test_a_class_whose_lesson_was_undone_can_be_forgotten(store):
    teach(store, "Alice", 2, seed=1)
    pieces = guess(store, "Alice")
    store.undo()
    proof = store.forget("Alice")
    assert (proof.examples, proof.reviews, proof.found) == (0, 1, 0)
    assert traces(store.home, [*secrets(2, 1), *pieces]) == 0
    assert [lesson.label for lesson in store.history()] == ["", ""]


def test_a_class_that_is_no_more_is_forgotten_under_all_its_names(store):
    teach(store, "Alice", 2, seed=1)
    store.rename("Alice", "Bob")
    pieces = guess(store, "Bob")
    store.correct(1, "mug")
    for _ in range(3):
        store.undo()
    assert store.forget("Alice").reviews == 1
    assert traces(store.home, [*pieces, b"Alice"]) == 0


def test_what_needs_a_forgotten_name_stays_as_it_is_with_all_that_came_before(store):
    teach(store, "cup", 2, seed=1)
    for old, new in (("cup", "mug"), ("mug", "Secret"), ("Secret", "jug")):
        store.rename(old, new)
    teach(store, "Secret", 1, seed=2)
    store.forget("Secret")
    assert labels(store) == {1: "jug", 2: "jug"}
    assert store.undo().kind == "teach"
    assert labels(store) == {}


def test_forgetting_an_older_name_of_a_class_leaves_the_class(store):
    teach(store, "Alice", 2, seed=1)
    store.rename("Alice", "Bob")
    assert store.forgettable("Alice") == 0
    store.forget("Alice")
    assert labels(store) == {1: "Bob", 2: "Bob"}
    assert traces(store.home, [b"Alice"]) == 0
    assert store.undo().kind == "teach", "the name that undoing the new one would give back is gone"


def test_forgetting_the_name_of_a_class_that_was_merged_leaves_its_examples_with_the_target(store):
    teach(store, "Alice", 2, seed=1)
    teach(store, "Bob", 1, seed=2)
    store.merge("Alice", "Bob")
    store.forget("Alice")
    assert set(labels(store).values()) == {"Bob"}
    assert traces(store.home, [b"Alice"]) == 0
    assert store.check() == []
    assert [store.undo().kind for _ in range(2)] == ["teach", "teach"]
    assert labels(store) == {}


def test_forgetting_a_name_that_nobody_ever_had_is_refused(store):
    teach(store, "cup")
    for attempt in (store.forget, store.forgettable):
        with pytest.raises(ClassUnknown, match="'cap'"):
            attempt("cap")


def test_what_forgetting_would_delete_can_be_asked_before(store):
    teach(store, "cup", 3, seed=1)
    teach(store, "mug", 2, seed=2, displaced=[1])
    store.merge("cup", "mug")
    assert store.forgettable("mug") == 4


def test_what_is_undone_is_overwritten_once_the_memory_is_closed(tmp_path):
    with Store(tmp_path) as store:
        teach(store, "cup", 3, seed=1)
        teach(store, "mug", 3, seed=2)
    assert traces(tmp_path, secrets(3, 2)) > 0
    with Store(tmp_path) as store:
        store.undo()
    assert traces(tmp_path, secrets(3, 2)) == 0


def test_a_forgotten_class_leaves_its_lessons_without_a_name(store):
    teach(store, "cup", seed=1)
    store.rename("cup", "mug")
    store.rename("mug", "jug")
    store.forget("jug")
    assert [(lesson.kind, lesson.label) for lesson in store.history()] == [
        ("forget", ""), ("rename", ""), ("rename", ""), ("teach", "")
    ]  # fmt: skip
    assert not [text for lesson in store.history() for text in map(str, lesson.detail.values()) if "cup" in text]


def test_forgetting_is_final_and_undo_goes_on_with_what_came_before(store):
    teach(store, "cup", seed=1)
    teach(store, "mug", seed=2)
    store.forget("mug")
    assert store.undo().label == "cup"
    with pytest.raises(NothingToUndo):
        store.undo()


def test_a_copy_that_still_holds_the_class_is_named_in_the_proof(store):
    teach(store, "cup", seed=1)
    store.backup(store.home / "monday.db")
    assert store.forget("cup").copies == ("monday.db",)


def test_the_same_bytes_in_another_class_are_not_taken_for_traces(store):
    teach(store, "cup", 2, seed=1)
    teach(store, "mug", 2, seed=1)
    proof = store.forget("cup")
    assert proof.found == 0
    assert len(store.view(TAIL)) == 2


def test_a_reader_in_the_middle_of_something_makes_the_proof_fail_until_it_is_done(store):
    teach(store, "cup", 3, seed=1)
    teach(store, "mug", 3, seed=2)
    reader = sqlite3.connect(store.path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM examples").fetchall()
    proof = store.forget("cup")
    assert proof.found > 0
    reader.close()
    store.compact()
    assert traces(store.home, secrets(3, 1)) == 0


# Files


def test_files_are_for_their_owner_alone(store):
    teach(store, "cup")
    assert stat.S_IMODE(store.home.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in store.home.iterdir()} == {0o600}


def test_bytes_used_are_those_of_the_database_files(store):
    teach(store, "cup")
    assert store.bytes_used() == sum(p.stat().st_size for p in store.home.glob("edgecl.db*"))


def test_a_home_without_a_memory_cannot_be_read(tmp_path):
    with pytest.raises(StoreError, match="teach a first class"):
        Store(tmp_path, writable=False)


def test_a_closed_store_says_so(tmp_path):
    with Store(tmp_path) as store:
        pass
    with pytest.raises(StoreError, match="closed"):
        store.classes()


def test_a_sound_memory_has_no_faults(tmp_path):
    with Store(taught(tmp_path / "home")) as store:
        assert store.check() == []


# Any sequence of lessons, against a model that folds plain dicts


class Lessons(RuleBasedStateMachine):
    """The model keeps the list of lessons and computes the memory from those that were not undone.

    What undo cannot take back leaves an event in the list: a class that `joined` the one which took its name, a class
    that `stays` though its lesson was undone, since another counts as it.
    """

    NAMES = ("walnut", "pebble", "lantern")
    UNDOABLE = 6

    @initialize()
    def start(self):
        self.folder = tempfile.mkdtemp()
        self.store = Store(Path(self.folder))
        self.lessons = []
        self.first_names = {}
        self.guesses = {}

    def teardown(self):
        self.store.close()
        shutil.rmtree(self.folder)

    def fold(self):
        """(names of classes, class of every example, displaced examples, merged classes)."""
        there, called, of, displaced, merged = set(), dict(self.first_names), {}, set(), {}
        for lesson in self.lessons:
            k = lesson.get("class_id")
            if lesson["undone"]:
                continue
            if lesson["kind"] == "teach":
                there.add(k)
                displaced |= set(lesson["displaced"])
                of |= dict.fromkeys(lesson["examples"], k)
            elif lesson["kind"] == "correct" and (lesson["example"] in of or lesson["created"]):
                there.add(k)
                if lesson["example"] in of:
                    of[lesson["example"]] = k
            elif lesson["kind"] == "rename":
                called[k] = lesson["new"]
            elif lesson["kind"] == "merge":
                merged[lesson["other"]] = k
            elif lesson["kind"] == "joined":
                merged[k] = lesson["into"]
            elif lesson["kind"] == "stays":
                there.add(k)
            elif lesson["kind"] == "forget":
                there -= lesson["gone"]
                displaced -= lesson["back"]
                merged = {source: target for source, target in merged.items() if source not in lesson["gone"]}
                of = {e: c for e, c in of.items() if c not in lesson["gone"]}
        merged = {source: target for source, target in merged.items() if source in there and target is not None}
        return {k: called[k] for k in sorted(there)}, of, displaced, merged

    def live(self):
        """(class id → name, example id → class id it counts as)."""
        names, of, displaced, merged = self.fold()

        def root(k):
            return root(merged[k]) if k in merged else k

        return (
            {k: name for k, name in names.items() if k not in merged},
            {e: root(k) for e, k in of.items() if e not in displaced},
        )

    def add(self, kind, **facts):
        self.lessons.append({"kind": kind, "undone": False, "final": kind in ("forget", "joined", "stays")} | facts)

    @rule(name=st.sampled_from(NAMES), n=st.integers(1, 3), data=st.data())
    def teach(self, name, n, data):
        live = sorted(self.live()[1])
        displaced = data.draw(st.lists(st.sampled_from(live), max_size=2, unique=True)) if live else []
        known = {v: k for k, v in self.live()[0].items()}.get(name)
        lesson = teach(self.store, name, n, seed=len(self.lessons), displaced=displaced, undoable_lessons=self.UNDOABLE)
        if known is None:
            assert lesson.class_id not in self.first_names, "a class id was given out twice"
            self.first_names[lesson.class_id] = name
        else:
            assert lesson.class_id == known
        new = [e.id for e in self.store.examples() if e.lesson == lesson.id]
        assert len(new) == n
        self.add("teach", class_id=lesson.class_id, examples=new, displaced=displaced, tells={lesson.class_id: name})
        for old in [x for x in self.lessons if not (x["undone"] or x["final"])][: -self.UNDOABLE]:
            old["final"] = True

    @precondition(lambda self: self.live()[1])
    @rule(name=st.sampled_from(NAMES), data=st.data())
    def correct(self, name, data):
        self.count_as(name, data.draw(st.sampled_from(sorted(self.live()[1]))))

    def count_as(self, name, example):
        classes, of = self.live()
        if classes[of[example]] == name:
            with pytest.raises(LabelRefused):
                self.store.correct(example, name)
            return
        created = name not in classes.values()
        raw = self.fold()[1][example]
        lesson = self.store.correct(example, name)
        if created:
            self.first_names[lesson.class_id] = name
        tells = {lesson.class_id: name}
        self.add("correct", class_id=lesson.class_id, other=raw, example=example, created=created, tells=tells)

    @precondition(lambda self: self.live()[0])
    @rule(new=st.sampled_from(NAMES), data=st.data())
    def rename(self, new, data):
        self.call(data.draw(st.sampled_from(sorted(self.live()[0]))), new)

    def call(self, k, new):
        classes = self.live()[0]
        if new in classes.values():
            with pytest.raises(LabelRefused):
                self.store.rename(classes[k], new)
            return
        self.store.rename(classes[k], new)
        self.add("rename", class_id=k, new=new, tells={k: new}, needs=classes[k], of=k)

    @precondition(lambda self: len(self.live()[0]) > 1)
    @rule(data=st.data())
    def merge(self, data):
        self.join(*data.draw(st.permutations(sorted(self.live()[0])))[:2])

    def join(self, source, target):
        classes = self.live()[0]
        self.store.merge(classes[source], classes[target])
        tells = {target: classes[target]}
        self.add("merge", class_id=target, other=source, tells=tells, needs=classes[source], of=source)

    @precondition(lambda self: self.live()[0])
    @rule(data=st.data())
    def guess(self, data):
        k = data.draw(st.sampled_from(sorted(self.live()[0])))
        (frame,) = examples(1, seed=9)
        seen = ReviewFrame(0, frame.latent, TRUNK, None, self.live()[0][k], 0.4, 0.6, 1.0, "usb:0")
        self.guesses[self.store.reviews.add(seen, keep=99)] = k, self.live()[0][k]

    @rule(name=st.sampled_from(NAMES))
    def forget(self, name):
        told = [(k, n) for lesson in self.lessons for k, n in lesson.get("tells", {}).items()]
        told += [(lesson["of"], lesson["needs"]) for lesson in self.lessons if lesson.get("needs")]
        (classes, _), (there, _, _, merged) = self.live(), self.fold()
        gone = {k for k, called in classes.items() if called == name}
        if not gone and name not in [n for _, n in told]:
            with pytest.raises(ClassUnknown):
                self.store.forget(name)
            return
        while more := {source for source, target in merged.items() if target in gone} - gone:
            gone |= more
        gone |= {k for k, n in told if n == name and k not in there}
        names = {name} | {n for k, n in told if k in gone}
        names -= {called for k, called in classes.items() if k not in gone}
        assert self.store.forget(name).found == 0
        back = set()
        stuck = set()
        for lesson in reversed(self.lessons):
            if lesson["kind"] == "teach" and lesson["class_id"] in gone and not (lesson["undone"] or lesson["final"]):
                back |= set(lesson["displaced"])
            lesson["tells"] = {k: n for k, n in lesson.get("tells", {}).items() if k not in gone and n not in names}
            if lesson.get("needs") and (lesson["needs"] in names or lesson["of"] in gone):
                lesson["needs"] = None
                stuck.add(lesson["of"])
            lesson["final"] |= lesson.get("class_id") in gone or lesson.get("other") in gone
            lesson["final"] |= lesson.get("of") in stuck
        self.guesses = {r: (k, n) for r, (k, n) in self.guesses.items() if k not in gone and n not in names}
        self.add("forget", gone=gone, back=back)
        history = self.store.history()
        assert not names & {text for lesson in history for text in (lesson.label, *map(str, lesson.detail.values()))}
        assert traces(self.store.home, [n.encode() for n in names]) == 0

    @precondition(lambda self: len(set(self.live()[1].values())) > 1)
    @rule(data=st.data())
    def forget_what_a_freed_name_came_from(self, data):
        """Rare by chance: a class loses its name, a correction takes it, and undo cannot take the correction back."""
        classes, of = self.live()
        k, source = data.draw(st.permutations(sorted(set(of.values()))))[:2]
        free = sorted(set(self.NAMES) - set(classes.values()))
        if free and data.draw(st.booleans()):
            self.call(k, free[0])
        else:
            self.join(k, next(other for other in sorted(classes, reverse=True) if other != k))
        examples_left = sorted(e for e, c in self.live()[1].items() if c == source)
        self.count_as(classes[k], data.draw(st.sampled_from(examples_left)))
        self.forget(classes[source])
        self.undo()

    @rule()
    def undo(self):
        open_ones = [lesson for lesson in self.lessons if not (lesson["undone"] or lesson["final"])]
        if not open_ones:
            with pytest.raises(NothingToUndo):
                self.store.undo()
            return
        lesson = open_ones[-1]
        assert self.store.undo().kind == lesson["kind"]
        lesson["undone"] = True
        if lesson["kind"] in ("rename", "merge"):
            self.add("joined", class_id=lesson["of"], into=None)
            live = self.live()[0]
            self.lessons[-1]["into"] = next(
                (k for k, name in live.items() if k != lesson["of"] and name == live[lesson["of"]]), None
            )
        else:
            names, _, _, merged = self.fold()
            if lesson["class_id"] not in names and lesson["class_id"] in merged.values():
                self.add("stays", class_id=lesson["class_id"])

    @rule()
    def reopen(self):
        self.store.close()
        self.store = Store(Path(self.folder))

    @invariant()
    def the_memory_is_the_fold_of_its_lessons(self):
        classes, of = self.live()
        view = self.store.view(TAIL)
        assert dict(self.store.classes()) == dict(view.names) == classes
        assert dict(zip(view.example_ids.tolist(), view.class_ids.tolist(), strict=True)) == of
        assert {e.id: e.class_id for e in self.store.examples()} == of
        assert {frame.id for frame in self.store.reviews} == set(self.guesses)

    @invariant()
    def the_memory_is_sound(self):
        assert self.store.check() == []


TestLessons = Lessons.TestCase
TestLessons.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
