"""Which backbone runs: the home's own, else the one that came with the wheel; never a damaged one."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import edgecl
from edgecl.config import BackboneSettings
from edgecl.errors import BackboneDamaged, BackboneMissing, StoreUnwritable
from edgecl.files import sha256
from edgecl.manifest import (
    MANIFEST_FILE,
    BackboneManifest,
    FileEntry,
    Graphs,
    InputSpec,
    read_manifest,
    read_verified,
)
from edgecl.releases import current, install_first, release_folder

FILES = {
    "trunk.fp32.onnx": b"a trunk",
    "tail.fp32.onnx": b"a tail",
    "golden.npz": b"golden pictures",
    "answers.npz": b"answers",
}


def backbone_of_bytes(folder: Path, name: str = "made", files: dict[str, bytes] = FILES) -> Path:
    """A folder with a manifest and what it declares; nobody opens the graphs here."""
    folder.mkdir(parents=True)
    entries = {file: FileEntry(file=file, bytes=len(data), sha256=sha256(data)) for file, data in files.items()}
    manifest = BackboneManifest(
        name=name,
        input=InputSpec(size=8, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
        cut="somewhere",
        latent_shape=(1, 2, 2),
        dimension=4,
        spread=0.1,
        transform="power-l2",
        opset=20,
        graphs={"fp32": Graphs(trunk=entries["trunk.fp32.onnx"], tail=entries["tail.fp32.onnx"])},
        golden=entries["golden.npz"],
        answers=entries["answers.npz"],
        license="none",
        source="this test",
    )
    for file, data in files.items():
        (folder / file).write_bytes(data)
    (folder / MANIFEST_FILE).write_bytes(manifest.to_bytes())
    return folder


def tree(folder: Path) -> dict[str, bytes | str]:
    """Everything in `folder`: bytes of files, targets of links."""
    return {
        str(path.relative_to(folder)): f"→ {path.readlink()}" if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def package_with(folder: Path, bundled: bool) -> Path:
    """A copy of the package as a wheel would lay it out, with or without a backbone in it."""
    source = Path(edgecl.__file__).parent
    shutil.copytree(source, folder / "edgecl", ignore=shutil.ignore_patterns("__pycache__", "backbones", "workstation"))
    if bundled:
        backbone_of_bytes(folder / "edgecl" / "backbones" / "efficientnet-lite0", "bundled")
    return folder


def started(package: Path, home: Path) -> subprocess.Popen[str]:
    """A process that imports the package in `package`; what `current` says it prints as soon as stdin ends."""
    script = (
        "import sys; from pathlib import Path; from edgecl.errors import EdgeclError\n"
        "from edgecl.releases import current\n"
        "print('ready', flush=True); sys.stdin.read()\n"
        "try: print(current(Path(sys.argv[1])))\n"
        "except EdgeclError as error: print(type(error).__name__, error)"
    )
    command = [sys.executable, "-c", script, str(home)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=package, stdin=pipe, stdout=pipe, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def current_in(package: Path, home: Path) -> str:
    """What `current` says where the package is the one in `package`."""
    return started(package, home).communicate()[0].strip()


def releases_in(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "releases").iterdir() if not path.name.startswith("."))


def whole_release_in(home: Path) -> str | None:
    """Name of the active backbone, all of whose files are as declared; None where there is none."""
    try:
        folder = current(home)
    except BackboneMissing:
        return None
    manifest = read_manifest(folder)
    for entry in manifest.entries():
        read_verified(folder, entry)
    return manifest.name


def homes_killed_while_installing(folder: Path, source: Path) -> list[Path]:
    """Copies of `folder`/home, each after an installation of `source` that was killed one writing call later."""
    script = (
        "import shutil, sys; from pathlib import Path\n"
        "folder, source = Path(sys.argv[1]), Path(sys.argv[2]); sys.path.insert(0, sys.argv[3])\n"
        "from killing import killed_at_write; from edgecl.releases import install_first\n"
        "n, through = 0, False\n"
        "while not through:\n"
        "    n += 1; home = shutil.copytree(folder / 'home', folder / str(n), symlinks=True)\n"
        "    through = killed_at_write(lambda: install_first(home, source), n)\n"
        "print(n)"
    )
    command = [sys.executable, "-c", script, str(folder), str(source), str(Path(__file__).parent / "crash")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "lets no process be traced" in done.stderr:
        pytest.skip("this system lets no process be traced")
    assert done.returncode == 0, done.stderr
    return [folder / str(n) for n in range(1, int(done.stdout) + 1)]


def test_the_first_release_is_a_copy_and_the_active_one(tmp_path):
    source, home = backbone_of_bytes(tmp_path / "source"), tmp_path / "home"
    assert install_first(home, source) == release_folder(home, 1)
    assert tree(release_folder(home, 1)) == tree(source)
    assert current(home) == release_folder(home, 1)
    assert read_manifest(home / "current").name == "made"


def test_the_active_release_is_a_relative_link_so_that_a_home_can_be_moved(tmp_path):
    install_first(tmp_path / "home", backbone_of_bytes(tmp_path / "source"))
    (tmp_path / "home").rename(tmp_path / "moved")
    assert current(tmp_path / "moved") == tmp_path / "moved" / "releases" / "0001"


def test_a_release_is_its_owners_alone(tmp_path):
    folder = install_first(tmp_path / "home", backbone_of_bytes(tmp_path / "source"))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700


def test_what_lies_beside_the_declared_files_is_not_installed(tmp_path):
    source = backbone_of_bytes(tmp_path / "source")
    (source / "notes.txt").write_text("not ours")
    assert not (install_first(tmp_path / "home", source) / "notes.txt").exists()


def test_another_backbone_takes_the_place_of_the_first_under_the_next_number(tmp_path):
    home = tmp_path / "home"
    install_first(home, backbone_of_bytes(tmp_path / "source"))
    install_first(home, backbone_of_bytes(tmp_path / "other", "other"))
    assert read_manifest(current(home)).name == "other"
    assert releases_in(home) == ["0002"]


@pytest.mark.parametrize("before", [None, "old"])
def test_a_kill_anywhere_leaves_the_old_release_or_the_new_one_active_and_whole(tmp_path, before):
    (tmp_path / "home").mkdir()
    if before is not None:
        install_first(tmp_path / "home", backbone_of_bytes(tmp_path / before, before))
    source = backbone_of_bytes(tmp_path / "new", "new")
    active = []
    for home in homes_killed_while_installing(tmp_path, source):
        active.append(whole_release_in(home))
        install_first(home, source)
        assert (whole_release_in(home), len(releases_in(home))) == ("new", 1)
        assert not list((home / "releases").glob(".*.draft"))
    assert len(active) > 15, "hardly any kill: the test proves nothing"
    switch = active.index("new")
    assert active == [before] * switch + ["new"] * (len(active) - switch)


def test_several_first_starts_at_once_all_find_the_backbone_of_the_wheel(tmp_path):
    package, home = package_with(tmp_path / "package", bundled=False), tmp_path / "home"
    large = FILES | {"golden.npz": bytes(30_000_000)}  # long enough to write that they meet
    backbone_of_bytes(package / "edgecl" / "backbones" / "efficientnet-lite0", "bundled", large)
    processes = [started(package, home) for _ in range(8)]
    for process in processes:
        process.stdin.close()
    for process in processes:
        process.stdin = None  # communicate() would flush it
    said = {process.communicate()[0].strip() for process in processes}
    assert said == {str(release_folder(home, 1))}
    assert releases_in(home) == ["0001"]


@pytest.mark.parametrize("file", sorted(FILES))
@pytest.mark.parametrize("damage", ["changed", "cut off", "gone"])
def test_a_damaged_source_is_refused_and_the_active_release_stays(tmp_path, file, damage):
    home, source = tmp_path / "home", backbone_of_bytes(tmp_path / "source", "damaged")
    install_first(home, backbone_of_bytes(tmp_path / "sound"))
    before = tree(home / "current"), (home / "current").readlink()
    data = (source / file).read_bytes()
    (source / file).unlink()
    if damage != "gone":
        (source / file).write_bytes(data[:-1] if damage == "cut off" else data[:-1] + b"!")
    with pytest.raises(BackboneDamaged, match=file.replace(".", r"\.")):
        install_first(home, source)
    assert (tree(home / "current"), (home / "current").readlink()) == before


def test_a_damaged_source_leaves_nothing_behind(tmp_path):
    home, source = tmp_path / "home", backbone_of_bytes(tmp_path / "source")
    install_first(home, backbone_of_bytes(tmp_path / "sound"))
    before = tree(home)
    (source / "golden.npz").write_bytes(b"other pictures!")
    with pytest.raises(BackboneDamaged):
        install_first(home, source)
    assert tree(home) == before


def test_a_source_without_a_manifest_changes_nothing(tmp_path):
    (tmp_path / "source").mkdir()
    with pytest.raises(BackboneMissing):
        install_first(tmp_path / "home", tmp_path / "source")
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/b", ".hidden", ""])
def test_a_manifest_cannot_name_a_file_elsewhere(tmp_path, name):
    source = backbone_of_bytes(tmp_path / "source")
    text = (source / MANIFEST_FILE).read_text()
    (source / MANIFEST_FILE).write_text(text.replace("golden.npz", name))
    with pytest.raises(BackboneDamaged, match="golden"):
        install_first(tmp_path / "home", source)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b'{"format": 1}', b" " * 70_000], ids=repr)
def test_a_manifest_that_is_none_is_refused(tmp_path, data):
    source = backbone_of_bytes(tmp_path / "source")
    (source / MANIFEST_FILE).write_bytes(data)
    with pytest.raises(BackboneDamaged):
        install_first(tmp_path / "home", source)


def test_the_draft_of_an_interrupted_installation_is_no_obstacle(tmp_path):
    draft = tmp_path / "home" / "releases" / ".0001.draft"
    draft.mkdir(parents=True)
    (draft / "half").write_bytes(b"x")
    folder = install_first(tmp_path / "home", backbone_of_bytes(tmp_path / "source"))
    assert not draft.exists()
    assert not (folder / "half").exists()


def test_a_home_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "home").write_bytes(b"")
    with pytest.raises(StoreUnwritable):
        install_first(tmp_path / "home", backbone_of_bytes(tmp_path / "source"))


def test_without_a_backbone_the_message_says_how_to_get_one(tmp_path):
    said = current_in(package_with(tmp_path / "package", bundled=False), tmp_path / "home")
    assert said.startswith("BackboneMissing")
    assert "edgecl export" in said


def test_the_backbone_of_the_wheel_is_installed_into_a_new_home(tmp_path):
    package = package_with(tmp_path / "package", bundled=True)
    said = current_in(package, tmp_path / "home")
    assert said == str(tmp_path / "home" / "releases" / "0001")
    assert read_manifest(tmp_path / "home" / "current").name == "bundled"


def test_a_home_that_has_a_backbone_keeps_it_whatever_comes_with_the_wheel(tmp_path):
    package = package_with(tmp_path / "package", bundled=True)
    install_first(tmp_path / "home", backbone_of_bytes(tmp_path / "source", "mine"))
    current_in(package, tmp_path / "home")
    assert read_manifest(tmp_path / "home" / "current").name == "mine"


def test_a_damaged_backbone_of_the_wheel_is_refused(tmp_path):
    package = package_with(tmp_path / "package", bundled=True)
    (package / "edgecl" / "backbones" / "efficientnet-lite0" / "golden.npz").write_bytes(b"Golden pictures")
    assert current_in(package, tmp_path / "home").startswith("BackboneDamaged")


def test_an_exported_backbone_can_be_installed_and_loaded(tmp_path, backbone_folder):
    from edgecl.backbone import Backbone

    folder = install_first(tmp_path / "home", backbone_folder)
    for precision in read_manifest(folder).graphs:
        backbone = Backbone(folder, BackboneSettings(precision=precision, threads=1))
        assert backbone.tail_digest == read_manifest(backbone_folder).graphs[precision].tail.sha256
