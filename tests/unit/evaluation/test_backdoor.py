"""Backdoors and the rankings that are to find them, on a case worked out by hand."""

import json
import sys

import numpy as np
import pytest

from attribution import UserError, Workspace
from attribution import __main__ as cli
from attribution.evaluation import backdoor, poison
from attribution.experiments import jobs
from attribution.files import write_json
from attribution.store.results import ResultStore
from attribution.training import recipes
from attribution.training.edits import no_edit, remove


@pytest.fixture
def attacked(ws, tmp_path, monkeypatch):
    """Class 1 is the attack's. Its base models take two triggered targets (12, 13) of three for it, and no other image
    of another class. `finds` is signed: what speaks most against any target are the poisoned images, then the others
    of the class. Nothing is trained: the store says that the backdoor works until half of the poisoned are gone."""
    copy = poison.create_poisoned_copy(ws, tmp_path / "p", 1, n=4, targets=3, side=2)
    poisoned, targets, _ = poison.load_poison_record(copy)
    probabilities = np.full((10, copy.n_val, 3), 0.05, np.float16)
    probabilities[:, np.arange(copy.n_val), copy.val_labels] = 0.9
    probabilities[:, targets[:2]] = [0.05, 0.9, 0.05]
    (copy.path / "base").mkdir()
    np.save(copy.path / "base" / "probabilities.npy", probabilities)
    scores = np.zeros((copy.n_val, copy.n_train), np.float16)
    scores[:, copy.train_labels == 1] = -1
    scores[:, poisoned] = -2
    (copy.path / "rankings" / "finds").mkdir(parents=True)
    np.save(copy.path / "rankings" / "finds" / "scores.npy", scores)
    copy.record_part("base", {"seeds": list(range(10))}, ["base/probabilities.npy"])
    copy.record_part("rankings/finds", {"method": "TRAK", "signed": True, "about": ""}, ["rankings/finds/scores.npy"])
    monkeypatch.setattr(jobs, "run_job", lambda workspace, spec, progress: train(workspace, spec, poisoned, targets))
    return copy


def train(workspace, spec, poisoned, targets):
    """Stands for the runner."""
    store = ResultStore.for_workspace(workspace)
    for edit in sum(spec.edits(workspace).values(), []):
        works = len(set(poisoned.tolist()) - set(edit.indices)) > len(poisoned) / 2
        for seed in spec["seeds"]:
            predicted = workspace.val_labels.copy()
            predicted[targets[:2] if works else []] = 1
            store.put(
                recipes.get_recipe(workspace.recipe).hash,
                edit,
                seed,
                predicted=predicted,
                margins=np.zeros(workspace.n_val),
                seconds=1,
                device="cpu",
                library="x",
                threads=1,
            )
    store.close()


def test_the_most_accused_stand_in_most_lists():
    lists = [np.array([5, 3, 9]), np.array([3, 7]), np.array([9, 4])]
    assert backdoor.most_accused(lists, 3).tolist() == [
        3,
        9,
        5,
    ]  # 3: ranks 1 + 0; 9: 2 + 0; 5 stands in one list, first
    assert backdoor.most_accused(lists, 9).tolist() == [3, 9, 5, 4, 7]


def test_a_ranking_that_finds_them_ends_the_attack(attacked):
    answer = backdoor.compute(attacked, ["finds", "random"], range(2))
    assert answer["success"]["mean"] == pytest.approx(2 / 3) and answer["untriggered"]["mean"] == 0
    assert answer["hit"] == 2 and answer["triggered"] == 3 and answer["models"] == 10
    whole, among, random = answer["rankings"]
    assert [(row["ranking"], row["candidates"]) for row in answer["rankings"]] == [
        ("finds", None),
        ("finds", "predicted"),
        ("random", None),
    ]
    size = int((attacked.train_labels == 1).sum())
    assert (whole["pool"], among["pool"], random["pool"]) == (60, size, size)
    assert whole["chance"] == pytest.approx(4 / 60) and random["chance"] == pytest.approx(4 / size)
    for row in (whole, among):
        assert row["precision"]["4"]["mean"] == 1 and row["precision"]["10"]["mean"] == 0.4 and row["removed"] == 4
        assert row["plain"]["mean"] == 1  # its scores are the same for all targets
        assert row["success"]["mean"] == 0 and row["accuracy"]["mean"] == 1
    assert answer["removals"][backdoor.NO_REMOVAL]["success"]["mean"] == pytest.approx(2 / 3)
    assert answer["removals"][backdoor.ORACLE_REMOVAL]["success"]["mean"] == 0
    assert "control" not in answer["removals"][backdoor.ORACLE_REMOVAL] and "control" in random
    assert json.loads(json.dumps(answer)) == answer


def test_the_area_under_the_precision_recall_curve(attacked):
    """`half` holds two of the four poisoned images above all, and gives the others the score of their class: found
    alone, the first two have precision 1; with them comes the whole class. 1 x 2/4 + 4/size x 2/4."""
    poisoned, _, _ = poison.load_poison_record(attacked)
    scores = np.zeros((attacked.n_val, attacked.n_train), np.float16)
    scores[:, attacked.train_labels == 1] = -1
    scores[:, poisoned[:2]] = -2
    (attacked.path / "rankings" / "half").mkdir()
    np.save(attacked.path / "rankings" / "half" / "scores.npy", scores)
    attacked.record_part("rankings/half", {"method": "TRAK", "signed": True}, ["rankings/half/scores.npy"])
    size = int((attacked.train_labels == 1).sum())
    rows = backdoor.compute(Workspace.open(attacked.path), ["finds", "half"], [0])["rankings"]
    found = {(row["ranking"], row["candidates"]): row["auprc"] for row in rows}
    for candidates in (None, "predicted"):
        assert found["finds", candidates] == {"mean": 1.0, "ci": [1.0, 1.0], "n": 2}
        assert found["half", candidates]["mean"] == pytest.approx(0.5 + 0.5 * 4 / size)


