"""What every command prints: tables with names as they are and whole lines in a pipe, and progress without a
terminal."""

import json
import time

import pytest

from attribution import cli
from tests import tiny

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
def test_a_table_shows_names_as_they_are(run, named, target):
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
    cli.print_table("a caption " * 20, [row])
    caption, heads, values = capfd.readouterr().out.splitlines()
    assert caption.strip() == ("a caption " * 20).strip() and heads.split() == [
        "ranking",
        "[bold]wide",
        "end",
        "between",
    ]
    assert values.split() == ["r" * 70, *("two words " * 20).split(), "0.123", "1", "to", "2"]


def test_progress_without_a_terminal_is_a_line_a_phase_and_then_now_and_again(capfd, monkeypatch):
    monkeypatch.setattr(cli, "QUIET_SECONDS", 0.05)
    monkeypatch.setattr(cli, "LINE_SECONDS", 0.3)
    with cli.ProgressBar() as progress:
        progress("reading", 1, 3)
        time.sleep(0.15)
        for done in range(1000, 1007):
            progress("[b]", done, 2000)
            time.sleep(0.1)
    out, err = capfd.readouterr()
    first, second, *more = err.splitlines()
    assert out == "" and first.startswith("reading: 1 of 3, ") and second.startswith("[b]: 1,00")
    assert 1 <= len(more) <= 3 and all(" of 2,000, 0." in line for line in more)


def test_a_silent_phase_is_not_silent(capfd, monkeypatch):
    monkeypatch.setattr(cli, "QUIET_SECONDS", 0.05)
    monkeypatch.setattr(cli, "LINE_SECONDS", 0.1)
    with cli.ProgressBar():
        time.sleep(0.4)
    assert 2 <= len(capfd.readouterr().err.splitlines()) <= 4


def test_a_quick_command_writes_no_progress(capfd):
    with cli.ProgressBar() as progress:
        progress("reading", 3, 3)
    assert capfd.readouterr() == ("", "")


def test_json_stays_clean_of_progress(run, named, monkeypatch):
    monkeypatch.setattr(cli, "QUIET_SECONDS", 0.001)
    code, out, err = run("evaluate", "agreement", "--workspace", named, "--json")
    assert code == 0 and json.loads(out)["targets"] == 12 and "agreement: targets: " in err
