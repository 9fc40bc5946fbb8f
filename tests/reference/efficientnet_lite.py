"""Makes efficientnet_lite.json: what another implementation of EfficientNet-Lite answers, with the same weights.

    pip install --no-deps efficientnet-lite-pytorch==0.1.0    (in an environment that has edgecl[train])
    python tests/reference/efficientnet_lite.py

That package is by others and follows the network of the TensorFlow release, whose pictures have mean 127 and standard
deviation 128. The tests do not need it: they read the numbers.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import skimage
import torch
from efficientnet_lite_pytorch import EfficientNet

from edgecl.workstation.nets import weights_file

SIDES = {"efficientnet-lite0": 224, "efficientnet-lite1": 240, "efficientnet-lite2": 260}
PHOTOGRAPHS = {"astronaut": "astronaut.png", "cat": "chelsea.png", "coffee": "coffee.png"}
EVERY = 40  # of 1280 and of 1000 numbers


def answers(name: str) -> dict[str, dict[str, list[float]]]:
    """Every fortieth number of embedding and logits, of the upper left corner of each photograph, not resized."""
    net = EfficientNet.from_pretrained(name, weights_path=str(weights_file(name))).eval()
    result, side = {}, SIDES[name]
    for photograph, file in PHOTOGRAPHS.items():
        rgb = skimage.io.imread(Path(skimage.data.__file__).parent / file)[:side, :side]
        with torch.no_grad():
            picture = (torch.tensor(rgb).permute(2, 0, 1)[None].float() - 127.0) / 128.0
            features = net.extract_features(picture).mean(dim=(2, 3))
            logits = net(picture)[0].numpy()
        roots = np.sqrt(features[0].numpy())
        embedding = roots / np.linalg.norm(roots)
        result[photograph] = {
            key: [round(float(number), 5) for number in numbers[::EVERY]]
            for key, numbers in (("embedding", embedding), ("logits", logits))
        }
    return result


if __name__ == "__main__":
    made = {name: answers(name) for name in SIDES}
    Path(__file__).with_suffix(".json").write_text(json.dumps(made, indent=None, separators=(",", ":")) + "\n")
