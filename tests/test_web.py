"""The API of a running daemon, asked as programs and pages ask it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
import time
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
import tiny
import websockets
from daemons import PATIENCE_S, Served, eventually, jpeg, served, thing, untaught

from edgecl.board import Readings
from edgecl.daemon.daemon import Daemon
from edgecl.effort import FULL, Effort
from edgecl.files import sha256
from edgecl.memory.store import Store
from edgecl.releases.bundle import pack
from edgecl.releases.slots import release_folder
from edgecl.web.access import Access, Rates, read_token

TOKEN = "0123456789abcdef0123456789abcdef"
CAMERA = "/api/v1/cameras/camera1"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A home in which nothing was taught; nobody changes it."""
    return untaught(tmp_path_factory.mktemp("made"))


@pytest.fixture
def home(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "home", symlinks=True))


@pytest.fixture
def there(home):
    """A daemon with one camera, to which the tests send pictures."""
    with served(home) as found:
        yield found


def said(answer: httpx.Response, status: int) -> str:
    """What a refusal says, which has to be of this status."""
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error", "message"}
    return answer.json()["message"]


# Health


def test_it_is_alive_and_ready_once_a_camera_gives_pictures(there):
    assert there.client.get("/healthz").json() == {"alive": True}
    waiting = there.client.get("/readyz")
    assert (waiting.status_code, waiting.json()["ready"]) == (503, False)
    there.show("cup")
    assert there.client.get("/readyz").json() == {"ready": True, "reasons": []}


def test_a_lost_camera_is_a_reason_not_to_be_ready_and_nothing_else_suffers(home):
    with served(home, ["usb:77"]) as there:
        reasons = eventually(lambda: [r for r in there.client.get("/readyz").json()["reasons"] if "usb:77" in r])
        assert "found no camera usb:77" in reasons[0]
        assert there.teach("cup")["label"] == "cup"
        state = there.client.get("/api/v1/state").json()
        assert (state["cameras"][0]["phase"], state["classes"][0]["label"]) == ("lost", "cup")


def test_who_shows_no_token_is_not_told_where_cameras_are(home):
    with served(home, ["usb:77"], token=TOKEN) as there:
        eventually(lambda: "usb:77" in there.client.get("/readyz").text)
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            bare = httpx.get(f"{there.address}/readyz", headers=headers)
            assert (bare.status_code, bare.json()) == (503, {"ready": False, "reasons": ["camera1: no picture"]})


def test_who_shows_no_token_is_told_what_else_is_wrong_in_few_words(home, monkeypatch):
    with served(home, [], token=TOKEN) as there:
        assert httpx.get(f"{there.address}/readyz").json()["reasons"] == ["no camera is set up"]
        monkeypatch.setattr(Daemon, "trouble", f"the owner of the memory ended: no room in {home}")
        reasons = ["commands are not answered", "no camera is set up"]
        assert httpx.get(f"{there.address}/readyz").json()["reasons"] == reasons
        assert str(home) in there.client.get("/readyz").json()["reasons"][0]


def test_metrics_begin_with_our_name_and_count(there):
    there.teach("cup")
    there.show("cup")
    there.show("cup", 1)
    text = there.client.get("/metrics").text
    names = {line.split("{")[0].split(" ")[0] for line in text.splitlines() if not line.startswith("#")}
    assert all(name.startswith("edgecl_") for name in names)
    assert 'edgecl_frames_total{camera="camera1"} 2.0' in text
    assert 'edgecl_examples{label="cup"} 8.0' in text
    assert "edgecl_lessons_total 1.0" in text
    assert 'edgecl_frame_age_seconds_count{camera="camera1"} 2.0' in text


HOT = Effort(2, False, "it is 86 °C hot")


