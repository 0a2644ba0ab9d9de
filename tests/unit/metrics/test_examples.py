"""The examples in the docstrings of the metrics hold."""

import doctest

import pytest

from attribution.metrics import (
    group_change,
    label_detection,
    lds,
    leave_one_out,
    margin_removal,
    rank_agreement,
    statistics,
    subclass_detection,
    support_curves,
)


@pytest.mark.parametrize(
    ("module", "examples"),
    [
        (group_change, 5),
        (label_detection, 3),
        (lds, 3),
        (leave_one_out, 1),
        (margin_removal, 1),
        (rank_agreement, 5),
        (statistics, 5),
        (subclass_detection, 2),
        (support_curves, 4),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_examples_hold(module, examples):
    result = doctest.testmod(module)
    assert result.failed == 0 and result.attempted >= examples
