"""The release that is to be consolidated: its tail as a PyTorch network again, and what earlier trainings measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgecl.errors import BackboneDamaged, BackboneMissing, ConsolidationRefused
from edgecl.golden import arrays
from edgecl.manifest import BackboneManifest, Precision, read_manifest
from edgecl.releases.document import DOCUMENT_FILE, TRAINING_FILE
from edgecl.workstation import nets
from edgecl.workstation.material import NO_EXPOSURE, Exposure
from edgecl.workstation.nets import Tail

COSINE_MIN = {"fp32": 0.99999, "int8": 0.95}  # between a network and its own graphs
IMPORTANCE = ".importance."  # between a penalty's name and a parameter's
TRAINED_ON, HELD_OUT = "exposure.trained", "exposure.held"


@dataclass(frozen=True, eq=False)
class Parent:
    """A release on the workstation.

    Attributes:
        folder: where it lies.
        manifest: what it is.
        tail: with its weights, in evaluation mode.
        importances: what a penalty measured in earlier consolidations, by `PENALTY.importance.NAME`.
        exposure: which latents they trained on, and which they held out.
    """

    folder: Path
    manifest: BackboneManifest
    tail: Tail
    importances: Mapping[str, Tensor]
    exposure: Exposure = NO_EXPOSURE

    @classmethod
    def of(cls, folder: Path) -> Parent:
        """The release in `folder`, exported or consolidated.

        Raises:
            BackboneMissing: there is none.
            BackboneDamaged: a file is not what it should be, or the weights are not those of its graphs.
            ConsolidationRefused: it is a backbone whose tail cannot be trained.
            ExtraMissing: the weights are not installed.
        """
        manifest = read_manifest(folder)
        if manifest.name not in nets.SCALINGS:
            raise ConsolidationRefused(
                f"found the backbone {manifest.name!r}, expected one of {', '.join(nets.SCALINGS)}: of others only the "
                "graph is known, and a graph cannot be trained; its head goes on learning on the device"
            )
        tail, left = nets.efficientnet_lite(manifest.name).tail, {}
        if (folder / TRAINING_FILE).exists():
            left = tensors_in(folder / TRAINING_FILE)
            try:
                tail.load_state_dict({k.removeprefix("tail."): v for k, v in left.items() if k.startswith("tail.")})
            except RuntimeError as error:
                raise BackboneDamaged(
                    f"{folder / TRAINING_FILE} does not hold the tail of {manifest.name} ({str(error)[:200]}); "
                    "install the release again, whole"
                ) from error
        elif (folder / DOCUMENT_FILE).exists():
            raise BackboneDamaged(
                f"found no {TRAINING_FILE} in {folder}, expected the weights of its tail: this is a copy for devices; "
                "consolidate where the release was made, or from a whole copy of it"
            )
        nothing = torch.zeros(0, dtype=torch.int64)
        exposure = Exposure(*(left.get(name, nothing).numpy() for name in (TRAINED_ON, HELD_OUT)))
        parent = cls(folder, manifest, tail, {k: v for k, v in left.items() if IMPORTANCE in k}, exposure)
        parent._compare()
        return parent

    def trunk_digest(self, precision: Precision) -> str:
        """sha256 of the trunk in `precision`.

        Raises:
            BackboneMissing: the release is not in this precision.
        """
        graphs = self.manifest.graphs.get(precision)
        if graphs is None:
            raise BackboneMissing(
                f"found {', '.join(self.manifest.graphs)} in {self.folder}, expected {precision}, which this home "
                "runs; set backbone.precision in edgecl.toml, or export the backbone again"
            )
        return graphs.trunk.sha256

    def golden(self, precision: Precision) -> NDArray[np.generic]:
        """What the trunk makes of the golden pictures, (32, C, h, w), int8 or float32."""
        result: NDArray[np.generic] = arrays(self.folder, self.manifest.golden)[f"{precision}.latents"]
        return result

    def real_golden(self, precision: Precision) -> Tensor:
        """The same as float32."""
        latents = torch.from_numpy(self.golden(precision)).float()
        code = self.manifest.graphs[precision].latent
        return latents if code is None else (latents - code.zero_point) * code.scale

    def importances_of(self, penalty: str) -> dict[str, Tensor]:
        """What the penalty called `penalty` measured, in the form in which it loads it; empty if it did not."""
        prefix = f"{penalty}{IMPORTANCE}"
        return {f"importance.{k.removeprefix(prefix)}": v for k, v in self.importances.items() if k.startswith(prefix)}

    @torch.no_grad()
    def _compare(self) -> None:
        """Hold the weights against the answers that the release's own graphs gave."""
        answers = arrays(self.folder, self.manifest.answers)
        for precision in self.manifest.graphs:
            expected = answers[f"{precision}.embeddings"]
            found = self.tail(self.real_golden(precision)).numpy()
            cosine = float((found * expected).sum(axis=1).min())
            if not cosine >= COSINE_MIN[precision]:
                raise BackboneDamaged(
                    f"found weights in {self.folder} that do not answer as its {precision} graphs (least cosine "
                    f"{cosine:.4f}), expected the same network; install the release again, whole"
                )


def tensors_in(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Raises:
        BackboneDamaged: it cannot be read.
    """
    import safetensors
    import safetensors.torch

    try:
        return safetensors.torch.load(path.read_bytes())
    except (OSError, safetensors.SafetensorError, ValueError, KeyError) as error:
        raise BackboneDamaged(f"could not read {path}: {error}; expected tensors; get it again") from error
