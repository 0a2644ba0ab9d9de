"""The report's tables say what the store and the workspace hold."""

from dataclasses import replace

from attribution.experiments.support import support_spec
from attribution.export import report, report_tables
from attribution.training import recipes
from tests.unit.export.test_report import Read, put


def test_supports_with_their_votes(ws, store):
    rows = Read(report.build_report(ws, store, 0)).rows
    assert ["trak-10", "removal", "4", "(3, 4]", "Dot in 4 of 5 at k = 4", "default", "20", "5", "demo-cnn"] in rows
    assert not [row for row in Read(report.build_report(ws, store, 4)).rows if "removal" in row]


def test_supports_of_other_questions_and_recipes(ws, store):
    answer = {"status": "flipped", "support": 2, "lo": 1, "hi": 2, "trace": [], "trainings": 7, "version": None}
    spec = replace(support_spec(ws, 0, "trak-10", "remove"), without=[1, 2, 3])
    store.put_answer(
        recipes.get_recipe("demo-cnn").hash, {k: v for k, v in spec.items() if k not in ("workspace", "recipe")}, answer
    )
    store.put_support(recipes.get_recipe("demo-mlp").hash, "trak-10", 0, "remove", "default", 20, answer)
    found = report_tables.supports_of(ws, store, 0)
    assert [(one["recipe"], one["ranking"], one["support"], one["more"]) for one in found] == [
        ("demo-cnn", "random", None, ""),
        ("demo-cnn", "trak-10", 4, ""),
        ("demo-cnn", "trak-10", 2, "without 3 images found before"),
        ("demo-mlp", "trak-10", 2, ""),
    ]


def test_retrainings_with_controls_and_votes(ws, store):
    put(ws, store, 0, "trak-10", 3, [2, 2, 0])
    put(ws, store, 3, "trak-10", 3, [2, 2, 0])  # of another target
    jobs_there = store.jobs_of_verb("retrain", 9)
    assert len(jobs_there) == 2
    found = report_tables.retrainings_of(ws, store, 0)
    assert [(one["what"], one["wrong"], one["n"]) for one in found] == [("without the top 3 of trak-10", 2, 3)]
    rows = Read(report.build_report(ws, store, 0)).rows
    recipe = f"demo-cnn {recipes.get_recipe('demo-cnn').hash}"
    assert ["1: without the top 3 of trak-10", "Dot 2, Bar 1", "flipped", "2 of 3", "−1.00", "0 to 2", recipe] in rows
    assert ["1: all images as they are", "Bar 3", "kept", "0 of 3", "2.00", "0 to 2", recipe] in rows
    assert [
        "1: without as many random images of the same classes",
        "–",
        "undecided",
        "0 of 0",
        "–",
        "0 to 2",
        recipe,
    ] in rows


def test_a_target_that_is_wrong_without_any_edit_has_not_flipped(ws, store):
    put(ws, store, 0, "trak-10", 3, [2, 2, 0], unedited=[2, 2, 2])
    verdicts = {row[0]: row[2] for row in Read(report.build_report(ws, store, 0)).rows if row[0].startswith("1: ")}
    assert verdicts == {
        "1: without the top 3 of trak-10": "wrong without any edit, too",
        "1: without as many random images of the same classes": "undecided",
        "1: all images as they are": "wrong without any edit",
    }


def test_a_target_that_only_an_edit_makes_right_is_repaired(ws, store):
    right = int(ws.val_labels[0])
    put(ws, store, 0, "trak-10", 3, [right] * 3, unedited=[2, 2, 2])
    rows = Read(report.build_report(ws, store, 0)).rows
    assert [row[2] for row in rows if row[0] == "1: without the top 3 of trak-10"] == ["repaired"]


def test_provenance_and_versions(ws, store):
    ws.manifest["parts"]["rankings/trak-10"] |= {
        "command": "python -m attribution rankings build",
        "versions": {"python": "3.11", "torch": "2.11"},
        "seeds": [200, 201, 202],
        "seconds": 7200.0,
        "device": "cuda",
        "made": "2026-01-02",
        "digest": "abc",
    }
    ws.manifest["parts"]["detectors/mine"] = {"home": "/home/somebody/secret"}
    read = Read(report.build_report(ws, store, 0))
    assert [
        "rankings/trak-10",
        "python -m attribution rankings build",
        "1",
        "200 to 202",
        "2 h 0 min",
        "cuda",
        "2026-01-02",
        "–",
        "abc",
    ] in read.rows
    assert "python 3.11, torch 2.11" in read.text and "secret" not in read.text and "matplotlib 3" in read.text