def test_how_hot_the_board_is_and_what_is_left_off_for_it_is_told(there):
    there.daemon.owner.set_effort(HOT, Readings(86.4, ("it is throttled",)))
    eventually(lambda: there.client.get("/api/v1/state").json()["board"]["temperature_c"] == 86.4)
    assert there.client.get("/api/v1/state").json()["board"] == {
        "temperature_c": 86.4,
        "held_back": ["it is throttled"],
        "every": 2,
        "learns": False,
        "reason": "it is 86 °C hot",
    }
    text = there.client.get("/metrics").text
    assert "edgecl_temperature_celsius 86.4" in text
    assert [f"edgecl_{name} 1.0" in text for name in ("board_held_back", "slowed", "learning_rests")] == [True] * 3


def test_a_lesson_on_a_hot_board_is_kept_and_learned_later(there):
    there.daemon.owner.set_effort(HOT, Readings(86.0))
    report = there.teach("cup")
    assert (report["kept"], report["waits"], report["accuracy"]) == (8, "it is 86 °C hot", None)
    assert there.client.post("/api/v1/predict", content=jpeg(thing("cup"))).json()["label"] is None
    there.daemon.owner.set_effort(FULL, Readings(60.0))
    eventually(lambda: there.client.post("/api/v1/predict", content=jpeg(thing("cup"))).json()["label"] == "cup")


def test_the_settings_are_shown_without_passwords(home):
    with served(home, ["rtsp://ann:secret@127.0.0.1:9/x"]) as there:
        text = there.client.get("/api/v1/config").text
        assert ("secret" in text, "rtsp://***@127.0.0.1:9/x" in text) == (False, True)


# Teaching


def test_what_is_held_before_the_camera_is_recognised(there):
    for label in ("cup", "fork"):
        begun = there.client.post("/api/v1/holds", json={"camera": "camera1", "label": label})
        assert begun.status_code == 201
        for view in range(8):
            there.show(label, view)
            time.sleep(0.1)  # a lesson takes ten frames a second at most
            assert there.client.post(f"/api/v1/holds/{begun.json()['hold']}/beat").status_code == 200
        report = there.client.post(f"/api/v1/holds/{begun.json()['hold']}/end").json()
        assert (report["label"], report["origin"], report["seen"]) == (label, "camera", 8)
    answer = there.client.post("/api/v1/predict", content=jpeg(thing("fork", 99))).json()
    assert answer["top"][0]["label"] == "fork"


def test_a_lesson_with_seconds_ends_by_itself_and_is_reported(there):
    begun = there.client.post("/api/v1/holds", json={"camera": "camera1", "label": "cup", "seconds": 0.5}).json()
    there.show("cup")
    report = there.client.get(f"/api/v1/holds/{begun['hold']}/report").json()
    assert (report["label"], report["seen"]) == ("cup", 1)


def test_a_second_teacher_is_told_who_is_first(there):
    there.client.post("/api/v1/holds", json={"camera": "camera1", "label": "cup", "seconds": 60})
    again = there.client.post("/api/v1/holds", json={"camera": "camera1", "label": "fork", "seconds": 60})
    assert "a lesson about 'cup' being given on camera1" in said(again, 409)


def test_a_lesson_that_is_over_is_gone(there):
    assert "expected one that was begun lately" in said(there.client.post("/api/v1/holds/99/end"), 410)
    assert said(there.client.delete("/api/v1/holds/99"), 410)


def test_a_camera_that_is_not_there_is_named_with_those_that_are(there):
    refused = there.client.post("/api/v1/holds", json={"camera": "attic", "label": "cup"})
    assert "found no camera 'attic', expected one of: camera1" in said(refused, 404)


def test_pictures_are_taught_and_told_what_became_of_them(there):
    report = there.teach("cup", 8)
    assert (report["seen"], report["kept"], report["origin"]) == (8, 8, "api")


def test_what_was_left_out_before_is_counted(there):
    query = {"label": "cup", "origin": "folder", "rejected": json.dumps({"blurred": 3})}
    report = there.client.post("/api/v1/lessons", params=query, content=jpeg(thing("cup"))).json()
    assert (report["seen"], report["rejected"], report["reasons"]) == (4, 3, {"blurred": 3})


