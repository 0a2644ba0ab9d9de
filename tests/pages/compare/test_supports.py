"""Methods, run without a browser, and its tables; tests/browser/test_story.py selects in the chart."""

import csv
import io
import json

import pytest

from attribution import Workspace
from attribution.evaluation import support_report
from attribution.experiments import jobs, registry
from attribution.experiments.estimate import StudyCost
from attribution.experiments.study import STUDY_SEED, Study, StudySpec, study_spec
from attribution.experiments.support_search import Support
from attribution.experiments.support_table import to_stored_table
from attribution.explore import targets
from attribution.export import palette
from attribution.export.charts.drawing import MARKERS
from attribution.store.results import ResultStore
from attribution.training import recipes
from pages.compare.supports import curves, study_form, tables
from pages.ui import state
from tests import tiny
from tests.pages.answers import answered
from tests.pages.compare.tabs import opened
from tests.pages.page import html, open_page, texts

LDS = {
    "alpha": 0.5,
    "masks": 100,
    "seeds": 5,
    "ceiling": 0.61,
    "recipe": "demo-cnn",
    "recipe_hash": "x",
    "rankings": {
        "trak-10": {"lds": 0.2, "ci": [0.1, 0.3], "n_targets": 12},
        "l2-moco": {"lds": -0.01, "ci": [-0.05, 0.03], "n_targets": 12},
    },
}


def made(sizes, k_max=20):
    censored = Support("censored", None, k_max, None, [], 5)
    return {target: Support("flipped", k, k - 1, k, [], 9) if k else censored for target, k in enumerate(sizes)}


@pytest.fixture
def study():
    results = {"trak-10": made([2, 4, 4, None]), "random": made([None, 18, None, None]) | {3: None}}
    return Study(20, "default", {"remove": results})


@pytest.fixture
def folder(ws):
    return ws.path


def judged(folder):
    """Gives the workspace half-models, and what `evaluate lds` found with them."""
    (folder / "lds").mkdir()
    (folder / "lds" / "lds.json").write_text(json.dumps(LDS))
    Workspace.open(folder).record_part("lds", {"masks": 100})


def progress(app) -> str:
    return " ".join(one.proto.text for one in app.get("progress")).replace("\\", "")


def test_the_study_a_workspace_brings(folder):
    judged(folder)
    app = opened("Summary")
    assert not app.exception and not app.error
    assert "Too few to compare rankings: 1 target (removal supports)" in texts(app)
    assert "K = 20; seeds 0 to 4" in texts(app)
    assert "1 planted errors" in texts(app) and "100 held-out halves with 5 seeds" in texts(app)
    assert "<b>0.80</b>" in html(app) and "&gt; 20" in html(app) and "<b>0.610</b>" in html(app)
    assert [code.value for code in app.code if "evaluate" in code.value][:2] == [
        f"python -m attribution evaluate {verb} --json --workspace {folder}"
        for verb in ("supports --protocol default --rankings trak-10,random", "lds")
    ]


def test_without_a_study_one_can_be_asked_for_and_watched(folder, monkeypatch):
    monkeypatch.setattr(jobs, "ensure_runner", lambda workspace: None)
    (folder / "supports.parquet").unlink()
    app = opened("Summary")
    assert not app.exception and "No study has been made" in app.info[0].value
    assert "80 searches. To do: about" in texts(app) and "nothing was searched here yet" in texts(app)
    app.number_input(key=state.STUDY_TARGETS).set_value(2)
    app.button_group(key=state.STUDY_RANKINGS).set_value(["trak-10", "random"])
    app.button_group(key=state.STUDY_KINDS).set_value(["remove"]).run()
    assert app.code[0].value == (
        "python -m attribution study --targets 2 --rankings trak-10,random --kinds remove "
        f"--protocol default --workspace {folder}"
    )
    app.button(key="start study").click().run()
    ws = Workspace.open(folder)
    store = ResultStore.for_workspace(ws)
    (job,) = store.open_jobs()
    assert not app.exception and job.spec["verb"] == "study" and job.spec["rankings"] == ["trak-10", "random"]
    assert job.spec["targets"] == targets.draw_stable_targets(ws, 2, STUDY_SEED)
    assert "Study (job 1): waiting for the runner." in progress(app)
    store.start_job(job.id, 5)
    store.progress_job(job.id, 2)
    app.run()
    assert "Study under way (job 1): 2 of 5 searches" in progress(app)
    app.button(key="cancel study").click().run()
    assert not app.exception and store.job(job.id).state == "cancelling" and "stopping" in progress(app)
    store.finish_job(job.id, "cancelled")
    store.close()
    app.run()
    assert "No study has been made" in app.info[0].value, "nothing of the cancelled study is finished"


