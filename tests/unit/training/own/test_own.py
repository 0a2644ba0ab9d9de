"""The registry of the user's recipes: what is named, what its hash covers, and that nothing else is ever run."""

import json
import shutil
from pathlib import Path

import pytest

from attribution import UserError
from attribution.files import data_folder
from attribution.training import all_recipes, own
from attribution.workspace.workspace import Workspace
from tests import tiny

RECIPES = Path(__file__).parent / "recipes_for_tests.py"


@pytest.fixture(autouse=True)
def no_recipes():
    yield
    shutil.rmtree(data_folder() / "recipes", ignore_errors=True)


@pytest.fixture
def file(tmp_path):
    return Path(shutil.copy(RECIPES, tmp_path / "train.py"))


def write(folder, text, name="train.py"):
    (folder / name).write_text(text)
    return folder / name


BODY = "\n    def setup(self, data, device): ...\n    def fit(self, *a): ...\n    def logits(self, *a): ...\n"


def test_a_class_is_named_and_found_by_its_name(file):
    made = own.add(f"{file}:Softmax")
    assert (made.name, made.version, made.threads, made.kind) == ("softmax", 1, 1, "own")
    assert all_recipes.get_recipe("softmax") == made and "softmax" in all_recipes.names()
    assert own.add(f"{file}:Softmax").hash == made.hash, "named again, it is the same"
    own.remove("softmax")
    with pytest.raises(UserError, match="no recipe 'softmax'"):
        all_recipes.get_recipe("softmax")
    assert own.at("softmax", made.hash).hash == made.hash, "its results can still be told"


def test_an_edited_file_is_another_recipe_and_the_old_one_is_kept(file):
    before = own.add(f"{file}:Softmax")
    file.write_text(file.read_text().replace("steps = 10", "steps = 11"))
    after = own.get("softmax")
    assert after.hash != before.hash and [found.hash for found in own.versions("softmax")] == [after.hash, before.hash]
    assert "steps = 10" in (own.at("softmax", before.hash).snapshot / "train.py").read_text()
    file.write_text(file.read_text().replace("steps = 11", "steps = 10"))
    assert own.get("softmax").hash == before.hash, "what is put back is the first one again"


def test_the_hash_covers_sources_version_and_name(tmp_path):
    write(tmp_path, "RATE = 1\n", "config.py")
    text = f'import config\nclass A:\n    name, version, threads = "a", 1, 1\n    sources = ["config.py"]{BODY}'
    file = write(tmp_path, text)
    hashes = [own.add(f"{file}:A").hash]
    for change in ("RATE = 2\n", "RATE = 3\n"):
        write(tmp_path, change, "config.py")
        hashes.append(own.get("a").hash)
    write(tmp_path, text.replace('"a", 1, 1', '"a", 2, 1'))
    hashes.append(own.get("a").hash)
    assert len(set(hashes)) == 4


def test_a_mistake_in_an_edited_file_is_said_and_the_last_version_stays(file):
    before = own.add(f"{file}:Softmax")
    file.write_text("class Softmax(\n")
    now = own.get("softmax")
    assert now.hash == before.hash and "SyntaxError" in now.problem
    file.unlink()
    assert "cannot be read" in own.get("softmax").problem


