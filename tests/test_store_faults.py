"""What goes wrong with disks, files and other processes: found, named, and nothing that was acknowledged is lost."""

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from memories import READERS, TAIL, content, taught, teach

from edgecl.errors import (
    EdgeclError,
    InputRefused,
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreUnwritable,
)
from edgecl.memory import schema, seals
from edgecl.memory.backup import restore
from edgecl.memory.rows import CLASSES, EMBEDDINGS, EXAMPLES, HEADS, LATENTS, LESSONS, MEMORY, REVIEWS, TABLES, Table
from edgecl.memory.store import Store


@pytest.fixture
def home(tmp_path):
    return taught(tmp_path / "home")


def in_a_child(code, *arguments, wrap=()):
    """Run `code` in a fresh process that has `Store`, `teach` and `home`; returns the JSON it prints."""
    prelude = "import contextlib, json, os, resource, sys\nfrom pathlib import Path\nfrom memories import *\n"
    prelude += "from edgecl.errors import *\nhome = Path(sys.argv[1])\n"
    child = subprocess.run(
        [*wrap, sys.executable, "-c", prelude + textwrap.dedent(code), *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(Path.cwd())])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    return json.loads(child.stdout)


def read(home):
    with Store(home, writable=False) as store:
        return content(store)


# Other processes


def test_a_second_writer_in_the_same_process_is_refused(home):
    with Store(home), pytest.raises(StoreBusy, match=rf"pid {os.getpid()}"):
        Store(home)


def test_a_second_writer_in_another_process_is_refused(home):
    with Store(home):
        said = in_a_child(
            """
            try:
                Store(home)
            except StoreBusy as error:
                print(json.dumps(str(error)))
            """,
            home,
        )
    assert f"pid {os.getpid()}" in said


def test_the_lock_is_free_after_close(home):
    Store(home).close()
    Store(home).close()


def test_a_failed_opening_lets_go_of_the_lock(tmp_path):
    (tmp_path / "edgecl.db").write_bytes(b"no database")
    for _ in range(2):
        with pytest.raises(StoreDamaged):
            Store(tmp_path)


def test_a_reader_sees_every_lesson_that_the_writer_has_finished(home):
    with Store(home) as writer, Store(home, writable=False) as reader:
        before = content(reader)
        assert before == content(writer)
        teach(writer, "new", seed=8)
        assert content(reader) == content(writer) != before


def test_a_reader_in_another_process_works_while_a_lesson_is_being_written(home):
    before = read(home)
    with Store(home) as writer:
        database = sqlite3.connect(writer.path, isolation_level=None)
        database.execute("BEGIN IMMEDIATE")
        database.execute("DELETE FROM embeddings")
        found = in_a_child(
            """
            with Store(home, writable=False) as store:
                print(json.dumps([store.revision, len(store.view(TAIL)), store.check()]))
            """,
            home,
        )
        database.execute("ROLLBACK")
        database.close()
    assert found == [before["revision"], len(before["examples"]), []]


def test_a_reader_cannot_write(home):
    with Store(home, writable=False) as store, pytest.raises(StoreUnwritable, match="opened for reading"):
        teach(store, "cup")


def test_a_database_that_another_program_keeps_locked_is_busy(home):
    with Store(home) as store:
        intruder = sqlite3.connect(store.path, isolation_level=None)
        intruder.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy, match="another process"):
            teach(store, "cup")
        intruder.close()
        teach(store, "cup")


# Files that are no memory


def test_a_file_that_is_no_database_is_damaged_and_left_as_it_is(tmp_path):
    path = tmp_path / "edgecl.db"
    path.write_bytes(b"this is a shopping list, " * 100)
    for writable in (True, False):
        with pytest.raises(StoreDamaged, match="edgecl restore BACKUP"):
            Store(tmp_path, writable)
    assert path.read_bytes() == b"this is a shopping list, " * 100


@pytest.mark.parametrize("writable", [True, False])
def test_an_empty_file_is_a_damaged_memory_and_not_a_young_one(tmp_path, writable):
    (tmp_path / "edgecl.db").touch()
    with pytest.raises(StoreDamaged, match="empty"):
        Store(tmp_path, writable)


