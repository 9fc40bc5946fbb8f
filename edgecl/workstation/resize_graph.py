"""A picture of any size → the trunk's input, as ONNX nodes: what `backbone.preprocess` does with OpenCV.

OpenCV's INTER_AREA is separable and linear: R = W·X·Wᵀ for each colour, with one row of weights W (S, side) for each
target pixel. Making smaller, target pixel i covers the interval [i·s, (i + 1)·s] of the source, s = side / S, and the
weight of source pixel j is the length that [j, j + 1] shares with it, divided by s. Making larger, OpenCV (imgproc,
resize.cpp, INTER_AREA with a scale below 1) takes two neighbours: j = ⌊i·s⌋ and j + 1 with f = (i + 1) − (j + 1) / s,
f ← max(0, f) − ⌊f⌋. In real numbers both are the same map; where i·s is a whole number, rounding may put ⌊i·s⌋ one
pixel to the left, so the second is written out with OpenCV's own order of operations.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from edgecl.manifest import InputSpec


class Drawing:
    """Nodes and constants under way; `of` adds a node and names its result."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def of(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add a node of one output and return its name."""
        result = name or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [result], name=result, **attributes))
        return result

    def value(self, value: Any, kind: type[np.generic]) -> str:
        """Add a constant and return its name."""
        name = f"value_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(value, kind), name))
        return name


def draw_preprocessing(drawing: Drawing, image: str, spec: InputSpec, result: str) -> None:
    """Add the nodes from `image` uint8 (H, W, 3) RGB to `result` uint8 (1, S, S, 3) RGB."""
    square, side = _middle_square(drawing, image, spec)
    weights = _weights(drawing, side, spec.size)
    real = drawing.of("Transpose", drawing.of("Cast", square, to=TensorProto.FLOAT), perm=[2, 0, 1])  # (3, side, side)
    turned = drawing.of("Transpose", weights, perm=[1, 0])
    small = drawing.of("MatMul", drawing.of("MatMul", weights, real), turned)  # (3, S, S)
    limits = drawing.value(0, np.float32), drawing.value(255, np.float32)
    whole = drawing.of("Clip", drawing.of("Round", small), *limits)  # half to even, as OpenCV
    pixels = drawing.of("Cast", drawing.of("Transpose", whole, perm=[1, 2, 0]), to=TensorProto.UINT8)
    drawing.of("Unsqueeze", pixels, drawing.value([0], np.int64), name=result)


def _middle_square(drawing: Drawing, image: str, spec: InputSpec) -> tuple[str, str]:
    """The square (side, side, 3) and its side, int64 scalar, as InputSpec.side has it."""
    shape = drawing.of("Shape", image)
    height, width = (drawing.of("Gather", shape, drawing.value(axis, np.int64)) for axis in (0, 1))
    side = _side(drawing, drawing.of("Min", height, width), spec)
    axis, two = drawing.value([0], np.int64), drawing.value(2, np.int64)
    starts, ends = [], []
    for length in (height, width):
        start = drawing.of("Div", drawing.of("Sub", length, side), two)
        starts.append(drawing.of("Unsqueeze", start, axis))
        ends.append(drawing.of("Unsqueeze", drawing.of("Add", start, side), axis))
    first, last = drawing.of("Concat", *starts, axis=0), drawing.of("Concat", *ends, axis=0)
    return drawing.of("Slice", image, first, last, drawing.value([0, 1], np.int64)), side


def _side(drawing: Drawing, shorter: str, spec: InputSpec) -> str:
    one, size = drawing.value(1, np.int64), drawing.value(spec.size, np.int64)

    def rounded(number: str) -> str:  # half to even, as Python
        return drawing.of("Max", drawing.of("Cast", drawing.of("Round", number), to=TensorProto.INT64), one)

    real = drawing.of("Cast", shorter, to=TensorProto.DOUBLE)
    side = rounded(drawing.of("Mul", real, drawing.value(spec.crop, np.float64)))
    times = drawing.of("Div", drawing.of("Cast", side, to=TensorProto.DOUBLE), drawing.value(spec.size, np.float64))
    whole = drawing.of("Mul", rounded(times), size)
    gap = drawing.of("Abs", drawing.of("Sub", whole, side))
    near = drawing.of("LessOrEqual", drawing.of("Mul", gap, drawing.value(50, np.int64)), side)
    fits = drawing.of("LessOrEqual", whole, shorter)
    return drawing.of("Where", drawing.of("And", near, fits), whole, side)


def _weights(drawing: Drawing, side: str, size: int) -> str:
    """W, float32 (S, side)."""
    real = drawing.of("Cast", side, to=TensorProto.DOUBLE)
    zero, one = drawing.value(0, np.float64), drawing.value(1, np.float64)
    target = drawing.value(np.arange(size)[:, None], np.float64)  # i, (S, 1)
    source = drawing.of("Range", zero, real, one)  # j, (side,)
    ratio = drawing.of("Div", drawing.value(size, np.float64), real)  # 1 / s, rounded as OpenCV rounds it
    step = drawing.of(
        "Reciprocal", ratio
    )  # 1 / ratio · i as a Div would be fused into i / ratio, which rounds otherwise
    smaller = _shared_lengths(drawing, target, source, drawing.of("Div", real, drawing.value(size, np.float64)))
    larger = _two_neighbours(drawing, target, source, step, ratio, drawing.of("Sub", real, one))
    grows = drawing.of("Less", real, drawing.value(size, np.float64))
    return drawing.of("Cast", drawing.of("Where", grows, larger, smaller), to=TensorProto.FLOAT)


def _shared_lengths(drawing: Drawing, target: str, source: str, step: str) -> str:
    one = drawing.value(1, np.float64)
    end = drawing.of("Min", drawing.of("Mul", drawing.of("Add", target, one), step), drawing.of("Add", source, one))
    start = drawing.of("Max", drawing.of("Mul", target, step), source)
    shared = drawing.of("Max", drawing.of("Sub", end, start), drawing.value(0, np.float64))
    return drawing.of("Div", shared, step)


def _two_neighbours(drawing: Drawing, target: str, source: str, step: str, ratio: str, last: str) -> str:
    zero, one = drawing.value(0, np.float64), drawing.value(1, np.float64)
    left = drawing.of("Floor", drawing.of("Mul", target, step))  # (S, 1)
    beyond = drawing.of("Mul", drawing.of("Add", left, one), ratio)
    exact = drawing.of("Max", drawing.of("Sub", drawing.of("Add", target, one), beyond), zero)
    # OpenCV rounds f to float32 before it takes ⌊f⌋: what lacks 1 by a rounding error becomes 1, and then 0.
    share = drawing.of("Where", drawing.of("Less", exact, drawing.value(1 - 2.0**-25, np.float64)), exact, zero)
    # At the right border the second neighbour is the border itself.
    right = drawing.of("Min", drawing.of("Add", left, one), last)
    parts = []
    for place, weight in ((left, drawing.of("Sub", one, share)), (right, share)):
        parts.append(drawing.of("Where", drawing.of("Equal", source, place), weight, zero))  # (S, side)
    return drawing.of("Add", *parts)
