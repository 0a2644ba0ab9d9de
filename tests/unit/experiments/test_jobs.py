"""Jobs: what a spec needs trained, what is refused, and what is known of it so far. No process is started here."""

import json

import numpy as np
import pytest

from attribution import UserError
from attribution.experiments import jobs, support_search
from attribution.experiments.halves import half_edit, random_half, subsets_spec
from attribution.experiments.retrain import retrain_spec
from attribution.experiments.spec import SEEDS
from attribution.experiments.study import study_spec
from attribution.experiments.support import support_spec
from attribution.store.database import FILE
from attribution.store.results import ResultStore
from attribution.training import recipes
from attribution.training.edits import no_edit, remove
from tests import tiny

RUN = {"seconds": 2.0, "device": "cpu", "library": "torch", "threads": 1}


def train(ws, store, wanted, says=lambda edit, seed: 0):
    """Puts made-up retrainings into the store and returns them."""
    recipe = recipes.get_recipe("demo-cnn").hash
    for edit, seed in wanted:
        predicted = np.full(ws.n_val, says(edit, seed))
        store.put(recipe, edit, seed, predicted=predicted, margins=np.where(predicted == ws.val_labels, 1, -1), **RUN)
    return [store.get(store.key(recipe, edit, seed)) for edit, seed in wanted]


def drive(ws, store, spec, says=lambda edit, seed: 0):
    """Does a whole job without a runner; all that was asked for."""
    asked = []
    for search in spec.searches(ws, store):
        answer = None
        while True:
            try:
                wanted = search.send(answer)
            except StopIteration:
                break
            asked += wanted
            answer = train(ws, store, wanted, says)
    return asked


# -- specs


def test_a_retraining_and_its_controls(ws, store):
    spec = retrain_spec(ws, "0", "trak-10", "remove", 4, range(3), draws=2)
    first = ws.ranking("trak-10").top(0, 4).ids.tolist()
    assert (spec["target"], spec["k"], spec["ids"], spec["seeds"]) == (0, 4, first, [0, 1, 2])
    asked = drive(ws, store, spec)
    assert len(asked) == spec.total == 3 * (2 + 2)
    edits = [edit for edit, seed in asked if seed == 1]
    assert edits[:2] == [remove(first), no_edit()] and len({edit.hash for edit in edits}) == 4
    assert spec.describe() == "target 0: retrain without the first 4 of trak-10"


def test_hand_picked_images(ws):
    spec = retrain_spec(ws, 0, None, "remove", 0, ids=[5, 2, 5])
    assert spec["k"] == 2 and spec.describe() == "target 0: retrain without 2 chosen images"
    new = int(ws.base.likeliest_wrong_class[0])
    same, other = (int(np.flatnonzero(mask)[0]) for mask in (ws.train_labels == new, ws.train_labels != new))
    spec = retrain_spec(ws, 0, None, "mislabel", 0, ids=[same, other])
    assert spec["ids"] == [other] and spec["k"] == 1, "k counts labels changed"
    with pytest.raises(UserError, match="carry the new label already"):
        retrain_spec(ws, 0, None, "mislabel", 0, ids=[same])


@pytest.mark.parametrize(
    "change, match",
    [
        ({"target": 12}, "out of range"),
        ({"target": "x"}, "not a number"),
        ({"ranking": "trak-11"}, "no ranking"),
        ({"kind": "repair"}, "kind 'repair' is not known"),
        ({"k": 0}, "at least 1"),
        ({"k": -2}, "at least 1"),
        ({"ranking": "l2-moco", "k": 50}, r"k = 50 is larger than the \d+ images l2-moco ranks"),
        ({"seeds": []}, "one seed"),
        ({"ids": []}, "name at least one"),
        ({"ids": [60]}, "image 60 is out of range; give 0 to 59"),
        ({"ids": [-1]}, "image -1 is out of range"),
    ],
)
def test_what_is_refused(ws, change, match):
    with pytest.raises(UserError, match=match) as error:
        retrain_spec(ws, **{"target": 0, "ranking": "trak-10", "kind": "remove", "k": 3} | change)
    assert len(str(error.value).splitlines()) == 1


def test_searches_and_studies_are_checked_too(ws):
    for asked in (
        (0, "nonsense", "remove"),
        (99, "random", "remove"),
        (0, "random", "repaint"),
        (0, "random", "remove", "default", 0),
    ):
        with pytest.raises(UserError):
            support_spec(ws, *asked)
    for asked in (([0], [], ["remove"]), ([0, 99], ["random"], ["remove"]), ([0], ["random"], ["repaint"])):
        with pytest.raises(UserError):
            study_spec(ws, *asked)


# -- what they do


