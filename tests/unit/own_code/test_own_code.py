"""The registry of the user's own code: what is named, what its hash covers, and what is refused."""

import json

import pytest

from attribution import UserError, own_code
from attribution.files import data_folder
from tests import tiny

RANKING = "class Mine:\n    name, version = 'mine', 1\n    def scores(self, target): ...\n"


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "data"))


def write(folder, text, name="mine.py"):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def test_a_class_is_named_and_found_by_its_name(tmp_path):
    file = write(tmp_path, RANKING)
    made = own_code.add("ranking", f"{file}:Mine")
    assert own_code.names("ranking") == ["mine"] and own_code.names("detector") == []
    assert own_code.get("ranking", "mine") == made and made.place == f"{file}:Mine"
    assert "LINEUP" not in json.dumps(made.provenance()) and str(tmp_path) not in json.dumps(made.provenance())
    own_code.remove("ranking", "mine")
    assert own_code.names("ranking") == [] and own_code.get("ranking", "mine") is None
    with pytest.raises(UserError, match="no ranking of yours is called 'mine'; there is none"):
        own_code.remove("ranking", "mine")


def test_an_edited_file_is_another_version_and_a_mistake_in_it_is_said(tmp_path):
    file = write(tmp_path, RANKING)
    before = own_code.add("ranking", f"{file}:Mine")
    file.write_text(RANKING + "# changed\n")
    after = own_code.get("ranking", "mine")
    assert after.hash != before.hash and (before.snapshot / "mine.py").read_text() == RANKING
    file.write_text("class Mine(\n")
    broken = own_code.get("ranking", "mine")
    assert broken.hash == after.hash and "SyntaxError" in broken.problem
    with pytest.raises(own_code.OwnCodeError, match="SyntaxError"):
        broken.check()
    file.unlink()
    assert "cannot be read" in own_code.get("ranking", "mine").problem


@pytest.mark.parametrize("content", [None, "[1]", "no JSON", '{"kind": "ranking", "name": "other", "hash": "x"}'])
def test_a_snapshot_that_is_gone_or_damaged_is_taken_anew(tmp_path, content):
    file = write(tmp_path, RANKING)
    made = own_code.add("ranking", f"{file}:Mine")
    kept = made.snapshot.parent / "object.json"
    kept.write_text(content) if content else kept.unlink()
    assert own_code.get("ranking", "mine").hash == made.hash and made.hash in kept.read_text()
    kept.unlink()
    file.unlink()
    assert "cannot be read" in own_code.get("ranking", "mine").problem


def test_what_is_only_looked_at_is_not_remembered(tmp_path):
    file = write(tmp_path, "def make(weights, device): ...\n")
    found = own_code.take("features", f"{file}:make")
    assert (found.name, own_code.names("features")) == ("make", []) and (found.snapshot / "mine.py").exists()
    with pytest.raises(UserError, match="no features of yours is called 'make'; name a file, such as mine.py:make"):
        own_code.take("features", "make")


@pytest.mark.parametrize(
    ("kind", "text", "object_", "match"),
    [
        ("ranking", "class A(\n", "A", "cannot be imported .SyntaxError"),
        ("ranking", "import os\nprint('bye')\nos._exit(3)", "A", "ended while it was imported .bye"),
        ("ranking", RANKING, "A", "has no class A; it has Mine"),
        ("detector", "class A:\n    name = 'a'\n", "A", "has no method scores; a detector has one"),
        ("format", "class A:\n    name = 'a'\n", "A", "has no method load"),
        ("features", "A = 3\n", "A", "cannot be called"),
        ("features", "", "A", "has no A; check the name"),
        ("ranking", "class A:\n    def scores(self): ...", "A", "has no name"),
        ("ranking", RANKING.replace("'mine'", "'../x'"), "Mine", "cannot name a ranking"),
        ("ranking", RANKING.replace("'mine'", "['x']"), "Mine", "cannot name a ranking"),
        ("ranking", RANKING.replace("'mine', 1", "'mine', 'one'"), "Mine", "version"),
        ("ranking", RANKING + "    uses = ['../secrets']\n", "Mine", "is no part"),
        ("ranking", RANKING + "    description = 'x' * 1000\n", "Mine", "at most 200 characters"),
        ("ranking", RANKING + "    patience = -1\n", "Mine", "no number of minutes"),
        ("ranking", RANKING + "    sources = ['absent.py']\n", "Mine", "check the name"),
        ("ranking", "import helper\n" + RANKING, "Mine", "imports helper.py, which is not among its sources"),
    ],
)
def test_what_is_refused(tmp_path, kind, text, object_, match):
    write(tmp_path, "", "helper.py")
    with pytest.raises(UserError, match=match) as caught:
        own_code.add(kind, f"{write(tmp_path, text)}:{object_}")
    assert "\n" not in str(caught.value) and own_code.names(kind) == []


