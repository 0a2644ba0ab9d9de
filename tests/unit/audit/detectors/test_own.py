"""Detectors that a user's code computes."""

import re

import pytest

from attribution import UserError, Workspace
from attribution.audit import detectors

ODD = """
import numpy as np
class Odd:
    name, description = "odd", "how far from the mean"
    uses = ["features/moco"]
    def setup(self, data):
        self.train, self.labels = np.asarray(data.features("moco", "train"), float), data.labels("train")
    def scores(self):
        means = np.stack([self.train[self.labels == label].mean(0) for label in range(3)])
        return np.linalg.norm(self.train - means[self.labels], axis=1)
    def suggestions(self):
        return (self.labels + 1) % 3
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "odd.py"
    path.write_text(ODD)
    return path


def test_it_is_stored_as_any_other(ws, file, answer, run):
    built = answer("detectors", "build", "--module", f"{file}:Odd")["detectors"]["odd"]
    assert built["family"] == "own odd" and built["code"]["file"] == "odd.py" and built["suggests"]
    assert str(file.parent) not in str(built)
    again = Workspace.open(ws.path)
    detector = detectors.load(again, "odd")
    assert detector.scores.argmax() == 3 and detector.suggestion[3] == 0, "the planted error, a Bar called a Dot"
    assert (detector.description, detector.uses_val) == ("how far from the mean", False)
    assert answer("evaluate", "mislabels")["detectors"]["odd"]["auc"] == 1
    rows = {row["name"]: row for row in answer("detectors", "list")["detectors"]}
    assert rows["odd"]["built"] and "combined" in rows
    assert answer("detectors", "build", "odd")["detectors"]["odd"]["of"]["code"] == built["code"]["hash"], "by its name"
    assert run("detectors", "remove", "odd").code == 0
    assert "odd" in detectors.names(again) and "odd" not in detectors.available(again), "what it built stays"


def test_it_is_built_again_when_its_file_changes(ws, file):
    detectors.own.add(ws, f"{file}:Odd")
    first = detectors.build_detectors(ws, ["odd"])["odd"]["of"]
    assert first.keys() == {"code", "features/moco"}
    file.write_text(ODD + "# changed\n")
    assert detectors.own.source_digests(ws, "odd") != first
    file.write_text(ODD.replace("features/moco", "features/absent"))
    assert "it reads features/absent, which tiny has not" in detectors.available(ws)["odd"]


@pytest.mark.parametrize(
    ("before", "after", "match"),
    [
        ("return np.linalg", "return 1 / 0 + np.linalg", "odd.scores raised ZeroDivisionError"),
        (", axis=1)", ")", r"the scores of odd have the shape \[\]"),
        ("return (self.labels + 1) % 3", "return self.labels + 1", "no classes; return numbers from 0 to 2"),
        ("return (self.labels + 1) % 3", "return self.labels / 2", "are float64, and whole numbers are needed"),
        ('data.labels("train")', 'data.labels("val")', "it reads validation images; write uses_val = True"),
        ('"odd",', '"knn-moco",', "knn-moco is the name of a detector that comes with Lineup"),
        ('"odd",', '"combined",', "combined is the name of a detector"),
    ],
)
def test_what_is_refused(ws, file, before, after, match, run):
    assert before in ODD
    file.write_text(ODD.replace(before, after))
    done = run("detectors", "build", "--module", f"{file}:Odd")
    assert done.code == 2 and done.out == "" and re.search(match, done.err.strip().splitlines()[-1])
    assert "detectors/odd" not in Workspace.open(ws.path).manifest["parts"]


def test_one_that_fails_keeps_no_other_from_being_built(ws, file):
    file.write_text(ODD.replace("return np.linalg", "return 1 / 0 + np.linalg"))
    detectors.own.add(ws, f"{file}:Odd")
    harm = [name for name in detectors.available(ws) if name.startswith(("knn", "harm", "out", "conf"))]
    detectors.build_detectors(ws, harm)
    with pytest.raises(UserError, match="ZeroDivisionError"):
        detectors.build_detectors(ws)
    assert detectors.names(ws)[0] == "combined" and "odd" not in detectors.names(ws)


def test_of_the_validation_images_it_sees_the_first_half(ws, tmp_path):
    (tmp_path / "half.py").write_text(
        "import numpy as np\nclass Half:\n    name, uses_val, uses = 'half', True, ['features/moco', 'base']\n"
        "    def setup(self, data):\n"
        "        seen = data.labels('val'), data.images('val'), data.features('moco', 'val')\n"
        "        assert [len(one) for one in seen] == [6, 6, 6] and data.predictions().shape == (10, 6, 3)\n"
        "        assert len(data.images('train')) == 60 and data.paths('val') is None\n"
        "    def scores(self):\n        return np.arange(60)\n"
    )
    name = detectors.own.add(ws, f"{tmp_path / 'half.py'}:Half").name
    assert detectors.build_detectors(ws, [name])["half"]["uses_val"]
