"""Which part of edgecl may know which, read from its imports; and what no part may do."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import edgecl

PACKAGE = Path(edgecl.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))
HEAVY = {"cv2", "numpy", "onnxruntime", "onnx", "torch", "skimage", "pydantic"}

# What these may import beside the standard library. Modules of edgecl count by the part they belong to.
KNOWS = {
    "errors": set[str](),
    "types": {"numpy", "errors"},
    "files": {"errors"},
    "config": {"platformdirs", "pydantic", "tomli", "errors"},
    "lbfgs": {"numpy"},
    "whitening": {"numpy", "memory"},
    "memory": {"numpy", "memory", "errors", "files", "types", "images"},
    "heads": {"numpy", "heads", "memory", "errors", "lbfgs", "types", "whitening"},
    "unknown": {"numpy", "heads", "memory", "errors", "types", "whitening", "lbfgs"},
    "recognition": {"numpy", "heads", "memory", "errors", "types", "unknown", "whitening", "lbfgs"},
    "smoothing": {"numpy", "recognition", "types"},
}


def name_of(path: Path) -> str:
    """`memory/store.py` → `memory.store`."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def part_of(path: Path) -> str:
    """The file or folder under edgecl/ that it belongs to."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(node: ast.AST) -> Iterator[str]:
    """Full names of all that is imported in `node`, at whatever depth; `from edgecl import x` gives `edgecl.x`."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Import):
            yield from (alias.name for alias in inner.names)
        elif isinstance(inner, ast.ImportFrom):
            assert inner.level == 0, "relative import"
            assert inner.module is not None
            if inner.module == "edgecl":
                yield from (f"edgecl.{alias.name}" for alias in inner.names)
            else:
                yield inner.module


def known(path: Path) -> set[str]:
    """What a module knows: foreign packages, and parts of edgecl by their name alone."""
    found = set()
    for name in imports(ast.parse(path.read_text("utf-8"))):
        top, _, rest = name.partition(".")
        if top == "edgecl" and rest.partition(".")[0] != "__version__":
            found.add(rest.partition(".")[0])
        elif top != "edgecl" and top not in sys.stdlib_module_names:
            found.add(top)
    return found


def in_every_module(test):
    return pytest.mark.parametrize("path", MODULES, ids=name_of)(test)


@in_every_module
def test_only_the_workstation_and_the_fleet_know_how_to_train(path):
    if part_of(path) not in ("workstation", "fleet"):
        assert not known(path) & {"torch", "torchvision", "timm", "onnx", "onnxscript", "onnx_ir", "flwr"}


@in_every_module
def test_a_device_knows_the_workstation_only_through_its_commands(path):
    if part_of(path) not in ("workstation", "fleet", "cli", "evaluate"):
        assert "workstation" not in known(path)


@in_every_module
def test_what_is_pure_knows_little(path):
    allowed = KNOWS.get(part_of(path))
    if allowed is not None:
        assert known(path) <= allowed


def test_the_list_of_the_pure_has_no_stale_name():
    assert set(KNOWS) <= {part_of(path) for path in MODULES}


def test_the_learner_knows_no_camera_and_no_network():
    forbidden = {"cameras", "cli", "http", "socket", "urllib", "ssl", "threading", "fastapi"}
    text = (PACKAGE / "learner.py").read_text("utf-8")
    assert not {name.split(".")[0] for name in imports(ast.parse(text))} & forbidden
    assert not known(PACKAGE / "learner.py") & forbidden


@in_every_module
def test_nothing_but_the_commands_knows_the_commands(path):
    if part_of(path) not in ("cli", "__main__"):
        assert not known(path) & {"cli", "typer", "click"}


@in_every_module
def test_the_memory_is_opened_by_few(path):
    """Cameras, the gate, heads and the like get values handed in."""
    if part_of(path) in ("cameras", "gate", "heads", "unknown", "recognition", "smoothing", "images", "backbone"):
        names = set(imports(ast.parse(path.read_text("utf-8"))))
        assert not names & {"edgecl.memory.store", "edgecl.memory.database", "edgecl.home", "sqlite3"}


def test_the_command_line_starts_without_anything_heavy():
    script = f"import sys, edgecl.cli.app; print(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_starts_without_anything_heavy():
    script = (
        "import sys; from edgecl.cli.app import main\n"
        "status = main(['--help'])\n"
        f"print(status, sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "0 []"


@in_every_module
def test_no_file_of_others_can_run_code(path):
    tree = ast.parse(path.read_text("utf-8"))
    assert not {name.split(".")[0] for name in imports(tree)} & {"pickle", "cPickle", "dill", "marshal", "shelve"}
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        given = {word.arg: ast.unparse(word.value) for word in call.keywords}
        called = ast.unparse(call.func)
        assert given.get("allow_pickle", "False") == "False"
        if called in ("np.load", "numpy.load", "np.lib.format.read_array"):
            assert given.get("allow_pickle") == "False", "say so, whatever the default may become"
        if called == "torch.load":
            assert part_of(path) == "workstation"
            assert given.get("weights_only") == "True"
        assert called not in ("eval", "exec", "os.system"), called


@in_every_module
def test_whoever_catches_everything_says_why_or_passes_it_on(path):
    text = path.read_text("utf-8")
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = "everything" if node.type is None else ast.unparse(node.type)
        if not {"everything", "Exception", "BaseException"} & set(caught.strip("()").split(", ")):
            continue
        passed_on = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
        assert passed_on or "  # " in lines[node.lineno - 1], f"line {node.lineno}"


@in_every_module
def test_a_module_says_what_it_is(path):
    tree = ast.parse(path.read_text("utf-8"))
    assert ast.get_docstring(tree) or not tree.body