@pytest.mark.parametrize("label", ["<b onclick=alert(1)>", "+#", "кот", "猫 🐈", "a?b=c&d", "%2e%2e", "a b"])
def test_a_label_may_be_any_text(there, label):
    there.teach(label)
    assert (
        there.client.patch(f"/api/v1/classes/{quote(label, safe='')}", json={"label": "plain"}).json()["from_label"]
        == label
    )
    assert [one["label"] for one in there.client.get("/api/v1/classes").json()] == ["plain"]


@pytest.mark.parametrize("label", ["", "   ", "a\nb", "x" * 500, "a/b", "../x"])
def test_some_text_is_no_label(there, label):
    answer = there.client.post("/api/v1/lessons", params={"label": label}, content=jpeg(thing("cup")))
    assert answer.status_code == 422
    assert there.client.get("/api/v1/classes").json() == []


def test_undo_of_a_lesson_that_something_came_after_takes_nothing_back(there):
    first, second = there.teach("cup")["lesson"], there.teach("fork")["lesson"]
    refused = said(there.client.post("/api/v1/undo", params={"lesson": first}), 409)
    assert f"found lesson {second} (teach, 'fork') as the newest" in refused
    assert [one.name for one in there.daemon.state.classes] == ["cup", "fork"]
    assert there.client.post("/api/v1/undo", params={"lesson": second}).json()["label"] == "fork"


def test_undo_takes_back_the_newest(there):
    there.teach("cup")
    there.teach("fork")
    assert there.client.post("/api/v1/undo").json()["label"] == "fork"
    assert there.client.post("/api/v1/undo").json()["label"] == "cup"
    assert "found no lesson that can be undone" in said(there.client.post("/api/v1/undo"), 409)
    assert [one["undone_at"] is None for one in there.client.get("/api/v1/lessons").json()] == [False, False]


# Putting in order


def test_classes_are_merged_and_forgotten_with_proof(there):
    for label in ("cup", "mug", "fork"):
        there.teach(label)
    assert there.client.post("/api/v1/classes/mug/merge", json={"label": "cup"}).json()["label"] == "cup"
    proof = there.client.delete("/api/v1/classes/cup").json()
    assert (proof["examples"], proof["found"]) == (16, 0)
    assert [one["label"] for one in there.client.get("/api/v1/classes").json()] == ["fork"]
    assert "found no class 'cup'" in said(there.client.delete("/api/v1/classes/cup2"), 404).replace("cup2", "cup")


def test_examples_are_shown_corrected_and_taken_out(there):
    for label in ("cup", "fork"):
        there.teach(label)
    first, second, *_ = [one["example"] for one in there.client.get("/api/v1/examples", params={"label": "cup"}).json()]
    picture = there.client.get(f"/api/v1/examples/{first}.jpg")
    assert (picture.headers["content-type"], picture.content[:2]) == ("image/jpeg", b"\xff\xd8")
    assert there.client.post(f"/api/v1/examples/{first}/correct", json={"label": "fork"}).json()["kind"] == "correct"
    assert there.client.delete(f"/api/v1/examples/{second}").json()["kind"] == "drop"
    counts = {one["label"]: one["examples"] for one in there.client.get("/api/v1/classes").json()}
    assert counts == {"cup": 6, "fork": 9}
    assert said(there.client.get(f"/api/v1/examples/{second}.jpg"), 404)
    there.client.post("/api/v1/undo")
    assert there.client.get(f"/api/v1/examples/{second}.jpg").status_code == 200


def test_pictures_stay_in_nobodys_cache(there):
    there.teach("cup")
    example = there.client.get("/api/v1/examples", params={"label": "cup"}).json()[0]["example"]
    assert there.client.get(f"/api/v1/examples/{example}.jpg").headers["cache-control"] == "no-store"


def test_the_quality_of_the_memory_is_told(there):
    for label in ("cup", "fork", "plate"):
        there.teach(label)
    told = there.client.get("/api/v1/quality").json()
    assert [one["label"] for one in told["classes"]] == told["confusion"]["labels"] == ["cup", "fork", "plate"]
    assert sum(map(sum, told["confusion"]["counts"])) == len(told["map"]) == 24
    assert all(0 <= point["x"] <= 1 and 0 <= point["y"] <= 1 for point in told["map"])


