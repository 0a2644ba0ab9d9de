"""What is stored of each question stays as it is: the spec of a job, what it trains, and the key of its answer.

`specs.json` was written before specs had classes; jobs that were queued then must run now, and answers be found.
"""

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from attribution import UserError
from attribution.audit import gain
from attribution.experiments import registry
from attribution.experiments.disjoint import disjoint_spec
from attribution.experiments.group import group_spec
from attribution.experiments.halves import subsets_spec
from attribution.experiments.pruning import pruning_spec
from attribution.experiments.removals import removals_spec
from attribution.experiments.retrain import retrain_spec
from attribution.experiments.study import study_spec
from attribution.experiments.support import support_spec
from attribution.experiments.unedited import unedited_spec
from attribution.features import near_duplicates
from attribution.training.edits import remove
from tests.unit.experiments.test_jobs import drive

PINNED = json.loads((Path(__file__).parent / "specs.json").read_text())


@pytest.fixture(autouse=True)
def without_supports(ws):
    (ws.path / "supports.parquet").unlink()


def decided(action, label=None):
    return SimpleNamespace(queue=1, action=action, label=label, conflict=())


def specs(ws) -> dict:
    """A spec of each verb, and of each optional key."""
    groups = near_duplicates.grouping_spec(ws, "moco", 0.999)
    support = {"target": 0, "ranking": "trak-10", "kind": "remove", "k_max": 12}
    decisions = {3: decided("relabel", 0), 7: decided("remove"), 8: decided("keep"), 9: decided("unsure")}
    return {
        "retrain": retrain_spec(ws, 0, "trak-10", "remove", 4, range(3), 2),
        "retrain chosen": retrain_spec(ws, 0, None, "mislabel", 0, range(2), 1, [5, 2, 1]),
        "retrain harmful": retrain_spec(ws, 1, "trak-10", "remove", 2, range(1), 0, end="harmful"),
        "retrain groups": retrain_spec(ws, 0, "trak-10", "remove", 2, range(1), 1, groups=groups),
        "support": support_spec(ws, **support),
        "support adaptive": support_spec(ws, 0, "trak-10", "remove", "adaptive", 12),
        "support repair": support_spec(ws, 1, "trak-10", "repair", "paper", 8, recipe="resnet9"),
        "support groups": support_spec(ws, **support, groups=groups),
        "disjoint": disjoint_spec(ws, 2, **support),
        "disjoint groups": disjoint_spec(ws, 3, **support, groups=groups),
        "study": study_spec(ws, [0, 3], ["trak-10", "random"], ["remove", "mislabel"], k_max=8),
        "subsets": subsets_spec(ws, 2, 3, range(2), 5),
        "subsets both": subsets_spec(ws, 0, 2, [0], 6, True),
        "prune": pruning_spec(ws, "trak-10", [40, 10], range(2)),
        "unedited": unedited_spec(ws, "resnet9"),
        "worth": gain.gain_spec(ws, decisions, 2),
        "worth without": gain.gain_spec(ws, decisions, 2, True, without=[4]),
        "removals": removals_spec(ws, [[0, 3], [5]], [0, 1], 2),
        "group": group_spec(ws, "ids:0,1,2", [0, 1], [2], remove([5, 9]), 3),
    }


def pinned(ws, store, spec) -> dict:
    """What is stored of a spec, and what it does in a simulation where removing more flips the target."""
    asked = drive(ws, store, spec, lambda edit, seed: int(edit.k > 3 + seed % 2))
    trained = "".join(f"{edit.hash} {seed}\n" for edit, seed in asked)
    answers = store.db.execute("SELECT recipe, question, body FROM answers ORDER BY question").fetchall()
    supports = store.db.execute("SELECT recipe, ranking, target, kind, protocol, k_max, body FROM supports").fetchall()
    return {
        "spec": json.dumps(spec.to_json()).replace(str(ws.path.resolve()), "WORKSPACE"),
        "describe": spec.describe(),
        "total": spec.total,
        "trained": hashlib.sha256(trained.encode()).hexdigest(),
        "answers": [[*row[:2], hashlib.sha256(row[2].encode()).hexdigest()] for row in answers],
        "supports": [[*row[:6], hashlib.sha256(row[6].encode()).hexdigest()] for row in sorted(supports)],
    }


@pytest.mark.parametrize("name", PINNED)
def test_stored_specs_and_keys_stay_as_they_are(ws, store, name):
    assert pinned(ws, store, specs(ws)[name]) == PINNED[name]


def test_every_spec_is_pinned(ws):
    assert list(specs(ws)) == list(PINNED)


@pytest.mark.parametrize("name", PINNED)
def test_a_stored_spec_is_read_back(ws, name):
    spec = specs(ws)[name]
    stored = json.loads(json.dumps(spec.to_json(), sort_keys=True))
    again = registry.from_json(stored)
    assert type(again) is type(spec) and again == spec == stored
    assert list(again) == list(spec), "keys in the same order"


def test_every_kind_of_job_is_registered_and_pinned(ws):
    # Unrolled, which asks for no trainings with an edit, is pinned by tests/unit/experiments/test_unrolled.py
    assert {spec["verb"] for spec in specs(ws).values()} == set(registry.EXPERIMENTS) - {"unrolled"}
    assert set(registry.LONG_VERBS) == {"study", "subsets", "prune", "unedited", "worth", "removals"}


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"verb": "dream"}, "knows no job 'dream'; use the one that queued it"),
        ({"colour": 1}, "cannot read colour of a job 'support'"),
    ],
)
def test_a_job_of_another_version_is_refused(ws, change, match):
    stored = specs(ws)["support"].to_json()
    with pytest.raises(UserError, match=match):
        registry.from_json(stored | change)
    with pytest.raises(UserError, match="cannot read k_max of a job 'support'"):
        registry.from_json({name: value for name, value in stored.items() if name != "k_max"})


def test_a_spec_without_optional_keys_is_a_mapping_without_them(ws):
    spec = specs(ws)["support"]
    assert "groups" not in spec and spec.get("groups") is None and spec["target"] == spec.target == 0
