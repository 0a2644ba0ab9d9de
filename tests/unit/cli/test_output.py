"""What every command prints: tables with names as they are and whole lines in a pipe."""

import json

import pytest

from attribution import cli
from tests import tiny
from tests.unit.cli.test_cli import run  # noqa: F401 - fixture

NAMES = ["cat [tabby]", ":bee:", "tank [/US] Käse"]


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """A tiny workspace whose classes have names that rich would take for markup, and that ASCII lacks."""
    ws = tiny.write(tmp_path_factory.mktemp("named") / "tiny")
    manifest = json.loads((ws.path / "workspace.json").read_text())
    manifest["dataset"]["classes"] = NAMES
    (ws.path / "workspace.json").write_text(json.dumps(manifest))
    return ws.path


@pytest.mark.parametrize("target", range(3))
def test_a_table_shows_names_as_they_are(run, named, target):  # noqa: F811
    code, out, err = run("rank", "--workspace", named, "--target", target, "--ranking", "random", "--top", 2)
    assert code == 0, err
    assert [NAMES[target] in line for line in out.splitlines()] == [True, False, True, True]


def test_signs_that_the_encoding_lacks_become_question_marks(run_python, named):
    words = ["rank", "--workspace", named, "--target", 2, "--ranking", "random"]
    done = run_python("-m", "attribution", *words, PYTHONIOENCODING="ascii")
    assert done.code == 0 and "tank [/US] K?se" in done.out, done.err


def test_a_table_in_a_pipe_is_never_cut(capfd, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    row = {"ranking": "r" * 70, "[bold]wide": "two words " * 20, "end": 0.123456, "between": (1, 2)}
    cli.table("a caption " * 20, [row])
    caption, heads, values = capfd.readouterr().out.splitlines()
    assert caption.strip() == ("a caption " * 20).strip() and heads.split() == [
        "ranking",
        "[bold]wide",
        "end",
        "between",
    ]
    assert values.split() == ["r" * 70, *("two words " * 20).split(), "0.123", "1", "to", "2"]
