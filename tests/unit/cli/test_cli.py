"""The command line: JSON as scripts rely on it, one sentence and exit status 2 for mistakes, real trainings."""

import json
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from attribution.experiments import jobs
from attribution.experiments.retrain import retrain_spec
from attribution.store.results import ResultStore
from attribution.training import recipes
from tests import tiny
from tests.conftest import ROOT

pytestmark = pytest.mark.usefixtures("home")

# -- looking


def test_info(answer, run):
    found = answer("info")
    assert found["workspace"] == "tiny" and found["dataset"] == {
        "name": "shapes",
        "n_train": 60,
        "n_val": 12,
        "classes": tiny.CLASSES,
        "fingerprint": "0" * 64,
        "planted": 1,
    }
    assert found["features"] == [{"name": "moco", "dim": 3, "knn_accuracy": None}]
    names = ["esvm-moco", "l2-moco", "cosine-moco", "ridge-moco", "signed-moco", "influence-moco", "trak-10", "random"]
    assert [ranking["name"] for ranking in found["rankings"]] == names
    assert found["rankings"][6] == {
        "name": "trak-10",
        "method": "TRAK",
        "signed": True,
        "models": 0,
        "top1_same_class": 1.0,
    }
    assert {"name", "hash", "accuracy", "seconds", "device"} == set(found["recipes"][0])
    code, out, _ = run("info")
    assert code == 0 and "60 training and 12 validation images, 3 classes, 1 planted errors" in out


@pytest.mark.parametrize(
    ("recipe", "digest", "own", "text"),
    [
        (
            "demo-cnn",
            None,
            True,
            "base models: 10 by demo-cnn {hash}, 86.6 % right on 9 images, 1 min 15 s",
        ),
        ("resnet9", "0123456789ab", False, "by resnet9 0123456789ab, another than the workspace's recipe, demo-cnn"),
        ("demo-cnn", "0123456789ab", False, "by demo-cnn 0123456789ab, another than the workspace's recipe, demo-cnn"),
        (None, "", None, "base models: 10 by a recipe that their provenance does not name, 86.6 %"),
    ],
)
def test_info_says_which_recipe_made_the_base_models(answer, run, tmp_path, recipe, digest, own, text):
    """Its accuracy and seconds do not stand as those of the workspace's recipe where another made them."""
    ws = tiny.write(tmp_path / "tiny")
    found = recipes.get_recipe("demo-cnn").hash
    base = {"accuracy": 0.8664, "seconds": 75, "device": "cpu"}
    made = {"recipe": recipe, "hash": found if digest is None else digest or None, "measured_on": "9 images"}
    ws.manifest["parts"]["base"] = {**made, **base, "seeds": list(range(10))}
    (ws.path / "workspace.json").write_text(json.dumps(ws.manifest))
    told = answer("info", "--workspace", ws.path)
    assert told["base"] == {"models": 10, **made, **base, "workspaces_recipe": own}
    assert told["recipes"] == [{"name": "demo-cnn", "hash": found, **(base if own else dict.fromkeys(base))}]
    assert text.format(hash=found) in run("info", "--workspace", ws.path)[1]


def test_rank(answer, run):
    found = answer("rank", "--target", 1, "--ranking", "trak-10", "--top", 3)
    assert found == {
        "target": 1,
        "label": "Box <b>",
        "prediction": "Dot",
        "ranking": "trak-10",
        "train": [1, 4, 7],
        "scores": [0.5, 0.199951, 0.125],
        "labels": ["Box <b>"] * 3,
    }
    assert answer("rank", "--target", 1, "--ranking", "trak-10", "--top", 1, "--end", "harmful")["train"] == [0]
    labels = answer("rank", "--target", 1, "--ranking", "l2-moco", "--top", 5, "--candidates", "predicted")["labels"]
    assert labels == ["Dot"] * 5
    code, out, err = run("rank", "--target", 0, "--ranking", "l2-moco", "--top", 500)
    assert code == 0 and "l2-moco ranks only 19 images for this target; 500 were asked for" in err and "Bar" in out


