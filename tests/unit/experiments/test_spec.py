"""What is stored of each question stays as it is: the spec of a job, what it trains, and the key of its answer.

`specs.json` was written before specs had classes; jobs that were queued then must run now, and answers be found.
"""

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from attribution import duplicates, jobs, questions, worth
from attribution.store import Store
from tests import tiny
from tests.unit.test_jobs import drive

PINNED = json.loads((Path(__file__).parent / "specs.json").read_text())


@pytest.fixture
def ws(tmp_path):
    ws = tiny.write(tmp_path / "tiny")
    (ws.path / "supports.parquet").unlink()
    return ws


@pytest.fixture
def store(tmp_path, ws):
    store = Store(tmp_path / "store", ws.fingerprint)
    yield store
    store.close()


def decided(action, label=None):
    return SimpleNamespace(queue=1, action=action, label=label, conflict=())


def specs(ws) -> dict:
    """A spec of each verb, and of each optional key."""
    groups = duplicates.grouping(ws, "moco", 0.999)
    support = {"target": 0, "ranking": "trak-10", "kind": "remove", "k_max": 12}
    decisions = {3: decided("relabel", 0), 7: decided("remove"), 8: decided("keep"), 9: decided("unsure")}
    return {
        "retrain": jobs.retrain_spec(ws, 0, "trak-10", "remove", 4, range(3), 2),
        "retrain chosen": jobs.retrain_spec(ws, 0, None, "mislabel", 0, range(2), 1, [5, 2, 1]),
        "retrain harmful": jobs.retrain_spec(ws, 1, "trak-10", "remove", 2, range(1), 0, end="harmful"),
        "retrain groups": jobs.retrain_spec(ws, 0, "trak-10", "remove", 2, range(1), 1, groups=groups),
        "support": jobs.support_spec(ws, **support),
        "support adaptive": jobs.support_spec(ws, 0, "trak-10", "remove", "adaptive", 12),
        "support repair": jobs.support_spec(ws, 1, "trak-10", "repair", "paper", 8, recipe="resnet9"),
        "support groups": jobs.support_spec(ws, **support, groups=groups),
        "disjoint": questions.disjoint_spec(ws, 2, **support),
        "disjoint groups": questions.disjoint_spec(ws, 3, **support, groups=groups),
        "study": jobs.study_spec(ws, [0, 3], ["trak-10", "random"], ["remove", "mislabel"], k_max=8),
        "subsets": jobs.subsets_spec(ws, 2, 3, range(2), 5),
        "subsets both": jobs.subsets_spec(ws, 0, 2, [0], 6, True),
        "prune": questions.prune_spec(ws, "trak-10", [40, 10], range(2)),
        "unedited": questions.unedited_spec(ws, "resnet9"),
        "worth": worth.spec(ws, decisions, 2),
        "worth without": worth.spec(ws, decisions, 2, True, without=[4]),
    }


def pinned(ws, store, spec) -> dict:
    """What is stored of a spec, and what it does in a simulation where removing more flips the target."""
    asked = drive(ws, store, spec, lambda edit, seed: int(edit.k > 3 + seed % 2))
    trained = "".join(f"{edit.hash} {seed}\n" for edit, seed in asked)
    answers = store.db.execute("SELECT recipe, question, body FROM answers ORDER BY question").fetchall()
    supports = store.db.execute("SELECT recipe, ranking, target, kind, protocol, k_max, body FROM supports").fetchall()
    return {
        "spec": json.dumps(spec).replace(str(ws.path.resolve()), "WORKSPACE"),
        "describe": jobs.describe(spec),
        "total": jobs.total(spec),
        "trained": hashlib.sha256(trained.encode()).hexdigest(),
        "answers": [[*row[:2], hashlib.sha256(row[2].encode()).hexdigest()] for row in answers],
        "supports": [[*row[:6], hashlib.sha256(row[6].encode()).hexdigest()] for row in sorted(supports)],
    }


@pytest.mark.parametrize("name", PINNED)
def test_stored_specs_and_keys_stay_as_they_are(ws, store, name):
    assert pinned(ws, store, specs(ws)[name]) == PINNED[name]


def test_every_spec_is_pinned(ws):
    assert list(specs(ws)) == list(PINNED)