def test_the_quality_of_an_empty_memory_is_nothing(there):
    assert there.client.get("/api/v1/quality").json()["classes"] == []


def test_a_picture_that_others_doubt_waits_for_review(there):
    there.teach("cup")
    asked = {"camera": "attic", "taken_at": 77.5}
    kept = there.client.post("/api/v1/reviews", params=asked, content=jpeg(thing("cup", 50)))
    assert kept.status_code == 201, kept.text
    (waiting,) = there.client.get("/api/v1/reviews").json()
    assert (waiting["review"], waiting["camera"], waiting["taken_at"]) == (kept.json()["review"], "attic", 77.5)
    assert waiting["guess"] == "cup"
    assert there.daemon.state.reviews == 1


def test_where_the_settings_keep_none_nothing_waits_for_review(home):
    with (home / "edgecl.toml").open("a") as settings:
        settings.write("review = 0\n")
    with served(home) as there:
        kept = there.client.post("/api/v1/reviews", content=jpeg(thing("cup", 50)))
        assert (kept.status_code, kept.json()) == (201, {"review": None})
        assert there.client.get("/api/v1/reviews").json() == []


def test_what_is_no_picture_does_not_wait_for_review(there):
    said(there.client.post("/api/v1/reviews", content=b"no picture"), 422)
    assert there.client.get("/api/v1/reviews").json() == []


def test_a_frame_that_waits_for_review_is_named_or_dropped(home):
    with served(home) as there:
        there.teach("cup")
        there.show("cup")

        def keep(desk):
            from edgecl import review

            moment = desk.moments.of("camera1")[0]
            return [review.keep(desk.learner, moment.candidate, moment.prediction) for _ in range(2)]

        first, second = there.daemon.ask(keep).result()
        assert [one["review"] for one in there.client.get("/api/v1/reviews").json()] == [first, second]
        assert there.client.get(f"/api/v1/reviews/{first}.jpg").content[:2] == b"\xff\xd8"
        assert there.client.post(f"/api/v1/reviews/{first}", json={"label": "mug"}).json()["label"] == "mug"
        assert there.client.delete(f"/api/v1/reviews/{second}").status_code == 204
        assert there.client.get("/api/v1/reviews").json() == []
        assert said(there.client.delete(f"/api/v1/reviews/{second}"), 404)


def test_a_moment_is_corrected_denied_and_explained(there):
    for label in ("cup", "fork"):
        there.teach(label)
    there.show("cup", 50)
    (moment,) = there.client.get(f"{CAMERA}/moments").json()
    assert there.client.get(f"{CAMERA}/moments/{moment['moment']}.jpg").content[:2] == b"\xff\xd8"
    why = there.client.get(f"{CAMERA}/why").json()
    assert why["nearest"][0]["label"] == "cup"
    denied = there.client.post(f"{CAMERA}/moments/{moment['moment']}/not", json={"label": "cup"}).json()
    assert (denied["kind"], denied["label"]) == ("deny", "cup")
    taught = there.client.post(f"{CAMERA}/moments/{moment['moment']}", json={"label": "plate"}).json()
    assert (taught["kind"], taught["label"], taught["kept"]) == ("teach", "plate", 1)


# Seeing


def test_the_newest_picture_is_shown(there):
    assert "found no picture of camera1 yet" in said(there.client.get(f"{CAMERA}/snapshot.jpg"), 503)
    there.show("cup")
    picture = there.client.get(f"{CAMERA}/snapshot.jpg")
    assert (picture.content[:2], picture.headers["cache-control"]) == (b"\xff\xd8", "no-store")


def test_a_stream_of_pictures_goes_on(home):
    with served(home, ["sample://cat?fps=30"]) as there, there.client.stream("GET", f"{CAMERA}/stream.mjpg") as stream:
        assert stream.headers["content-type"] == "multipart/x-mixed-replace; boundary=frame"
        pictures = 0
        for piece in stream.iter_bytes():
            pictures += piece.count(b"--frame")
            if pictures >= 5:
                break
    assert pictures >= 5


