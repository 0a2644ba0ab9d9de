"""Summary: what was found in sentences, the target that comes from Debug, and curves that read."""

from attribution.evaluation import lds_families
from attribution.experiments.study import Study
from attribution.experiments.support_search import Support
from pages.compare import findings
from pages.compare.supports import curves
from pages.ui import state
from tests.pages.compare.tabs import opened
from tests.pages.page import open_page, texts


def summary(auc, ci, n=40):
    return {"auc": auc, "auc_ci": ci, "n": n}


def pair(a, b, ci):
    return {"a": a, "b": b, "auc_difference_ci": ci}


def test_which_ranking_flips_with_fewest_images():
    rows = {"trak-10": summary(0.31, (0.2, 0.4)), "l2-moco": summary(0.3, (0.2, 0.4)), "random": summary(0, (0, 0))}
    evaluated = {"remove": {"rankings": rows, "pairs": [pair("trak-10", "l2-moco", (-0.1, 0.1))]}}
    said = findings.fewest_images(evaluated, "demo-cnn", "protocol default")
    assert "flip with the fewest images removed under trak-10: AUC 0.31 (0.20 to 0.40) over 40 targets" in said
    assert "its lead over l2-moco may be chance" in said and "reach 0.00" in said
    evaluated["remove"]["pairs"] = [pair("trak-10", "l2-moco", (0.01, 0.1))]
    assert "may be chance" not in findings.fewest_images(evaluated, "demo-cnn", "protocol default")
    few = {"remove": {"rankings": {name: {**row, "n": 3} for name, row in rows.items()}, "pairs": []}}
    assert findings.fewest_images(few, "demo-cnn", "") == findings.fewest_images({}, "demo-cnn", "") == ""


def test_whether_similarity_is_influence(ws):
    rows = {
        "l2-moco": {"lds": 0.1, "ci": (0, 0.2), "n_targets": 12},
        "influence-moco": {"lds": 0.25, "ci": (0.21, 0.3), "n_targets": 12},
    }
    said = findings.similarity(lds_families.compare(ws, rows), rows, "demo-cnn")
    assert said.startswith("What looks alike is not what decides: in 1 of 1 feature sets")
    assert "influence-moco, 0.250 (0.210 to 0.300)" in said and "l2-moco, 0.100 (0.000 to 0.200)" in said
    rows["influence-moco"]["ci"] = (0.1, 0.3)
    assert findings.similarity(lds_families.compare(ws, rows), rows, "demo-cnn").startswith("In 0 of 1")


def test_what_the_best_lds_costs():
    rows = [
        {"ranking": "datamodels-2k", "lds": 0.58, "lds_ci": (0.5, 0.6), "build_seconds": 2552},
        {"ranking": "trak-10", "lds": 0.49, "lds_ci": (0.4, 0.5), "build_seconds": 596},
        {"ranking": "random", "lds": 0.5, "lds_ci": (0.4, 0.5), "build_seconds": 0},
    ]
    lds = {row["ranking"]: {"lds": row["lds"], "ci": row["lds_ci"]} for row in rows}
    said = findings.price(rows, lds)
    assert "0.580 (0.500 to 0.600), is that of datamodels-2k, which took 42 min 32 s to build" in said
    assert said.endswith("trak-10 took 9 min 56 s and has 0.490 (0.400 to 0.500).")
    assert findings.price([], {}) == "" and findings.price(rows[:1], lds).endswith("to build.")
    newer = lds | {"unrolled-5": {"lds": 0.7, "ci": [0.69, 0.71]}}
    said = findings.price(rows, newer)
    assert said == "The best LDS, 0.700 (0.690 to 0.710), is that of unrolled-5, whose cost was not measured."


def study() -> Study:
    of = {0: Support("unstable", 4, 3, 4, [], 9), 3: Support("flipped", 9, 8, 9, [], 9)}
    censored = {target: Support("censored", None, 20, None, [], 5) for target in of}
    return Study(20, "default", {"remove": {"trak-10": of, "random": censored}})


def test_the_target_of_debug_is_ringed_and_approximate_supports_are_no_rings():
    marked = curves.support_curves(study(), 0)
    (ring,) = [trace for trace in marked.data if trace.name == "target 0"]
    assert (ring.x, ring.y, ring.marker.symbol) == ((4,), (0.5,), "circle-open")
    plain = curves.support_curves(study())
    assert not [trace for trace in plain.data if "open" in str(trace.marker.symbol)]
    line = next(trace for trace in plain.data if trace.name == "trak-10")
    assert line.marker.maxdisplayed == curves.SHOWN_MARKERS
    assert [point[3] for point in line.customdata if point] == ["flips at ≈ 4 (approximate)", "flips at 9"]


def test_what_is_known_of_the_target(ws):
    said = curves.target_sentence(ws, study(), 0)
    assert "trak-10 ≈ 4, random no flip within 20." in said and "ringed" in said
    assert "not among the targets" in curves.target_sentence(ws, study(), 5)


def test_the_target_comes_from_debug_and_stands_in_the_address(ws):
    app = open_page("compare", {state.CARRIED: {state.TARGET: 5}})
    assert not app.exception and "Target 5" in texts(app)
    assert app.query_params[state.TARGET] in ("5", ["5"])
    assert "Target 3" in texts(opened("Summary", target="3"))
    assert "Target" not in texts(opened("Summary")).replace("Targets", "")
    assert len(opened("Summary", target="999").warning) == 1


def test_own_scores_are_added_on_the_page_of_data(ws):
    (link,) = [part for part in opened("Summary").get("page_link") if "own scores" in part.proto.label]
    assert link.proto.page == "data"
