"""What a broker hears of a camera and of what is known."""

from __future__ import annotations

from daemons import eventually
from mqtt_worlds import HALL, NOTHING, ROOT

from edgecl.images import decode_image


def test_a_label_is_told_when_it_changes_and_not_otherwise(world):
    world.begin()
    world.hall.label = "fork"
    world.ear.wait(f"{HALL}/state", lambda one: one.text == "fork")
    eventually(lambda: world.daemon.live["hall"].number > 40)
    assert [one.text for one in world.ear.all(f"{HALL}/state")] == ["cup", "fork"]
    assert all(one.retained for one in world.ear.all(f"{HALL}/state"))


def test_attributes_come_with_the_label(world):
    world.begin()
    assert world.ear.wait(f"{HALL}/attributes").record["label"] == "cup"
    assert world.ear.wait(f"{HALL}/attributes").retained


def test_what_is_like_nothing_is_told_as_unknown(world):
    world.begin(NOTHING)
    assert world.ear.wait(f"{HALL}/state").text == "unknown"
    assert world.ear.wait(f"{HALL}/attributes").record["label"] is None


def test_no_picture_leaves_unless_it_is_asked_for_and_one_of_before_is_taken_back(world):
    world.ear.say(f"{HALL}/image", b"a picture of before", retain=True)
    world.begin()
    assert [one.payload for one in world.ear.all(f"{HALL}/image")] == [b"a picture of before", b""]


def test_a_picture_that_is_asked_for_is_a_jpeg_and_is_kept(world):
    world.begin(image=True)
    found = world.ear.wait(f"{HALL}/image")
    assert found.retained
    assert found.payload.startswith(b"\xff\xd8")
    assert decode_image(found.payload, "it").shape == (48, 64, 3)


def test_what_is_known_is_told_in_numbers(world):
    world.begin(shows=None)
    found = world.ear.wait(f"{ROOT}/state").record
    assert (found["classes"], found["labels"]) == (2, ["cup", "fork"])
    assert {"reviews", "newcomers", "release", "revision"} < set(found)
