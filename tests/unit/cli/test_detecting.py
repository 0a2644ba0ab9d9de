"""Detectors from the command line."""

import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("home")


def test_build_list_and_evaluate(answer, run, home):
    code, out, err = run("evaluate", "mislabels")
    assert (code, out) == (2, "") and "no detectors yet" in err and err.count("\n") == 1
    listed = answer("detectors", "list")["detectors"]
    assert not any(one["built"] for one in listed) and listed[0]["name"] == "combined"
    built = answer("detectors", "build", "knn-moco,harm-trak-10")["detectors"]
    assert set(built) == {"knn-moco", "harm-trak-10"}
    assert "mean rank in 2 families of 2 detectors" in run("detectors", "build", "combined")[1]
    listed = {one["name"]: one for one in answer("detectors", "list")["detectors"]}
    assert listed["combined"]["built"] and listed["combined"]["uses_val"] and not listed["knn-moco"]["uses_val"]
    assert "base train" in listed["loss"]["needs"] and "20 nearest in moco" in run("detectors", "list")[1]
    found = answer("evaluate", "mislabels")
    assert found["n_planted"] == 1 and list(found["detectors"]) == ["combined", "knn-moco", "harm-trak-10"]
    assert set(found["detectors"]["combined"]) == {"auc", "average_precision", "found_at"}
    text = run("evaluate", "mislabels")[1]
    assert "1 planted errors among 60 training images" in text and "found at 5 %" in text and "knn-moco" in text


def test_mistakes_are_one_sentence(run, home):
    before = sorted(home.path.rglob("*"))
    for words, said in (
        (("build", "nope"), "no detector 'nope'"),
        (("build", " , "), "no detector is named"),
        (("build", "loss"), "loss cannot be built"),
        (("build", "knn-moco,self-influence"), "self-influence cannot be built"),
    ):
        code, out, err = run("detectors", *words)
        assert (code, out, err.count("\n")) == (2, "", 1) and said in err
    assert sorted(home.path.rglob("*")) == before
    assert np.load(home.path / "detectors" / "knn-moco" / "scores.npy").shape == (60,)
