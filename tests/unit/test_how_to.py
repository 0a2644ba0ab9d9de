"""The pages of docs/how_to can be followed: in a copy of the tree their files are written, their changes are made, and
their commands run on a tiny workspace."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import tiny

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "how_to"
#: ```python path/of/a/new/file.py, ```diff path/of/a/file.py, or ```bash
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```", re.M | re.S)


@pytest.fixture
def follow(tmp_path):
    """follow("add_a_ranking") -> what the page's commands print, in a copy of the tree whose scores.csv are those of
    trak-10."""
    tree = tmp_path / "tree"
    shutil.copytree(ROOT / "attribution", tree / "attribution", ignore=shutil.ignore_patterns("__pycache__"))
    (tree / "tests").mkdir()
    for name in ("tests/__init__.py", "tests/conftest.py", "tests/tiny.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tree / name)
    (tree / "assets").symlink_to(ROOT / "assets")
    workspace = tiny.write(tmp_path / "tiny")
    np.savetxt(tree / "scores.csv", np.load(workspace.path / "rankings" / "trak-10" / "scores.npy"), delimiter=",")
    environment = {
        **os.environ,
        "LINEUP_WORKSPACE": str(workspace.path),
        "LINEUP_DATA": str(tmp_path / "data"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }

    def follow(name: str) -> str:
        printed = ""
        for language, file, text in BLOCK.findall((PAGES / f"{name}.md").read_text()):
            if language == "bash":
                command = ["bash", "-euo", "pipefail", "-c", text]
                done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)
                assert done.returncode == 0, done.stdout + done.stderr
                printed += done.stdout
            elif language == "diff":
                change(tree / file, text)
            else:
                assert not (tree / file).exists(), f"{file} is there already"
                (tree / file).parent.mkdir(parents=True, exist_ok=True)
                (tree / file).write_text(text)
        return printed

    return follow


def change(file: Path, diff: str) -> None:
    """Replaces the lines of a file that a diff keeps or takes out, which stand there once, by those it keeps or adds."""
    lines = diff.splitlines(keepends=True)
    before, after = ("".join(line[1:] for line in lines if line[0] != mark) for mark in "+-")
    assert file.read_text().count(before) == 1, f"{file} has not once:\n{before}"
    file.write_text(file.read_text().replace(before, after))


def test_every_page_is_followed_here():
    here = Path(__file__).read_text()
    assert [page.stem for page in PAGES.glob("*.md") if f'follow("{page.stem}")' not in here.split("# -- ")[-1]] == []


# -- the pages


def test_a_ranking_is_listed_and_ranks(follow):
    printed = follow("add_a_ranking")
    assert "1 passed" in printed
    assert re.search(r"^manhattan-moco +Manhattan", printed, re.M)
    assert re.findall(r"^ *1 .*Bar", printed, re.M)


def test_a_format_imports_a_file(follow):
    printed = follow("add_a_format")
    assert "2 passed" in printed
    assert "mine: mine, imported" in printed
    assert re.findall(r"^ *1 .*Bar", printed, re.M)


def test_a_detector_scores(follow):
    printed = follow("add_a_detector")
    assert "1 passed" in printed
    assert re.search(r"^centroid-moco .*\b1\b", printed.split("passed")[1], re.M)


def test_an_evaluation_prints_its_json(follow):
    printed = follow("add_an_evaluation")
    assert "1 passed" in printed
    answer = json.loads(printed.splitlines()[-1])
    assert answer["k"] == 5 and 1 <= answer["rankings"]["trak-10"]["mean"] <= 3


def test_a_recipe_trains(follow):
    assert "1 passed" in follow("add_a_recipe")
