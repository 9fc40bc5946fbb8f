"""From frame to prediction against the bare network, lessons as the memory grows, and memory on the device path."""

from __future__ import annotations

from support.record import Figure, edgecl, report


def main() -> None:
    """Measure and report."""
    result = edgecl("bench", "--precision", "int8", "--threads", "1")
    few, some, many = result["lessons"]
    growth = many["examples"] / some["examples"]
    report(
        "speed",
        [
            Figure("frame to prediction / bare network, int8, one thread", result["pipeline_ratio"], "<= 1.25"),
            Figure("bare network, ms", result["bare_ms_p50"]),
            Figure("frame to prediction, ms", result["pipeline_ms_p50"]),
            Figure("lesson with 100 classes known, first answer, ms", some["first_ms"], "<= 150"),
            Figure("lesson with 100 classes known, all learned, ms", some["full_ms"], "<= 2000"),
            Figure("lesson with 10 classes known, all learned, ms", few["full_ms"]),
            Figure("lesson with 1,000 classes known, first answer, ms", many["first_ms"]),
            Figure("lesson with 1,000 classes known, all learned, ms", many["full_ms"]),
            Figure(
                "growth of the time from 100 to 1,000 classes / growth of the examples",
                many["full_ms"] / some["full_ms"] / growth,
                "<= 1.0",
            ),
            Figure("peak memory with 100 × 20 examples, a lesson included, MB", result["peak_rss_mb"], "<= 220"),
            Figure("start to first prediction, s", result["start_to_first_prediction_s"], "<= 2.5"),
        ],
        result,
    )


if __name__ == "__main__":
    main()
