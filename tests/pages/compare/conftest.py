"""Fixtures of the tests of Methods."""

import numpy as np
import pandas as pd
import pytest

from attribution import Workspace
from attribution.experiments.support_table import to_stored_table
from attribution.runner import commands as background
from tests import tiny
from tests.unit.evaluation.test_candidate_sets import give_halves

TARGETS = [0, 3, 4, 5, 6, 7, 8, 9, 10, 11]


@pytest.fixture
def started(monkeypatch):
    """The commands that the page starts, which are not run."""
    commands = []
    monkeypatch.setattr(background, "start_command", lambda ws, words: commands.append(words))
    return commands


@pytest.fixture
def held(ws):
    """The workspace with held-out halves."""
    give_halves(ws)
    return ws


@pytest.fixture
def study(ws):
    """Ten targets: the margin falls with k, and half of them flip."""
    brought = pd.read_parquet(ws.path / "supports.parquet").to_dict("records")[0]
    rows = []
    for ranking in ("trak-10", "random"):
        for at, target in enumerate(TARGETS):
            flips = ranking == "trak-10" and at % 2
            trace = [
                {
                    "k": k,
                    "seeds": [0, 1, 2],
                    "predictions": [0] * 3,
                    "wrong": 0,
                    "flipped": False,
                    "margin": 2.8 - 0.1 * k - 0.05 * at,
                }
                for k in (10, 2 + at)
            ]
            rows.append(
                {
                    **brought,
                    "ranking": ranking,
                    "target": target,
                    "trace": trace,
                    "status": "flipped" if flips else "censored",
                    "support": 2 + at if flips else None,
                    "lo": 1 + at if flips else 20,
                    "hi": 2 + at if flips else None,
                }
            )
    to_stored_table(rows).to_parquet(ws.path / "supports.parquet")
    rng = np.random.default_rng(0)
    masks = rng.random((12, tiny.TRAIN)) < 0.5
    (ws.path / "lds").mkdir()
    np.save(ws.path / "lds" / "masks.npy", np.packbits(masks, axis=1))
    np.save(ws.path / "lds" / "margins.npy", rng.normal(0, 1, (12, 2, tiny.VAL)).astype(np.float16))
    ws.record_part(
        "lds",
        {"alpha": 0.5, "masks": 12, "seeds": [0, 1], "recipe": "demo-cnn", "hash": "x"},
        ["lds/masks.npy", "lds/margins.npy"],
    )
    return Workspace.open(ws.path)
