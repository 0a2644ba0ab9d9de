"""The pages of docs/how_to can be followed: in a copy of the tree their files are written, their changes are made, and
their tests and commands run on a tiny workspace."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from attribution.own_code import packages
from tests import tiny

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "how_to").glob("*.md"))
#: ```python path/of/a/new/file.py, ```diff path/of/a/file.py, or ```bash
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```", re.M | re.S)
PYTEST = "python -m pytest "


@pytest.fixture(scope="module")
def printed(tmp_path_factory) -> dict[str, str]:
    """What the commands of each page print, by page, in one copy of the tree in which all pages are followed. The tests
    of all pages run at once, under "tests". scores.csv and scores.tsv, which pages import, have trak-10's scores."""
    folder = tmp_path_factory.mktemp("how_to")
    tree = folder / "tree"
    shutil.copytree(ROOT / "attribution", tree / "attribution")
    (tree / "tests").mkdir()
    for name in ("tests/__init__.py", "tests/conftest.py", "tests/tiny.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tree / name)
    (tree / "assets").symlink_to(ROOT / "assets")
    workspace = tiny.write(folder / "tiny")
    scores = np.load(workspace.path / "rankings" / "trak-10" / "scores.npy")
    np.savetxt(tree / "scores.csv", scores, delimiter=",")
    np.savetxt(tree / "scores.tsv", scores, delimiter="\t")
    environment = {
        **{name: value for name, value in os.environ.items() if name != "LINEUP_REQUIRE_BROWSER"},
        "LINEUP_WORKSPACE": str(workspace.path),
        "LINEUP_DATA": str(folder / "data"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }

    def run(text: str) -> str:
        command = ["bash", "-euo", "pipefail", "-c", text]
        done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    commands = {page.stem: follow(page, tree) for page in PAGES}
    tests = [line.removeprefix(PYTEST) for lines in commands.values() for line in lines if line.startswith(PYTEST)]
    others = {name: [line for line in lines if not line.startswith(PYTEST)] for name, lines in commands.items()}
    return {"tests": run(PYTEST + " ".join(dict.fromkeys(" ".join(tests).split())))} | {
        name: run("\n".join(lines)) for name, lines in others.items()
    }


def follow(page: Path, tree: Path) -> list[str]:
    """Writes a page's files and makes its changes; returns its commands."""
    commands = []
    for language, file, text in BLOCK.findall(page.read_text()):
        if language == "bash":
            commands += text.splitlines()
        elif language == "diff":
            change(tree / file, text)
        elif language == "toml":  # of a package of the reader's
            [[group, points]] = tomllib.loads(text)["project"]["entry-points"].items()
            assert group in packages.GROUPS.values() and all(map(packages.VALUE.fullmatch, points.values()))
        else:
            assert not (tree / file).exists(), f"{file} is there already"
            (tree / file).parent.mkdir(parents=True, exist_ok=True)
            (tree / file).write_text(text)
    return commands


def change(file: Path, diff: str) -> None:
    """Replaces the lines that a diff keeps or takes out, which the file has once, by those that it keeps or adds."""
    lines = diff.splitlines(keepends=True)
    before, after = ("".join(line[1:] for line in lines if line[0] != mark) for mark in "+-")
    assert file.read_text().count(before) == 1, f"{file} has not once:\n{before}"
    file.write_text(file.read_text().replace(before, after))


def test_the_tests_of_all_pages_pass(printed):
    written = sum(page.read_text().count("\ndef test_") for page in PAGES)
    assert f"{written} passed" in printed["tests"] and written >= len(PAGES)


def test_a_ranking_ranks(printed):
    assert len(re.findall(r"^ *1 .*Bar", printed["add_a_ranking"], re.M)) == 2, "a reader's, and one of the tree"
    assert "ranking agree" in printed["add_a_ranking"]


def test_a_format_imports_a_file(printed):
    assert "mine: mine, imported" in printed["add_a_format"] and "from-text: Mine" in printed["add_a_format"]


def test_a_detector_scores(printed):
    assert "centroid-moco" in printed["add_a_detector"]
    assert "outliers: distance to the class mean in moco" in printed["add_a_detector"]


def test_features_are_embedded(printed):
    assert "mine: 16 dimensions" in printed["add_features"]


def test_an_evaluation_prints_its_json(printed):
    answer = json.loads(printed["add_an_evaluation"])
    assert answer["k"] == 5 and 1 <= answer["rankings"]["trak-10"]["mean"] <= 3
