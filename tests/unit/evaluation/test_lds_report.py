"""LDS of a workspace's rankings, and how long the stored report holds."""

import json

import numpy as np
import pytest

from attribution import UserError, Workspace
from attribution.evaluation import lds_report
from attribution.metrics import lds
from tests.unit.evaluation.test_candidate_sets import give_halves


@pytest.fixture(autouse=True)
def halves(ws):
    give_halves(ws)


def test_a_row_is_the_lds_of_the_ranking(ws):
    from attribution.builds.halves import load_held_out_halves

    answer = lds_report.compute(ws, ["trak-10", "random"])
    assert (answer["masks"], answer["seeds"], answer["recipe"], answer["recipe_hash"]) == (12, 2, "demo-cnn", "x")
    expected = lds.lds(*load_held_out_halves(ws), ws.ranking("trak-10").scores)
    assert answer["rankings"]["trak-10"]["lds"] == pytest.approx(expected.mean)
    assert list(answer["rankings"]) == ["trak-10", "random"]


def test_what_is_stored_holds_while_halves_and_rankings_do(ws):
    assert lds_report.load(ws) is None
    answer = lds_report.compute(ws, ["trak-10", "random"])
    lds_report.save(ws, answer, {})
    assert lds_report.load(ws)["rankings"].keys() == {"trak-10", "random"}
    ws.manifest["parts"]["rankings/trak-10"]["digest"] = "another"
    assert lds_report.load(ws)["rankings"].keys() == {"random"}
    ws.manifest["parts"]["lds"]["digest"] = "another"
    assert lds_report.load(ws) is None
    (ws.path / "lds" / "lds.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read .* evaluate lds"):
        lds_report.load(ws)


def test_a_heads_halves_are_refitted_and_its_lds_alone_is_kept(ws):
    seen = ws.with_model("head-moco")
    answer = lds_report.compute(seen, ["influence-moco", "l2-moco", "trak-10"])
    assert (answer["masks"], answer["seeds"], answer["recipe"]) == (100, 1, "head-moco")
    assert answer["rankings"]["influence-moco"]["lds"] > answer["rankings"]["l2-moco"]["lds"]
    assert lds_report.load(seen) is None and lds_report.under_own_heads(ws) == {}
    lds_report.save(seen, answer, {"command": "x"})
    assert not (seen.folder("lds") / "margins.npy").exists()
    opened = Workspace.open(ws.path)
    assert lds_report.load(opened.with_model("head-moco"))["rankings"].keys() == answer["rankings"].keys()
    own = lds_report.under_own_heads(opened)
    assert own.keys() == {"influence-moco", "l2-moco"}, "trak-10 looks at no features"
    assert own["l2-moco"]["head"] == "head-moco" and own["l2-moco"]["lds"] == answer["rankings"]["l2-moco"]["lds"]
    assert lds_report.load(opened) is None, "the own recipe's is another"


def test_halves_of_a_head_have_one_seed(ws):
    from attribution.builds.halves import halves_provenance, refit_head_halves
    from attribution.experiments.halves import random_half

    seen, sequence = ws.with_model("head-moco"), {"draw": 2, "count": 3, "seeds": [0, 1]}
    masks, margins = refit_head_halves(seen, sequence)
    assert margins.shape == (3, 1, 12) and (masks[1] == random_half(60, 2, 1)).all()
    assert halves_provenance(seen, sequence)["seeds"] == [0] and halves_provenance(ws, sequence)["seeds"] == [0, 1]


@pytest.fixture
def second(ws):
    return give_second_draw(ws)


def give_second_draw(ws) -> str:
    """Gives a workspace with halves a second draw, the first in another order; returns the part's name."""
    from attribution.builds.halves import SECOND_PART, load_held_out_halves

    masks, margins = load_held_out_halves(ws)
    (ws.path / SECOND_PART).mkdir()
    np.save(ws.path / SECOND_PART / "masks.npy", np.packbits(masks[::-1], axis=1))
    np.save(ws.path / SECOND_PART / "margins.npy", margins[::-1].mean(1, keepdims=True).astype(np.float16))
    made = {
        "alpha": 0.5,
        "masks": 12,
        "seeds": [0, 1],
        "ceiling": 0.7,
        "signal": 0.3,
        "recipe": "demo-cnn",
        "hash": "x",
    }
    ws.record_part(SECOND_PART, made, [f"{SECOND_PART}/{name}.npy" for name in ("masks", "margins")])
    return SECOND_PART


def test_both_draws_are_judged_and_stored(ws, second):
    answer = lds_report.compute(ws, ["trak-10", "random"])
    again = answer["second_draw"]
    about = {key: again[key] for key in ("alpha", "masks", "seeds", "ceiling", "signal", "recipe", "recipe_hash")}
    assert list(about.values()) == [0.5, 12, 2, 0.7, 0.3, "demo-cnn", "x"]
    assert again["rankings"]["trak-10"]["lds"] == pytest.approx(answer["rankings"]["trak-10"]["lds"])
    lds_report.save(ws, answer, {})
    assert lds_report.load(ws)["second_draw"] == json.loads(json.dumps(again))
    ws.manifest["parts"]["rankings/trak-10"]["digest"] = "another"
    assert lds_report.load(ws)["second_draw"]["rankings"].keys() == {"random"}
    ws.manifest["parts"][second]["digest"] = "another"
    assert "second_draw" not in lds_report.load(ws) and lds_report.load(ws)["rankings"].keys() == {"random"}
    del ws.manifest["parts"][second]
    assert "second_draw" not in lds_report.load(ws)


def test_a_combination_beside_the_best_of_its_parts(ws, second):
    answer = lds_report.compute(ws, ["trak-10+random", "random"])
    assert answer["rankings"].keys() == {"trak-10+random", "random"}, "a part is listed where it was asked for"
    for report in (answer, answer["second_draw"]):
        [(name, above)] = report["combinations"].items()
        parts = {part: lds_report.compute(ws, [part])["rankings"][part]["lds"] for part in ("trak-10", "random")}
        best = max(parts, key=parts.get)
        assert (name, above["best"]) == ("trak-10+random", best)
        assert above["difference"] == pytest.approx(report["rankings"][name]["lds"] - parts[best])
        assert above["ci"][0] <= above["difference"] <= above["ci"][1]


def test_a_report_that_the_manifest_lists_is_listed_anew(ws):
    lds_report.save(ws, lds_report.compute(ws, ["random"]), {})
    digest = ws.manifest["parts"]["lds"]["digest"]
    assert "lds/lds.json" not in ws.manifest["parts"]["lds"]["files"]
    ws.list_file("lds", "lds/lds.json")
    lds_report.save(ws, lds_report.compute(ws, ["random", "trak-10"]), {})
    opened = Workspace.open(ws.path)  # checks the sizes
    made = opened.manifest["parts"]["lds"]
    assert made["files"]["lds/lds.json"] == (ws.path / "lds" / "lds.json").stat().st_size
    assert made["digest"] == digest and lds_report.load(opened)["rankings"].keys() == {"random", "trak-10"}