@pytest.mark.parametrize(
    "line, sentence",
    [
        ("rank --target 12 --ranking random", "target 12 is out of range; give a validation image, 0 to 11"),
        ("rank --target=-1 --ranking random", "target -1 is out of range"),
        ("rank --target abc --ranking random", "target 'abc' is not a number"),
        ("rank --target 0 --ranking nonsense", "no ranking 'nonsense' in tiny; it has esvm-moco, l2-moco"),
        (
            "rank --target 0 --ranking random --top 0",
            "--top 0 is out of range; give a whole number from 1 to 10,000,000",
        ),
        ("rank --target 0 --ranking random --top=-4", "--top -4 is out of range"),
        ("rank --target 0 --ranking random --end harmful", "random has no harmful scores"),
        ("rank --target 0 --ranking random --candidates none", "candidates 'none' is not known"),
        ("retrain --target 0 --ranking random", "say one of --remove-top K, --relabel-top K"),
        ("retrain --target 0 --ranking random --remove-top 3 --relabel-top 3", "say one of"),
        ("retrain --target 0 --remove-top 3", "--remove-harmful need a --ranking"),
        ("retrain --target 0 --ranking random --remove 3", "--remove and --relabel take none"),
        ("retrain --target 0 --remove 3,x", "'x' is not a training image"),
        ("retrain --target 0 --relabel 1,4", "all these images carry the new label already"),
        ("retrain --target 0 --ranking random --remove-top 0", "--remove-top 0 is out of range"),
        ("retrain --target 0 --ranking random --remove-top=-1", "--remove-top -1 is out of range"),
        ("retrain --target 0 --ranking random --remove-top 20", "k = 20 is larger than the 19 images random ranks"),
        (
            "retrain --target 0 --ranking random --remove-top 3 --seeds 0",
            "--seeds 0 is out of range; give a whole number from 1 to 1,000",
        ),
        ("support --target 0 --ranking random --kind repaint", "kind 'repaint' is not known"),
        ("support --target 0 --ranking random --protocol fast", "protocol 'fast' is not known"),
        ("support --target 0 --ranking random --k-max 0", "--k-max 0 is out of range"),
        ("study --targets 500", "500 targets were asked for"),
        ("study --targets 2 --rankings ,", "at least one target, one ranking and one kind"),
        ("jobs show 99", "there is no job 99"),
        ("jobs cancel 99", "there is no job 99"),
        ("jobs pause 99", "there is no job 99"),
        ("jobs resume 99", "there is no job 99"),
        ("evaluate conditioning", "has no held-out models"),
        ("evaluate compute", "has no held-out models"),
        ("evaluate compute --halves 1,x", "not a list of numbers"),
        ("evaluate compute --checkpoints 0", "whole numbers"),
        ("evaluate lds", "has no held-out models"),
        ("runner --workers 0", "0 workers can do nothing"),
        ("info --workspace /nowhere", "there is no workspace at /nowhere"),
    ],
)
def test_a_mistake_is_one_sentence(run, line, sentence):
    code, out, err = run(*line.split())
    assert code == 2 and out == "" and len(err.splitlines()) == 1 and sentence in err


def test_a_data_folder_that_cannot_be_used(run, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "file"))
    code, _, err = run("jobs", "list")
    assert code == 2 and "set LINEUP_DATA to a folder you may write to" in err and len(err.splitlines()) == 1


def test_from_a_shell(run_python, home):
    """Status, streams and no traceback, as a script sees them; and help comes without torch and without pandas."""
    done = run_python("-m", "attribution", "rank", "--target", "99", "--ranking", "random")
    assert (done.code, done.out) == (2, "") and len(done.err.splitlines()) == 1
    script = (
        "import sys\nsys.argv = ['attribution', '--help']\nfrom attribution.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit as e:\n    print(e.code, {'torch', 'pandas'} & set(sys.modules))"
    )
    done = run_python("-c", script)
    assert done.out.splitlines()[-1] == "0 set()" and "retrain" in done.out, done.err


# -- retraining


