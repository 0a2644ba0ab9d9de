"""Metrics: numbers from plain arrays. Nothing here reads a workspace, a store or a file.

One naming convention holds for all modules, in the manner of scikit-learn's metrics:
- A noun returns that number, or an array of it: `jaccard`, `average_precision`, `support_auc`, `support_cdf`. Higher
  means better, or more alike; the docstring gives the range. None or NaN where it is undefined.
- `..._interval` returns (low, high), None where there are too few values; `mean_with_...` a mean and its interval.
- `summarise_...`, `compare_...`, `evaluate_...` and `..._metrics` return several numbers as a dict, ready for JSON.
- What was measured comes before the scores: `wrong, scores`; `margins, scores`. Options: `level`, `resamples`, `seed`.
- Shapes: n values or images, T targets, M subsets, R seeds, B resamples.
"""

from importlib import import_module

__all__ = [
    "label_detection",
    "lds",
    "leave_one_out",
    "margin_removal",
    "rank_agreement",
    "statistics",
    "subclass_detection",
    "support_curves",
]


def __getattr__(name: str):
    """A module of this folder that nobody has imported yet, so that a notebook needs no further import."""
    if name not in __all__:
        raise AttributeError(f"module 'attribution.metrics' has no attribute {name!r}")
    return import_module(f"attribution.metrics.{name}")
