"""What was never taught: far unknowns, near ones, and whether accepted answers are as sure as they are right."""

from __future__ import annotations

import tempfile

import numpy as np
from support.record import Figure, data, edgecl, report

ORDERS = range(5)


def main() -> None:
    """Measure and report."""
    with tempfile.TemporaryDirectory() as cache:
        command = ["eval", "openset", str(data("grocery")), "--unknown", str(data("ood")), "--unseen-classes", "21"]
        results = [edgecl(*command, "--cache", cache, "--order-seed", str(seed)) for seed in ORDERS]
        fp32 = edgecl(*command, "--cache", cache, "--precision", "fp32")
    first = results[0]

    def over_orders(name: str) -> list[float]:
        return [result[name] for result in results]

    report(
        "open_set",
        [
            Figure("far unknown, AUROC", first["auroc_far"], ">= 0.999"),
            Figure("far unknown, FPR at 95 % TPR", first["fpr95_far"], "<= 0.01"),
            Figure("near unknown, AUROC", first["auroc_near"], ">= 0.74"),
            Figure("calibration error of accepted answers", first["ece"], "<= 0.05"),
            Figure("fp32: far unknown, AUROC", fp32["auroc_far"], ">= 0.999"),
            Figure("fp32: near unknown, AUROC", fp32["auroc_near"], ">= 0.74"),
            Figure("fp32: calibration error of accepted answers", fp32["ece"], "<= 0.05"),
            *(
                Figure(f"mean of 5 choices of unseen classes: {name}", float(np.mean(over_orders(name))))
                for name in ("auroc_far", "fpr95_far", "auroc_near", "ece", "accepted_known", "accepted_near")
            ),
            *(
                Figure(f"worst of 5 choices of unseen classes: {name}", worst(over_orders(name)))
                for name, worst in (("auroc_far", min), ("fpr95_far", max), ("auroc_near", min), ("ece", max))
            ),
        ],
        {"orders": results, "fp32": fp32},
    )


if __name__ == "__main__":
    main()
