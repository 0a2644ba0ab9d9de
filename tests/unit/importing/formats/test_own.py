"""Formats of the user's own: what they return is checked and stored as that of every format."""

import numpy as np
import pytest

from attribution import UserError, Workspace
from attribution.importing.formats import Declaration, get_format
from attribution.importing.importing import data_set_sizes

TEXT = """
import numpy as np
class Text:
    name, description = "text", "scores as text, a row a target"
    def load(self, path, sizes, declared):
        scores = np.loadtxt(path, delimiter=",")
        assert scores.shape == (sizes.n_val, sizes.n_train)
        return {"method": "Mine", "signed": True, "scores": scores}
"""


@pytest.fixture
def scores(ws, tmp_path):
    found = np.stack([ws.ranking("trak-10").scores(target) for target in range(ws.n_val)])
    np.savetxt(tmp_path / "scores.csv", found, delimiter=",")
    return found


def write(folder, text):
    (folder / "text.py").write_text(text)
    return f"{folder / 'text.py'}:Text"


def test_scores(ws, scores, tmp_path, answer):
    place = write(tmp_path, TEXT)
    made = answer("import", place, tmp_path / "scores.csv", "--name", "mine")
    assert (made["method"], made["signed"], made["format"], made["sign"]) == ("Mine", True, "text", "helpful")
    assert made["code"]["file"] == "text.py" and str(tmp_path) not in str(made), "no path of this machine"
    ranking = Workspace.open(ws.path).ranking("mine")
    assert np.allclose(ranking.scores(5), scores[5], atol=1e-6) and ranking.complete
    shown = answer("show", tmp_path / "scores.csv", "--format", place, "--name", "shown", "--no-serve")
    assert shown["ranking"] == "shown"


def test_lists_and_targets(ws, scores, tmp_path, answer):
    returned = 'return {"targets": [3, 1], "ranked": np.argsort(-scores[[3, 1]], 1)[:, :4]}'
    place = write(tmp_path, TEXT.replace('return {"method": "Mine", "signed": True, "scores": scores}', returned))
    answer("import", place, tmp_path / "scores.csv", "--name", "lists")
    ranking = Workspace.open(ws.path).ranking("lists")
    assert ranking.targets.tolist() == [1, 3] and not ranking.signed
    assert ranking.top(3, 4).ids.tolist() == np.argsort(-scores[3], kind="stable")[:4].tolist()


@pytest.mark.parametrize(
    ("returned", "match"),
    [
        ("3", "text.load returned int, and a dict is needed"),
        ("{}", "returned neither scores nor ranked, or both"),
        ('{"scores": scores, "ranked": [[1]]}', "returned neither scores nor ranked, or both"),
        ('{"scores": scores.T}', "looks transposed"),
        ('{"scores": scores * np.nan}', "NaN or infinite"),
        ('{"scores": scores[:3]}', "is expected for 60 training images and 12 targets"),
        ('{"scores": scores[:3], "targets": [1, 1, 2]}', "names the same image twice"),
        ('{"scores": scores[:1], "targets": [12]}', "has the number 12 among its targets"),
        ('{"ranked": np.full((12, 2), 60)}', "has the number 60"),
        ('{"ranked": np.full((11, 2), 6)}', "return a row of training images for each of 12 targets"),
        ('{"ranked": np.tile([-1, 6], (12, 1))}', "goes on after a -1"),
        ('{"ranked": scores}', "ranked of text are float64, and whole numbers are needed"),
        ("1 / 0", "text.load raised ZeroDivisionError"),
    ],
)
def test_what_is_refused(ws, scores, tmp_path, returned, match):
    read = get_format(write(tmp_path, TEXT.replace('{"method": "Mine", "signed": True, "scores": scores}', returned)))
    with pytest.raises(UserError, match=match) as caught:
        found = read.load(tmp_path / "scores.csv", Declaration(), data_set_sizes(ws))
        (found.read_scores or found.read_lists)(0, len(found.targets))
    assert "\n" not in str(caught.value)


def test_it_takes_no_file_by_itself(ws, scores, tmp_path):
    read = get_format(write(tmp_path, TEXT))
    assert read.DESCRIPTION == "scores as text, a row a target" and not read.sniff(tmp_path / "scores.csv")
    with pytest.raises(UserError, match="no format 'text'; there is traker, .*, or name one of yours as FILE:CLASS"):
        get_format("text")