def test_unsigned_rankings_are_asked_among_images_of_the_predicted_class(attacked):
    random, (poisoned, targets, copied) = attacked.ranking("random"), poison.load_poison_record(attacked)
    lists = [random.top(target, 4, "predicted").ids for target in targets[:2]]
    row = backdoor.compute(attacked, ["random"], [0])["rankings"][0]
    assert row["precision"]["4"]["mean"] == pytest.approx(np.mean([np.isin(ids, poisoned).mean() for ids in lists]))
    pool = np.flatnonzero(
        attacked.train_labels == 1
    )  # and without the patch among the same images, not those of its class
    lists = [pool[np.argsort(-random.values(target, pool))[:4]] for target in copied[:2]]
    assert row["plain"]["mean"] == pytest.approx(np.mean([np.isin(ids, poisoned).mean() for ids in lists]))


def test_what_is_removed_is_what_was_accused(attacked):
    backdoor.compute(attacked, ["finds"], [3])
    store, recipe = ResultStore.for_workspace(attacked), recipes.get_recipe(attacked.recipe).hash
    for edit in (no_edit(), remove(poison.load_poison_record(attacked)[0])):
        assert store.get(store.key(recipe, edit, 3))
    store.close()


def test_mistakes_are_told(attacked, ws):
    with pytest.raises(UserError, match="not poisoned; make a copy"):
        backdoor.compute(ws)
    probabilities = np.load(attacked.path / "base" / "probabilities.npy")
    probabilities[:, 12:] = [0.9, 0.05, 0.05]
    np.save(attacked.path / "base" / "probabilities.npy", probabilities)
    with pytest.raises(UserError, match="does not work"):
        backdoor.compute(Workspace.open(attacked.path))


def test_rankings_that_cannot_be_asked(attacked):
    folder = attacked.path / "rankings"
    for name, array in (("first", "ids"), ("some", "targets")):
        (folder / name).mkdir()
        np.save(
            folder / name / f"{array}.npy", np.zeros((attacked.n_val, 1, 4), int) if array == "ids" else np.arange(2)
        )
    np.save(folder / "some" / "scores.npy", np.zeros((attacked.n_val, attacked.n_train), np.float16))
    for name in ("first", "some"):
        attacked.record_part(f"rankings/{name}", {"method": name})
    attacked = Workspace.open(attacked.path)
    assert backdoor.default_names(attacked) == ["finds", "random"]
    for name in ("first", "some"):
        with pytest.raises(UserError, match="leave it out"):
            backdoor.compute(attacked, [name], [0])
    with pytest.raises(UserError, match="name it without @"):
        backdoor.compute(attacked, ["finds@true"], [0])
    assert len(backdoor.compute(attacked, ["finds", "finds"], [0])["rankings"]) == 2  # asked twice, since it has a sign


def test_kept_until_a_ranking_changes(attacked):
    answer = backdoor.compute(attacked, ["finds"], [0])
    assert backdoor.load(attacked) is None
    backdoor.save(attacked, answer, {"command": "x"})
    assert backdoor.load(Workspace.open(attacked.path)) == answer
    attacked.manifest["parts"]["rankings/finds"]["digest"] = "another"
    assert backdoor.load(attacked) is None


def test_what_lineup_brings_is_shown_where_it_was_poisoned_from(attacked, ws, tmp_path, monkeypatch):
    monkeypatch.setattr(backdoor, "BUNDLED_RESULTS", tmp_path / "results")
    assert backdoor.load(ws) is None
    write_json(tmp_path / "results" / "x" / backdoor.STORED.file, {"of": ws.fingerprint})
    write_json(tmp_path / "results" / "y" / backdoor.STORED.file, {"of": "another"})
    assert backdoor.load(ws) == {"of": ws.fingerprint}
    assert backdoor.load(attacked) is None
    (tmp_path / "results" / "x" / backdoor.STORED.file).write_text("{")
    with pytest.raises(UserError, match="install Lineup again"):
        backdoor.load(ws)


def test_from_the_command_line(attacked, tmp_path, monkeypatch, capfd):
    attacked.record_part(
        "rankings/finds",
        {**attacked.manifest["parts"]["rankings/finds"], "command": "build finds"},
        ["rankings/finds/scores.npy"],
    )
    monkeypatch.setattr(
        sys,
        "argv",
        [
            "attribution",
            "evaluate",
            "backdoor",
            "--workspace",
            str(attacked.path),
            "--rankings",
            "finds",
            "--seeds",
            "2",
            "--out",
            str(tmp_path / "o.json"),
            "--json",
        ],
    )
    with pytest.raises(SystemExit) as end:
        cli.main()
    answer = json.loads(capfd.readouterr().out)
    assert not end.value.code and answer["seeds"] == [0, 1]
    assert backdoor.load(Workspace.open(attacked.path)) == answer
    told = json.loads((tmp_path / "o.json").read_text())
    about = told.pop("about")
    assert told == answer and about["note"] == "10 base models"
    poisoned, built, measured = about["commands"]
    assert poisoned.startswith("python -m attribution workspace poison p --n 4 --class 'Box <b>'")
    assert built == "build finds --name finds --workspace p"
    assert measured == "python -m attribution evaluate backdoor --rankings finds --seeds 2 --workspace p"
