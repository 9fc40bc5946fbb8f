"""What is told of a camera, and when: by a clock of the test, without a broker."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mqtt_worlds import HALL, IMAGE, TOPICS, Seen, state

from edgecl.daemon.snapshots import Live
from edgecl.mqtt.messages import Wanted, messages
from edgecl.mqtt.sighting import GONE_S, PAUSE_S, STEADY_S
from edgecl.types import Frame


def told(seen: Seen) -> tuple[bytes, dict[str, Any]]:
    """State and attributes as they are sent."""
    found = messages(Wanted(TOPICS, True, False), seen.state, {"hall": seen.sighting})
    return found[f"{HALL}/state"], json.loads(found[f"{HALL}/attributes"])


def test_a_label_is_told_once_it_has_lasted():
    seen = Seen()
    assert seen.shows("cup", STEADY_S - 0.05) == []
    assert seen.shows("cup", 2.0) == ["cup"]


def test_what_flickers_is_not_told():
    seen = Seen()
    seen.shows("cup", 1.0)
    assert [seen.shows(label, 0.25) for label in ("fork", "cup", "fork", None, "fork", "cup")] == [[]] * 6


def test_unknown_is_told_too():
    seen = Seen()
    seen.shows("cup", 1.0)
    assert seen.shows(None, 1.0) == [None]


def test_a_class_called_unknown_differs_from_unknown_in_the_attributes():
    seen = Seen()
    seen.state = state("unknown", "cup")
    seen.shows("unknown", 1.0)
    named = told(seen)
    seen.shows(None, 1.0)
    assert (named[0], told(seen)[0]) == (b"unknown", b"unknown")
    assert (named[1]["label"], told(seen)[1]["label"]) == ("unknown", None)


def test_the_attributes_say_how_sure_it_is_and_of_what_time():
    seen = Seen()
    seen.shows("cup", 1.0)
    names = {"label", "probability", "unknown_score", "top", "taken_at", "release", "revision"}
    assert set(told(seen)[1]) == names
    assert (told(seen)[1]["release"], told(seen)[1]["revision"]) == (2, 7)


def test_a_probability_that_hardly_moves_is_not_told_again():
    seen = Seen()
    seen.shows("cup", 1.0, 0.9)
    before = seen.sighting.telling
    seen.shows("cup", 5.0, 0.81)
    assert seen.sighting.telling == before


def test_a_probability_that_moves_is_told_once_a_second_at_most():
    seen = Seen()
    seen.shows("cup", 1.0, 0.9)
    changes = 0
    for number in range(100):  # 5 s
        before = seen.sighting.telling
        seen.shows("cup", 0.05, 0.9 if number % 2 else 0.5)
        changes += seen.sighting.telling != before
    assert 4 <= changes <= 5 / PAUSE_S


def test_attributes_agree_with_the_state_while_something_else_is_seen_for_a_moment():
    seen = Seen()
    seen.shows("cup", 1.0, 0.9)
    seen.shows("fork", 0.25, 0.4)
    assert (seen.sighting.label, seen.sighting.attributes["label"]) == ("cup", "cup")


def test_a_camera_that_comes_back_is_there_once_it_was_seen_what_it_shows():
    seen = Seen()
    seen.shows("cup", 1.0)
    seen.open = False
    seen.waits(0.1)
    assert not seen.sighting.available
    seen.open = True
    seen.shows("fork", 0.2)
    assert not seen.sighting.available
    seen.shows("fork", 0.3)
    assert (seen.sighting.available, seen.sighting.label) == (True, "fork")


def test_a_class_that_was_forgotten_is_told_no_longer_also_where_the_picture_stands_still():
    seen = Seen()
    seen.shows("cup", 1.0)
    seen.state = state("fork")
    assert seen.waits(0.1) == []
    assert seen.waits(GONE_S) == [None]
    assert "cup" not in json.dumps(seen.sighting.attributes)


def test_a_class_that_was_renamed_goes_over_into_its_new_name_without_unknown_between():
    seen = Seen()
    seen.shows("fork", 1.0)
    seen.state = state("cup", "spoon")
    assert seen.shows("spoon", 2.0) == ["spoon"]


def test_a_camera_that_cannot_be_answered_for_is_not_there():
    seen = Seen()
    seen.shows("cup", 1.0)
    frame = Frame(IMAGE, 0.0, 0.0, "hall")
    seen.sighting.hear(Live("hall", 0, frame, None, None, "another trunk", 20.0, 0.0, 0.0, None), seen.now)
    seen.waits(0.1)
    assert not seen.sighting.available


def test_no_picture_is_made_where_none_is_asked_for():
    seen = Seen()
    seen.shows("cup", 5.0)
    assert seen.sighting.image is None


def test_pictures_are_made_on_change_and_every_so_many_seconds():
    seen, made = Seen(image_every_s=10.0), []
    for label, seconds in (("cup", 5.0), ("fork", 26.0)):
        for _ in range(int(seconds / 0.05)):
            before = seen.sighting.image
            seen.shows(label, 0.05)
            if seen.sighting.image is not before:
                made.append(round(seen.now - 100.0, 1))
    assert made == pytest.approx([0.3, 5.3, 15.3, 25.3], abs=0.11)