def test_retrain_and_again_and_jobs(answer, run):
    """Real: a runner is started, trains, and the second time the answer is known."""
    line = "retrain --target 0 --ranking trak-10 --remove-top 4 --seeds 2 --draws 1".split()
    found = answer(*line)
    assert {name: found[name] for name in ("target", "ranking", "kind", "k", "recipe", "seeds", "cached")} == {
        "target": 0,
        "ranking": "trak-10",
        "kind": "remove",
        "k": 4,
        "recipe": "demo-cnn",
        "seeds": [0, 1],
        "cached": False,
    }
    assert len(found["margins"]) == 2 and found["wrong"] in (0, 1, 2) and found["seconds"] > 0
    assert found["flipped"] is (2 * found["wrong"] >= 2)
    assert set(found["controls"]) == {"none", "random"} and found["controls"]["none"]["n"] == 2

    start = time.monotonic()
    again = answer(*line)
    assert again == found | {"cached": True} and time.monotonic() - start < 2
    code, out, _ = run(*line)
    assert code == 0 and "known since" in out and "random, same classes" in out

    (job,) = answer("jobs", "list")["jobs"]
    assert job == {
        "id": 1,
        "state": "done",
        "what": "target 0: retrain without the first 4 of trak-10",
        "done": 6,
        "total": 6,
        "seconds": job["seconds"],
        "message": "",
    }
    assert answer("jobs", "show", 1)["spec"]["ids"] == [0, 6, 9, 12]
    code, _, err = run("jobs", "cancel", 1)
    assert code == 2 and "job 1 is done already" in err


def test_a_target_that_is_wrong_from_the_start_has_not_flipped(answer, run, tmp_path):
    """Real: without base models nobody knows before, and the control without an edit says so."""
    ws = tiny.write(tmp_path / "tiny", base=False)
    labels = pd.read_parquet(ws.path / "val.parquet")
    labels.loc[3, "label"] = 1  # a Bar that is called a Box
    labels.to_parquet(ws.path / "val.parquet")
    line = ["retrain", "--workspace", ws.path, "--remove", "1,4", "--seeds", 2, "--draws", 1, "--target"]
    found = answer(*line, 3)
    assert found["flipped"] and found["wrong_unedited"] and found["controls"]["none"]["wrong"] == 2
    out = run(*line, 3)[1]
    assert "flipped" not in out and out.count("still wrong") == 2
    assert "target 3 is wrong without any edit, too (2 of 2 seeds): there is nothing to flip" in out
    assert answer(*line, 0)["wrong_unedited"] is False
    out = run(*line, 0)[1]
    assert out.count("holds") == 2 and "without any edit" not in out
    out = run(*line[:3], "--ranking", "trak-10", "--remove-harmful", 2, *line[5:], 0)[1]
    assert "target 0 is right without any edit, too (2 of 2 seeds): there is nothing to repair" in out


def test_support(answer, run):
    line = "support --target 1 --ranking trak-10 --kind mislabel --k-max 8".split()
    found = answer(*line)
    wanted = {
        "target": 1,
        "ranking": "trak-10",
        "kind": "mislabel",
        "support": None,
        "status": "already_wrong",
        "trace": [],
        "trainings": 0,
    }
    assert {name: found[name] for name in wanted} == wanted
    assert not found["cached"] and answer(*line)["cached"]
    found = answer("support", "--target", 0, "--ranking", "trak-10", "--kind", "remove", "--k-max", 20)
    assert found["status"] == "flipped" and found["support"] == 4 and found["cached"], "the workspace brought it"
    code, out, _ = run("support", "--target", 0, "--ranking", "random", "--k-max", 20)
    assert code == 0 and "no flip within 20" in out
    found = answer("support", "--target", 3, "--ranking", "l2-moco", "--k-max", 2)
    assert found["status"] in ("flipped", "unstable", "censored") and found["trainings"] >= 3
    assert {"k", "seeds", "wrong", "margin"} <= set(found["trace"][0])