def test_the_database_of_another_program_is_left_as_it_is(tmp_path):
    path = tmp_path / "edgecl.db"
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE recipes (name)")
    before = path.read_bytes()
    with pytest.raises(StoreDamaged, match="another program"):
        Store(tmp_path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("writable", [True, False])
def test_a_memory_of_a_newer_edgecl_is_refused_and_left_as_it_is(home, writable):
    with contextlib.closing(sqlite3.connect(home / "edgecl.db")) as newer:
        newer.execute("PRAGMA user_version = 999")
    before = (home / "edgecl.db").read_bytes()
    with pytest.raises(StoreError, match=r"version 999.*update edgecl"):
        Store(home, writable)
    assert (home / "edgecl.db").read_bytes() == before


@pytest.mark.parametrize("writable", [True, False])
def test_a_log_without_its_database_is_not_taken_for_a_new_home(home, writable):
    with Store(home) as store:
        teach(store, "cup")
        shutil.copy(home / "edgecl.db-wal", home / "kept")
    (home / "edgecl.db").unlink()
    (home / "kept").rename(home / "edgecl.db-wal")
    with pytest.raises(StoreDamaged, match=r"no edgecl\.db"):
        Store(home, writable)


def test_a_memory_of_version_1_is_brought_up_to_date_with_all_it_holds(home, tmp_path):
    expected = read(home)
    old = tmp_path / "old"
    old.mkdir()
    with contextlib.closing(sqlite3.connect(old / "edgecl.db", isolation_level=None)) as database:
        schema.MIGRATIONS[0](database)
        database.execute("PRAGMA user_version = 1")
        database.execute("ATTACH ? AS new", (str(home / "edgecl.db"),))
        database.execute("PRAGMA foreign_keys = OFF")
        for table in TABLES:
            columns = tuple(c for c in table.columns if table not in (MEMORY, REVIEWS) or c != "guess_id")
            columns = columns[:2] if table is MEMORY else columns
            rows = database.execute(f"SELECT {', '.join(columns)} FROM new.{table.name}").fetchall()
            database.execute(f"DELETE FROM {table.name}")
            Table(table.name, table.noun, columns).insert(database, rows)
        database.execute("DELETE FROM sqlite_sequence")
        database.execute("INSERT INTO sqlite_sequence SELECT * FROM new.sqlite_sequence")
    with Store(old) as store:
        assert content(store) == expected
        assert store.check() == []
        store.rename("cup", "cap")
        assert store.forget("cap").reviews == 2


def test_a_creation_that_was_cut_off_starts_again(tmp_path):
    (tmp_path / ".edgecl.db.draft").write_bytes(b"half a memory")
    with Store(tmp_path) as store:
        assert store.check() == []


# Disks that refuse


FILL_UNTIL_REFUSED = """
    with Store(home) as store:
        before, acknowledged, refusal = content(store), 0, None
        {shrink}
        try:
            for seed in range(100, 400):
                teach(store, "filler", 8, seed=seed)
                acknowledged += 1
        except StoreUnwritable as error:
            refusal = str(error)
        full = content(store)
        faults = store.check()
        {grow}
        teach(store, "after", 2, seed=99)
        print(json.dumps([acknowledged, refusal, len(full["history"]) - len(before["history"]), faults, store.check(),
                          store.history(1)[0].label]))
    """


def assert_refused_and_healed(found):
    acknowledged, refusal, present, faults, faults_after, newest = found
    assert acknowledged > 0
    assert "nothing that was there is lost" in refusal
    assert present == acknowledged
    assert (faults, faults_after, newest) == ([], [], "after")


def test_a_disk_that_refuses_to_grow_a_file_refuses_the_lesson_whole_and_heals(home):
    code = FILL_UNTIL_REFUSED.format(
        shrink="resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))",
        grow="resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))",
    )
    assert_refused_and_healed(in_a_child(code, home))
    with Store(home) as store:
        assert store.check() == []


def test_after_a_failed_commit_the_file_is_opened_anew(home):
    connections = in_a_child(
        """
        opened = []
        sys.addaudithook(lambda event, _: opened.append(event) if event == "sqlite3.connect" else None)
        with Store(home) as store:
            teach(store, "cup", 2, seed=98)
            counts = [len(opened)]
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
            with contextlib.suppress(StoreUnwritable):
                teach(store, "cup", 2, seed=99)
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            counts.append(len(opened))
            teach(store, "cup", 2, seed=99)
            counts.append(len(opened))
            print(json.dumps(counts))
        """,
        home,
    )
    assert connections == [1, 1, 2]


def own_mounts(home, options):
    """A command that runs another one with a small disk of its own mounted at `home`; skips where none is allowed."""
    wrap = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    wrap += [f'mount -t tmpfs -o {options} disk "$0" && exec "$@"', str(home)]
    if not shutil.which("unshare") or subprocess.run([*wrap, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system lets no ordinary process mount a disk of its own")
    return wrap


def test_a_full_disk_refuses_the_lesson_whole_and_heals_once_there_is_room(tmp_path):
    code = FILL_UNTIL_REFUSED.format(shrink="", grow='os.unlink(home / "ballast")')
    code = 'Path(home / "ballast").write_bytes(bytes(500_000))\n    taught(home)\n' + code
    home = tmp_path / "disk"
    home.mkdir()
    assert_refused_and_healed(in_a_child(textwrap.dedent("    " + code), home, wrap=own_mounts(home, "size=1500k")))


READ_ON_A_READ_ONLY_DISK = """
    import subprocess
    {prepare}
    subprocess.run(["mount", "-o", "remount,ro", str(home)], check=True)
    refusal = None
    try:
        Store(home)
    except StoreUnwritable as error:
        refusal = str(error)
    with Store(home, writable=False) as store:
        print(json.dumps([store.check(), len(list(store.examples())), refusal]))
    """


def test_a_memory_on_a_read_only_disk_can_be_read_and_not_written(tmp_path):
    home = tmp_path / "disk"
    home.mkdir()
    code = READ_ON_A_READ_ONLY_DISK.format(prepare="taught(home)")
    faults, examples, refusal = in_a_child(code, home, wrap=own_mounts(home, "size=4m"))
    assert (faults, examples) == ([], 8)
    assert "Read-only" in refusal


def test_a_memory_on_a_disk_without_any_room_can_be_read(tmp_path):
    """SQLite would want to make files beside it, even to read."""
    home = tmp_path / "disk"
    home.mkdir()
    code = """
    taught(home)
    assert not list(home.glob("*-shm"))
    with (home / "more").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(512))
        except OSError as error:
            assert error.errno == 28
    with Store(home, writable=False) as store:
        print(json.dumps([store.check(), len(list(store.examples()))]))
    """
    assert in_a_child(code, home, wrap=own_mounts(home, "size=4m")) == [[], 8]


# Root may write anywhere, so the child lets go of that right where it has it.
AS_AN_ORDINARY_USER = """
    import ctypes
    header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert ctypes.CDLL(None).capset(header, none) == 0
    """


def test_a_folder_that_may_not_be_written_to_can_be_read(home):
    before = read(home)
    for leftover in (*home.glob("*-wal"), *home.glob("*-shm")):
        leftover.unlink()
    home.chmod(0o500)
    try:
        found = in_a_child(
            AS_AN_ORDINARY_USER
            + """
    with Store(home, writable=False) as store:
        print(json.dumps([store.revision, store.check()]))
    """,
            home,
        )
    finally:
        home.chmod(0o700)
    assert found == [before["revision"], []]


def test_a_database_that_may_not_be_written_to_is_refused_at_once(home):
    (home / "edgecl.db").chmod(0o400)
    refusal = in_a_child(
        AS_AN_ORDINARY_USER
        + """
    try:
        Store(home)
    except StoreUnwritable as error:
        print(json.dumps(str(error)))
    """,
        home,
    )
    assert "edgecl.db" in refusal


def test_a_home_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnwritable):
        Store(tmp_path / "file" / "home")


# Damage


def mutated(data, rng):
    """`data` with one kind of damage that disks and memories are known for."""
    changed = bytearray(data)
    kind = rng.integers(6)
    if kind <= 2:
        for place in rng.integers(0, len(data) * 8, (1, 3, 40)[kind]):
            changed[place // 8] ^= 1 << (place % 8)
    elif kind == 3:
        del changed[rng.integers(0, len(data)) :]
    else:
        page = rng.integers(0, len(data) // 4096) * 4096
        changed[page : page + 4096] = bytes(4096) if kind == 4 else rng.bytes(4096)
    return bytes(changed)


def try_everything(home):
    """Use a memory in every way; returns (what was read, faults), or the error that stopped it."""
    try:
        with Store(home, writable=False) as store:
            found, faults = content(store), store.check()
        with Store(home) as store:
            faults += store.check()
            teach(store, "cup", 2, seed=77)
            store.correct(store.history(1)[0].id, "elsewhere")
            store.undo()
            store.undo()
            store.forget("cup")
            store.backup(home / "backup.db")
    except EdgeclError as error:
        return error
    return found, faults


def assert_read_right_or_refused(home, expected):
    """Each reader by itself: what it gives is what was written, whatever a check would say. A head may be missing."""
    refused = set()
    for name, reader in READERS.items():
        try:
            with Store(home, writable=False) as store:
                assert reader(store) == expected[name] or (name == "head" and reader(store) is None)
        except EdgeclError:
            refused.add(name)
    return refused


@pytest.mark.parametrize("seed", range(6))
def test_every_damage_to_the_database_is_found_or_does_no_harm(home, seed):
    rng = np.random.default_rng(seed)
    original, expected = (home / "edgecl.db").read_bytes(), read(home)
    noticed = 0
    for _ in range(50):
        shutil.rmtree(home)
        home.mkdir()
        (home / "edgecl.db").write_bytes(mutated(original, rng))
        assert_read_right_or_refused(home, expected)
        result = try_everything(home)
        harmless = not isinstance(result, EdgeclError) and result == (expected, [])
        found = isinstance(result, EdgeclError) or result[1]
        assert found or harmless
        noticed += not harmless
    assert noticed > 25, "the damage hardly hit anything: the test proves nothing"


def test_a_page_that_hides_its_rows_is_never_read_as_if_there_were_none(home):
    with Store(home) as store:
        for seed in (8, 9):
            teach(store, "crowd", 100, seed)  # so that tables have more than one page
        expected = content(store)
    path = home / "edgecl.db"
    original, refused = path.read_bytes(), set()
    for start in range(0, len(original), 4096):
        header = start + (100 if start == 0 else 0)
        if original[header] not in (2, 5, 10, 13):  # no page of a table or an index
            continue
        for byte in (3, 4):  # of the number of cells
            path.write_bytes(original[: header + byte] + b"\0" + original[header + byte + 1 :])
            refused |= assert_read_right_or_refused(home, expected)
    assert refused >= {"classes", "counts", "history", "examples", "view", "reviews"}


def test_rows_that_a_damaged_page_hides_stop_every_change(home):
    with contextlib.closing(sqlite3.connect(home / "edgecl.db")) as database:
        (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'examples'").fetchone()
    data = bytearray((home / "edgecl.db").read_bytes())
    data[(page - 1) * 4096 + 4] = 0
    (home / "edgecl.db").write_bytes(data)
    with Store(home) as store:
        for attempt in (
            lambda: store.rename("cup", "cap"),
            lambda: teach(store, "cup", seed=9),
            lambda: store.heads.put(TAIL, "softmax", store.revision, {}, {}),
            lambda: store.reviews.take(2),
        ):
            with pytest.raises(StoreDamaged, match=r"examples.*edgecl restore BACKUP"):
                attempt()
        assert store.check()


def test_an_older_page_that_came_back_is_noticed(home):
    """A disk that lost a write: every row is sealed, and yet not what was last written."""
    with contextlib.closing(sqlite3.connect(home / "edgecl.db")) as database:
        (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'classes'").fetchone()
    old = (home / "edgecl.db").read_bytes()[(page - 1) * 4096 : page * 4096]
    with Store(home) as store:
        store.rename("cup", "cap")
    with (home / "edgecl.db").open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(old)
    with Store(home, writable=False) as store, pytest.raises(StoreDamaged, match="classes"):
        store.classes()


def test_damage_to_the_log_costs_at_most_the_lessons_in_it(home):
    states = [read(home)]
    with Store(home) as store:
        for seed in range(4):
            teach(store, "cup", 2, seed=60 + seed)
            states.append(content(store))
        files = {path.name: path.read_bytes() for path in home.glob("edgecl.db*") if path.suffix != ".db-shm"}
    rng = np.random.default_rng(0)
    for _ in range(40):
        shutil.rmtree(home)
        home.mkdir()
        (home / "edgecl.db").write_bytes(files["edgecl.db"])
        (home / "edgecl.db-wal").write_bytes(mutated(files["edgecl.db-wal"], rng))
        with contextlib.suppress(EdgeclError), Store(home) as store:
            assert content(store) in states
            assert store.check() == []


def change(home, statement, *parameters):
    """Change the database behind the store's back."""
    with contextlib.closing(sqlite3.connect(home / "edgecl.db", isolation_level=None)) as database:
        assert database.execute(statement, parameters).rowcount > 0


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE latents SET codes = zeroblob(length(codes)) WHERE example_id = 4", "example 4"),
        ("UPDATE latents SET thumbnail = NULL WHERE example_id = 4", "example 4"),
        ("UPDATE latents SET scale = scale * 2 WHERE example_id = 4", "example 4"),
        ("UPDATE examples SET class_id = 2 WHERE id = 4", "example 4"),
        ("UPDATE examples SET displaced_by = NULL WHERE id = 2", "example 2"),
        ("UPDATE examples SET id = 40 WHERE id = 4", "example 40"),
        ("UPDATE embeddings SET vector = zeroblob(length(vector)) WHERE example_id = 4", "example 4"),
        ("UPDATE classes SET name = 'cap' WHERE name = 'cup'", "class 1"),
        ("UPDATE lessons SET label = 'cap' WHERE id = 1", "lesson 1"),
        ("UPDATE heads SET revision = 99", "head of tail"),
        ("UPDATE reviews SET guess = 'cap' WHERE id = 2", "review frame 2"),
        ("UPDATE memory SET revision = 3", "memory 1"),
    ],
)
def test_a_value_changed_on_disk_is_named_by_the_check_and_refused_when_read(home, statement, named):
    change(home, statement)
    with Store(home, writable=False) as store:
        assert any(named in fault for fault in store.check())
        with pytest.raises(StoreDamaged, match=named):
            content(store)


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("DELETE FROM latents WHERE example_id = 4", "example 4 has no latent"),
        ("DELETE FROM examples WHERE id = 4", "latent of example 4 has no example"),
        ("DELETE FROM memory", "found [] for the memory's revision"),
        ("DELETE FROM classes WHERE id = 1", "refers to a row of classes"),
    ],
)
def test_a_row_that_is_gone_is_named_by_the_check(home, statement, fault):
    change(home, statement)
    with Store(home) as store:
        assert any(fault in line for line in store.check())


@pytest.mark.parametrize(
    "statement",
    ["DROP INDEX live_names", "CREATE TRIGGER t AFTER INSERT ON lessons BEGIN DELETE FROM examples; END"],
)
def test_tables_that_are_not_ours_are_named_by_the_check(home, statement):
    with contextlib.closing(sqlite3.connect(home / "edgecl.db")) as database:
        database.execute(statement)
    with Store(home) as store:
        assert store.check() == ["structure: the tables are not those of this version"]


def forge(path, *changes):
    """Change rows as someone would who knows how they are sealed: (table, columns, which)."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        for table, columns, which in changes:
            assert table.change(database, columns, which) > 0
        seals.renew(database)


def vector(*values):
    return np.array(values, "<f4").tobytes()


FORGERIES = {
    "memory 1": [(MEMORY, {"revision": "x"}), (MEMORY, {"revision": -1})],
    "class 1": [
        (CLASSES, {"name": "\x1b[2Jcup"}),
        (CLASSES, {"name": "../cup"}),
        (CLASSES, {"name": "cafe\u0301"}),
        (CLASSES, {"name": ""}),
        (CLASSES, {"name": b"cup"}),
    ],
    "lesson 4": [
        (LESSONS, {"kind": "sell"}),
        (LESSONS, {"label": "../cup"}),
        (LESSONS, {"other_label": None}),
        (LESSONS, {"other_label": "\x9b31m"}),
        (LESSONS, {"reasons": "{"}),
        (LESSONS, {"reasons": "[" * 100_000}),
        (LESSONS, {"reasons": "[]"}),
        (LESSONS, {"reasons": '{"blurred":"often"}'}),
        (LESSONS, {"taken_at": float("inf")}),
        (LESSONS, {"seen": "many"}),
        (LESSONS, {"class_id": 99}),
    ],
    "example 4": [(EXAMPLES, {"taken_at": float("-inf")})],
    "latent of example 4": [
        (LATENTS, {"shape": "9,9,9"}),
        (LATENTS, {"shape": "x"}),
        (LATENTS, {"shape": "-1,4,4"}),
        (LATENTS, {"shape": "4,8,4"}),
        (LATENTS, {"scale": 0.0}),
        (LATENTS, {"zero_point": 1000}),
        (LATENTS, {"trunk": "\x1b[2J"}),
        (LATENTS, {"trunk": "e" * 64}),
    ],
    "embedding of example 4": [
        (EMBEDDINGS, {"vector": vector(1.0, 2.0)}),
        (EMBEDDINGS, {"vector": vector(*[np.nan] * 6)}),
        (EMBEDDINGS, {"vector": bytes(7)}),
        (EMBEDDINGS, {"vector": b""}),
    ],
    "head of tail": [
        (HEADS, {"header": "{}"}),
        (HEADS, {"header": '{"arrays":["W"],"header":7}'}),
        (HEADS, {"arrays": b"no arrays"}),
        (HEADS, {"revision": "x"}),
    ],
    "review frame 2": [
        (REVIEWS, {"shape": "1,1,1"}),
        (REVIEWS, {"guess": "\x1b[2J"}),
        (REVIEWS, {"guess_id": "x"}),
        (REVIEWS, {"probability": float("inf")}),
    ],
}


@pytest.mark.parametrize(
    ("named", "table", "columns"),
    [(named, table, columns) for named, forged in FORGERIES.items() for table, columns in forged],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_a_backup_of_sealed_nonsense_is_refused_and_the_row_named(home, tmp_path, named, table, columns):
    with Store(home) as store:
        store.backup(tmp_path / "forged.db")
    number = named.rpartition(" ")[2]
    forge(tmp_path / "forged.db", (table, columns, f"WHERE {table.columns[0]} = {number}" if number.isdigit() else ""))
    with pytest.raises(StoreDamaged, match=named):
        restore(tmp_path / "other", tmp_path / "forged.db")
    assert not (tmp_path / "other" / "edgecl.db").exists()


def test_a_shape_in_another_form_is_refused_even_where_all_latents_have_it(home):
    forge(home / "edgecl.db", (LATENTS, {"shape": "-1,4,4"}, ""))
    with Store(home, writable=False) as store:
        assert any("latent of example 4" in line for line in store.check())
        with pytest.raises(StoreDamaged, match="latent 1 unreadable"):
            list(store.examples())


def test_classes_merged_in_a_circle_are_damage(home):
    forge(
        home / "edgecl.db",
        (CLASSES, {"merged_into": 2}, "WHERE id = 1"),
        (CLASSES, {"merged_into": 1}, "WHERE id = 2"),
    )
    with Store(home) as store:
        assert any("circle" in line for line in store.check())
        with pytest.raises(StoreDamaged, match="circle"):
            store.view(TAIL)


def test_embeddings_of_two_lengths_are_not_put_together(home):
    forge(home / "edgecl.db", (EMBEDDINGS, {"vector": vector(1.0, 2.0)}, "WHERE example_id = 4"))
    with Store(home, writable=False) as store, pytest.raises(StoreDamaged, match=r"example 4.*2 numbers.*expected 6"):
        store.view(TAIL)


NUMBERS = ["SET seq = NULL", "SET seq = 'x'", "SET seq = 1", "SET seq = 9223372036854775807", "SET name = 'q'"]


@pytest.mark.parametrize("statement", NUMBERS)
def test_damaged_numbers_are_refused_before_one_is_given_out_twice(home, statement):
    change(home, f"UPDATE sqlite_sequence {statement} WHERE name = 'classes'")
    with Store(home) as store:
        assert any("numbers" in line for line in store.check())
        with pytest.raises(StoreDamaged, match="numbers"):
            teach(store, "new")


@pytest.mark.parametrize("statement", NUMBERS)
def test_forged_numbers_are_refused_before_one_is_given_out_twice(home, tmp_path, statement):
    with Store(home) as store:
        store.backup(tmp_path / "forged.db")
    for path in (home / "edgecl.db", tmp_path / "forged.db"):
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute(f"UPDATE sqlite_sequence {statement} WHERE name = 'classes'")
        forge(path)
    with pytest.raises(StoreDamaged, match="given out in classes"):
        restore(tmp_path / "other", tmp_path / "forged.db")
    with Store(home) as store, pytest.raises(StoreDamaged, match="given out in classes"):
        teach(store, "new")


def test_changing_a_damaged_row_does_not_make_it_look_sound(home):
    change(home, "UPDATE examples SET taken_at = 0 WHERE id = 4")
    with Store(home) as store, pytest.raises(StoreDamaged, match="example 4"):
        store.correct(4, "mug")


# What durability rests on


def test_every_connection_that_writes_syncs_each_commit_and_overwrites_what_is_deleted(tmp_path, monkeypatch):
    facts = set()

    class Noted(sqlite3.Connection):
        def execute(self, statement, *parameters):
            if statement in ("COMMIT", "VACUUM"):
                (_, _, file) = super().execute("PRAGMA database_list").fetchone()
                pragmas = ("synchronous", "secure_delete", "journal_mode", "foreign_keys")
                values = tuple(super(Noted, self).execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas)
                facts.add((Path(file).name, *values))
            return super().execute(statement, *parameters)

    opened = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *given, **named: opened(*given, **named, factory=Noted))
    with Store(tmp_path / "home") as store:
        teach(store, "cup", seed=1)
        store.forget("cup")
        teach(store, "mug", seed=2)
        store.backup(tmp_path / "monday.db")
    restore(tmp_path / "home", tmp_path / "monday.db")
    with Store(tmp_path / "home") as store:
        store.undo()
    monkeypatch.undo()
    full = 2
    assert facts - {("", *fact[1:]) for fact in facts} == {  # a table in memory is only compared with
        (".edgecl.db.draft", full, 1, "delete", 1),
        ("edgecl.db", full, 1, "wal", 1),
    }


# Backup and restore


def test_a_backup_holds_everything(home, tmp_path):
    with Store(home) as store:
        teach(store, "cup", seed=9)
        store.backup(tmp_path / "monday.db")
        before = content(store)
    assert restore(tmp_path / "other", tmp_path / "monday.db") is None
    assert read(tmp_path / "other") == before


def test_a_reader_can_back_up_while_the_writer_runs(home, tmp_path):
    with Store(home) as writer, Store(home, writable=False) as reader:
        teach(writer, "cup", seed=9)
        reader.backup(tmp_path / "monday.db")
        before = content(writer)
    restore(tmp_path / "other", tmp_path / "monday.db")
    assert read(tmp_path / "other") == before


def test_a_backup_is_one_file_for_its_owner_alone(home, tmp_path):
    (tmp_path / "backups").mkdir()
    with Store(home) as store:
        store.backup(tmp_path / "backups" / "monday.db")
    (only,) = (tmp_path / "backups").iterdir()
    assert (only.name, only.stat().st_mode & 0o777) == ("monday.db", 0o600)
    assert only.read_bytes()[18:20] == b"\x01\x01"  # SQLite's mark for "no log": it opens on a read-only stick


def test_a_backup_overwrites_nothing(home, tmp_path):
    (tmp_path / "thesis.doc").write_text("ten years of work")
    with Store(home) as store, pytest.raises(InputRefused, match="overwrites nothing"):
        store.backup(tmp_path / "thesis.doc")
    assert (tmp_path / "thesis.doc").read_text() == "ten years of work"


def test_a_backup_to_a_folder_that_is_not_there_is_refused(home, tmp_path):
    with Store(home) as store, pytest.raises(StoreUnwritable):
        store.backup(tmp_path / "nowhere" / "monday.db")


def test_a_damaged_memory_gives_no_backup(home, tmp_path):
    change(home, "UPDATE classes SET name = 'cap' WHERE name = 'cup'")
    with Store(home) as store, pytest.raises(StoreDamaged, match="class 1"):
        store.backup(tmp_path / "monday.db")
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_restoring_keeps_the_memory_it_replaces(home, tmp_path):
    with Store(home) as store:
        store.backup(tmp_path / "monday.db")
        monday = content(store)
        teach(store, "new", seed=9)
        tuesday = content(store)
    kept = restore(home, tmp_path / "monday.db")
    assert read(home) == monday
    assert kept == home / "edgecl.db.before-restore-1"
    assert restore(home, kept) == home / "edgecl.db.before-restore-2"
    assert read(home) == tuesday


def test_a_memory_with_a_log_beside_it_is_restored_with_the_log(home, tmp_path):
    (tmp_path / "copy").mkdir()
    with Store(home) as store:
        teach(store, "new", seed=9)
        before = content(store)
        for name in ("edgecl.db", "edgecl.db-wal"):  # a power cut: the files as they are
            shutil.copy(home / name, tmp_path / "copy" / name)
    restore(tmp_path / "other", tmp_path / "copy" / "edgecl.db")
    assert read(tmp_path / "other") == before


def test_a_log_that_lost_its_memory_is_not_carried_over_into_what_is_restored(home, tmp_path):
    with Store(home) as store:
        store.backup(tmp_path / "monday.db")
        monday = content(store)
        teach(store, "new", 8, seed=9)
        log = (home / "edgecl.db-wal").read_bytes()
    (home / "edgecl.db").unlink()
    (home / "edgecl.db-wal").write_bytes(log)
    assert restore(home, tmp_path / "monday.db") is None
    assert not [path for path in home.iterdir() if path.name in ("edgecl.db-wal", "edgecl.db-shm")]
    assert read(home) == monday
    assert (home / "edgecl.db.before-restore-1-wal").read_bytes() == log


def test_a_damaged_memory_is_put_aside_with_its_log_by_a_restore(home, tmp_path):
    with Store(home) as store:
        store.backup(tmp_path / "monday.db")
        monday = content(store)
        teach(store, "new", seed=9)
        log = (home / "edgecl.db-wal").read_bytes()
    (home / "edgecl.db").write_bytes(b"no database any more")
    (home / "edgecl.db-wal").write_bytes(log)
    kept = restore(home, tmp_path / "monday.db")
    assert read(home) == monday
    assert kept.read_bytes() == b"no database any more"
    assert kept.with_name(kept.name + "-wal").read_bytes() == log


@pytest.mark.parametrize("damage", ["truncated", "value", "text", "missing", "newer"])
def test_a_backup_that_is_not_sound_replaces_nothing(home, tmp_path, damage):
    backup = tmp_path / "monday.db"
    with Store(home) as store:
        store.backup(backup)
    if damage == "truncated":
        backup.write_bytes(backup.read_bytes()[:-5000])
    elif damage == "text":
        backup.write_bytes(b"my backup")
    elif damage == "missing":
        backup.unlink()
    else:
        statement = {"value": "UPDATE lessons SET seen = 0", "newer": "PRAGMA user_version = 999"}[damage]
        with contextlib.closing(sqlite3.connect(backup, isolation_level=None)) as database:
            database.execute(statement)
    before, names = read(home), sorted(path.name for path in home.iterdir())
    with pytest.raises(StoreError):
        restore(home, backup)
    assert read(home) == before
    assert sorted(path.name for path in home.iterdir()) == names


def test_restoring_into_a_home_that_is_in_use_is_refused(home, tmp_path):
    with Store(home) as store:
        store.backup(tmp_path / "monday.db")
        with pytest.raises(StoreBusy):
            restore(home, tmp_path / "monday.db")


def test_fifty_damaged_backups_are_never_put_in_place_unnoticed(home, tmp_path):
    backup = tmp_path / "monday.db"
    with Store(home) as store:
        store.backup(backup)
        expected = content(store)
    sound, rng = backup.read_bytes(), np.random.default_rng(5)
    for number in range(50):
        backup.write_bytes(mutated(sound, rng))
        with contextlib.suppress(EdgeclError):
            restore(tmp_path / f"home{number}", backup)
            assert read(tmp_path / f"home{number}") == expected
