"""Which answers make up a study, and the steps of its curves."""

import json
import pickle

import pytest

from attribution import UserError
from attribution.evaluation import support_report
from attribution.experiments.study import Study, read_study, study_spec
from attribution.experiments.support_search import Support
from attribution.explore import targets
from attribution.training import recipes


def answer(status="flipped", support=4):
    return {"status": status, "support": support, "lo": 0, "hi": support, "trace": [], "trainings": 3}


def put(ws, store, ranking, target, k_max=20, **more):
    store.put_support(recipes.get_recipe(ws.recipe).hash, ranking, target, "remove", "default", k_max, answer(**more))


def test_a_target_that_was_picked_is_not_in_the_study(ws, store):
    put(ws, store, "trak-10", 3)
    found = read_study(ws, store)
    assert found.k_max == 20 and found.job is None
    assert {name: list(results) for name, results in found.tables["remove"].items()} == {"trak-10": [0], "random": [0]}
    assert list(found.tables) == ["remove"]


def test_a_study_under_way_has_its_targets_and_holds_places_for_the_rest(ws, store):
    spec = study_spec(ws, [0, 3], ["l2-moco", "trak-10"], ["remove"], k_max=20)
    store.add_job(spec, "study")
    put(ws, store, "l2-moco", 3, support=7)
    found = read_study(ws, store)
    results = found.tables["remove"]
    assert found.job.spec == spec and list(results) == ["l2-moco", "trak-10", "random"]
    assert results["l2-moco"][0] is None and results["l2-moco"][3].support == 7 and results["trak-10"][0].support == 4
    before = found.version
    put(ws, store, "l2-moco", 0)
    assert read_study(ws, store).version != before
    assert support_report.evaluate_study(found)["remove"]["rankings"]["l2-moco"]["unfinished"] == 1


def test_a_paused_study_holds_its_places(ws, store):
    number = store.add_job(study_spec(ws, [0, 3], ["l2-moco"], ["remove"], k_max=20), "study")
    store.pause_job(number)
    found = read_study(ws, store)
    assert found.job.id == number and found.tables["remove"]["l2-moco"] == {0: None, 3: None}


def test_of_a_study_that_was_cut_short_whole_targets_count(ws, store):
    number = store.add_job(study_spec(ws, [3, 4], ["l2-moco", "trak-10"], ["remove"], k_max=20), "study")
    for target, ranking in ((3, "l2-moco"), (3, "trak-10"), (4, "l2-moco")):
        put(ws, store, ranking, target)
    store.finish_job(number, "cancelled")
    results = read_study(ws, store).tables["remove"]
    assert list(results["l2-moco"]) == [3] and list(results["trak-10"]) == [0, 3]


def test_no_study(ws, store):
    (ws.path / "supports.parquet").unlink()
    found = read_study(ws, store)
    assert found.tables == {} and found.k_max == 128


def test_points():
    def one(status, k):
        return Support(status, k, 0, k)

    results = {
        7: one("flipped", 4),
        2: one("unstable", 4),
        5: one("censored", None),
        9: None,
        8: one("already_wrong", None),
        1: one("flipped", 30),
    }
    assert support_report.cdf_points(results, 20) == [(4, 0.25, 2, "unstable"), (4, 0.5, 7, "flipped")]
    assert support_report.cdf_points({8: results[8]}, 20) == []


def test_pairs_hold_each_pair_once_with_the_sign_tests_correction():
    def made(sizes):
        return {target: Support("flipped", k, k - 1, k) for target, k in enumerate(sizes)}

    small, large, middle = made([1] * 8), made([9] * 8), made([5] * 4 + [1] * 4)
    study = Study(20, "default", {"remove": {"a": small, "b": large, "c": middle}})
    rows = support_report.evaluate_study(study)["remove"]["pairs"]
    assert [(row["a"], row["b"], row["win"], row["tie"], row["loss"]) for row in rows] == [
        ("a", "b", 8, 0, 0),
        ("a", "c", 4, 4, 0),
        ("b", "c", 0, 0, 8),
    ]
    assert rows[0]["p"] == pytest.approx(2 / 256) and rows[0]["p_holm"] == pytest.approx(6 / 256)
    assert rows[1]["p_holm"] == rows[1]["p"] == pytest.approx(2 / 16)


