"""One class a lesson, never the old ones again: final accuracy, forgetting, and how little the order matters."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from support.record import Figure, backbone_home, data, edgecl, report

from edgecl.backbone import Backbone
from edgecl.config import BackboneSettings
from edgecl.evaluate.streams import class_stream
from edgecl.releases import current

ORDERS = range(5)


def offline(folder: Path, cache: str) -> float:
    """Logistic regression on the raw embeddings of all training pictures at once; C chosen by cross-validation."""
    from sklearn.model_selection import GridSearchCV

    stream = class_stream(
        folder, Backbone(current(backbone_home()), BackboneSettings(precision="fp32")), 0, Path(cache)
    )
    search = GridSearchCV(LogisticRegression(max_iter=300), {"C": [10.0, 100.0, 1000.0]}, cv=3)
    search.fit(stream.train.vectors, stream.train.labels)
    return float(search.score(stream.test.vectors, stream.test.labels))


def main() -> None:
    """Measure and report."""
    with tempfile.TemporaryDirectory() as cache:

        def nc(folder: str, *options: str) -> dict[str, object]:
            return edgecl("eval", "nc", str(data(folder)), "--keep", "20", "--cache", cache, *options)

        orders = [nc("grocery", "--precision", "fp32", "--order-seed", str(seed)) for seed in ORDERS]
        int8 = nc("grocery", "--precision", "int8")
        coil = nc("coil100", "--precision", "fp32")
        coil_int8 = nc("coil100", "--precision", "int8")
        heads = {head: nc("grocery", "--precision", "fp32", "--head", head) for head in ("slda", "ridge", "ncm")}
        at_once = offline(data("grocery"), cache)
    finals = np.array([result["final_accuracy"] for result in orders])
    report(
        "new_classes",
        [
            Figure("grocery fp32, final accuracy", finals[0], ">= 0.755"),
            Figure("grocery int8, final accuracy", int8["final_accuracy"], ">= 0.755"),
            Figure("grocery, offline logistic regression, all data at once", at_once),
            Figure("grocery fp32, max − min over 5 orders", float(np.ptp(finals)), "<= 0.003"),
            Figure("grocery fp32, forgetting", orders[0]["forgetting"], "<= 0.01"),
            Figure("grocery fp32, forgetting, worst of 5 orders", max(result["forgetting"] for result in orders)),
            Figure("grocery fp32, forgetting among earlier classes", orders[0]["forgetting_among_earlier"], "<= 0.01"),
            Figure("coil100 fp32, final accuracy", coil["final_accuracy"], ">= 0.983"),
            Figure("coil100 int8, final accuracy", coil_int8["final_accuracy"]),
            Figure("coil100 fp32, forgetting", coil["forgetting"], "<= 0.01"),
            Figure("coil100 fp32, forgetting among earlier classes", coil["forgetting_among_earlier"], "<= 0.01"),
            *(Figure(f"grocery fp32, head {name}", result["final_accuracy"]) for name, result in heads.items()),
        ],
        {"orders": orders, "int8": int8, "coil100": coil, "coil100_int8": coil_int8},
    )


if __name__ == "__main__":
    main()
