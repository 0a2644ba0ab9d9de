"""The examples in the docstrings of what a notebook calls hold, on the demo as it is bundled."""

import doctest

import pytest

from attribution import rankings
from attribution.audit.detectors import stored
from attribution.evaluation import agreement, label_errors, lds_report
from attribution.experiments import retrain, support_table
from attribution.explore import lineup, opening_target, targets
from attribution.notebook import opened, show
from attribution.training import edits, recipes
from attribution.workspace import workspace

EXAMPLES = {
    workspace: 4,
    rankings: 2,
    lineup: 2,
    opening_target: 3,
    targets: 1,
    stored: 1,
    agreement: 2,
    label_errors: 2,
    lds_report: 2,
    retrain: 2,
    support_table: 1,
    recipes: 1,
    edits: 1,
    opened: 2,
    show: 3,
}


@pytest.mark.parametrize("module", EXAMPLES, ids=lambda module: module.__name__)
def test_examples_hold(module):
    result = doctest.testmod(module)
    assert result.failed == 0 and result.attempted >= EXAMPLES[module]
