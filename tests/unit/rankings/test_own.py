"""Rankings that a user's code computes: scores, versions, names that are taken, and what a fault of theirs does."""

import json
import os

import numpy as np
import pytest

from attribution import UserError, Workspace, own_code
from attribution.explore.lineup import lineup_rows
from attribution.files import write_array
from attribution.own_code import OwnCodeError
from attribution.rankings import default_rankings, own
from attribution.workspace import parts

MINE = """
import os
import numpy as np
with open({log!r}, "a") as log:
    log.write(f"{{os.getpid()}}\\n")
class Mine:
    name, version = "mine", 1
    signed = True
    method, description = "Dot", "inner products"
    uses = ["features/moco", "base"]
    def setup(self, data):
        self.train, self.val = (np.asarray(data.features("moco", split), np.float32) for split in ("train", "val"))
        self.n, self.classes = len(data.labels("train")), data.classes
        assert data.images("train").shape == (60, 8, 8) and data.paths("train") is None
        assert data.predictions().shape == (10, 12, 3)
    def scores(self, target):
        return self.train @ self.val[target]
"""


@pytest.fixture
def file(tmp_path, ws):
    path = tmp_path / "mine.py"
    path.write_text(MINE.format(log=str(tmp_path / "log.txt")))
    yield path
    for answers in own._kept.values():
        answers.close()
    own._kept.clear()


def change(file, before, after):
    assert before in file.read_text()
    file.write_text(file.read_text().replace(before, after))


def imported_by(file) -> set[int]:
    return {int(line) for line in (file.parent / "log.txt").read_text().split()}


def test_it_ranks_as_any_other_and_is_never_imported_here(ws, file):
    made = own.add(ws, f"{file}:Mine")
    assert "mine" in ws.rankings() and "mine" not in default_rankings(ws)
    ranking = ws.ranking("mine")
    assert (ranking.method, ranking.signed, ranking.live, ranking.conditioned) == ("Dot", True, True, False)
    assert ranking.description == "inner products · your code · live" and made.hash in ranking.version
    moco = ws.feature("moco")
    expected = np.asarray(moco.train, np.float32) @ np.asarray(moco.val[4], np.float32)
    assert np.allclose(ranking.scores(4), expected)
    assert ranking.top(4, 5).ids.tolist() == np.argsort(-expected, kind="stable")[:5].tolist()
    assert ranking.top(4, 1, end="harmful").ids.tolist() == [int(expected.argmin())]
    assert np.stack(list(ranking.all_scores())).shape == (12, 60)
    assert set(ws.train_labels[ws.ranking("mine@true").top(4, 3).ids]) == {1}
    assert len(own._kept) == 1 and os.getpid() not in imported_by(file), "one process answers all"
    [row] = lineup_rows(ws, 4, ["mine"], 3)
    assert row.ids.tolist() == ranking.top(4, 3).ids.tolist() and not row.failed


def test_the_command_line_knows_it(ws, file, run, answer):
    added = answer("rankings", "add", f"{file}:Mine")
    assert added["ranking"] == "mine" and added["files"] == ["mine.py"]
    assert answer("rank", "--target", "4", "--ranking", "mine", "--top", "2")["train"]
    assert answer("rankings", "list")["rankings"][0]["hash"] == added["hash"]
    assert "mine" in answer("evaluate", "agreement", "--rankings", "mine,trak-10", "--k", "3")["rankings"]
    assert [row["signed"] for row in answer("info")["rankings"] if row["name"] == "mine"] == [True]
    assert run("rankings", "remove", "mine").code == 0
    done = run("rank", "--target", "4", "--ranking", "mine")
    assert done.code == 2 and "no ranking 'mine'" in done.err


def test_the_version_changes_with_code_features_and_model(ws, file):
    own.add(ws, f"{file}:Mine")
    ranking = ws.ranking("mine")
    versions = [ranking.version]
    before = ranking.scores(0)
    change(file, "return self.train", "return -self.train")
    versions.append(ranking.version)
    assert np.allclose(ranking.scores(0), -before), "the new code, without opening the workspace again"
    features = {split: np.asarray(getattr(ws.feature("moco"), split)) * 2 for split in ("train", "val")}
    parts.save_part(ws, "features/moco", features, {})
    versions.append(ranking.version)
    assert np.allclose(ws.ranking("mine").scores(0), -4 * before, rtol=1e-3), "and the new features"
    versions.append(ws.with_model("head-moco").ranking("mine").version)
    assert len(set(versions)) == 4