def test_supports_of_the_paper_s_repository(tmp_path, run):
    for name, sizes in {"esvm": {3: 10, 8: -1, 9: 40, 11: 0}, "trak": {3: 20, 8: -1, 9: 80}}.items():
        (tmp_path / name).mkdir()
        for target, size in sizes.items():
            (tmp_path / name / f"{target}.pkl").write_bytes(pickle.dumps(size))
    words = ["evaluate", "supports", "--k-max", "100", "--json"]
    done = run(*words, "--paper", f"esvm={tmp_path / 'esvm'}", "--paper", f"trak={tmp_path / 'trak'}")
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    assert answer["rankings"]["esvm"]["auc"] == pytest.approx((0.9 + 0 + 0.6) / 3)
    assert (answer["rankings"]["esvm"]["n"], answer["rankings"]["esvm"]["already_wrong"]) == (3, 1)
    assert answer["rankings"]["trak"]["censored"] == pytest.approx(1 / 3) and answer["K"] == 100
    assert [answer["wins"]["esvm"]["trak"][it] for it in ("win", "tie", "loss")] == [2, 1, 0]
    for said, sentence in (("esvm", "write NAME=FOLDER"), (f"a={tmp_path}", "has no files <target>.pkl")):
        done = run(*words, "--paper", said)
        assert done.code == 2 and sentence in done.err and len(done.err.strip().splitlines()) == 1


def test_repairs_are_a_kind_of_their_own_with_their_own_targets(ws, store):
    with pytest.raises(UserError, match="make two studies"):
        study_spec(ws, [1], ["trak-10"], ["remove", "repair"])
    assert targets.wrong_targets(ws) == [1] == targets.draw_wrong_targets(ws, 1, 7)
    with pytest.raises(UserError, match="has 1 surely wrong ones; give 1 to 1"):
        targets.draw_wrong_targets(ws, 2, 7)
    spec = study_spec(ws, [1], ["trak-10"], ["repair"], k_max=20)
    store.add_job(spec, "")
    answer = {"status": "repaired", "support": 5, "lo": 4, "hi": 5, "trace": [], "trainings": 20, "version": None}
    store.put_support(recipes.get_recipe("demo-cnn").hash, "trak-10", 1, "repair", "default", 20, answer)
    found = read_study(ws, store)
    assert list(found.tables["remove"]["trak-10"]) == [0] and list(found.tables["repair"]["trak-10"]) == [1]
    assert support_report.cdf_points(found.tables["repair"]["trak-10"], 20) == [(5, 1.0, 1, "repaired")]
    assert support_report.evaluate_study(found)["repair"]["rankings"]["trak-10"]["n"] == 1


def test_rankings_side_by_side_on_the_targets_that_all_have(ws, store):
    sizes = {"trak-10": {0: 5, 3: 10, 4: 15, 1: None}, "trak-10@true": {0: 20, 3: None, 1: None}, "l2-moco": {0: 1}}
    for ranking, found in sizes.items():
        store.finish_job(store.add_job(study_spec(ws, list(found), [ranking], ["remove"], "adaptive", 20), ""), "done")
        for target, k in found.items():
            status = "already_wrong" if target == 1 else "flipped" if k else "censored"
            one = answer(status, k) | {"version": ws.ranking(ranking).version}
            store.put_support(recipes.get_recipe(ws.recipe).hash, ranking, target, "remove", "adaptive", 20, one)
    names = ["trak-10", "trak-10@true", "trak-10@all", "l2-moco"]
    answers = support_report.compare_on_same_targets(ws, store, names)
    assert list(answers) == ["remove"]
    found = answers["remove"]  # l2-moco was studied on a third as many targets
    assert (found["protocol"], found["K"], found["targets"]) == ("adaptive", 20, 2)
    assert {name: one["auc"] for name, one in found["rankings"].items()} == {
        "trak-10": pytest.approx((0.75 + 0.5) / 2),
        "trak-10@true": 0,
    }
    assert found["unfinished"] == 0
    store.add_job(study_spec(ws, [0, 5, 6], ["trak-10", "trak-10@true"], ["remove"], "adaptive", 20), "")
    going = support_report.compare_on_same_targets(ws, store, names)["remove"]
    assert (going["targets"], going["unfinished"]) == (2, 2)
    alone = support_report.compare_on_same_targets(ws, store, ["trak-10", "random"])["remove"]
    assert (alone["protocol"], alone["targets"], list(alone["rankings"])) == ("default", 1, ["trak-10", "random"])
    assert support_report.compare_on_same_targets(ws, store, ["esvm-moco"]) == {}