def test_without_base_models_only_a_removal_can_be_asked_for(tmp_path):
    ws = tiny.write(tmp_path / "tiny", base=False)
    assert retrain_spec(ws, 0, "trak-10", "remove", 3)["ids"] == [0, 6, 9]
    for ask in (
        lambda: retrain_spec(ws, 0, "trak-10", "mislabel", 3),
        lambda: support_spec(ws, 0, "trak-10", "remove"),
        lambda: study_spec(ws, [0], ["trak-10"], ["remove"]),
    ):
        with pytest.raises(UserError, match="no base models yet; train them with: python -m attribution base train"):
            ask()


def test_a_support_search_keeps_its_answer(ws, store):
    """The target flips as soon as seven of the ranking's images are gone."""
    spec = support_spec(ws, 0, "trak-10", "remove", k_max=20)
    asked = drive(ws, store, spec, lambda edit, seed: 2 if edit.k >= 7 else 0)
    (row,) = store.supports(recipes.get_recipe("demo-cnn").hash)
    assert (row["status"], row["support"], row["lo"], row["hi"], row["k_max"]) == ("flipped", 7, 6, 7, 20)
    assert row["trainings"] == len(asked) and spec.total == 1
    first = ws.ranking("trak-10").top(0, 20).ids
    assert all(edit == remove(first[: edit.k]) for edit, _ in asked)


def test_a_support_cannot_be_larger_than_the_candidates(ws, store):
    drive(ws, store, support_spec(ws, 0, "l2-moco", "remove"))
    (row,) = store.supports(recipes.get_recipe("demo-cnn").hash)
    assert row["status"] == "censored" and row["lo"] == len(ws.ranking("l2-moco").candidates(0))
    assert row["k_max"] == support_search.DEFAULT_K_MAX


def test_a_target_that_is_wrong_already_costs_nothing(ws, store):
    assert drive(ws, store, support_spec(ws, 1, "trak-10", "remove")) == []
    assert store.supports(recipes.get_recipe("demo-cnn").hash)[0]["status"] == "already_wrong"


def test_a_study_is_target_by_target(ws, store):
    spec = study_spec(ws, [0, 3], ["trak-10", "random"], ["remove", "mislabel"], k_max=10)
    order = [(one["target"], one["kind"], one["ranking"]) for one in spec.supports()]
    assert (
        order[:4]
        == [(0, "remove", "trak-10"), (0, "remove", "random"), (0, "mislabel", "trak-10"), (0, "mislabel", "random")]
        and len(order) == 8
        and spec.total == 9
    )
    asked = drive(ws, store, spec)
    assert asked[:5] == [(no_edit(), seed) for seed in SEEDS], "the control that all share"
    assert len(store.supports(recipes.get_recipe("demo-cnn").hash)) == 8


def test_a_study_goes_on_from_the_answers_that_the_workspace_brings(ws, store):
    spec = study_spec(ws, [0], ["trak-10", "random", "l2-moco"], ["remove"], k_max=20)  # two are answered there
    assert spec.total == 4
    asked = drive(ws, store, spec, lambda edit, seed: 2 if edit.k >= 7 else 0)
    assert {row["ranking"] for row in store.supports(recipes.get_recipe("demo-cnn").hash)} == {"l2-moco"}
    first = ws.ranking("l2-moco").top(0, 20).ids
    assert all(edit == remove(first[: edit.k]) for edit, _ in asked)


def test_random_halves(ws, store):
    spec = subsets_spec(ws, 3, 2, [0, 1], draw=7)
    asked = drive(ws, store, spec)
    assert len(asked) == spec.total == 4 and {edit.k for edit, _ in asked} == {30}
    assert asked[0][0] == half_edit(ws, 7, 3) != half_edit(ws, 7, 4) and asked[0][0] == asked[1][0]
    assert len({seed for _, seed in asked}) == 4, "no half shares its initial weights with another"
    assert random_half(60, 7, 3).sum() == 30 and not (random_half(60, 7, 3) == random_half(60, 8, 3)).all()
    assert not {seed for _, seed in asked} & set(range(1000)), "far from the seeds of probes and base models"


def test_pairs_of_halves_leave_every_image_out_equally_often(ws, store):
    spec = subsets_spec(ws, 0, 3, [0], draw=7, both=True)
    asked = drive(ws, store, spec)
    assert len(asked) == spec.total == 6 and len({seed for _, seed in asked}) == 6
    for (one, _), (other, _) in zip(asked[::2], asked[1::2]):
        assert sorted([*one.indices, *other.indices]) == list(range(60))
    assert [edit for edit, _ in asked[::2]] == [half_edit(ws, 7, number) for number in range(3)]
    assert spec.describe() == "3 pairs of complementary halves, 1 seeds each"
    assert "both" not in subsets_spec(ws, 0, 3, [0], draw=7), "what was asked before is the same question still"


# -- what is known


