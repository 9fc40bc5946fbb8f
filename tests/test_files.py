"""Durable files: old or new, never a part; one lock, whatever happens to its holder."""

from __future__ import annotations

import os
import secrets
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from edgecl.errors import StoreBusy, StoreUnwritable
from edgecl.files import exclusive, folder_durably, link_durably, private_folder, sha256, sync_folder, write_durably


def run_limited(limit: int, script: str, *arguments: object) -> str:
    """What `script` prints in a process that may write no file beyond `limit` bytes; the disk is full, as it were."""
    lines = f"""
        import resource, signal, sys
        from pathlib import Path
        from edgecl.errors import StoreUnwritable
        from edgecl.files import folder_durably, link_durably, write_durably
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        free, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, most))
        try:
            {script}
            print("written")
        except StoreUnwritable as error:
            print(error)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (free, most))
    """
    command = [sys.executable, "-c", textwrap.dedent(lines), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def hold(path: Path) -> subprocess.Popen[str]:
    """Another process that holds the lock at `path`; it says so before this returns."""
    script = (
        "import sys, time; from pathlib import Path; from edgecl.files import exclusive\n"
        "with exclusive(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    """Let the process come to its end, or find that it has."""
    process.communicate()


def test_a_digest_is_sha256():
    assert sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of FIPS 180-2


def test_what_was_written_is_there_whole(tmp_path):
    write_durably(tmp_path / "a", b"x" * 100_000)
    assert (tmp_path / "a").read_bytes() == b"x" * 100_000
    assert names_in(tmp_path) == ["a"]


def test_what_was_written_is_its_owners_alone(tmp_path):
    write_durably(tmp_path / "a", b"secret")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


def test_a_folder_appears_with_all_its_files_and_is_its_owners_alone(tmp_path):
    folder_durably(tmp_path / "out", {"a": b"1", "b": b"2"})
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {"a": b"1", "b": b"2"}
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700
    assert names_in(tmp_path) == ["out"]


def test_a_folder_that_holds_something_is_not_replaced(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_bytes(b"keep")
    with pytest.raises(StoreUnwritable, match="out"):
        folder_durably(tmp_path / "out", {"a": b"1"})
    assert names_in(tmp_path / "out") == ["mine"]
    assert names_in(tmp_path) == ["out"]


def test_a_full_disk_leaves_nothing_of_a_folder(tmp_path):
    script = "folder_durably(Path(sys.argv[1]), {'a': b'1', 'b': bytes(100)})"
    assert str(tmp_path / "out") in run_limited(50, script, tmp_path / "out")
    assert names_in(tmp_path) == []


def test_a_kill_anywhere_leaves_a_folder_whole_or_not_there(tmp_path):
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "from killing import killed_at_write; from edgecl.files import folder_durably\n"
        "folder, n, through = Path(sys.argv[1]), 0, False\n"
        "while not through:\n"
        "    n += 1\n"
        "    through = killed_at_write(lambda: folder_durably(folder / str(n), {'a': b'1', 'b': b'2'}), n)\n"
        "print(n)"
    )
    command = [sys.executable, "-c", script, str(tmp_path), str(Path(__file__).parent / "crash")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "lets no process be traced" in done.stderr:
        pytest.skip("this system lets no process be traced")
    assert done.returncode == 0, done.stderr
    folders = [tmp_path / str(n) for n in range(1, int(done.stdout) + 1)]
    assert {tuple(names_in(folder)) for folder in folders if folder.exists()} == {("a", "b")}
    assert sum(not folder.exists() for folder in folders) >= 5, "hardly any kill: the test proves nothing"
    for folder in folders[:5]:
        folder_durably(folder, {"a": b"3"})  # what was cut off is no obstacle
        assert names_in(folder) == ["a"]


def test_a_reader_of_the_old_file_keeps_it_whole(tmp_path):
    write_durably(tmp_path / "a", b"old")
    with (tmp_path / "a").open("rb") as file:
        write_durably(tmp_path / "a", b"newer")
        assert file.read() == b"old"
    assert (tmp_path / "a").read_bytes() == b"newer"


def test_a_disk_that_fills_up_leaves_the_old_file(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    said = run_limited(4096, "write_durably(Path(sys.argv[1]), b'x' * 10_000)", tmp_path / "a")
    assert f"could not write {tmp_path / 'a'}" in said
    assert "free some space" in said
    assert (tmp_path / "a").read_bytes() == b"old"


def test_a_disk_that_fills_up_leaves_no_draft(tmp_path):
    run_limited(4096, "write_durably(Path(sys.argv[1]), b'x' * 10_000)", tmp_path / "a")
    assert names_in(tmp_path) == []


def test_a_file_that_just_fits_is_written(tmp_path):
    assert run_limited(4096, "write_durably(Path(sys.argv[1]), b'x' * 4096)", tmp_path / "a") == "written"
    assert (tmp_path / "a").stat().st_size == 4096


def test_a_process_killed_between_two_writes_leaves_one_of_them(tmp_path):
    path = tmp_path / "a"
    script = """
        import sys
        from pathlib import Path
        from edgecl.files import write_durably
        for number in range(10**9):
            write_durably(Path(sys.argv[1]), bytes([number % 256]) * 50_000)
            print(number, flush=True)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for _ in range(20):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate()
    found = path.read_bytes()
    assert len(found) == 50_000
    assert set(found) <= {found[0]}
    last = 19 + len(rest.split())
    assert found[0] in (last % 256, (last + 1) % 256)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(StoreUnwritable, match="nowhere"):
        write_durably(tmp_path / "nowhere" / "a", b"x")


def test_a_folder_in_the_place_of_the_file_is_refused_and_stays(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(StoreUnwritable, match="nothing that was there is lost"):
        write_durably(tmp_path / "a", b"x")
    assert names_in(tmp_path) == ["a"]


def test_a_link_is_changed_in_one_step(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        link_durably(tmp_path / "current", name)
        assert (tmp_path / "current").readlink() == Path(name)
    assert names_in(tmp_path) == ["current", "one", "two"]


def test_a_draft_that_someone_else_has_prepared_is_never_written_to(tmp_path, monkeypatch):
    monkeypatch.setattr(secrets, "token_hex", lambda size: "guessed")
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / ".out.guessed.draft").symlink_to("precious")
    (tmp_path / ".open.guessed.draft").touch(mode=0o666)
    for name in ("out", "open"):
        with pytest.raises(StoreUnwritable):
            write_durably(tmp_path / name, b"secret")
        assert not (tmp_path / name).exists()
    assert (tmp_path / "precious").read_bytes() == b"precious"


def test_a_folder_is_exchanged_for_another_where_that_is_asked_for(tmp_path):
    folder_durably(tmp_path / "out", {"a": b"1"})
    folder_durably(tmp_path / "out", {"b": b"2"}, exchange=True)
    assert names_in(tmp_path / "out") == ["b"]
    assert names_in(tmp_path) == ["out"]


def test_a_link_in_the_place_of_a_folder_is_refused_and_leaves_it(tmp_path):
    (tmp_path / "current").mkdir()
    with pytest.raises(StoreUnwritable, match="current"):
        link_durably(tmp_path / "current", "new")
    assert names_in(tmp_path) == ["current"]
    assert (tmp_path / "current").is_dir()


def test_a_private_folder_is_its_owners_alone(tmp_path):
    folder = private_folder(tmp_path / "home")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path):
    (tmp_path / "home").write_bytes(b"")
    with pytest.raises(StoreUnwritable, match="home"):
        private_folder(tmp_path / "home")


def test_a_folder_that_is_gone_cannot_be_synced(tmp_path):
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "gone")


def test_a_lock_is_held_by_one_process_alone(tmp_path):
    process = hold(tmp_path / "lock")
    with pytest.raises(StoreBusy, match=f"pid {process.pid}"), exclusive(tmp_path / "lock"):
        raise AssertionError("two processes hold one lock")
    end(process)


def test_a_lock_is_free_when_its_block_is_left(tmp_path):
    end(hold(tmp_path / "lock"))
    with exclusive(tmp_path / "lock"):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_a_lock_is_free_when_its_holder_is_killed(tmp_path):
    process = hold(tmp_path / "lock")
    process.kill()
    end(process)
    with exclusive(tmp_path / "lock"):
        pass


def test_a_lock_is_held_once_even_in_one_process(tmp_path):
    with exclusive(tmp_path / "lock"), pytest.raises(StoreBusy), exclusive(tmp_path / "lock"):
        raise AssertionError("one lock is held twice")


def test_a_lock_that_cannot_be_made_is_refused(tmp_path):
    with pytest.raises(StoreUnwritable, match="nowhere"), exclusive(tmp_path / "nowhere" / "lock"):
        raise AssertionError("a lock is held that is nowhere")