def test_studies_of_several_protocols_and_many_rankings_are_chosen(folder):
    ws = Workspace.open(folder)
    store = ResultStore.for_workspace(ws)
    names = [f"{method}-moco{which}" for method in ("l2", "esvm", "cosine") for which in ("", "@all", "@pair")]
    store.finish_job(store.add_job(study_spec(ws, [0, 3], names, ["remove"], "adaptive", 20), ""), "done")
    for name in names:
        for target in (0, 3):
            body = {
                "status": "flipped",
                "support": 5,
                "lo": 4,
                "hi": 5,
                "trace": [],
                "trainings": 9,
                "version": ws.ranking(name).version,
            }
            store.put_support(recipes.get_recipe(ws.recipe).hash, name, target, "remove", "adaptive", 20, body)
    store.close()
    app = opened("Summary")
    assert not app.exception and app.segmented_control(key=state.STUDY_PROTOCOL).options == ["default", "adaptive"]
    assert "protocol default" in texts(app)
    app.segmented_control(key=state.STUDY_PROTOCOL).set_value("adaptive").run()
    assert not app.exception and "protocol adaptive" in texts(app)
    chosen = app.pills(key=state.STUDIED) if hasattr(app, "pills") else app.button_group(key=state.STUDIED)
    assert set(chosen.options) == set(names) and set(chosen.value) == {"l2-moco", "esvm-moco"}
    chosen.set_value([]).run()
    assert not app.exception and "Choose at least one ranking" in " ".join(one.value for one in app.info)


def test_lds_is_shown_without_a_study(folder):
    (folder / "supports.parquet").unlink()
    judged(folder)
    app = opened("Summary")
    assert not app.exception and "Which ranking finds the images that decide what demo-cnn predicts?" in texts(app)
    assert "noise ceiling 0.610" in texts(app) and "No study has been made" in app.info[0].value
    assert "<b>0.200</b>" in html(app) and "AUC" not in html(app)
    assert f"python -m attribution evaluate lds --json --workspace {folder}" in [code.value for code in app.code]


@pytest.mark.parametrize("lds", [True, False])
def test_without_base_models_there_is_lds_or_nothing(tmp_path, monkeypatch, lds):
    tiny.write(tmp_path / "w", base=False)
    monkeypatch.setenv("LINEUP_WORKSPACE", str(tmp_path / "w"))
    if lds:
        judged(tmp_path / "w")
    app = opened("Summary")
    assert not app.exception and not app.error and ("noise ceiling 0.610" in texts(app)) == lds
    assert not app.button and "no model has been trained here yet" in texts(app)
    assert f"python -m attribution base train --workspace {tmp_path / 'w'}" in [code.value for code in app.code]


def test_a_study_that_cannot_be_asked_for_is_one_sentence(folder):
    app = open_page("compare", tab="Summary", session={study_form.OPEN: True})
    app.button_group(key=state.STUDY_KINDS).set_value([]).run()
    assert not app.exception and "A study needs at least one target, one ranking and one kind" in texts(app)


def test_what_a_study_costs_is_asked_once_its_form_is_open(folder, monkeypatch):
    asked = []
    monkeypatch.setattr(StudySpec, "cost", lambda *spec: asked.append(1) or StudyCost(1, 0, 1.0, 0, 1.0, 1))
    opened("Summary")
    assert not asked
    app = open_page("compare", tab="Summary", session={study_form.OPEN: True})
    assert asked and not app.exception
    app.button(key="start study").click().run()
    assert "Study (job 1): waiting for the runner." in progress(app), "the whole page was drawn anew"


def test_a_broken_table_is_one_sentence(folder):
    (folder / "supports.parquet").write_bytes(b"none")
    app = opened("Summary")
    assert not app.exception and len(app.error) == 1 and "copy the workspace again" in app.error[0].value


def test_the_targets_behind_an_outcome(folder):
    answers = [tiny._support("trak-10", "flipped", 4, [2] * 5) | {"target": target} for target in (0, 3)]
    to_stored_table([*answers, tiny._support("trak-10", "censored", None, [0] * 5) | {"target": 4}]).to_parquet(
        folder / "supports.parquet"
    )
    app = opened("Summary")
    outcome = next(group for group in app.button_group if group.label == "Outcome")
    outcome.set_value("already_wrong").run()
    assert not app.exception and "None." in texts(app)


def test_the_chart_has_a_step_a_target_and_a_band_while_unfinished(study):
    drawn = curves.support_curves(study)
    (band,) = [trace for trace in drawn.data if trace.fill == "toself"]
    steps = {trace.name: trace for trace in drawn.data if trace.mode == "lines+markers"}
    assert steps["trak-10"].x == (0, 2, 4, 4, 20) and steps["trak-10"].y == (0, 0.25, 0.5, 0.75, 0.75)
    assert list(steps["trak-10"].customdata) == [
        None,
        ["remove", "trak-10", 0, "flips at 2"],
        ["remove", "trak-10", 1, "flips at 4"],
        ["remove", "trak-10", 2, "flips at 4"],
        None,
    ]
    assert (band.fillcolor, band.y[20], band.y[21]) == (palette.ranking_style("random")[0], 0.5, 0.25)