def test_a_region_counts_from_now_on_and_after_the_next_start(home):
    with served(home) as there:
        assert there.client.put(f"{CAMERA}/region", json={"region": [0.25, 0, 0.75, 1]}).status_code == 204
        expected = [[0.25, 0.0], [0.75, 0.0], [0.75, 1.0], [0.25, 1.0]]
        eventually(lambda: there.client.get("/api/v1/cameras").json()[0]["region"] == expected)
    with served(home) as there:
        eventually(lambda: there.client.get("/api/v1/cameras").json()[0]["region"] == expected)
        there.client.put(f"{CAMERA}/region", json={"region": None})
        eventually(lambda: there.client.get("/api/v1/cameras").json()[0]["region"] == [])


@pytest.mark.parametrize("region", [[0.5, 0, 0.4, 1], [0, 0], [[0, 0], [1, 1]], [0, 0, 2, 1], "all", [["a", "b"]] * 3])
def test_a_region_without_an_area_is_refused(there, region):
    assert said(there.client.put(f"{CAMERA}/region", json={"region": region}), 422)


# The socket


def on_socket(there: Served, path: str = "/api/v1/live", **options):
    return websockets.connect(there.address.replace("http", "ws") + path, **options)


async def heard(socket, kind: str):
    """The next message of this kind."""
    while True:
        message = json.loads(await asyncio.wait_for(socket.recv(), PATIENCE_S))
        if kind in message:
            return message[kind]


def test_a_listener_hears_the_state_then_every_answer_and_every_change(there):
    async def listen():
        async with on_socket(there) as socket:
            state = await heard(socket, "state")
            await asyncio.to_thread(there.show, "cup")
            live = await heard(socket, "live")
            await asyncio.to_thread(there.teach, "cup")
            while not state["classes"]:
                state = await heard(socket, "state")
            return live, state

    live, state = asyncio.run(listen())
    assert (live["camera"], live["prediction"]["label"]) == ("camera1", None)
    assert state["classes"][0]["label"] == "cup"


def test_a_page_that_leaves_in_mid_lesson_ends_it(there):
    async def hold():
        async with on_socket(there) as socket:
            begun = there.client.post("/api/v1/holds", json={"camera": "camera1", "label": "cup"}).json()
            await socket.send(json.dumps({"beat": begun["hold"]}))
            await asyncio.to_thread(there.show, "cup")
            await asyncio.sleep(0.2)

    asyncio.run(hold())
    lesson = eventually(lambda: there.client.get("/api/v1/lessons").json())[0]
    assert (lesson["label"], lesson["seen"]) == ("cup", 1)


def test_a_socket_that_says_too_much_is_closed(there):
    async def flood():
        async with on_socket(there) as socket:
            with contextlib.suppress(websockets.ConnectionClosed):
                for _ in range(500):
                    await socket.send('{"beat": 1}')
            with pytest.raises(websockets.ConnectionClosed):
                while True:
                    await asyncio.wait_for(socket.recv(), PATIENCE_S)
            return socket.close_code

    assert asyncio.run(flood()) == 1008
    assert there.client.get("/healthz").status_code == 200


def test_a_crowd_of_listeners_is_bounded(there):
    async def crowd():
        async with contextlib.AsyncExitStack() as held:
            refused = 0
            for _ in range(40):
                try:
                    await held.enter_async_context(on_socket(there))
                except websockets.InvalidStatus:
                    refused += 1
            return refused

    assert asyncio.run(crowd()) == 8


def test_nonsense_on_the_socket_is_ignored(there):
    async def talk():
        async with on_socket(there) as socket:
            for text in ("", "[]", "{", '{"beat": "x"}', '{"beat": 7}', '{"beat": Infinity}', "null", b"bytes"):
                await socket.send(text)
            return await heard(socket, "still")

    assert asyncio.run(talk()) > 0


# Who may ask


def test_a_name_that_is_not_ours_is_refused(there):
    assert "'evil.example'" in said(there.client.get("/api/v1/state", headers={"Host": "evil.example"}), 421)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:1", "[::1]:8420", "127.0.0.1:99"])
