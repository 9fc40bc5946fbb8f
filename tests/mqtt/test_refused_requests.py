"""What is answered to a request that cannot be done: words, and nothing has changed."""

from __future__ import annotations

import base64
import shutil
import struct
import zlib
from pathlib import Path

import pytest
from brokers import broker, listening
from daemons import eventually
from mqtt_worlds import HALL, ROOT, World

from edgecl.mqtt import connection
from edgecl.mqtt.requests import PAYLOAD_BYTES_MAX
from edgecl.mqtt.topics import slug


@pytest.fixture(scope="module")
def shared(made, tmp_path_factory):
    """A world in which requests are made that change nothing."""
    folder = tmp_path_factory.mktemp("shared")
    home = Path(shutil.copytree(made, folder / "home", symlinks=True))
    with broker(folder) as near, listening(near.port) as ear:
        found = World(home, near, ear)
        try:
            yield found.begin()
        finally:
            found.close()


DEEP = b'{"label": ' + b"[" * 200_000


@pytest.mark.parametrize(
    ("name", "payload", "says"),
    [
        ("undo", b"", "InputRefused: found '' for a request, expected a JSON object"),
        ("undo", b"PRESS", "InputRefused: found 'PRESS' for a request, expected a JSON object"),
        ("undo", b"\xff\xfe", "InputRefused: found"),
        ("undo", b"[]", "InputRefused: found list"),
        ("undo", b"null", "InputRefused: found NoneType"),
        ("forget", DEEP, "InputRefused: found"),
        ("teach", b'{"camera": "hall", "label": "x", "seconds": NaN}', "InputRefused: found"),
        ("undo", {"transaction": ["x"]}, "InputRefused: found ['x'] for the transaction"),
        ("undo", {"transaction": "x" * 201}, "InputRefused: found"),
        ("undo", {"label": "cup"}, "InputRefused: found a request undo that cannot be used: label: extra"),
        ("explode", {}, "InputRefused: found the request 'explode', expected one of: teach, undo"),
        ("forget", {}, "label: field required"),
        ("forget", {"label": 5}, "label: input should be a valid string"),
        ("forget", {"label": "no"}, "ClassUnknown: "),
        ("rename", {"label": "no", "new": "yes"}, "ClassUnknown: "),
        ("rename", {"label": "cup", "new": "unknown"}, "LabelRefused: "),
        ("teach", {"camera": "hall", "label": "plate", "seconds": 0}, "seconds: input should be greater than 0"),
        ("teach", {"camera": "hall", "label": "plate", "seconds": 121}, "seconds: input should be less than"),
        ("teach", {"camera": "attic", "label": "plate", "seconds": 1}, "CameraUnavailable: found no camera 'attic'"),
        ("teach", {"camera": "hall/#", "label": "plate", "seconds": 1}, "CameraUnavailable: "),
        ("teach", {"camera": "hall", "label": "", "seconds": 1}, "LabelRefused: found an empty label"),
        ("teach", {"camera": "hall", "label": "a/b", "seconds": 1}, "LabelRefused: found a path"),
        ("teach", {"camera": "hall", "label": "</script>", "seconds": 1}, "LabelRefused: found a path"),
        ("teach", {"camera": "hall", "label": "a\nb", "seconds": 1}, "LabelRefused: "),
        ("teach", {"camera": "hall", "label": "\ud800", "seconds": 1}, "InputRefused: "),
        ("teach", {"camera": "hall", "label": "Unknown", "seconds": 1}, "LabelRefused: "),
        ("teach", {"camera": "hall", "label": "ä" * 101, "seconds": 1}, "LabelRefused: "),
        ("classify", {}, "InputRefused: found none or both of camera and image"),
        ("classify", {"camera": "hall", "image": "AAAA"}, "InputRefused: found none or both"),
        ("classify", {"camera": "attic"}, "CameraUnavailable: "),
        ("classify", {"image": "no base64!"}, "ImageRefused: "),
        ("classify", {"image": "AAAA"}, "ImageRefused: "),
        ("classify", {"image": "data:image/jpeg;base64,AAAA"}, "ImageRefused: "),
        ("rollback", {}, "ReleaseError: "),
        ("rollback", {"reason": ""}, "reason: "),
    ],
    ids=lambda one: repr(one)[:40],
)
def test_what_cannot_be_done_is_answered_with_words_and_changes_nothing(shared, name, payload, says):
    before = shared.daemon.state.revision
    assert says in shared.refusal(name, payload)
    assert shared.daemon.state.revision == before


@pytest.mark.parametrize("transaction", ["x", 7, "ü 🍵 #+/", None])
def test_a_transaction_is_echoed(shared, transaction):
    assert shared.ask("classify", {"camera": "hall", "transaction": transaction})["transaction"] == transaction
    assert shared.ask("forget", {"label": "no", "transaction": transaction})["transaction"] == transaction


def test_a_request_below_a_request_is_answered(shared):
    shared.ear.say(f"{ROOT}/request/teach/now", {})
    answer = shared.ear.wait(f"{ROOT}/response/{slug('teach/now')}").record
    assert "'teach/now'" in answer["message"]


def test_a_picture_of_very_many_pixels_is_refused_before_it_is_decoded(shared):
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    assert "50,000" in shared.refusal("classify", {"image": base64.b64encode(png).decode()})


def test_a_payload_that_is_too_large_is_refused(shared):
    assert "BodyTooLarge: found 1,048,577 bytes" in shared.refusal("classify", b"x" * (PAYLOAD_BYTES_MAX + 1)).replace(
        "a payload of ", ""
    )


def test_a_payload_that_no_board_should_hold_stays_at_the_broker(shared):
    before = len(shared.ear.all(f"{ROOT}/response/undo"))
    shared.ear.say(f"{ROOT}/request/undo", b"x" * (connection.PACKET_BYTES_MAX + 1))
    assert shared.result("classify", {"camera": "hall"})["label"] == "cup"
    assert len(shared.ear.all(f"{ROOT}/response/undo")) == before


def test_a_silent_camera_is_not_classified(world):
    world.begin()
    world.hall.label = None
    world.ear.wait(f"{HALL}/availability", lambda one: one.text == "offline", len(world.ear.heard))
    assert "CameraStalled: found no picture of hall" in world.refusal("classify", {"camera": "hall"})


def test_a_flood_of_large_requests_is_answered_and_the_next_one_is_done(shared):
    before = len(shared.ear.all(f"{ROOT}/response/classify"))
    for _ in range(30):
        shared.ear.client.publish(f"{ROOT}/request/classify", b"x" * 200_000, 1)
    eventually(lambda: len(shared.ear.all(f"{ROOT}/response/classify")) == before + 30)
    assert shared.result("classify", {"camera": "hall"})["label"] == "cup"
