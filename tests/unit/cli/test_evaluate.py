"""`evaluate lds-supports`, `calibration` and `lds` on bundles, and what is refused in one sentence."""

import json

import numpy as np

from tests import tiny
from tests.unit.evaluation.test_candidate_sets import give_halves


def test_both_print_one_object_of_what_the_demo_brings(run):
    done = run("evaluate", "lds-supports", "--json")
    told = json.loads(done.out)
    assert done.code == 0 and set(told["kinds"]) == {"remove", "mislabel"} and told["K"] == 128
    assert told["kinds"]["remove"]["rankings"]["trak-10"]["n"] == 40
    done = run("evaluate", "calibration", "--json")
    told = json.loads(done.out)
    assert (
        done.code == 0
        and set(told["rankings"]) == {"trak-10", "datamodels-2k", "unrolled-5"}
        and "l2-moco" in told["unsigned"]
    )


def test_what_is_missing_is_said_in_a_sentence(tmp_path, run):
    folder = tiny.write(tmp_path / "w").path
    done = run("evaluate", "lds-supports", "--workspace", folder)
    assert done.code == 2 and "no held-out models" in done.err and "Traceback" not in done.err
    (folder / "supports.parquet").unlink()
    done = run("evaluate", "lds-supports", "--workspace", folder)
    assert done.code == 2 and "no held-out models" in done.err and "Traceback" not in done.err
    done = run("evaluate", "calibration", "--workspace", folder)
    assert done.code == 2 and "nothing was removed in tiny yet" in done.err and "Traceback" not in done.err


def test_a_bundle_and_scores_of_ones_own(tmp_path, run):
    ws = tiny.write(tmp_path / "w")
    give_halves(ws)
    where, file = ("--workspace", ws.path), tmp_path / "truth.npz"
    done = run("export", "halves", "--out", file, *where)
    assert done.code == 0 and "12 halves x 2 seeds of demo-cnn, 12 targets" in done.out, done.err
    told = json.loads(run("export", "halves", "--out", file, *where, "--json").out)
    assert (told["masks"], told["seeds"], told["n_train"]) == (12, [0, 1], 60)
    own = json.loads(run("evaluate", "lds", *where, "--json").out)
    judged = json.loads(run("evaluate", "lds", "--bundle", file, *where, "--json").out)
    assert judged["rankings"] == own["rankings"] and judged["ceiling"] == own["ceiling"]
    assert judged["bundle"] == {"file": "truth.npz", "targets": 12, "workspace": ws.name}
    mine = tmp_path / "mine.npy"
    np.save(mine, np.array([ws.ranking("trak-10").scores(target) for target in range(12)]))
    for more in ((*where, "--rankings", "trak-10"), ()):  # a user of other libraries has no workspace
        done = run("evaluate", "lds", "--bundle", file, "--scores", f"mine={mine}", *more, "--json")
        rows = json.loads(done.out)["rankings"]
        assert rows["mine"] == own["rankings"]["trak-10"] and len(rows) == 1 + bool(more)
    done = run("evaluate", "lds", "--scores", f"trak-10={mine}", "--rankings", "trak-10", *where)
    assert done.code == 2 and "trak-10 is named twice" in done.err
    done = run("evaluate", "lds", "--scores", f"mine={mine}", *where)
    assert "12 held-out halves x 2 seeds" in done.out and "mine" in done.out and done.code == 0
    told = json.loads(run("evaluate", "lds", *where, "--rankings", "trak-10+random", "--json").out)
    assert list(told["rankings"]) == ["trak-10+random"] and told["combinations"]["trak-10+random"]["ci"]
    stored = json.loads((ws.path / "lds" / "lds.json").read_text())
    assert stored["rankings"].keys() == own["rankings"].keys(), "what asks for some is not kept for the pages"


def test_a_bundle_that_does_not_fit_is_refused_in_a_sentence(tmp_path, run):
    ws = tiny.write(tmp_path / "w")
    give_halves(ws)
    file = tmp_path / "truth.npz"
    assert run("export", "halves", "--out", file, "--workspace", ws.path).code == 0
    for words, said in (
        (["evaluate", "lds", "--bundle", file], "60 training and 12 validation images, and demo has 5,000 and 1,000"),
        (["evaluate", "lds", "--bundle", tmp_path / "none.npz", "--workspace", ws.path], "cannot be opened"),
        (["evaluate", "lds", "--scores", "mine", "--workspace", ws.path], "write NAME=FILE"),
        (["export", "halves", "--out", tmp_path / "truth.npy", "--workspace", ws.path], "does not end in .npz"),
        (["export", "halves", "--draw", "2", "--out", file, "--workspace", ws.path], "no second draw"),
        (["halves", "train", "--draw", "3"], "out of range"),
    ):
        done = run(*words)
        assert (done.code, done.out) == (2, "") and said in done.err and len(done.err.strip().splitlines()) == 1


def test_combinations_are_listed_and_taken_out(tmp_path, run):
    where = ("--workspace", tiny.write(tmp_path / "w").path)

    def listed():
        return [row["name"] for row in json.loads(run("info", *where, "--json").out)["rankings"]]

    done = run("rankings", "combine", "trak-10", "l2-moco", *where)
    assert done.code == 0 and "trak-10+l2-moco: trak-10 + l2-moco · standardised sum" in done.out
    assert "trak-10+l2-moco" in listed()
    ranked = json.loads(run("rank", "--target", 0, "--ranking", "trak-10+l2-moco", *where, "--json").out)
    assert ranked["ranking"] == "trak-10+l2-moco"
    assert run("rankings", "combine", "trak-10", "nothing", *where).code == 2
    done = run("rankings", "remove", "trak-10+l2-moco", *where)
    assert done.code == 0 and "trak-10+l2-moco" not in listed()
    assert run("rankings", "remove", "trak-10+l2-moco", *where).code == 2