def test_the_answer_fills_as_trainings_come_in(ws, store):
    spec = retrain_spec(ws, 0, "trak-10", "remove", 4, range(5), draws=1)
    edits = spec.edits(ws)
    answer = spec.answer(ws, store)
    assert (answer["wrong"], answer["n"], answer["of"], answer["flipped"], answer["complete"]) == (0, 0, 5, None, False)
    assert answer["newest"] is None and spec.missing(ws, store) == 15
    says = lambda edit, seed: 2 if edit.k and seed != 1 else 0  # noqa: E731
    train(ws, store, [(edits["edit"][0], seed) for seed in (0, 1)], says)
    assert spec.answer(ws, store)["flipped"] is None
    train(ws, store, [(edits["edit"][0], seed) for seed in (2, 3)], says)
    recipe = recipes.get_recipe("demo-cnn").hash
    store.set_live_training(store.key(recipe, edits["edit"][0], 4), 1, 99, 6)
    store.set_live_epoch(store.key(recipe, edits["edit"][0], 4), 2, 6)
    answer = spec.answer(ws, store)
    assert (answer["wrong"], answer["n"], answer["flipped"], answer["margins"]) == (3, 4, True, [-1, 1, -1, -1])
    assert answer["runs"][4] == {"seed": 4, "draw": 0, "state": "running", "epoch": 2, "epochs": 6}
    assert spec.missing(ws, store) == 11 and answer["seconds"] == 8
    drive(ws, store, spec)
    answer = spec.answer(ws, store)
    assert answer["complete"] and spec.missing(ws, store) == 0
    assert (answer["controls"]["none"]["flipped"], answer["controls"]["random"]["wrong"]) == (False, 0)
    json.dumps(answer, allow_nan=False)


def test_a_margin_that_is_no_number_is_valid_json(ws, store):
    spec = retrain_spec(ws, 0, "trak-10", "remove", 4, [0], draws=0)
    recipe = recipes.get_recipe("demo-cnn").hash
    for edits in spec.edits(ws).values():
        for edit in edits:
            store.put(recipe, edit, 0, predicted=np.zeros(12), margins=np.full(12, np.nan), **RUN)
    answer = spec.answer(ws, store)
    assert answer["margins"] == [None] and json.dumps(answer, allow_nan=False)


# -- pausing


def test_pause_and_resume(ws, tmp_path, monkeypatch):
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path))
    asked = []
    monkeypatch.setattr(jobs, "ensure_runner", lambda workspace: asked.append(workspace))
    spec = retrain_spec(ws, 0, "trak-10", "remove", 4)
    number = jobs.submit(ws, spec)
    assert jobs.pause(ws, number) and not jobs.pause(ws, number) and len(asked) == 1, "no runner is needed for that"
    assert jobs.resume(ws, number) and not jobs.resume(ws, number) and len(asked) == 2
    assert jobs.pause(ws, number) and jobs.submit(ws, spec) == number
    store = ResultStore.for_workspace(ws)
    assert store.job(number).state == "queued", "asked for again, it goes on"
    store.close()


def test_who_waits_for_a_job_hears_that_it_was_paused(ws, tmp_path, monkeypatch):
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path))
    monkeypatch.setattr(jobs, "ensure_runner", lambda workspace: None)
    seen = []
    with pytest.raises(UserError, match="job 1 was paused by someone else.* `jobs resume 1` or the same command"):
        jobs.run_job(
            ws,
            retrain_spec(ws, 0, "trak-10", "remove", 4),
            lambda *progress: seen.append(progress) or jobs.pause(ws, 1),
        )
    assert len(seen) == 1
    store = ResultStore.for_workspace(ws)
    assert store.job(1).state == "paused", "it was not cancelled"
    store.close()


# -- the store and the runner


def test_who_waits_hears_that_the_results_were_taken_away(ws, tmp_path, monkeypatch):
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path))
    monkeypatch.setattr(jobs, "ensure_runner", lambda workspace: None)

    def progress(*_):
        (ResultStore.folder_of(ws) / FILE).unlink(missing_ok=True)

    with pytest.raises(UserError, match="was moved or deleted while in use; put it back, and ask again"):
        jobs.run_job(ws, retrain_spec(ws, 0, "trak-10", "remove", 4), progress)


def test_a_runner_that_cannot_work_is_not_started_again_and_again(ws, tmp_path, monkeypatch):
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path))
    monkeypatch.setenv("LINEUP_WORKERS", "0")
    number = jobs.submit(ws, retrain_spec(ws, 0, "trak-10", "remove", 4))
    jobs.ensure_runner(ws)
    ((process, _),) = [one for folder, one in jobs._started_runners.items() if folder.is_relative_to(tmp_path)]
    assert process.wait(60) == 2
    with pytest.raises(UserError, match="the background runner cannot work: 0 workers can do nothing; .*runner.log"):
        jobs.ensure_runner(ws)
    store = ResultStore.for_workspace(ws)
    assert store.job(number).is_open, "it waits for a runner that can"
    store.close()
