"""Labels are data and may be hostile; shapes are checked when a value is made."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgecl.errors import BackboneMismatch, FrameUnusable, LabelRefused
from edgecl.types import LABEL_BYTES_MAX, Embedding, Frame, Latent, LinearHead, check_label, softmax

INVISIBLE = ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")
# Unicode's list of what is drawn as nothing ("Default_Ignorable_Code_Point") among its letters and marks, and a blank.
IGNORABLE = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0" + "".join(
    map(chr, [*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)])
)
visible = st.characters(blacklist_categories=INVISIBLE, blacklist_characters="/\\" + IGNORABLE)
numbers = st.floats(-1e6, 1e6, width=32)


def head(weight: tuple[int, ...] = (2, 3), bias: tuple[int, ...] = (2,), ids: int = 2) -> LinearHead:
    zeros = np.zeros
    return LinearHead(zeros(weight, np.float32), zeros(bias, np.float32), np.arange(ids), "t", 1, "ncm")


@pytest.mark.parametrize(
    "label", ["cup", "Grandma's mug", "кружка", "マグカップ", "كوب", "☕", "a.b", "50 %", "-rf", "None"]
)
def test_ordinary_names_are_taken_as_they_are(label):
    assert check_label(label) == label


@pytest.mark.parametrize(
    "attack",
    [
        "unknown",
        "Unknown ",
        "../../etc/passwd",
        "/etc/passwd",
        "..",
        ".",
        "a/b",
        "a\\b",
        "C:\\cup",
        "cup\x00.jpg",
        "cup\nmug",
        "x\x1b[2J",
        "\x9b31m",
        "cup\u202egnp",  # turned round: right-to-left override
        "cu\u200bp",  # zero-width space
        "\ufeffcup",  # byte order mark
        "cup\u2028mug",
        "\ud800",  # half of a surrogate pair
        "cup\ue000",  # private use: shows anything
        "cup\U000e0041",  # tag characters
        "cup\u0378",  # unassigned
        "cup\uffff",  # never a character
        "cup\u200d",  # a joint that joins nothing
        "a\u200db",
        "\u200d☕",
        "☕\u200d\u200d☕",
        "cup\ufe0f",  # coloured text
        "☕\ufe0f\ufe0f",
        "1\ufe0f",
        "\u0301",  # an accent on nothing
    ],
)
def test_a_label_that_is_more_than_a_name_is_refused(attack):
    with pytest.raises(LabelRefused):
        check_label(attack)


@pytest.mark.parametrize("character", IGNORABLE)
def test_a_character_that_nobody_sees_is_refused_alone_and_in_a_name(character):
    for label in (character, f"cup{character}", f"c{character}up"):
        with pytest.raises(LabelRefused):
            check_label(label)


@pytest.mark.parametrize(
    "label",
    [
        "👨\u200d👩\u200d👧",
        "👩🏽\u200d💻",
        "❤\ufe0f\u200d🔥",
        "🏳\ufe0f\u200d🌈",
        "🧑\u200d⚕\ufe0f",
        "🙂\u200d↔\ufe0f",
        "1\ufe0f\u20e3",
        "my ☕\ufe0f cup",
        "🇨🇭",
    ],
)
def test_an_emoji_of_several_characters_is_a_name(label):
    assert check_label(label) == label


def test_white_space_around_a_name_is_taken_away():
    assert check_label(" \tcup\r\n") == "cup"


@pytest.mark.parametrize("label", ["", " ", "\t\n ", "\u3000"])
def test_a_label_of_nothing_is_refused(label):
    with pytest.raises(LabelRefused, match="empty"):
        check_label(label)


@pytest.mark.parametrize(("character", "most"), [("a", 200), ("é", 100), ("猫", 66), ("🐈", 50)])
def test_the_length_is_counted_in_bytes(character, most):
    assert check_label(character * most) == character * most
    with pytest.raises(LabelRefused, match=f"expected at most {LABEL_BYTES_MAX}"):
        check_label(character * (most + 1))


def test_a_refusal_of_a_long_label_is_short():
    with pytest.raises(LabelRefused) as caught:
        check_label("x" * 1_000_000)
    assert len(str(caught.value)) < 300


def test_two_ways_to_write_one_name_are_one_label():
    assert check_label("cafe\u0301") == check_label("caf\u00e9") == "caf\u00e9"


@given(
    st.text(visible, min_size=1, max_size=40)
    .filter(lambda text: any(unicodedata.category(c)[0] in "LNPS" for c in text))
    .filter(lambda text: text.strip() not in (".", ".."))
)
def test_visible_text_is_taken_in_composed_form_and_stays_so(text):
    label = check_label(text)
    assert label == unicodedata.normalize("NFC", text).strip()
    assert check_label(label) == label


@given(st.text(max_size=300))
def test_any_text_is_taken_or_refused_and_what_is_taken_is_safe(text):
    try:
        label = check_label(text)
    except LabelRefused:
        return
    assert 0 < len(label.encode("utf-8")) <= LABEL_BYTES_MAX
    assert not set(label) & set("/\\\0\n\r\x1b")
    assert label == label.strip()
    assert any(unicodedata.category(c)[0] in "LNPS" and c not in IGNORABLE for c in label)


@given(arrays.arrays(np.float32, arrays.array_shapes(min_dims=3, max_dims=3, max_side=5), elements=numbers))
def test_a_kept_latent_is_off_by_half_a_step_at_most(real):
    latent = Latent.quantise(real)
    rounding = 1e-6 * max(float(np.abs(real).max()), 1e-12)  # of float32 itself
    assert float(np.abs(latent.real() - real).max()) <= latent.scale * 0.5001 + rounding


@given(arrays.arrays(np.float32, (2, 3, 4), elements=numbers))
def test_zero_is_kept_exactly(real):
    real[0, 0, 0] = 0.0
    assert Latent.quantise(real).real()[0, 0, 0] == 0.0


def test_a_latent_of_zeros_is_kept():
    assert not Latent.quantise(np.zeros((1, 2, 2), np.float32)).real().any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_latent_that_is_not_finite_is_refused(value):
    real = np.ones((1, 2, 2), np.float32)
    real[0, 1, 1] = value
    with pytest.raises(FrameUnusable, match="not finite"):
        Latent.quantise(real)


@pytest.mark.parametrize(
    ("codes", "scale", "zero_point"),
    [
        (np.zeros((2, 2), np.int8), 1.0, 0),
        (np.zeros((1, 2, 2), np.uint8), 1.0, 0),
        (np.zeros((1, 2, 2), np.int8), 0.0, 0),
        (np.zeros((1, 2, 2), np.int8), -1.0, 0),
        (np.zeros((1, 2, 2), np.int8), float("nan"), 0),
        (np.zeros((1, 2, 2), np.int8), 1.0, 128),
        (np.zeros((1, 2, 2), np.int8), 1.0, -129),
    ],
)
def test_a_latent_of_another_form_is_refused(codes, scale, zero_point):
    with pytest.raises(FrameUnusable, match="expected"):
        Latent(codes, scale, zero_point)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
    ],
)
def test_a_frame_of_another_form_is_refused_with_what_was_found(image):
    with pytest.raises(FrameUnusable, match="BGR") as caught:
        Frame(image, 0.0, 0.0)
    assert str(image.shape) in str(caught.value)


@pytest.mark.parametrize(
    "vector", [np.zeros((2, 3), np.float32), np.zeros(3, np.float64), np.array([0.0, np.nan], np.float32)]
)
def test_an_embedding_of_another_form_is_refused(vector):
    with pytest.raises(FrameUnusable):
        Embedding(vector, "t")


@pytest.mark.parametrize(
    ("weight", "bias", "ids"), [((2, 3), (2,), 3), ((2, 3), (3,), 2), ((6,), (2,), 2), ((2, 3), (2, 1), 2)]
)
def test_a_head_of_another_form_is_refused(weight, bias, ids):
    with pytest.raises(BackboneMismatch, match=f"its {ids} classes"):
        head(weight, bias, ids)


@given(arrays.arrays(np.float32, (3, 4), elements=numbers))
def test_probabilities_are_shares_of_one_whole(logits):
    shares = softmax(logits)
    assert ((shares >= 0.0) & (shares <= 1.0)).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-5)


def test_no_class_has_no_probability():
    assert softmax(np.zeros((2, 0), np.float32)).shape == (2, 0)


def test_a_head_answers_with_its_temperature():
    warm = LinearHead(np.eye(2, dtype=np.float32), np.zeros(2, np.float32), np.arange(2), "t", 1, "ncm", 2.0)
    found = warm.probabilities(np.array([[3.0, 1.0]], np.float32))[0]
    assert found[0] == pytest.approx(1 / (1 + np.exp(-1.0)), rel=1e-6)
