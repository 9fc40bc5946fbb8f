"""A backbone of a few hundred numbers, homes that were taught with it, and releases of new tails for it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgecl.backbone import Backbone, preprocess
from edgecl.config import BackboneSettings, Settings
from edgecl.files import sha256
from edgecl.manifest import (
    MANIFEST_FILE,
    BackboneManifest,
    FileEntry,
    Graphs,
    InputSpec,
    LatentCode,
    Precision,
    read_manifest,
)
from edgecl.memory.lessons import LessonDraft
from edgecl.memory.store import Store
from edgecl.releases import install_first
from edgecl.releases.document import About, ReleaseDocument
from edgecl.releases.making import add_candidate
from edgecl.releases.signing import generate, trust
from edgecl.releases.slots import release_folder
from edgecl.runtime import open_session, run
from edgecl.types import Example, Latent
from edgecl.workstation.export import archive

SIDE, SHAPE, DIMENSION = 32, (3, 4, 4), 16
CODE = LatentCode(scale=1.0, zero_point=-128)
PRECISIONS: tuple[Precision, ...] = ("fp32", "int8")
ONE_THREAD = BackboneSettings(threads=1)
SETTINGS = Settings(backbone=ONE_THREAD)
ABOUT = About(
    created_at=1_700_000_000.0, recipe="test", seed=1, accuracy_before=0.7, accuracy_after=0.8, classes=3, views=30
)


def _model(nodes: list[Any], tensors: Mapping[str, Any], takes: Any, gives: Any, **more: Any) -> bytes:
    kept = [numpy_helper.from_array(np.asarray(value), name) for name, value in tensors.items()]
    graph = helper.make_graph(nodes, "tiny", [takes], [gives], kept)
    opsets = [helper.make_opsetid("", 20), *more.pop("opsets", [])]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())


def trunk(precision: Precision, gain: float = 1.0) -> bytes:
    """uint8 (N, 32, 32, 3) → means of 8 × 8 pixels, (N, 3, 4, 4), as they are or in int8 codes."""
    nodes = [
        helper.make_node("Cast", ["image"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["real"], ["turned"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["turned"], ["pooled"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Mul", ["pooled", "gain"], ["latent"]),
    ]
    tensors: dict[str, Any] = {"gain": np.float32(gain)}
    kind = TensorProto.FLOAT
    if precision == "int8":
        nodes[-1].output[0] = "scaled"
        nodes.append(helper.make_node("QuantizeLinear", ["scaled", "scale", "zero"], ["latent"]))
        tensors |= {"scale": np.float32(CODE.scale), "zero": np.int8(CODE.zero_point)}
        kind = TensorProto.INT8
    takes = helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", SIDE, SIDE, 3])
    return _model(nodes, tensors, takes, helper.make_tensor_value_info("latent", kind, ["N", *SHAPE]))


def tail(
    precision: Precision,
    change: float = 0.0,
    seed: int = 1,
    width: int = DIMENSION,
    factor: float = 1.0,
    slow: int = 0,
    blind: bool = False,
    small: float = 1e-6,
    extra: tuple[Any, ...] = (),
    opsets: tuple[Any, ...] = (),
) -> bytes:
    """(N, 3, 4, 4) → float32 (N, D) of length 1; `change` moves its weights away from those of the first tail.

    Args:
        precision: of its input.
        change: share of other random weights, of `seed`.
        seed: of the change.
        width: D.
        factor: of the output; NaN for numbers that are not finite.
        slow: matrix products to go through for nothing.
        blind: whether it sees nothing but how bright a picture is, and makes nothing of that either.
        small: added to a length before it divides; with 0 a black picture gives numbers that are not finite.
        extra: nodes put before all others.
        opsets: of further operators.
    """
    entries = int(np.prod(SHAPE))
    weight = np.random.default_rng(0).normal(size=(entries, width))
    weight = (1 - change) * weight + change * np.random.default_rng(seed).normal(size=(entries, width))
    if blind:
        weight = np.repeat(weight[:1], entries, axis=0)
    tensors: dict[str, Any] = {
        "weight": weight.astype(np.float32),
        "factor": np.float32(factor),
        "small": np.float32(small),
        "axis": np.array([1], np.int64),
    }
    nodes, x = list(extra), "latent"
    if precision == "int8":
        nodes.append(helper.make_node("DequantizeLinear", ["latent", "scale", "zero"], ["real"]))
        tensors |= {"scale": np.float32(CODE.scale), "zero": np.int8(CODE.zero_point)}
        x = "real"
    nodes.append(helper.make_node("Flatten", [x], ["flat"]))
    x = "flat"
    if slow:
        tensors["large"] = np.eye(entries, 1500, dtype=np.float32)
        tensors["square"] = np.eye(1500, dtype=np.float32)
        tensors["back"] = np.eye(1500, entries, dtype=np.float32)
        nodes.append(helper.make_node("MatMul", [x, "large"], ["s"]))
        for k in range(slow):
            nodes.append(helper.make_node("MatMul", ["s" if k == 0 else f"s{k}", "square"], [f"s{k + 1}"]))
        nodes.append(helper.make_node("MatMul", [f"s{slow}", "back"], ["slowed"]))
        x = "slowed"
    nodes += [
        helper.make_node("MatMul", [x, "weight"], ["mixed"]),
        helper.make_node("Abs", ["mixed"], ["positive"]),
        helper.make_node("Sqrt", ["positive"], ["rooted"]),
        helper.make_node("ReduceL2", ["rooted", "axis"], ["length"], keepdims=1),
        helper.make_node("Add", ["length", "small"], ["safe"]),
        helper.make_node("Div", ["rooted", "safe"], ["unit"]),
        helper.make_node("Mul", ["unit", "factor"], ["embedding"]),
    ]
    kind = TensorProto.INT8 if precision == "int8" else TensorProto.FLOAT
    takes = helper.make_tensor_value_info("latent", kind, ["N", *SHAPE])
    gives = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", width])
    return _model(nodes, tensors, takes, gives, opsets=list(opsets))


BLACK = np.zeros((48, 64, 3), np.uint8)


def pictures(n: int = 6, seed: int = 0) -> list[NDArray[np.uint8]]:
    """Raw pictures uint8 (48, 64, 3) BGR of coarse noise."""
    rng = np.random.default_rng(seed)
    return [np.kron(rng.integers(0, 256, (6, 8, 3), np.uint8), np.ones((8, 8, 1), np.uint8)) for _ in range(n)]


def entry(name: str, data: bytes) -> FileEntry:
    return FileEntry(file=name, bytes=len(data), sha256=sha256(data))


def backbone_files(gain: float = 1.0) -> dict[str, bytes]:
    """All files of the first backbone, its manifest among them."""
    spec = InputSpec(size=SIDE, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    raws = pictures()
    prepared = np.stack([preprocess(raw, spec) for raw in raws])
    files: dict[str, bytes] = {}
    seen: dict[str, Any] = {f"raw.{k}": raw for k, raw in enumerate(raws)} | {"pictures": prepared}
    for precision in PRECISIONS:
        files[f"trunk.{precision}.onnx"] = trunk(precision, gain)
        seen[f"{precision}.latents"] = run(open_session(files[f"trunk.{precision}.onnx"], ONE_THREAD), prepared)
    files["golden.npz"] = archive(seen)
    manifest = BackboneManifest(
        name="tiny",
        input=spec,
        cut="after the mean",
        latent_shape=SHAPE,
        dimension=DIMENSION,
        spread=0.1,
        transform="power-l2",
        opset=20,
        graphs={
            precision: Graphs(
                trunk=entry(f"trunk.{precision}.onnx", files[f"trunk.{precision}.onnx"]),
                tail=entry(f"tail.{precision}.onnx", b"none yet"),
                latent=CODE if precision == "int8" else None,
            )
            for precision in PRECISIONS
        },
        golden=entry("golden.npz", files["golden.npz"]),
        answers=entry("answers.npz", b"none yet"),
        license="none",
        source="this test",
    )
    return files | tail_files(manifest, files["golden.npz"])


def tail_files(manifest: BackboneManifest, golden: bytes, answers: Any = None, **how: Any) -> dict[str, bytes]:
    """The files of a new tail for the trunk of `manifest`, the manifest among them; see `tail`."""
    import io

    files: dict[str, bytes] = {}
    given = {}
    with np.load(io.BytesIO(golden), allow_pickle=False) as seen:
        for precision in PRECISIONS:
            files[f"tail.{precision}.onnx"] = tail(precision, **how)
            if answers is None:
                session = open_session(files[f"tail.{precision}.onnx"], ONE_THREAD)
                given[f"{precision}.embeddings"] = run(session, seen[f"{precision}.latents"])
    files["answers.npz"] = archive(given if answers is None else answers)
    graphs = {
        precision: manifest.graphs[precision].model_copy(
            update={"tail": entry(f"tail.{precision}.onnx", files[f"tail.{precision}.onnx"])}
        )
        for precision in PRECISIONS
    }
    update = {"graphs": graphs, "answers": entry("answers.npz", files["answers.npz"])}
    return files | {MANIFEST_FILE: manifest.model_copy(update=update).to_bytes()}


def backbone_folder(folder: Path, gain: float = 1.0) -> Path:
    """The first backbone as a folder."""
    folder.mkdir(parents=True)
    for name, data in backbone_files(gain).items():
        (folder / name).write_bytes(data)
    return folder


def home_of(folder: Path, backbone: Path) -> Path:
    """A home with that backbone, in which nothing was taught."""
    install_first(folder, backbone)
    # Networks that take microseconds say nothing of time, and less on a busy machine.
    (folder / "edgecl.toml").write_text("[backbone]\nthreads = 1\n[release]\nlatency_ratio_max = 1000.0\n")
    return folder


def teach(store: Store, backbone: Backbone, label: str, n: int = 8, spread: float = 12.0) -> None:
    """One lesson of `n` views about a picture that belongs to the label."""
    rng = np.random.default_rng(sum(label.encode()))
    middle = rng.integers(40, 216, SHAPE)
    views = np.random.default_rng(n + sum(label.encode()) + store.revision)
    latents = [
        Latent(
            (np.clip(middle + views.normal(0, spread, SHAPE), 0, 255) - 128).astype(np.int8),
            CODE.scale,
            CODE.zero_point,
        )
        for _ in range(n)
    ]
    examples = [Example(0, 0, 0, latent, backbone.trunk_digest, None, time.time(), "test") for latent in latents]
    vectors = backbone.embed(latents)
    draft = LessonDraft(label, "camera", examples, vectors, backbone.tail_digest, n, 0, 0, {}, time.time())
    store.teach(draft, 20)


LABELS = ("cup", "fork", "plate")


def taught(folder: Path, backbone: Path, n: int = 8) -> Path:
    """A home with that backbone, in which three classes were taught."""
    home = home_of(folder, backbone)
    loaded = Backbone(home / "current", ONE_THREAD)
    with Store(home) as store:
        for label in LABELS:
            teach(store, loaded, label, n)
    return home


def candidate_files(parent: Path, **how: Any) -> dict[str, bytes]:
    """What a consolidation hands over: a new tail for the trunk of `parent`, and its papers."""
    manifest = read_manifest(parent)
    golden = (parent / manifest.golden.file).read_bytes()
    papers = {
        "acceptance.json": b"{}\n",
        "report.md": b"# Accepted\n",
        "report.png": b"\x89PNG\r\n",
        "training.safetensors": bytes(500),
    }
    return tail_files(manifest, golden, **how) | papers


def candidate(home: Path, key: Path | None = None, change: float = 0.05, **how: Any) -> ReleaseDocument:
    """A new release in `home`, made from the active one."""
    parent = (home / "current").resolve()
    return add_candidate(home, parent, candidate_files(parent, change=change, **how), ABOUT, key)


def files_of(home: Path, number: int) -> dict[str, bytes]:
    """All files of a release of `home` by name; none where there is none."""
    return {path.name: path.read_bytes() for path in release_folder(home, number).glob("*")}


def owner_of(folder: Path, *homes: Path) -> Path:
    """A private key in `folder` that the homes trust."""
    key = generate(folder / "owner.pem", "the owner")
    for home in homes:
        trust(home, key)
    return folder / "owner.pem"


def tree(folder: Path) -> dict[str, bytes | str]:
    """Everything in `folder` but for what reading a database leaves: bytes of files, targets of links."""
    return {
        str(path.relative_to(folder)): f"→ {path.readlink()}" if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if (path.is_symlink() or path.is_file())
        and path.suffix not in (".db-shm", ".db-wal", ".lock")
        and path.name != ".lock"
    }


def active_tail(home: Path, precision: Precision = "int8") -> str:
    """Digest of the tail that runs."""
    return read_manifest(home / "current").graphs[precision].tail.sha256
