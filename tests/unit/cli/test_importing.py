"""Bringing data in from the command line: what is printed, what is refused, and what `show` tells."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from attribution import Workspace
from attribution.importing import importing
from attribution.workspace import create
from tests.unit.data.test_image_folder import fill, put
from tests.unit.data.test_parquet import write


@pytest.fixture
def file(ws, tmp_path):
    """Scores [12, 60], target-first, that prefer the target's class."""
    scores = np.random.default_rng(0).normal(size=(12, 60)) + 5 * (ws.train_labels == ws.val_labels[:, None])
    np.save(tmp_path / "Mine v2.npy", scores.astype(np.float32))
    return tmp_path / "Mine v2.npy"


def test_import(ws, file, run):
    done = run("import", "tensor", file, "--name", "mine", "--sign", "helpful", "--json")
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    assert answer["ranking"] == "mine" and answer["file"] == "Mine v2.npy" and answer["format"] == "tensor"
    assert answer["alignment"]["top1_same_class"] == 1 and answer["alignment"]["warning"] is None
    scores = np.load(file)
    assert Workspace.open(ws.path).ranking("mine").top(5, 3).ids.tolist() == np.argsort(-scores[5])[:3].tolist()


def test_the_wrong_sign_is_refused_in_a_sentence(ws, file, run):
    done = run("import", "tensor", file, "--name", "mine", "--sign", "harmful")
    assert done.code == 2 and "the sign looks turned round" in done.err and len(done.err.strip().splitlines()) == 1
    assert "mine" not in Workspace.open(ws.path).rankings()
    kept = run("import", "tensor", file, "--name", "mine", "--sign", "harmful", "--force")
    assert kept.code == 0 and "warning: " in kept.out


def test_show(ws, file, run):
    done = run("show", file, "--sign", "helpful", "--json")
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    assert answer["ranking"] == "mine-v2" and answer["same_class"] > 0.95 and answer["n"] == 12
    assert answer["lds"] is None and "held-out" in answer["why_no_lds"]
    assert 0 < answer["shared"]["l2-moco"] <= 20


def test_show_says_which_recipe_judges_and_that_random_is_of_the_true_class(ws, file, run):
    rng = np.random.default_rng(0)
    masks, margins = rng.random((30, 60)) < 0.5, rng.normal(size=(30, 12))
    importing.import_halves(ws, masks, margins, {"recipe": "resnet9", "hash": "0123456789ab"})
    words = ["show", file, "--sign", "helpful", "--no-serve"]
    out = run(*words).out
    assert "LDS " in out and "30 held-out halves x 1 seed, of resnet9 0123456789ab; noise ceiling –" in out
    (row,) = (line for line in out.splitlines() if line.startswith("random "))
    assert row.split()[1:4] == ["the", "true", "class"]
    answer = json.loads(run(*words, "--json").out)
    assert answer["candidates"]["random"] == "true" and answer["candidates"]["mine-v2"] == "all"
    assert (answer["halves"]["recipe"], answer["halves"]["recipe_hash"]) == ("resnet9", "0123456789ab")


def test_a_part_that_was_added_can_be_taken_out(ws, file, run):
    run("import", "tensor", file, "--name", "mine", "--sign", "helpful")
    assert run("workspace", "remove", "rankings/mine").code == 0
    assert "mine" not in Workspace.open(ws.path).rankings()
    again = run("workspace", "remove", "rankings/mine")
    assert again.code == 2 and "no part" in again.err