def test_this_machine_has_several_names(there, host):
    assert there.client.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://[", "https://localhost"]
)
def test_a_page_of_another_site_changes_nothing(there, origin):
    assert said(there.client.post("/api/v1/undo", headers={"Origin": origin}), 403)


def test_our_own_page_may(there):
    origin = there.address
    assert there.client.post("/api/v1/undo", headers={"Origin": origin}).status_code == 409


def test_a_page_of_another_site_does_not_listen(there):
    async def listen():
        async with on_socket(there, origin="http://evil.example"):
            pass

    with pytest.raises(websockets.InvalidStatus):
        asyncio.run(listen())


def test_nothing_is_said_of_other_origins(there):
    answer = there.client.get("/api/v1/state", headers={"Origin": "http://evil.example"})
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'self'" in answer.headers["content-security-policy"]


def test_with_a_token_only_who_shows_it_is_answered(home):
    with served(home, token=TOKEN) as there:
        assert there.client.get("/api/v1/state").status_code == 200
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": f"Basic {TOKEN}"},
            {"Cookie": "edgecl_session=9999999999.0"},
        ):
            bare = httpx.get(f"{there.address}/api/v1/state", headers=headers)
            assert "found no valid token" in said(bare, 401)
        assert httpx.get(f"{there.address}/healthz").status_code == 200
        assert httpx.get(f"{there.address}/metrics").status_code == 401
        assert httpx.get(f"{there.address}/").headers["location"] == "login"


def test_a_person_logs_in_with_the_token(home):
    with served(home, token=TOKEN) as there, httpx.Client(base_url=there.address) as person:
        wrong = person.post("/login", data={"token": "guess"})
        assert (wrong.status_code, wrong.headers["location"]) == (303, "login?wrong")
        right = person.post("/login", data={"token": TOKEN})
        assert (right.status_code, right.headers["location"]) == (303, "./")
        cookie = right.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert person.get("/api/v1/state").status_code == 200


def test_a_token_of_any_signs_is_understood_as_browsers_send_it(home):
    token = "abc+/==&%41 0123456789"
    with served(home, token=token) as there, httpx.Client(base_url=there.address) as person:
        assert person.post("/login", data={"token": token}).headers["location"] == "./"


def test_a_session_that_nobody_gave_is_none_whatever_its_signs(home):
    with served(home, token=TOKEN) as there, httpx.Client(base_url=there.address) as person:
        crafted = {"Cookie": b'edgecl_session="99999999999.\xe9"'}
        assert person.get("/api/v1/state", headers=crafted).status_code == 401


def test_guessing_is_slow(home):
    with served(home, token=TOKEN) as there, httpx.Client(base_url=there.address) as person:
        statuses = [person.post("/login", data={"token": str(guess)}).status_code for guess in range(8)]
    assert statuses == [303] * 5 + [429] * 3


def test_a_token_opens_other_names_of_the_machine_but_not_those_of_others(home):
    with served(home, token=TOKEN, names=("camera.example",)) as there:
        assert there.client.get("/healthz", headers={"Host": "camera.example:8420"}).status_code == 200
        assert there.client.get("/healthz", headers={"Host": "192.168.0.7:8420"}).status_code == 200
        assert there.client.get("/healthz", headers={"Host": "other.example"}).status_code == 421


def test_a_session_ends_and_cannot_be_made_longer():
    access = Access(TOKEN)
    value = access.session(time.time() - 31 * 86_400)
    ends, _, seal = value.partition(".")
    for cookie in (value, f"{int(ends) + 10**6}.{seal}", f"{ends}.", ".", "x.y"):
        assert not access.knows(question(cookie=f"edgecl_session={cookie}"))
    assert access.knows(question(cookie=f"edgecl_session={access.session(time.time())}"))


def question(**told):
    from edgecl.web.access import Question

    plain = {
        "method": "GET",
        "path": "/",
        "host": "localhost",
        "origin": None,
        "authorization": "",
        "cookie": "",
        "client": "",
        "forwarded_host": "",
        "fetch_site": "",
    }
    return Question(**plain | told)


