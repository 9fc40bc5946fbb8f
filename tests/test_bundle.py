"""The offline bundle: what its installer refuses, what it installs, and what it leaves alone."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType

import pip
import pytest

from edgecl.releases.signing import PublicKey, generate

ROOT = Path(__file__).parents[1]
PYTHON = f"3.{sys.version_info.minor}"
ANSWERS = """
import json, sys
from pathlib import Path
def main():
    if sys.argv[1:] == ["--version"]:
        print("edgecl {version}")
    else:
        Path(sys.prefix, "asked.json").write_text(json.dumps(sys.argv))
"""


def script(name: str) -> ModuleType:
    """A script of deploy/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "deploy" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


bundles, installer = script("bundle"), script("install")


def wheel(folder: Path, version: str, program: str = ANSWERS, backbone: str = "") -> None:
    """A wheel named edgecl: what the installer asks of the real one, and nothing else."""
    info = f"edgecl-{version}.dist-info"
    files = {
        "edgecl/__init__.py": "",
        "edgecl/app.py": program.replace("{version}", version),
        "edgecl/backbone.py": backbone,
        f"{info}/METADATA": f"Metadata-Version: 2.4\nName: edgecl\nVersion: {version}\nLicense-Expression: Apache-2.0\n"
        "Provides-Extra: mqtt\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\nedgecl = edgecl.app:main\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"edgecl-{version}-py3-none-any.whl", "w") as file:
        for name, text in files.items():
            file.writestr(name, text)


@pytest.fixture(scope="session")
def pip_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pip that runs here, as the one file that a bundle has of it."""
    path = tmp_path_factory.mktemp("pip") / f"pip-{pip.__version__}-py3-none-any.whl"
    package = Path(pip.__file__).parent
    info = package.with_name(f"pip-{pip.__version__}.dist-info")
    files = [source for source in package.rglob("*.*") if source.is_file() and "__pycache__" not in source.parts]
    files += [info / name for name in ("METADATA", "WHEEL", "entry_points.txt")]
    names = [str(source.relative_to(package.parent)) for source in files]
    with zipfile.ZipFile(path, "w") as file:
        for name, source in zip(names, files, strict=True):
            file.write(source, name)
        file.writestr(f"{info.name}/RECORD", "".join(f"{name},,\n" for name in [*names, f"{info.name}/RECORD"]))
    return path


def bundle_in(place: Path, pip_wheel: Path, key: Path | None, about: dict[str, str], **kind: str) -> Path:
    """A bundle of version 1.0 for this machine, as `make bundle` would make it, around a wheel of the test's."""
    folder = place / "edgecl-1.0"
    (folder / "wheels").mkdir(parents=True)
    wheel(folder / "wheels", "1.0", **kind)
    shutil.copy(pip_wheel, folder / "wheels")
    facts = {"version": "1.0", "machine": platform.machine(), "python": PYTHON} | about
    (folder / "bundle.json").write_text(json.dumps(facts))
    shutil.copy(ROOT / "deploy" / "install.py", folder)
    bundles.seal(folder, key)
    return folder


@pytest.fixture
def make(tmp_path, pip_wheel):
    """Makes a bundle."""

    def made(key: Path | None = None, about: dict[str, str] | None = None, **kind: str) -> Path:
        return bundle_in(tmp_path, pip_wheel, key, about or {}, **kind)

    return made


@pytest.fixture
def prefix(tmp_path) -> Path:
    return tmp_path / "opt" / "edgecl"


def install(
    bundle: Path, prefix: Path, *options: str, path: str | None = None, python: tuple[str, ...] = ("-I",)
) -> subprocess.CompletedProcess[str]:
    """Run the bundle's own installer."""
    command = [sys.executable, *python, bundle / "install.py", "--prefix", prefix, "--no-link", *options]
    environment = os.environ | ({} if path is None else {"PATH": path})
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def version(prefix: Path) -> str:
    return subprocess.run([prefix / "bin" / "edgecl", "--version"], capture_output=True, text=True, check=True).stdout


def refusal(bundle: Path, prefix: Path, *options: str, path: str | None = None) -> str:
    """Why it is refused, once it is sure that nothing was installed."""
    done = install(bundle, prefix, *options, path=path)
    assert done.returncode == 1, done.stdout
    assert not prefix.parent.exists() or {path.name for path in prefix.parent.iterdir()} <= {"edgecl.lock"}
    return done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory, pip_wheel) -> tuple[Path, str]:
    """Where a bundle was installed, with a service, and what was said meanwhile."""
    place = tmp_path_factory.mktemp("installed")
    done = install(bundle_in(place, pip_wheel, None, {}), place / "opt" / "edgecl", "--service")
    assert done.returncode == 0, done.stderr
    return place / "opt" / "edgecl", done.stdout


