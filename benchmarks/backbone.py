"""Are the weights and the preprocessing right? The original classifier on photographs of ImageNet classes."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from support.record import Figure, data, report

from edgecl.backbone import preprocess
from edgecl.manifest import InputSpec
from edgecl.workstation.nets import SCALINGS, efficientnet_lite

IMAGENET_MEAN, IMAGENET_STD = torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375])


def accuracy(name: str, usual_normalisation: bool = False) -> float:
    """Top-1 on the photographs; the file name begins with the class index."""
    net = efficientnet_lite(name)
    spec = InputSpec(size=net.size, mean=(127.0,) * 3, std=(128.0,) * 3)
    right = []
    with torch.no_grad():
        for path in sorted(data("imagenet200").glob("*.jpg")):
            image = torch.from_numpy(preprocess(cv2.imread(str(path)), spec))[None].float()
            if usual_normalisation:  # what the trunk will undo and apply anew
                image = (image - IMAGENET_MEAN) / IMAGENET_STD * net.trunk.std + net.trunk.mean
            scores = net.classifier(net.tail.features(net.trunk(image)))
            right.append(int(scores.argmax()) == int(path.name[:4]))
    return float(np.mean(right))


def main() -> None:
    """Measure and report."""
    figures = [Figure(f"{name}, ImageNet top-1 of 200 photographs", accuracy(name)) for name in SCALINGS]
    wrong = accuracy("efficientnet-lite0", usual_normalisation=True)
    report("backbone", [*figures, Figure("efficientnet-lite0 with the usual ImageNet mean and std instead", wrong)])


if __name__ == "__main__":
    main()