def test_a_token_that_others_may_read_is_refused(tmp_path):
    from edgecl.errors import ConfigRefused

    path = tmp_path / "token"
    path.write_text(TOKEN)
    path.chmod(0o644)
    with pytest.raises(ConfigRefused, match="chmod 600"):
        read_token(path)
    path.chmod(0o600)
    assert read_token(path) == TOKEN
    path.write_text("short")
    with pytest.raises(ConfigRefused, match="at least 16"):
        read_token(path)


def test_a_bucket_fills_again(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("edgecl.web.access.time.monotonic", lambda: now[0])
    rates = Rates(per_s=2.0, at_once=3)
    assert [rates.take("a") for _ in range(4)] == [True, True, True, False]
    assert rates.take("b")
    now[0] += 0.5
    assert [rates.take("a"), rates.take("a")] == [True, False]


# How much at once


def test_a_body_that_is_too_large_is_refused_before_it_is_read(there):
    refused = there.client.post("/api/v1/holds", content=b"x" * 70_000, headers={"Content-Type": "application/json"})
    assert "a body of more than 65,536 bytes" in said(refused, 413)


def test_a_body_that_grows_too_large_is_refused_too(there):
    def pieces():
        for _ in range(100):
            yield b" " * 1000

    assert said(there.client.post("/api/v1/holds", content=pieces()), 413)


def test_a_picture_that_would_unfold_is_refused(there):
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )
    assert "pixels" in said(there.client.post("/api/v1/predict", content=bomb), 422)


def test_a_lesson_of_too_many_pictures_is_refused(there):
    assert "expected at most 500" in said(
        there.client.post("/api/v1/lessons", params={"label": "cup"}, content=501 * jpeg(thing("cup"))), 422
    )


@pytest.mark.parametrize("body", [b"", b"nonsense", b"\xff\xd8\xff"])
def test_what_is_no_picture_is_refused(there, body):
    assert said(there.client.post("/api/v1/predict", content=body), 422)


def test_who_sends_half_a_request_holds_nobody_up(there):
    host, port = there.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as slow:
        slow.sendall(b"POST /api/v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nx")
        assert there.client.get("/api/v1/state").status_code == 200


# Releases and the memory as files


def test_a_release_is_installed_and_rolled_back(home):
    tiny.candidate(home, change=0.1)
    with served(home) as there:
        there.teach("cup")
        before = {
            one["number"]: (one["state"], one["active"], one["report"])
            for one in there.client.get("/api/v1/releases").json()
        }
        assert before == {1: ("good", True, False), 2: ("candidate", False, True)}
        switched = there.client.post("/api/v1/releases/2/install").json()
        assert (switched["number"], switched["state"], switched["previous"]) == (2, "trial", 1)
        assert there.client.get("/api/v1/state").json()["release"] == 2
        assert there.client.get("/api/v1/releases/2/report.png").headers["content-type"] == "image/png"
        assert there.client.post("/api/v1/releases/rollback", json={"reason": "a test"}).json() == {"active_now": 1}
        (gone,) = [one for one in there.client.get("/api/v1/releases").json() if one["number"] == 2]
        assert (gone["state"], gone["reason"]) == ("rolled-back", "a test")
        assert "the highest that ever ran here" in said(there.client.post("/api/v1/releases/2/install"), 422)


def test_a_release_that_is_sent_in_needs_a_signature_that_is_trusted_here(home, tmp_path):
    far = Path(shutil.copytree(home, tmp_path / "far", symlinks=True))
    key = tiny.owner_of(tmp_path, home)
    tiny.candidate(far, key, change=0.1)
    file = pack(release_folder(far, 2), tmp_path / "release.edgecl", "int8", False).path
    with served(home) as there:
        answer = there.client.post("/api/v1/releases", content=file.read_bytes())
        assert (answer.status_code, answer.json()["state"]) == (201, "candidate")
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        assert said(there.client.post("/api/v1/releases", content=bytes(data)), 422)
    (home / "trusted_keys").unlink()
    shutil.rmtree(release_folder(home, 2))
    with served(home) as there:
        assert said(there.client.post("/api/v1/releases", content=file.read_bytes()), 422)