def test_the_table(study):
    measured = support_report.evaluate_study(study)
    table = tables.table_html(measured, LDS, study)
    assert "<b>0.62</b>" in table and "1 of 4" in table and "2 of 3" in table and "l2-moco" in table
    assert "−0.050 to 0.030" in table and "noise ceiling" in table
    assert "Removal supports: 3 to 4 targets a ranking" in tables.counts("remove", measured["remove"]["rankings"])
    assert "1 searches unfinished" in tables.counts("remove", measured["remove"]["rankings"])
    assert "3 · 0 · 0" in tables.pairs_html(measured["remove"]["pairs"])


def test_the_table_as_csv(study):
    text = tables.to_csv(support_report.evaluate_study(study), LDS, {"K": 20, "recipe": "demo-cnn"})
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["ranking"], row["kind"], row["n"], row["lds"]) for row in rows] == [
        ("trak-10", "remove", "4", "0.2"),
        ("random", "remove", "3", ""),
        ("l2-moco", "", "", "-0.01"),
    ]
    assert rows[0]["K"] == "20" and float(rows[0]["auc"]) == pytest.approx((18 + 16 + 16) / 80)


def test_the_curves_as_csv(study):
    rows = list(csv.DictReader(io.StringIO(tables.curves_csv(study, {"K": 20}))))
    assert [(row["ranking"], row["k"], row["share_flipped"], row["target"]) for row in rows] == [
        ("trak-10", "2", "0.25", "0"),
        ("trak-10", "4", "0.5", "1"),
        ("trak-10", "4", "0.75", "2"),
        ("random", "18", "0.333333", "1"),
    ]
    assert rows[0]["kind"] == "remove" and rows[0]["K"] == "20" and rows[0]["status"] == "flipped"


def test_few_targets_are_called_few(study):
    measured = support_report.evaluate_study(study)
    assert "Too few to compare rankings: 3 targets (removal supports)." in tables.few_targets(measured)
    many = Study(20, "default", {"remove": {"a": made([3] * 60)}})
    assert tables.few_targets(support_report.evaluate_study(many)) is None


def test_lines_differ_in_colour_and_in_dash():
    names = ("esvm-moco", "l2-moco", "cosine-moco", "trak-10", "datamodels-2k", "random")
    lines = [palette.ranking_style(name) for name in names]
    assert len({line[0] for line in lines}) == len({line[1] for line in lines}) == 6
    assert palette.ranking_style("esvm-moco")[:2] == palette.ranking_style("esvm-dino")[:2]
    assert palette.ranking_style("esvm-moco")[2] != palette.ranking_style("esvm-dino")[2]
    assert palette.ranking_style("random@all")[:2] == palette.ranking_style("random")[:2]
    some = {palette.ranking_style(f"trak-10{mark}")[2] for mark in ("", "@true", "@pair", "@all")}
    assert len(some) == 4 and some <= set(MARKERS)


def test_names_are_escaped():
    study = Study(20, "default", {"remove": {"<b>": made([3])}})
    drawn = tables.table_html(support_report.evaluate_study(study), None, study)
    assert "&lt;b&gt;" in drawn and "></span><b>" not in drawn


# -- repairs


def support(size, k_max=20, status="flipped"):
    return Support(status, size, size - 1, size, [], 9) if size else Support("censored", None, k_max, None, [], 5)


def test_repairs_have_a_panel_and_a_count_of_their_own():
    right = Support("already_right", None, None, None, [], 0)
    study = Study(
        20,
        "default",
        {"remove": {"trak-10": {0: support(4)}}, "repair": {"trak-10": {1: support(3, status="repaired"), 2: right}}},
    )
    drawn = curves.support_curves(study)
    assert [one.text for one in drawn.layout.annotations] == ["Removal", "Repair of wrong targets"]
    measured = support_report.evaluate_study(study)
    assert tables.counts("repair", measured["repair"]["rankings"]) == (
        "Repair supports: 1 target, 1 more already right and left out"
    )
    assert "repair, 1 target, default" in tables.table_html(measured, None, study)


def test_a_study_of_repairs_is_asked_for_by_itself(ws, store):
    (ws.path / "supports.parquet").unlink()
    app = opened("Summary")
    app.number_input(key=state.STUDY_TARGETS).set_value(1)
    app.button_group(key=state.STUDY_RANKINGS).set_value(["trak-10"])
    app.button_group(key=state.STUDY_KINDS).set_value(["remove", "repair"]).run()
    assert not app.exception and "make two studies" in texts(app)
    app.button_group(key=state.STUDY_KINDS).set_value(["repair"]).run()
    app.button(key="start study").click().run()
    assert not app.exception and store.jobs()[0].spec["targets"] == [1]
    spec = registry.from_json(store.jobs()[0].spec)
    answered(ws, store, spec, lambda edit, seed: 1 if edit.k >= 3 else 2)
    store.finish_job(1, "done")
    app = opened("Summary")
    assert not app.exception and "Repair supports: 1 target, 0 more already right" in texts(app)
    assert "A repair removes the most harmful images" in texts(app)
    outcome = next(group for group in app.button_group if group.label == "Outcome")
    assert outcome.value == "repaired"
