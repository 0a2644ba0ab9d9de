"""A workspace with a detector, the log of its decisions, and a queue."""

import pytest

from attribution.audit import detectors
from attribution.audit.decision_log import DecisionLog
from tests.pages.labels.entries import add


@pytest.fixture(autouse=True)
def detector(ws):
    detectors.build_detectors(ws, ["knn-moco"])


@pytest.fixture
def log(ws):
    with DecisionLog.of(ws) as log:
        yield log


@pytest.fixture
def queue(ws, log):
    return log.queue(add(log, ws))