@pytest.mark.parametrize(
    ("text", "name", "match"),
    [
        ("class A(\n", "A", "cannot be imported .SyntaxError"),
        ("import os\nos._exit(3)", "A", "ended while it was imported"),
        ("import nothing_of_the_kind", "A", "ModuleNotFoundError"),
        ("class B:\n    def fit(self): ...", "A", "has no class A; it has B"),
        ("class A:\n    name = 'a'", "A", "has no method setup"),
        (f"class A:{BODY}", "A", "has no name"),
        (f"class A:\n    name = 'demo-cnn'{BODY}", "A", "is built in"),
        (f"class A:\n    name = 'head-moco'{BODY}", "A", "is built in"),
        (f"class A:\n    name = '../x'{BODY}", "A", "cannot name a recipe"),
        (f"class A:\n    name = 'a'\n    version = 'one'{BODY}", "A", "version"),
        (f"class A:\n    name = 'a'\n    threads = 0{BODY}", "A", "threads"),
        (f"class A:\n    name = 'a'\n    patience = 0{BODY}", "A", "patience"),
        (f"class A:\n    name = 'a'\n    sources = 'x'{BODY}", "A", "is not in"),
        (f"class A:\n    name = 'a'\n    sources = ['../x.py']{BODY}", "A", "is not in its folder"),
        (f"class A:\n    name = 'a'\n    sources = ['absent.py']{BODY}", "A", "check the name"),
        (f"import helper\nclass A:\n    name = 'a'{BODY}", "A", "imports helper.py, which is not among its sources"),
    ],
)
def test_what_is_refused(tmp_path, text, name, match):
    write(tmp_path, "", "helper.py")
    with pytest.raises(UserError, match=match) as caught:
        own.add(f"{write(tmp_path, text)}:{name}")
    assert "\n" not in str(caught.value) and own.names() == []


@pytest.mark.parametrize("place", ["train.py", "absent.py:A", "train.py:not a class"])
def test_a_place_that_names_nothing(tmp_path, place, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "")
    with pytest.raises(UserError, match="FILE:CLASS|there is no file"):
        own.add(place)


def test_two_recipes_of_one_name(file, tmp_path):
    own.add(f"{file}:Softmax")
    (tmp_path / "other").mkdir()
    other = shutil.copy(RECIPES, tmp_path / "other" / "train.py")
    with pytest.raises(UserError, match="a recipe called softmax is there already"):
        own.add(f"{other}:Softmax")


def test_a_command_says_where_its_task_is(tmp_path):
    write(tmp_path, "")
    made = own.add_command("linear", "python train.py --job {job}", tmp_path, ["train.py"], version=3)
    assert (made.form, made.version, made.optional) == ("command", 3, ())
    write(tmp_path, "# changed\n")
    assert own.get("linear").hash != made.hash
    for command in ("python train.py", '"unended {job}'):
        with pytest.raises(UserError, match="job|cannot be read"):
            own.add_command("linear2", command, tmp_path, [])


def test_a_file_from_elsewhere_runs_nothing(tmp_path):
    """A canary stands where files that are received could name code: the workspace's recipe, and a provenance."""
    canary = tmp_path / "canary.txt"
    file = write(tmp_path, f"open({str(canary)!r}, 'w')\nclass A:\n    name = 'a'{BODY}")
    for recipe in (f"{file}:A", str(file), f"../{file.name}:A"):
        folder = tmp_path / f"tiny{len(list(tmp_path.iterdir()))}"
        tiny.write(folder)
        manifest = json.loads((folder / "workspace.json").read_text())
        manifest["recipe"] = recipe
        (folder / "workspace.json").write_text(json.dumps(manifest))
        try:
            Workspace.open(folder).get_recipe()
        except UserError:
            pass
    assert not canary.exists()


def test_a_damaged_registry_is_said(file):
    own.add(f"{file}:Softmax")
    (data_folder() / "recipes" / "registry.json").write_text("[1]")
    with pytest.raises(UserError, match="is no list of recipes"):
        own.names()


def test_a_changed_snapshot_is_not_trained(file):
    made = own.add(f"{file}:Softmax")
    (made.snapshot / "train.py").write_text("")
    with pytest.raises(UserError, match="were changed"):
        made.check_files(made.snapshot)


def test_a_recipe_travels_with_its_files(file):
    made = own.add(f"{file}:Softmax")
    recipe, folder = own.unpack(own.pack("softmax", made.hash))
    assert recipe == made and (folder / "train.py").read_bytes() == file.read_bytes()
    shutil.rmtree(folder)
