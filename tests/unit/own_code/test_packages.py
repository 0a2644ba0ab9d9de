"""Installed packages that offer code by entry points: they are found without being imported, and run elsewhere."""

import json
import sys
from pathlib import Path

import pytest

from attribution import UserError
from attribution.own_code import packages
from tests import tiny

CODE = """
import os
with open({log!r}, "a") as log:
    log.write(f"{{os.getpid()}} {{__file__}}\\n")
import numpy as np
from .shared import SCALE
class Ranking:
    name, version, description = "packed", 2, "from a package"
    def setup(self, data):
        self.n = len(data.labels("train"))
    def scores(self, target):
        return np.arange(self.n) * SCALE
class Detector:
    name = "packed-detector"
    scores = lambda self: np.arange(60.0)
class Format:
    name = "packed-format"
    def load(self, path, sizes, declared):
        return {{"ranked": np.tile(np.arange(5), (sizes.n_val, 1))}}
def make(weights, device):
    return lambda images: images.reshape(len(images), -1)[:, :4].astype(float)
class Recipe:
    name, version, threads = "packed-recipe", 1, 1
    def setup(self, data, device):
        self.data = data
    def fit(self, keep, labels, seed, report):
        return np.bincount(labels[keep], minlength=3)
    def logits(self, model, split, ids):
        return np.tile(model * float(SCALE), (len(ids), 1))
"""
POINTS = """
[lineup.rankings]
packed = packed.code:Ranking
l2-mine = packed.code:Ranking
Bad Name = packed.code:Ranking
gone = packed.absent:Ranking
other = packed.code:Ranking
[lineup.detectors]
packed-detector = packed.code:Detector
[lineup.formats]
packed-format = packed.code:Format
[lineup.features]
packed-features = packed.code:make
[lineup.recipes]
packed-recipe = packed.code:Recipe
"""


def install(folder: Path, name: str, points: str) -> None:
    """A package's dist-info, as pip leaves it, without the package."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(points)


@pytest.fixture
def site(tmp_path):
    """A folder for Python's path with the package `packed`; log.txt says who imported it."""
    folder = tmp_path / "site"
    install(folder, "packed", POINTS)
    (folder / "packed").mkdir()
    (folder / "packed" / "__init__.py").write_text("")
    (folder / "packed" / "shared.py").write_text("SCALE = 2\n")
    (folder / "packed" / "code.py").write_text(CODE.format(log=str(tmp_path / "log.txt")))
    return folder


@pytest.fixture
def lineup(site, tmp_path, run_python):
    """lineup("rank", ...) -> Ended of the command line, with `site` in its path and the tiny workspace."""
    workspace = tiny.write(tmp_path / "w").path

    def run(*words):
        variables = {"PYTHONPATH": str(site), "LINEUP_DATA": str(tmp_path / "d"), "LINEUP_WORKSPACE": str(workspace)}
        return run_python("-m", "attribution", *words, **variables)

    return run


def test_what_a_package_offers_is_found_and_never_imported_here(lineup, site, tmp_path):
    listed = json.loads(lineup("rankings", "list", "--json").out)["rankings"]
    notes = {row["ranking"]: row["note"] for row in listed}
    assert set(notes) == {"packed", "l2-mine", "gone", "other"} and notes["packed"] == ""
    assert "comes with Lineup" in notes["l2-mine"] and "has no file for packed.absent" in notes["gone"]
    assert "now calls its ranking packed, not other; its author" in notes["other"]
    ranked = json.loads(lineup("rank", "--target", "0", "--ranking", "packed", "--top", "3", "--json").out)
    assert (ranked["train"], ranked["scores"]) == ([59, 58, 57], [118, 116, 114])
    files = {line.split(" ", 1)[1] for line in (tmp_path / "log.txt").read_text().splitlines()}
    described, ranks = files - (scored := {file for file in files if "lineup-" in file}), scored
    assert described == {str(site / "packed" / "code.py")} and len(ranks) == 1, "it ranks from its snapshot"
    refused = lineup("rankings", "remove", "packed")
    assert refused.code == 2 and "comes with an installed package" in refused.err
    (site / "packed" / "shared.py").write_text("SCALE = 3\n")
    again = json.loads(lineup("rank", "--target", "0", "--ranking", "packed", "--top", "1", "--json").out)
    assert again["scores"] == [177], "the hash covers every file of the package"


def test_a_package_offers_detectors_formats_features_and_recipes(lineup, tmp_path):
    assert lineup("detectors", "build", "packed-detector").code == 0
    (tmp_path / "x.txt").write_text("")
    imported = lineup("import", "packed-format", tmp_path / "x.txt", "--name", "lists", "--force")
    assert imported.code == 0, imported.err
    embedded = lineup(
        "features", "embed", "four", "--module", "packed-features", "--weights", tmp_path / "x.txt", "--json"
    )
    assert json.loads(embedded.out)["dim"] == 4
    recipes = {row["recipe"]: row for row in json.loads(lineup("recipe", "list", "--json").out)["recipes"]}
    assert recipes["packed-recipe"]["kind"] == "own" and not recipes["packed-recipe"]["note"]
    answer = lineup(
        "retrain", "--target", "0", "--remove", "1,2", "--seeds", "1", "--recipe", "packed-recipe", "--json"
    )
    assert json.loads(answer.out)["recipe"] == "packed-recipe" and json.loads(answer.out)["complete"], answer.err
    refused = lineup("recipe", "remove", "packed-recipe")
    assert refused.code == 2 and "comes with an installed package" in refused.err


@pytest.fixture
def in_path(site, monkeypatch):
    monkeypatch.syspath_prepend(str(site))
    yield site
    for name in [name for name in sys.modules if name.split(".")[0] == "packed"]:
        del sys.modules[name]


def test_two_packages_of_one_name_and_what_is_no_object(in_path):
    install(in_path, "twin", "[lineup.rankings]\npacked = packed.code:Ranking\nodd = packed.code\n")
    offered = packages.offered("ranking")
    assert offered["packed"].problem.startswith("the packages packed and twin both offer packed")
    assert "not MODULE:OBJECT" in offered["odd"].problem
    assert "packed.code" not in sys.modules and "packed" not in sys.modules


def test_the_files_of_a_package(in_path, monkeypatch):
    (in_path / "packed" / "__pycache__").mkdir()
    (in_path / "packed" / "__pycache__" / "code.pyc").write_text("")
    (in_path / "packed" / "table.json").write_text("{}")
    (in_path / "packed" / "deep" / "er").mkdir(parents=True)
    (in_path / "packed" / "deep" / "er" / "__init__.py").write_text("")
    (in_path / "lonely.py").write_text("")
    install(in_path, "more", "[lineup.rankings]\na = packed.deep.er:A\nb = lonely:B\n")
    offered = packages.offered("ranking")
    found = offered["packed"]
    assert (found.root, found.main) == (in_path, "packed/code.py")
    assert set(found.files()) == {
        *("packed/__init__.py", "packed/code.py", "packed/shared.py", "packed/table.json"),
        "packed/deep/er/__init__.py",
    }
    assert (offered["a"].root, offered["a"].main) == (in_path, "packed/deep/er/__init__.py")
    assert (offered["b"].root, offered["b"].files()) == (in_path, ["lonely.py"])
    monkeypatch.setattr(packages, "MAX_FILES", 3)
    with pytest.raises(UserError, match="too much to keep a copy of for packed"):
        found.files()