def test_features(ws, tmp_path, run):
    for name, labels in (("train", ws.train_labels), ("val", ws.val_labels)):
        np.save(tmp_path / f"{name}.npy", np.eye(3)[labels])
    words = ["features", "import", "--name", "own", "--train", tmp_path / "train.npy", "--val", tmp_path / "val.npy"]
    done = run(*words, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["knn_accuracy"] == 1 and json.loads(done.out)["dim"] == 3
    train, val = (tmp_path / f"{name}.npy" for name in ("val", "train"))
    swapped = run(*words[:4], "--train", train, "--val", val)
    assert swapped.code == 2 and len(swapped.err.strip().splitlines()) == 1


def test_a_store_of_half_models_is_fitted_on_and_judges_by_others(ws, tmp_path, run):
    """Margins that add up what six images of the target's class give: Datamodels find these, and LDS says so."""
    rng = np.random.default_rng(0)
    masks = rng.random((90, 60)) < 0.5
    helps = np.zeros((12, 60))
    for target, label in enumerate(ws.val_labels):
        helps[target, rng.choice(np.flatnonzero(ws.train_labels == label), 6, replace=False)] = 1
    (tmp_path / "models").mkdir()
    np.save(tmp_path / "models" / "masks.npy", masks)
    np.save(tmp_path / "models" / "margins.npy", (masks @ helps.T + rng.normal(0, 0.3, (90, 12))).astype(np.float16))
    done = run("import", "datamodels-store", tmp_path / "models", "--name", "dm", "--part", "0:60")
    assert done.code == 0, done.err
    judged = run("halves", "import", tmp_path / "models", "--part", "60:90", "--json")
    assert judged.code == 0 and json.loads(judged.out)["masks"] == 30, judged.err
    answer = json.loads(run("evaluate", "lds", "--json").out)
    assert answer["rankings"]["dm"]["lds"] > answer["rankings"]["random"]["lds"] + 0.2 and answer["ceiling"] is None
    assert json.loads((ws.path / "lds" / "lds.json").read_text())["rankings"]["dm"] == answer["rankings"]["dm"]
    assert (answer["candidates"]["dm"], answer["candidates"]["random"]) == ("all", "true")
    out = run("evaluate", "lds").out
    assert "30 held-out halves x 1 seed, imported, of a recipe that is not known; noise ceiling –" in out
    assert [line.split()[:4] for line in out.splitlines() if line.startswith("random ")] == [
        ["random", "the", "true", "class"]
    ]
    wrong = run("halves", "import", tmp_path / "models", "--part", "60:91")
    assert wrong.code == 2 and "0:90" in wrong.err


@pytest.mark.parametrize("path", ["~nosuchuser/scores.npy", "a" * 300, "/proc/1/mem/x"])
def test_paths_that_cannot_be_looked_at_get_one_sentence(ws, path, run):
    done = run("show", path)
    assert done.code == 2 and len(done.err.strip().splitlines()) == 1 and "check the path" in done.err


def test_pictures_that_are_resized_are_told_of(tmp_path, run):
    fill(tmp_path / "set", {"train/cat": ["a.png", "b.png"], "train/dog": ["c.png"], "val/dog": ["d.png"]})
    put(tmp_path / "set/train/dog/c.png", size=(40, 30))
    words = ["workspace", "create", tmp_path / "new", "--dataset", "image-folder"]
    words += ["--root", tmp_path / "set"]
    clause = "2 sizes, from 6 x 6 to 40 x 30; all are shown and trained at 64 x 64"
    done = run(*words)
    assert done.code == 0 and clause in done.out and "; --side chooses another size" in done.out
    told = run("info", "--workspace", tmp_path / "new")
    assert clause in told.out
    answer = json.loads(run("info", "--json", "--workspace", tmp_path / "new").out)
    assert answer["images"]["shape"] == [64, 64, 3] and answer["images"]["sizes"]["largest"] == [40, 30]


def test_how_images_were_read_is_told(tmp_path, run):
    """Which folders were taken for what, what was left out, and the depth; a name that is no UTF-8 is printed."""
    for number, name in enumerate(("Train/cat/a", "Train/dog/b", "Train/dog/caf\udce9", "dev/dog/c", "test/cat/d")):
        put(tmp_path / f"set/{name}.png", 800 * number, mode="I;16")
    words = ["--dataset", "image-folder", "--root", tmp_path / "set"]
    refused = run("workspace", "create", tmp_path / "new", *words)
    assert refused.code == 2 and "Train/dog/caf\\udce9.png (has a name that is no UTF-8; rename it)" in refused.err
    done = run("workspace", "create", tmp_path / "new", *words, "--skip-corrupt")
    assert done.code == 0, done.err
    for line in (
        "new: 2 training and 1 validation images, 2 classes, 2 left out",
        "training images from Train, validation images from dev",
        "left out: Train/dog/caf\\udce9.png (has a name that is no UTF-8; rename it)",
        "left out: test (1 images; dev validates)",
        "grey images of 16 bits use 12 of them: 4,095 is shown white",
    ):
        assert line in done.out.splitlines()
    told = run("info", "--workspace", tmp_path / "new")
    assert "use 12 of them: 4,095 is shown white" in told.out
    answer = json.loads(run("workspace", "create", tmp_path / "two", *words, "--skip-corrupt", "--json").out)
    assert answer["notes"] == ["training images from Train, validation images from dev"]
    assert answer["images"] == {"shape": [6, 6], "sizes": None, "bits": 12} and len(answer["skipped"]) == 2


def test_pictures_of_parquet_that_are_resized_are_told_of(tmp_path, run):
    write(tmp_path / "train.parquet", range(10), ["cat", "dog"] * 5)
    words = ["--dataset", "parquet", "--root", tmp_path / "train.parquet", "--side", "16"]
    done = run("workspace", "create", tmp_path / "new", *words)
    told = run("info", "--workspace", tmp_path / "new")
    for out in (done.out, told.out):
        assert "all are 4 x 4 and are shown and trained at 16 x 16" in out


def test_training_images_are_matched_by_file_name(tmp_path, monkeypatch, run):
    """Scores of a loader that takes files in another order than ours, by the list of its files."""
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("LINEUP_WORKSPACE", str(tmp_path / "new"))
    files = [f"train/{name}/{name}{i}.png" for name in ("cat", "dog") for i in range(5)]
    for number, file in enumerate([*files, "val/cat/x.png", "val/dog/y.png"]):
        put(tmp_path / "set" / file, number)
    ws = create.create(tmp_path / "new", "image-folder", tmp_path / "set")
    order = np.random.default_rng(0).permutation(10)
    ours = np.where(ws.train_labels == ws.val_labels[:, None], 10, 0) + np.arange(10)
    np.save(tmp_path / "theirs.npy", ours[:, order].astype(np.float32))
    listed = tmp_path / "list.txt"
    command = ["import", "tensor", tmp_path / "theirs.npy", "--name", "mine", "--sign", "helpful"]
    listed.write_text("".join(f"/elsewhere/{files[i]}\n" for i in order))
    done = run(*command, "--train-files", listed, "--json")
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    assert (
        answer["train files"] == "list.txt, 10 of 10 training images" and "--train-files list.txt" in answer["command"]
    )
    assert Workspace.open(ws.path).ranking("mine").top(1, 10).ids.tolist() == np.argsort(-ours[1]).tolist()
    listed.write_text("".join(f"{files[i]}\n" for i in order[:9]))
    for options, sentence in (
        (["--train-files", listed], "for 9 training images"),
        (["--train-files", listed, "--train", tmp_path / "theirs.npy"], "give one of them"),
        (["--train-files", listed, "--workspace", "assets/demo"], "have no file names; say with --train"),
    ):
        done = run(*command, *options)
        assert done.code == 2 and sentence in done.err and len(done.err.strip().splitlines()) == 1, done.err


# -- predictions of one's own network


@pytest.fixture
def logits(ws, tmp_path):
    """Logits [12, 3] of a network that is right but for image 5."""
    said = ws.val_labels.copy()
    said[5] = 0
    np.save(tmp_path / "net.npy", (4 * np.eye(3)[said]).astype(np.float32))
    return tmp_path / "net.npy"


def test_base_import_list_compare_and_remove(ws, logits, run, answer):
    made = answer("base", "import", logits, logits, "--kind", "logits", "--recipe", "my-net")
    assert (made["recipe"], made["models"], made["accuracy"], made["replaced"]) == ("my-net", 2, 0.9167, None)
    assert made["command"].endswith("base import net.npy net.npy --kind logits --recipe my-net")
    out = run("base", "import", logits, "--kind", "logits", "--recipe", "my-net").out
    assert "right on 91.7 %" in out and "they replace 2 models of my-net" in out
    own, mine, head = answer("base", "list")["models"]
    assert (own["recipe"], mine["recipe"], mine["imported"]) == ("demo-cnn", "my-net", ["net.npy"])
    assert (head["recipe"], head["accuracy"]) == ("head-moco", None)
    assert answer("base", "compare", "demo-cnn", "my-net")["right"]["neither"] == 0
    assert "demo-cnn alone is right on 1" in run("base", "compare", "demo-cnn", "my-net").out
    assert answer("base", "remove", "--recipe", "my-net")["removed"] == ["base"]
    assert [model["recipe"] for model in answer("info")["models"]] == ["demo-cnn", "head-moco"]


def test_commands_speak_about_the_model(ws, logits, run, answer):
    run("base", "import", logits, "--kind", "logits", "--recipe", "my-net")
    info = answer("info", "--model", "my-net")
    assert (info["base"]["recipe"], info["base"]["models"]) == ("my-net", 1)
    assert [model["recipe"] for model in info["models"]] == ["demo-cnn", "my-net", "head-moco"]
    assert "models, for --model: demo-cnn" in run("info").out
    assert answer("rank", "--target", 5, "--ranking", "trak-10", "--model", "my-net")["prediction"] == "Bar"
    assert answer("rank", "--target", 5, "--ranking", "trak-10")["prediction"] == "Dot"
    done = run("retrain", "--target", 5, "--ranking", "trak-10", "--remove-top", 3, "--model", "my-net")
    assert done.code == 2 and "known here by its predictions alone; retrain demo-cnn instead" in done.err
    done = run("info", "--model", "nobody")
    assert done.code == 2 and "no recipe 'nobody'" in done.err


@pytest.mark.parametrize(
    ("change", "kind", "match"),
    [
        (lambda a: a[:-1], "logits", "11 x 3, and 12 validation images x 3 classes are expected"),
        (lambda a: a[::-1], "logits", "chance alone"),
        (lambda a: a[:, ::-1], "logits", "columns in another order"),
        (lambda a: a, "probabilities", "no probabilities; say --kind logits"),
        (lambda a: a / 5, "probabilities", "add up to 0.8 and not to 1"),
        (lambda a: a, "guesses", "say logits or probabilities"),
    ],
)
def test_bad_predictions_are_one_sentence_and_leave_nothing(ws, logits, run, change, kind, match):
    np.save(logits, change(np.load(logits)))
    before = sorted(ws.path.rglob("*"))
    done = run("base", "import", logits, "--kind", kind, "--recipe", "my-net")
    assert done.code == 2 and match in done.err and len(done.err.strip().splitlines()) == 1
    assert "my-net" not in Workspace.open(ws.path).models()
    assert [path for path in sorted(ws.path.rglob("*")) if path not in before and path.is_file()] == []


def test_base_import_of_training_images(ws, logits, tmp_path, run, answer):
    np.save(tmp_path / "train.npy", (4 * np.eye(3)[ws.train_labels]).astype(np.float32))
    words = ("base", "import", logits, "--kind", "logits", "--recipe", "my-net", "--train", tmp_path / "train.npy")
    assert answer(*words)["train"] == "in sample"
    assert answer(*words, "--out-of-sample")["train"] == "out of sample"
    done = run(*words[:-2], "--out-of-sample")
    assert done.code == 2 and "give their files, too" in done.err


# -- for the audit of labels


@pytest.fixture
def plain(ws):
    """The workspace without a truth of its own; the true labels in words, "true.csv"."""
    original = ws.truth()["original"]
    table = pd.DataFrame({"image": range(60), "true_label": [ws.classes[label] for label in original]})
    table.to_csv(ws.path.parent / "true.csv", index=False)
    (ws.path / "truth.parquet").unlink()
    manifest = json.loads((ws.path / "workspace.json").read_text())
    manifest["dataset"]["planted"] = 0
    (ws.path / "workspace.json").write_text(json.dumps(manifest))
    return Workspace.open(ws.path)


def probabilities(ws, file, wrong=3):
    """Writes probabilities [60, 3] that doubt the label of image `wrong`."""
    said = ws.train_labels.copy()
    said[wrong] = 0
    values = np.full((60, 3), 0.1)
    values[np.arange(60), said] = 0.8
    np.save(file, values)
    return values


def test_probabilities_and_true_labels(plain, tmp_path, run, answer):
    probabilities(plain, tmp_path / "probs.npy")
    made = answer("import", "probabilities", tmp_path / "probs.npy")
    assert (made["detector"], made["agreement"], made["file"]) == ("probabilities", 0.9833, "probs.npy")
    assert made["command"].endswith("import probabilities probs.npy --name probabilities")
    out = run("import", "probabilities", tmp_path / "probs.npy", "--name", "mine").out
    assert "mine: the likeliest class is the given label of 98.3 % of the training images" in out
    refused = run("evaluate", "mislabels")
    assert refused.code == 2 and "bring the true labels with `import truth`" in refused.err
    made = answer("import", "truth", tmp_path / "true.csv")
    assert (made["errors"], made["source"]) == (1, "true.csv")
    found = answer("evaluate", "mislabels")
    assert found["n_planted"] == 1 and found["detectors"]["probabilities"]["auc"] == 1
    assert "1 errors, by imported true labels, among 60 training images" in run("evaluate", "mislabels").out
    listed = {row["name"]: row for row in answer("detectors", "list")["detectors"]}
    assert listed["mine"]["family"] == "held-out" and listed["mine"]["built"]
    for part in ("truth", "detectors/mine"):
        assert run("workspace", "remove", part).code == 0
    again = Workspace.open(plain.path)
    assert again.truth() is None and {"truth", "detectors/mine"}.isdisjoint(again.manifest["parts"])


def test_probabilities_by_class_name(plain, tmp_path, answer):
    values = probabilities(plain, tmp_path / "probs.npy")
    table = pd.DataFrame({name: values[:, plain.classes.index(name)] for name in ("Dot", "Bar", "Box <b>")})
    table.insert(0, "image", range(60))
    table[::-1].to_csv(tmp_path / "probs.csv", index=False)
    assert answer("import", "probabilities", tmp_path / "probs.csv")["agreement"] == 0.9833


def test_probabilities_of_models_that_saw_the_images(plain, tmp_path, run):
    probabilities(plain, tmp_path / "probs.npy", wrong=0)
    assert (
        "warning: they agree with 100.0% of the given labels"
        in run("import", "probabilities", tmp_path / "probs.npy").out
    )


def test_issues(plain, tmp_path, run, answer):
    table = pd.DataFrame({"is_label_issue": False, "label_quality": 0.9, "given_label": plain.train_labels})
    table.loc[3, ["is_label_issue", "label_quality"]] = True, 0.01
    table.to_csv(tmp_path / "issues.csv")
    made = answer("import", "issues", tmp_path / "issues.csv", "--name", "cleanlab")
    assert (made["detector"], made["listed"], made["flagged"], made["tool"]) == ("cleanlab", 60, 1, "cleanlab")
    table[:20].to_csv(tmp_path / "issues.csv")
    out = run("import", "issues", tmp_path / "issues.csv", "--name", "cleanlab").out
    assert (
        "cleanlab: issues found by cleanlab, 20 of 60 training images, 1 of them flagged; the others come last" in out
    )


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda values: values.T, "60 training images x 3 classes are expected; it looks transposed"),
        (lambda values: 5 * values, "has values beyond 0 to 1, .* bring those after the softmax"),
        (lambda values: np.roll(values, 1, 1), "with its columns in another order it would be right on 98.3%"),
    ],
)
def test_probabilities_that_cannot_be(plain, tmp_path, run, change, match):
    np.save(tmp_path / "probs.npy", change(probabilities(plain, tmp_path / "probs.npy")))
    done = run("import", "probabilities", tmp_path / "probs.npy")
    assert done.code == 2 and re.search(match, done.err) and len(done.err.strip().splitlines()) == 1, done.err
    assert not [part for part in Workspace.open(plain.path).manifest["parts"] if part.startswith("detectors/")]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("import probabilities {tmp}/none.npy", "cannot be opened"),
        ("import probabilities {tmp}/none.npy --name loss", "loss is the name of a detector that is built here"),
        ("import probabilities {tmp}/none.npy --sign helpful", "give --name, --force and --workspace alone"),
        ("import truth {tmp}/none.npy --name a", "give --force and --workspace alone"),
        ("import truth {tmp}/true.csv --workspace assets/demo", "there are 5,000 training images"),
        ("import issues {tmp}/true.csv", "does not say how suspicious an image is"),
        ("import issues {tmp}/true.csv --who Ann", "give --name, --force and --workspace alone"),
    ],
)
def test_what_cannot_be_brought_is_one_sentence(plain, tmp_path, run, line, said):
    done = run(*line.format(tmp=tmp_path).split())
    assert done.code == 2 and said in done.err and len(done.err.strip().splitlines()) == 1, done.err