def test_a_report_that_is_not_there_is_not_found(there):
    for path in ("1/report.png", "99/report.md", "-1/report.png", "..%2f..%2fedgecl.db/report.png"):
        assert there.client.get(f"/api/v1/releases/{path}").status_code in (404, 422)


def test_a_backup_is_what_the_command_writes_and_can_be_put_back(there, tmp_path):
    there.teach("cup")
    copy = there.client.get("/api/v1/memory/backup")
    assert "attachment" in copy.headers["content-disposition"]
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "edgecl.db").write_bytes(copy.content)
    with Store(tmp_path / "copy", writable=False) as store:
        assert (list(store.classes().values()), store.check()) == (["cup"], [])
    there.client.delete("/api/v1/classes/cup")
    there.teach("fork")
    back = there.client.post("/api/v1/memory/restore", content=copy.content).json()
    assert (back["classes"], back["kept"]) == (["cup"], "edgecl.db.before-restore-1")
    there.teach("plate")
    assert [one["label"] for one in there.client.get("/api/v1/classes").json()] == ["cup", "plate"]
    assert not list(there.daemon.home.folder.glob(".backup-*"))
    assert not list(there.daemon.home.folder.glob(".restore-*"))


def test_after_a_backup_was_put_back_pictures_and_answers_go_on(there):
    for view in range(5):
        there.show("cup", view)
    there.teach("cup")
    before = there.client.get(f"{CAMERA}/snapshot.jpg").content
    number = there.daemon.live["camera1"].number
    there.client.post("/api/v1/memory/restore", content=there.client.get("/api/v1/memory/backup").content)
    there.client.put(f"{CAMERA}/frame", content=jpeg(thing("fork", 9)))
    eventually(lambda: "camera1" in there.daemon.live and there.daemon.live["camera1"].number > number)
    assert there.client.get(f"{CAMERA}/snapshot.jpg").content != before


def test_a_backup_that_is_none_changes_nothing(there):
    there.teach("cup")
    said(there.client.post("/api/v1/memory/restore", content=b"no memory"), 422)
    assert [one["label"] for one in there.client.get("/api/v1/classes").json()] == ["cup"]


def test_of_consolidation_it_is_told_what_there_is(there):
    there.teach("cup")
    told = there.client.get("/api/v1/consolidation").json()
    assert told == {"due_lessons": 10, "new_lessons": 1, "last": None}
    said(there.client.get("/api/v1/consolidation/report.png"), 404)


def test_the_report_of_the_last_consolidation_is_shown_also_of_one_that_was_refused(home):
    folder = home / "consolidation"
    folder.mkdir()
    told = {"recipe": "si", "accepted": False, "reason": "no gain", "accuracy_before": 0.5, "accuracy_after": 0.5}
    (folder / "acceptance.json").write_text(json.dumps(told))
    (folder / "report.png").write_bytes(b"a picture")
    with served(home) as there:
        last = there.client.get("/api/v1/consolidation").json()["last"]
        assert {name: last[name] for name in told} == told
        assert there.client.get("/api/v1/consolidation/report.png").content == b"a picture"


# What it says of itself


def test_the_schema_names_every_path(there):
    schema = there.client.get("/openapi.json").json()
    assert schema["info"]["title"] == "edgecl"
    assert {"/healthz", "/readyz", "/metrics", "/api/v1/state", "/api/v1/holds"} <= set(schema["paths"])
    assert all(
        method.get("summary") and method.get("description")
        for path in schema["paths"].values()
        for method in path.values()
    )


def test_what_is_not_there_is_answered_in_our_words(there):
    assert "found nothing here" in said(there.client.get("/nothing"), 404)
    assert "found a method" in said(there.client.put("/healthz"), 405)


def test_files_are_served_from_one_folder_only(there):
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py"):
        assert there.client.get(path).status_code == 404
    assert sha256(there.client.get("/").content) == sha256(
        (Path(__file__).parent.parent / "edgecl/web/static/index.html").read_bytes()
    )