@pytest.mark.parametrize("place", ["mine.py", "absent.py:A", "mine.py:not a class"])
def test_a_place_that_names_nothing(tmp_path, place, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "")
    with pytest.raises(UserError, match="FILE:CLASS, such as mine.py:Mine|there is no file"):
        own_code.add("ranking", place)


def test_two_of_one_name(tmp_path):
    own_code.add("ranking", f"{write(tmp_path / 'a', RANKING)}:Mine")
    with pytest.raises(UserError, match="a ranking called mine is there already, from .*/a; .*rankings remove mine"):
        own_code.add("ranking", f"{write(tmp_path / 'b', RANKING)}:Mine")


@pytest.mark.parametrize("content", ["[1]", '{"ranking": 3}', '{"ranking": {"mine": {"folder": "x"}}}', "no JSON"])
def test_a_damaged_registry_is_said(content):
    (data_folder() / "own").mkdir(parents=True)
    (data_folder() / "own" / "registry.json").write_text(content)
    with pytest.raises(UserError, match="remove it, and add your code again"):
        own_code.names("ranking")


def test_a_file_from_elsewhere_runs_nothing(tmp_path, run, monkeypatch):
    """A canary stands where files that are received could name code: every word of a workspace's manifest, and the
    name of an imported file."""
    canary = tmp_path / "canary.txt"
    file = write(tmp_path, f"open({str(canary)!r}, 'w')\n{RANKING}    def load(self, *given): ...\n")
    place = f"{file}:Mine"
    folder = tiny.write(tmp_path / "w").path
    manifest = json.loads((folder / "workspace.json").read_text())
    code = {"file": str(file), "object": "Mine", "place": place, "hash": "0" * 12}
    detector = {"family": "own mine", "about": place, "uses_val": False, "suggests": False, "code": code, "files": {}}
    manifest |= {"own": {"ranking": {"mine": code}}, "registry": code, "code": code, "rankings": [place]}
    manifest["parts"]["rankings/mine"] = {"method": place, "about": place, "code": code, "files": {}, "format": place}
    manifest["parts"]["features/mine"] = {"backbone": code, "code": code, "files": {}, "module": place}
    manifest["parts"]["detectors/mine"] = detector
    (folder / "workspace.json").write_text(json.dumps(manifest))
    (folder / "own").mkdir()
    (folder / "own" / "registry.json").write_text(json.dumps({"ranking": {"mine": {**code, "form": "file"}}}))
    monkeypatch.setenv("LINEUP_WORKSPACE", str(folder))
    (tmp_path / "scores.json").write_text(json.dumps({"format": place, "code": code}))
    for words in (
        ["info"],
        ["rank", "--target", "0", "--ranking", "mine"],
        ["rank", "--target", "0", "--ranking", place],
        ["rankings", "list"],
        ["detectors", "list"],
        ["detectors", "build", "mine"],
        ["detectors", "build", place],
        ["evaluate", "mislabels"],
        ["import", "mine", tmp_path / "scores.json", "--name", "x"],
        ["features", "embed", "x", "--module", "mine", "--weights", file],
        ["show", tmp_path / "scores.json", "--no-serve"],
    ):
        run(*words)
        assert not canary.exists(), words
    assert run("rankings", "add", place).code == 2 and canary.exists(), "the canary sings where a person names it"