def test_a_bundle_is_installed_and_answers(installed):
    assert version(installed[0]) == "edgecl 1.0\n"


def test_a_service_is_installed_by_the_name_that_stays_the_same(installed):
    asked = json.loads((installed[0] / "asked.json").read_text())
    assert asked == [f"{installed[0]}/bin/edgecl", "service", "install"]


def test_whoever_names_no_key_is_told_that_checksums_are_no_signature(installed):
    assert installed[1].startswith("no --key was given: checksums tell whether the bundle is whole, not who made it\n")


def test_the_next_command_is_told(installed):
    assert installed[1].endswith(f"; next: sudo {installed[0]}/bin/edgecl teach cup csi://0\n")


@pytest.fixture
def former(prefix) -> Path:
    """An edgecl 0.9 that was installed before."""
    slot = prefix.with_name("edgecl-a")
    (slot / "bin").mkdir(parents=True)
    (slot / "bin" / "edgecl").write_text("#!/bin/sh\necho edgecl 0.9\n")
    (slot / "bin" / "edgecl").chmod(0o755)
    prefix.symlink_to(slot)
    return slot


def test_a_newer_one_takes_the_place_of_the_former_which_stays_beside_it(make, prefix, former):
    assert install(make(), prefix).returncode == 0
    assert version(prefix) == "edgecl 1.0\n"
    assert version(former) == "edgecl 0.9\n"


def test_the_place_of_the_last_but_one_is_used_again(prefix, former):
    (prefix.with_name("edgecl-b") / "old").mkdir(parents=True)
    (prefix.with_name("edgecl-b") / "pyvenv.cfg").touch()
    slot = installer.unused_slot(prefix)
    assert (slot, slot.exists()) == (prefix.with_name("edgecl-b"), False)


@pytest.mark.parametrize(
    "kind",
    [
        {"program": "def main():\n    raise SystemExit('no such library')"},
        {"program": "def main():\n    print('edgecl 0.1')"},
        {"backbone": "import nothing_of_that_name"},
    ],
    ids=["fails", "is another version", "cannot be imported"],
)
def test_a_newer_edgecl_that_does_not_answer_leaves_the_former_in_its_place(make, prefix, former, kind):
    done = install(make(**kind), prefix)
    assert done.returncode == 1
    assert done.stderr.endswith("the edgecl that was installed before stays as it was\n")
    assert version(prefix) == "edgecl 0.9\n"
    assert sorted(path.name for path in prefix.parent.iterdir()) == ["edgecl", "edgecl-a", "edgecl.lock"]


def test_the_command_is_a_link_to_it_which_an_upgrade_may_replace(tmp_path):
    link = tmp_path / "bin" / "edgecl"
    for target in ("former", "newer"):
        installer.check_places(tmp_path / "opt" / "edgecl", link)
        installer.point(link, tmp_path / target)
    assert link.readlink() == tmp_path / "newer"


def test_something_else_in_its_place_is_not_overwritten(make, prefix):
    (prefix / "precious").mkdir(parents=True)
    done = install(make(), prefix)
    assert "found something else" in done.stderr
    assert [path.name for path in prefix.iterdir()] == ["precious"]