def test_names_that_are_taken(ws, file, run):
    for name, whose in (("random", "with Lineup"), ("l2-x", "with Lineup"), ("trak-10", "that tiny stores")):
        change(file, 'name, version = "', f'name, version = "{name}", 1 # ')
        with pytest.raises(UserError, match=f"{name} is the name of a ranking .*{whose}"):
            own.add(ws, f"{file}:Mine")
        change(file, f'name, version = "{name}", 1 # ', 'name, version = "')
    own.add(ws, f"{file}:Mine")
    write_array(file.parent / "s.npy", np.array(ws.ranking("trak-10")._arrays["scores"], np.float32))
    done = run("import", "tensor", file.parent / "s.npy", "--name", "mine", "--sign", "helpful")
    assert done.code == 2 and "mine is the name of a ranking that is computed when asked" in done.err
    manifest = json.loads((ws.path / "workspace.json").read_text())
    manifest["parts"]["rankings/mine"] = manifest["parts"].pop("rankings/trak-10")
    (ws.path / "workspace.json").write_text(json.dumps(manifest))
    (ws.path / "rankings" / "trak-10").rename(ws.path / "rankings" / "mine")
    other = Workspace.open(ws.path)
    assert other.rankings().count("mine") == 1 and not other.ranking("mine").live, "what is stored goes first"
    assert "hidden: mine is the name of a ranking that tiny stores" in run("rankings", "list").out


@pytest.mark.parametrize(
    ("before", "after", "match"),
    [
        ("return self.train @", "return 1 / 0 + self.train @", "mine.scores raised ZeroDivisionError"),
        ("return self.train @", "return self.train[:9] @", r"have the shape \[9\]; return numbers of the shape \[60\]"),
        ("return self.train @", "return np.nan * self.train @", "hold NaN or infinity"),
        ("return self.train @", "os._exit(4) #", "the process of the ranking mine ended with exit status 4"),
        ("self.n, self.classes", "1 / 0 #", "mine.setup raised ZeroDivisionError"),
        ('uses = ["features/moco", ', "uses = [", "which is not among its uses"),
        ("features/moco", "features/absent", "mine reads features/absent, which tiny has not"),
        ("class Mine:", "class Mine(:", "cannot be imported .SyntaxError"),
    ],
)
def test_a_fault_is_a_sentence_in_its_row_and_the_others_stand(ws, file, before, after, match):
    own.add(ws, f"{file}:Mine")
    change(file, before, after)
    for _ in range(2):  # told again without another try
        mine, trak = lineup_rows(ws, 0, ["mine", "trak-10"], 3)
        assert mine.failed and not len(mine.ids) and len(trak.ids) == 3
    with pytest.raises(OwnCodeError, match=match) as caught:
        ws.ranking("mine").top(0, 3)
    assert "\n" not in str(caught.value) and str(caught.value) == mine.undefined


def test_one_that_was_taken_out(ws, file):
    own.add(ws, f"{file}:Mine")
    ranking = ws.ranking("mine")
    own_code.remove("ranking", "mine")
    with pytest.raises(OwnCodeError, match="was taken out"):
        ranking.top(0, 3)


def test_few_processes_are_kept_and_few_scores(ws, file, monkeypatch):
    monkeypatch.setattr(own, "KEPT_BYTES", 3 * 4 * 60)
    monkeypatch.setattr(own, "MAX_PROCESSES", 1)
    own.add(ws, f"{file}:Mine")
    for target in range(5):
        ws.ranking("mine").top(target, 1)
    [answers] = own._kept.values()
    assert list(answers.kept) == [2, 3, 4]
    change(file, "return self.train", "return -self.train")
    ws.ranking("mine").top(0, 1)
    [newer] = own._kept.values()
    assert newer is not answers