def test_ctrl_c_cancels(home):
    """Real: the signal reaches the command alone, for the runner is in another session."""
    store = ResultStore.for_workspace(home)
    before = len(store.jobs())
    command = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "attribution",
            "retrain",
            "--target",
            "0",
            "--ranking",
            "trak-10",
            "--remove-top",
            "9",
            "--seeds",
            "600",
        ],
        cwd=ROOT,
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell that starts the tests in the background has the signal ignored, and processes inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    end = time.monotonic() + 120
    while len(store.jobs()) == before or store.jobs()[0].state != "running":
        assert time.monotonic() < end and command.poll() is None
        time.sleep(0.02)
    time.sleep(0.3)
    command.send_signal(signal.SIGINT)
    out, err = command.communicate(timeout=30)
    assert command.returncode == 2 and "was cancelled" in err and "Traceback" not in err and out == ""
    end = time.monotonic() + 5
    while store.jobs()[0].is_open:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert store.jobs()[0].state == "cancelled" and store.live_trainings() == {}
    store.close()


def test_pause_and_resume_from_the_command_line(ws, run, answer, monkeypatch):
    """In a workspace of its own: the runner of the tests before would take the job."""
    monkeypatch.setattr(jobs, "ensure_runner", lambda workspace: None)
    store = ResultStore.for_workspace(ws)
    spec = retrain_spec(ws, 0, "trak-10", "remove", 12, range(60))
    number = store.add_job(spec, spec.describe())
    assert run("jobs", "pause", number)[:2] == (0, f"job {number} is paused; trainings under way are finished first\n")
    assert answer("jobs", "list")["jobs"][0]["state"] == "paused"
    code, _, err = run("jobs", "pause", number)
    assert code == 2 and f"job {number} is paused already; there is nothing to pause" in err
    assert run("jobs", "resume", number)[:2] == (0, f"job {number} is resumed\n")
    code, _, err = run("jobs", "resume", number)
    assert code == 2 and f"job {number} is queued; only a paused job can be resumed" in err
    store.cancel_job(number)
    store.finish_job(number, "cancelled")
    store.close()


def test_cancel_from_the_command_line(home, run, monkeypatch):
    store = ResultStore.for_workspace(home)
    spec = retrain_spec(home, 0, "trak-10", "remove", 11, range(60))
    number = jobs.submit(home, spec)
    code, out, err = run("jobs", "cancel", number)
    assert (code, out) == (0, f"job {number} is cancelled\n"), err
    store.close()


def test_cost(answer, run, home):
    found = answer("evaluate", "cost", "--rankings", "trak-10,random")
    assert {"machine", "k", "targets"} < set(found) and list(found["rankings"]) == ["trak-10", "random"]
    assert found["rankings"]["trak-10"]["parts"]["seconds"] == {"rankings/trak-10": None}
    assert not (home.path / "cost").exists(), "some rankings are not what the pages show"
    code, out, _ = run("evaluate", "cost")
    assert code == 0 and "ridge-moco" in out and (home.path / "cost" / "cost.json").exists()


def test_figures_and_the_report_as_files(run, tmp_path):
    for words, name, begins in (
        (("figure", "--target", 0), "a.svg", b"<svg"),
        (("figure", "--what", "supports", "--width", "single"), "b.pdf", b"%PDF"),
        (("report", "--target", 0, "--rankings", "trak-10", "--k", 2), "c.html", b"<!DOCTYPE"),
    ):
        code, out, err = run("export", *words, "--out", tmp_path / name)
        assert (code, out.strip()) == (0, str(tmp_path / name)), err
        assert (tmp_path / name).read_bytes().startswith(begins)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("figure", "--out", "a.png"), "a lineup needs a target"),
        (("figure", "--what", "pie", "--out", "a.png"), "'pie'"),
        (("figure", "--what", "supports", "--out", "a.gif"), "a.gif is none of"),
        (("figure", "--what", "agreement", "--out", "a.png"), "evaluate agreement"),
        (("report", "--out", "a.pdf"), "none of .html"),
        (("report", "--target", "99", "--out", "a.html"), "out of range"),
    ],
)
def test_mistakes_about_files(run, words, why):
    code, _, err = run("export", *words)
    assert code == 2 and why in err and "Traceback" not in err