@pytest.mark.parametrize("python", [("-I",), ()], ids=["as documented", "without -I"])
def test_nothing_of_a_bundle_that_has_not_been_checked_is_run(make, prefix, tmp_path, python):
    bundle = make()
    for name in sys.stdlib_module_names:
        (bundle / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write({name!r})\n")
    done = install(bundle, prefix, python=python)
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()
    assert "is not listed in SHA256SUMS" in done.stderr


def test_every_command_that_is_told_keeps_the_bundle_from_being_imported_from():
    told = [ROOT / "README.md", *(ROOT / "docs" / "howto").glob("*.md"), *(ROOT / "deploy").glob("*.*")]
    text = "\n".join(path.read_text("utf-8") for path in told)
    options = re.findall(r"\bpython3((?:\s+-\w+)*)\s+\S+/install\.py", text)
    assert len(options) > 5
    assert {option.strip() for option in options} == {"-I"}


def test_an_older_python_gets_as_far_as_being_told_which_bundle_it_needs():
    """3.8 cannot evaluate `str | None`, nor `list[str]`; what is in quotes it leaves alone."""
    functions = [one for one in vars(installer).values() if getattr(one, "__module__", None) == installer.__name__]
    notes = [note for one in functions for note in one.__annotations__.values()]
    assert len(notes) > 20
    assert {type(note) for note in notes} == {str, type, type(None)}


def test_a_second_installer_is_refused_while_one_is_at_work(make, prefix):
    prefix.parent.mkdir()
    with installer.alone(prefix.parent):
        assert "found another installer at work" in refusal(make(), prefix)
    with installer.alone(prefix.parent):
        pass  # the next one is let in


def test_the_link_changes_once_all_is_on_the_disk_and_is_then_put_there_itself(make, prefix, monkeypatch):
    """Each call that matters, in its order, with what it was about."""
    order = []

    def noted(owner, name, about):
        call = getattr(owner, name)

        def noting(*arguments):
            order.append((name, about(*arguments)))
            return call(*arguments)

        monkeypatch.setattr(owner, name, noting)

    monkeypatch.setattr(installer, "make_environment", lambda slot, *_: slot.mkdir())
    noted(installer, "make_environment", lambda slot, *_: slot.name)
    noted(os, "sync", lambda: None)
    noted(Path, "replace", lambda _, target: target)
    noted(os, "fsync", lambda descriptor: Path(f"/proc/self/fd/{descriptor}").readlink())
    monkeypatch.setattr(installer, "LINK", link := prefix.parent.with_name("bin") / "edgecl")
    installer.install(make(), prefix, None, True, False)
    assert order == [
        ("make_environment", "edgecl-a"),
        ("sync", None),
        ("replace", prefix),
        ("fsync", prefix.parent),
        ("replace", link),
        ("fsync", link.parent),
    ]


def altered(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


def linked(path: Path) -> None:
    path.rename(path.parent.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent.parent / "elsewhere")


@pytest.mark.parametrize(
    ("harm", "expected"),
    [
        (altered, "changed or cut short"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "changed or cut short"),
        (Path.unlink, "is missing"),
        (linked, "is no plain file"),
        (lambda path: (path.parent / "stranger.whl").write_bytes(b""), "stranger.whl is not listed"),
        (lambda path: (path.parent / "stranger.whl").symlink_to(path), "stranger.whl is not listed"),
    ],
    ids=["altered", "cut short", "missing", "a link", "a stranger", "a stranger that is a link"],
)
def test_files_that_are_not_what_was_packed_are_refused(make, prefix, harm, expected):
    bundle = make()
    harm(next((bundle / "wheels").glob("edgecl-*.whl")))
    assert expected in refusal(bundle, prefix)


@pytest.mark.parametrize("slot", ["edgecl-a", "edgecl-b"])
def test_what_is_beside_and_no_former_installation_stays(make, prefix, slot):
    (prefix.parent / slot).mkdir(parents=True)
    (prefix.parent / slot / "letters.txt").touch()
    if slot == "edgecl-b":
        (prefix.parent / "edgecl-a").mkdir()
        prefix.symlink_to("edgecl-a")
    done = install(make(), prefix)
    assert (done.returncode, "found something else at" in done.stderr) == (1, True)
    assert (prefix.parent / slot / "letters.txt").exists()


def test_a_folder_that_is_no_bundle_is_refused(make, prefix):
    bundle = make()
    (bundle / "SHA256SUMS").unlink()
    assert "found no SHA256SUMS" in refusal(bundle, prefix)


@pytest.mark.parametrize("about", [{"machine": "riscv64"}, {"python": "3.9"}], ids=["machine", "Python"])
def test_a_bundle_for_another_machine_or_python_is_refused_with_the_one_to_make(make, prefix, about):
    said = refusal(make(about=about), prefix)
    assert f"make the bundle of TARGET={platform.machine()}-cp{PYTHON.replace('.', '')}" in said


@pytest.fixture
def key(tmp_path) -> tuple[Path, PublicKey]:
    """A private key in a file, and its public half."""
    path = tmp_path / "keys" / "release.pem"
    return path, generate(path, "the maker of bundles")


def test_a_signature_by_the_key_that_was_asked_for_is_accepted(make, key, capsys):
    private, public = key
    installer.check_signature(make(key=private), public.line)
    assert capsys.readouterr().out == f"signed by {public.line}\n"


def test_the_key_may_be_in_a_file(make, tmp_path, key):
    private, public = key
    (tmp_path / "key.pub").write_text(public.line + "\n")
    installer.check_signature(make(key=private), str(tmp_path / "key.pub"))


def test_another_key_s_signature_is_refused(make, prefix, tmp_path, key):
    other = generate(tmp_path / "other" / "release.pem", "someone else")
    assert "not by this key" in refusal(make(key=key[0]), prefix, "--key", other.line)


def test_checksums_that_were_made_to_fit_after_signing_are_refused(make, prefix, key):
    bundle = make(key=key[0])
    path = next((bundle / "wheels").glob("edgecl-*.whl"))
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    altered(path)
    sums = (bundle / "SHA256SUMS").read_text()
    (bundle / "SHA256SUMS").write_text(sums.replace(before, hashlib.sha256(path.read_bytes()).hexdigest()))
    installer.check_files(bundle)
    assert "not by this key" in refusal(bundle, prefix, "--key", key[1].line)


def test_a_bundle_without_a_signature_is_refused_to_who_asks_for_one(make, prefix, key):
    assert "expected a signed bundle" in refusal(make(), prefix, "--key", key[1].line)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"signature": 3}', '{"signature": "?"}'])
def test_a_malformed_signature_is_refused(make, prefix, key, content):
    bundle = make(key=key[0])
    (bundle / "SHA256SUMS.sig").write_text(content)
    assert "malformed SHA256SUMS.sig" in refusal(bundle, prefix, "--key", key[1].line)


def test_a_signature_that_cannot_be_checked_is_refused(make, prefix, tmp_path, key):
    assert "sudo apt install openssl" in refusal(
        make(key=key[0]), prefix, "--key", key[1].line, path=str(tmp_path / "empty")
    )


def test_what_is_no_key_is_refused(make, prefix):
    assert "expected the line that `edgecl release keygen` printed" in refusal(make(), prefix, "--key", "ed25519 no")


def test_libraries_that_nobody_can_bring_are_named_with_their_packages(monkeypatch, tmp_path):
    monkeypatch.setattr(installer, "LIBRARIES", ("libm.so.6", "libnothing-of-that-name.so.1"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(installer.Refused, match=r"found no libnothing-of-that-name.so.1, .* apt install libgl1 libgl"):
        installer.ensure_libraries()


@pytest.mark.parametrize("target", ["armv7l-cp311", "aarch64-cp39", "aarch64-cp314", "aarch64", "aarch64-cp311-x"])
def test_a_target_for_which_there_are_no_wheels_is_refused(target):
    with pytest.raises(SystemExit, match="expected MACHINE-cpXY"):
        bundles.parse(target)


def test_a_target_names_a_machine_and_a_python():
    assert bundles.parse("aarch64-cp311") == ("aarch64", "3.11")
    assert bundles.parse("x86_64-cp310") == ("x86_64", "3.10")


def test_the_same_files_give_the_same_archive_byte_by_byte(make):
    folder = make()
    first = bundles.pack(folder, folder.with_name("first.tar")).read_bytes()
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    assert bundles.pack(folder, folder.with_name("second.tar")).read_bytes() == first


def test_an_archive_unpacks_to_what_its_installer_takes(make, tmp_path, capsys):
    with tarfile.open(bundles.pack(make(), tmp_path / "bundle.tar")) as file:
        file.extractall(tmp_path / "unpacked", filter="data")
    installer.check_files(tmp_path / "unpacked" / "edgecl-1.0")
    assert capsys.readouterr().out == "4 files are as SHA256SUMS lists them\n"


def test_checksums_are_in_the_form_that_sha256sum_reads(make):
    done = subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=make(), check=False)
    assert done.returncode == 0


def test_the_licence_of_each_package_is_told_as_its_wheel_tells_it(make):
    (path,) = (make() / "wheels").glob("edgecl-*.whl")
    assert bundles.license_line(path) == "edgecl 1.0: Apache-2.0\n"
