"""`edgecl release`, as its owner meets it."""

from __future__ import annotations

import http.server
import json
import shutil
import stat
import threading
from pathlib import Path

import cv2
import pytest
import tiny
from commands import run, run_process
from daemons import served

from edgecl.daemon import note
from edgecl.home import Home
from edgecl.releases import slots
from edgecl.releases.bundle import Bundle
from edgecl.releases.pushing import PATH


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A workstation with the signed candidate 2, and a device with three classes."""
    root = tmp_path_factory.mktemp("made")
    backbone = tiny.backbone_folder(root / "backbone")
    tiny.home_of(root / "workstation", backbone)
    tiny.taught(root / "device", backbone)
    line = run("release", "keygen", "--comment", "the owner", "--home", root / "workstation").out
    (root / "owner.pub").write_text(line)
    tiny.candidate(root / "workstation", root / "workstation" / "keys" / "release.pem")
    for number, picture in enumerate(tiny.pictures()):
        cv2.imwrite(str(root / f"{number}.png"), picture)
    return root


@pytest.fixture
def homes(made, tmp_path):
    """(workstation, device that trusts it)."""
    for name in ("workstation", "device"):
        shutil.copytree(made / name, tmp_path / name, symlinks=True)
    assert run("release", "trust", made / "owner.pub", "--home", tmp_path / "device").status == 0
    return tmp_path / "workstation", tmp_path / "device"


def sent(homes, tmp_path):
    return Path(run("release", "push", 2, tmp_path / "sent.edgecl", "--home", homes[0], "--json").record["target"])


def test_the_list_has_an_object_a_release(homes):
    first, second = run("release", "list", "--home", homes[0], "--json").records
    assert (first["number"], first["state"], first["parent"], first["accuracy"]) == (1, "good", None, None)
    assert (second["number"], second["state"], second["parent"], second["accuracy"]) == (2, "candidate", 1, 0.8)
    assert second["created_at"] == tiny.ABOUT.created_at
    assert (first["active"], second["active"]) == (True, False)


def test_the_list_for_people(homes):
    said = run("release", "list", "--home", homes[0])
    assert said.out.splitlines()[0].split() == ["release", "state", "made", "accuracy", "recipe", "why"]
    assert "1 *" in said.out


def test_a_release_is_shown_with_its_report(homes):
    record = run("release", "show", 2, "--home", homes[0], "--json").record
    assert (record["state"], record["report"]) == ("candidate", "# Accepted\n")
    assert record["document"]["recipe"] == "test"
    assert "# Accepted" in run("release", "show", 2, "--home", homes[0]).out


def test_an_exported_release_is_shown_without_a_document(homes):
    record = run("release", "show", 1, "--home", homes[0], "--json").record
    assert (record["document"], record["report"]) == (None, None)
    assert "exported here" in run("release", "show", 1, "--home", homes[0]).out


@pytest.mark.parametrize(
    "command", [["show", 9], ["push", 9, "/tmp/nowhere"], ["verify", 9], ["install", 9], ["verify", 1]]
)
def test_a_release_that_there_is_none_of_is_refused(homes, command):
    result = run("release", *command, "--home", homes[0])
    assert result.status == 1
    assert "found " in result.err
    assert "expected" in result.err


def test_verifying_says_who_signed_and_changes_nothing(homes, tmp_path):
    path = sent(homes, tmp_path)
    before = tiny.tree(homes[1])
    record = run("release", "verify", path, "--home", homes[1], "--json").record
    assert (record["number"], record["precision"]) == (2, "int8")
    assert record["signed_by"]
    assert record["golden_cosine_min"] > 0.999
    assert tiny.tree(homes[1]) == before


def test_a_release_goes_from_file_to_trial_to_good(homes, tmp_path, made):
    path, device = sent(homes, tmp_path), homes[1]
    (device / "edgecl.toml").write_text("[backbone]\nthreads = 1\n[release]\ntrial_minutes = 0\ntrial_frames = 6\n")
    record = run("release", "install", path, "--home", device, "--json").record
    assert (record["number"], record["state"], record["previous"], record["embedded"]) == (2, "trial", 1, 24)
    status = run("status", "--home", device, "--json").record
    assert (status["release"], status["release_state"], status["trial"]["frames"]) == (2, "trial", 0)
    assert status["head_is_current"]
    assert "in trial: 0 frames" in run("status", "--home", device).out
    result = run("predict", *(made / f"{number}.png" for number in range(6)), "--home", device, "--json")
    assert (result.status, len(result.records)) == (0, 6)
    assert "release 2 is good: answered 6 frames" in result.err
    assert [one["state"] for one in run("release", "list", "--home", device, "--json").records] == ["good", "good"]


def test_a_release_is_rolled_back_with_a_reason(homes, tmp_path):
    device = homes[1]
    run("release", "install", sent(homes, tmp_path), "--home", device)
    record = run("release", "rollback", "--reason", "too dark", "--home", device, "--json").record
    assert (record["number"], record["state"], record["reason"], record["active_now"]) == (
        2,
        "rolled-back",
        "too dark",
        1,
    )
    assert run("status", "--home", device, "--json").record["head_is_current"]
    assert run("release", "rollback", "--home", device).status == 1


def test_a_rollback_works_beside_a_process_that_holds_the_home(homes, tmp_path):
    device = homes[1]
    run("release", "install", sent(homes, tmp_path), "--home", device)
    with Home.at(device).learner():
        result = run("release", "rollback", "--home", device)
    assert result.status == 0
    assert "another process" in result.err
    assert slots.current(device).name == "0001"


def test_unsigned_is_allowed_here_alone(homes, tmp_path):
    (homes[0] / "releases" / "0002" / "release.sig").unlink()
    path = sent(homes, tmp_path)
    refused = run("release", "install", path, "--home", homes[1])
    assert (refused.status, "no signature" in refused.err) == (1, True)
    assert run("release", "install", path, "--unsigned", "--home", homes[1]).status == 0


def test_a_signature_that_is_there_counts_also_where_none_is_needed(homes):
    (homes[0] / "trusted_keys").unlink()
    assert run("release", "install", 2, "--unsigned", "--home", homes[0]).status == 1, "its key is not trusted there"


def test_an_unsigned_candidate_of_the_home_is_installed_by_its_number(homes):
    (homes[0] / "releases" / "0002" / "release.sig").unlink()
    assert run("release", "install", 2, "--unsigned", "--home", homes[0], "--json").record["number"] == 2


def test_pushing_to_a_home_verifies_and_installs_it_there(homes):
    record = run("release", "push", 2, homes[1], "--home", homes[0], "--json").record
    assert (record["number"], record["state"]) == (2, "trial")
    assert slots.current(homes[1]).name == "0002"


def test_pushing_to_a_home_whose_daemon_runs_goes_through_it(homes):
    with served(homes[1]) as there:
        note.leave(homes[1], there.address, "")
        record = run("release", "push", 2, homes[1], "--home", homes[0], "--json").record
        assert (record["number"], record["state"]) == (2, "trial")
        assert there.daemon.state.release == 2


def test_a_daemon_that_does_not_trust_refuses_what_is_pushed(homes):
    (homes[1] / "trusted_keys").unlink()
    with served(homes[1]) as there:
        note.leave(homes[1], there.address, "")
        result = run("release", "push", 2, homes[1], "--home", homes[0])
        assert (result.status, "no key is trusted" in result.err) == (1, True)
        assert slots.current(homes[1]).name == "0001"


def test_pushing_to_a_home_that_does_not_trust_is_refused_there(homes):
    (homes[1] / "trusted_keys").unlink()
    result = run("release", "push", 2, homes[1], "--home", homes[0])
    assert (result.status, "no key is trusted" in result.err) == (1, True)
    assert slots.current(homes[1]).name == "0001"


def test_pushing_to_a_folder_writes_one_file(homes, tmp_path):
    (tmp_path / "out").mkdir()
    record = run("release", "push", 2, tmp_path / "out", "--home", homes[0], "--json").record
    assert record["target"].endswith("/release-0002.edgecl")
    assert "tail.int8.onnx" in record["files"]
    assert "tail.fp32.onnx" not in record["files"]
    both = run("release", "push", 2, tmp_path / "out", "--precision", "both", "--home", homes[0], "--json").record
    assert "tail.fp32.onnx" in both["files"]
    assert (
        "trunk.int8.onnx"
        in run("release", "push", 2, tmp_path / "out", "--whole", "--home", homes[0], "--json").record["files"]
    )


class Device(http.server.BaseHTTPRequestHandler):
    """Takes a release as a device does: with a token, verified by its own trust."""

    def do_POST(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, self.headers["Authorization"], data))
        if self.path.startswith("/moved") or self.server.moved:
            self.send_response(307)
            self.send_header("Location", self.server.moved)
            self.end_headers()
            return
        allowed = self.headers["Authorization"] == "Bearer s3cret"
        self.send_response(202 if allowed else 401)
        self.end_headers()
        self.wfile.write(b'{"state": "candidate"}' if allowed else b"no such token")

    def log_message(self, *_):
        pass


@pytest.fixture
def device_server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Device)
    server.got, server.moved = [], None
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def url_of(server):
    return f"http://127.0.0.1:{server.server_port}"


def test_pushing_to_a_device_posts_the_file_with_the_token(homes, device_server, monkeypatch, tmp_path):
    monkeypatch.setenv("EDGECL_TOKEN", "s3cret")
    record = run("release", "push", 2, url_of(device_server), "--home", homes[0], "--json").record
    ((path, authorization, data),) = device_server.got
    assert (path, authorization) == (PATH, "Bearer s3cret")
    assert data == sent(homes, tmp_path).read_bytes()
    assert Bundle(data, "posted").sizes
    assert (record["status"], json.loads(record["answer"])) == (202, {"state": "candidate"})


def test_the_token_may_come_from_a_file(homes, device_server, tmp_path):
    (tmp_path / "token").write_text("s3cret\n")
    result = run("release", "push", 2, url_of(device_server), "--token-file", tmp_path / "token", "--home", homes[0])
    assert result.status == 0
    assert "s3cret" not in result.out + result.err


def test_what_a_device_refuses_is_told_with_its_words_and_without_the_token(homes, device_server, monkeypatch):
    monkeypatch.setenv("EDGECL_TOKEN", "wr0ng")
    result = run("release", "push", 2, url_of(device_server), "--home", homes[0])
    assert result.status == 1
    assert "HTTP 401" in result.err
    assert "no such token" in result.err
    assert "wr0ng" not in result.err


def test_a_token_is_not_carried_to_another_host(homes, device_server, monkeypatch):
    monkeypatch.setenv("EDGECL_TOKEN", "s3cret")
    device_server.moved = url_of(device_server) + "/moved"
    result = run("release", "push", 2, url_of(device_server), "--home", homes[0])
    assert (result.status, len(device_server.got)) == (1, 1)
    assert "HTTP 307" in result.err


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:9", "could not be reached"),
        ("http://user:word@127.0.0.1", "no plain address"),
        ("http://127.0.0.1/elsewhere", "no plain address"),
        ("http://", "no plain address"),
    ],
)
def test_an_address_that_is_none_is_refused(homes, monkeypatch, url, said):
    monkeypatch.setenv("EDGECL_TOKEN", "s3cret")
    result = run("release", "push", 2, url, "--home", homes[0])
    assert (result.status, said in result.err) == (1, True)
    assert "word" not in result.err


def test_without_a_token_nothing_is_sent(homes, device_server, monkeypatch):
    monkeypatch.delenv("EDGECL_TOKEN", raising=False)
    result = run("release", "push", 2, url_of(device_server), "--home", homes[0])
    assert (result.status, device_server.got) == (1, [])
    assert "EDGECL_TOKEN" in result.err


def test_a_key_pair_is_made_and_only_its_public_half_is_printed(tmp_path):
    result = run("release", "keygen", "--home", tmp_path / "home", "--comment", "me")
    path = tmp_path / "home" / "keys" / "release.pem"
    assert result.out.startswith("ed25519 ")
    assert result.out.endswith(" me\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    secret = "".join(path.read_text("ascii").splitlines()[1:-1])
    assert secret not in result.out + result.err
    assert run("release", "keygen", "--home", tmp_path / "home").status == 1


def test_a_home_takes_what_its_own_key_signed(homes):
    assert run("release", "install", 2, "--home", homes[0], "--json").record["number"] == 2


def test_a_home_does_not_trust_a_key_made_for_elsewhere(homes, tmp_path):
    record = run("release", "keygen", tmp_path / "other.pem", "--home", homes[0], "--json").record
    assert (record["trusted_here"], record["public"] in (homes[0] / "trusted_keys").read_text()) == (False, False)
    run("release", "sign", 2, "--key", tmp_path / "other.pem", "--home", homes[0])
    assert run("release", "install", 2, "--home", homes[0]).status == 1


def test_a_release_can_be_signed_by_another_key(homes, tmp_path):
    line = run("release", "keygen", tmp_path / "other.pem", "--home", homes[0]).out
    record = run("release", "sign", 2, "--key", tmp_path / "other.pem", "--home", homes[0], "--json").record
    assert run("release", "install", sent(homes, tmp_path), "--home", homes[1]).status == 1
    assert run("release", "trust", line.strip(), "--home", homes[1], "--json").record["id"] == record["signed_by"]
    assert run("release", "install", sent(homes, tmp_path), "--home", homes[1]).status == 0


def test_what_is_no_key_is_not_trusted(homes):
    result = run("release", "trust", "ssh-rsa AAAA", "--home", homes[1])
    assert (result.status, "public key" in result.err) == (1, True)


def test_the_doctor_tells_of_a_trial_and_of_starts_that_came_to_nothing(homes, tmp_path):
    device = homes[1]
    run("release", "install", sent(homes, tmp_path), "--home", device)
    found = {one["check"]: one for one in run("doctor", "--home", device, "--json").records}
    assert found["releases"]["state"] == "ok"
    assert "release 2 is in trial: 0 of 300 frames" in found["releases"]["found"]
    with slots.changing(device) as journal:
        slots.write_journal(device, journal.progressed(journal.trial.model_copy(update={"starts": 2})))
    found = {one["check"]: one for one in run("doctor", "--home", device, "--json").records}
    assert (found["releases"]["state"], "2 starts" in found["releases"]["found"]) == ("warn", True)


def test_the_doctor_and_the_status_tell_of_a_link_that_has_not_followed(homes, tmp_path):
    device = homes[1]
    run("release", "install", sent(homes, tmp_path), "--home", device)
    (device / "current").unlink()
    (device / "current").symlink_to("releases/0001")
    status = run("status", "--home", device, "--json").record
    assert status["unsettled"] == "`current` points to releases/0001, the journal says release 2"
    assert "the next command that writes settles it" in run("status", "--home", device).out
    assert "the journal says release 2" in run("doctor", "--home", device, "--json").out


def test_the_doctor_tells_of_a_damaged_journal_and_predicting_goes_on(homes, tmp_path, made):
    device = homes[1]
    run("release", "install", sent(homes, tmp_path), "--home", device)
    (device / "releases" / "journal.json").write_bytes(b"{")
    found = {one["check"]: one for one in run("doctor", "--home", device, "--json").records}
    assert (found["releases"]["state"], "damaged" in found["releases"]["found"]) == ("fail", True)
    assert run("predict", made / "0.png", "--home", device).status == 0
    assert run("status", "--home", device, "--json").record["release_state"] is None
    assert run("release", "list", "--home", device).status == 1


def test_where_there_was_only_an_export_the_doctor_finds_nothing_amiss(homes):
    found = {one["check"]: one for one in run("doctor", "--home", homes[1], "--json").records}
    assert (found["releases"]["state"], "no other came" in found["releases"]["found"]) == ("ok", True)


def test_a_process_of_its_own_needs_no_training_parts(homes, tmp_path):
    result = run_process("release", "install", sent(homes, tmp_path), "--home", homes[1], "--json")
    assert (result.status, result.record["number"]) == (0, 2)
