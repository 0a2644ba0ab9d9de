"""One name, one number: an AUC under the same heading is the same on every tab, in the demo as it comes."""

import pytest

from attribution import Workspace
from attribution.evaluation import candidate_sets, cost, lds_vs_compute
from attribution.evaluation.support_report import auc_titles, auc_variant, evaluate_study
from attribution.experiments.study import read_study
from attribution.store.results import ResultStore


def shown_aucs(view: Workspace, store: ResultStore):
    """(tab, heading, ranking, AUC, interval) of every AUC of supports that Compare shows of a model."""
    study = read_study(view, store)
    for kind, measured in evaluate_study(study).items():
        for name, row in measured["rankings"].items():
            yield "Summary", f"AUC: {auc_variant(kind, row['n'], study.protocol)}", name, row["auc"], row["auc_ci"]
    beside = {
        "Cost": cost.lds_and_support_aucs(view, store)[1],
        "Features": cost.lds_and_feature_aucs(view, store)[1],
    }
    if answer := candidate_sets.load(view):
        beside["Candidate sets"] = candidate_sets.support_aucs(view, store, answer)
    if answer := lds_vs_compute.load(view):
        beside["Compute"] = lds_vs_compute.support_aucs(view, store, answer)
    for tab, aucs in beside.items():
        titles = auc_titles(aucs)
        for kind, study_of_kind in aucs.items():
            for name, row in study_of_kind["rankings"].items():
                yield tab, titles[kind], name, row["auc"], row["auc_ci"]


@pytest.mark.parametrize("model", ["demo-cnn", "head-moco", "head-supervised"])
def test_an_auc_under_the_same_heading_is_the_same_number(model, tmp_path, monkeypatch):
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path))
    view = Workspace.open().with_model(model)
    with ResultStore.for_workspace(view) as store:
        shown = list(shown_aucs(view, store))
    known: dict[tuple[str, str], tuple] = {}
    for tab, title, name, auc, ends in shown:
        assert known.setdefault((title, name), (auc, ends)) == (auc, ends), f"{tab}: {title} of {name}"
    assert {tab for tab, *_ in shown} >= {"Summary", "Cost"}


def test_the_cost_tab_has_the_figures_of_the_summary(tmp_path, monkeypatch):
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path))
    view = Workspace.open().with_model("demo-cnn")
    with ResultStore.for_workspace(view) as store:
        shown = [row for row in shown_aucs(view, store) if row[2] == "trak-10" and "removal" in row[1]]
    of_tab = {tab: (title, round(auc, 2)) for tab, title, _, auc, _ in shown}
    assert of_tab["Summary"] == of_tab["Cost"] == ("AUC: removal, 40 targets, default", 0.31)
    assert of_tab["Candidate sets"][0] != of_tab["Summary"][0], "another study says so in its heading"
