"""Parts: what is stored is loaded again as long as what it was computed on is the same."""

import numpy as np
import pytest

from attribution import UserError
from attribution.workspace.parts import Part, base_digest, held_out_digest, ranking_versions
from attribution.workspace.workspace import Workspace
from tests import tiny

ANSWER = Part("answer", "answer.json")


@pytest.fixture
def ws(tmp_path, monkeypatch):
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "data"))
    ws = tiny.write(tmp_path / "w")
    ws.manifest["parts"] |= {"lds": {"digest": "halves"}, "base": {"digest": "models"}}
    return ws


def save(ws, **provenance):
    versions = ranking_versions(ws, ["trak-10", "random"])
    ANSWER.save(ws, {"a": 1}, {"halves": held_out_digest(ws), "base": base_digest(ws), "of": versions, **provenance})


def test_json_is_loaded_again(ws):
    assert not ANSWER.exists(ws) and ANSWER.load(ws) is None
    save(ws, made="today")
    assert ANSWER.load(ws) == {"a": 1} and ANSWER.provenance(Workspace.open(ws.path))["made"] == "today"
    assert (ws.path / "answer" / "answer.json").exists()


@pytest.mark.parametrize("part", ["lds", "base", "rankings/trak-10"])
def test_it_is_out_of_date_once_what_it_was_computed_on_has_changed(ws, part):
    save(ws)
    ws.manifest["parts"][part] = {**ws.manifest["parts"][part], "digest": "another"}
    assert ANSWER.exists(ws) and ANSWER.load(ws) is None and ANSWER.read_json(ws) == {"a": 1}


def test_without_halves_what_was_computed_on_them_is_out_of_date(ws):
    save(ws)
    del ws.manifest["parts"]["lds"]
    assert held_out_digest(ws) is None and not ANSWER.is_current(ws)


def test_an_answer_that_cannot_be_read_names_the_command(ws):
    save(ws)
    (ws.path / "answer" / "answer.json").write_text("{")
    with pytest.raises(UserError, match=r"cannot be read .* attribution evaluate answer --workspace"):
        ANSWER.load(ws)


def test_arrays_are_loaded_with_their_shapes(ws):
    part = Part("numbers")
    part.save(ws, {"x": np.arange(6).reshape(2, 3)}, {})
    assert part.is_current(ws) and part.read_arrays(ws, {"x": (2, None)})["x"].tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(UserError):
        part.read_arrays(ws, {"x": (3, None)})


def test_a_recorder_takes_the_place_of_the_folder(ws):
    recorded = []
    ANSWER.save(ws, {"a": 1}, {"of": {}}, lambda *args: recorded.append(args))
    Part("numbers").save(ws, {"x": 1}, {}, lambda *args: recorded.append(args))
    assert recorded == [("answer", "answer.json", {"a": 1}, {"of": {}}), ("numbers", {"x": 1}, {})]
    assert not ANSWER.exists(ws)
