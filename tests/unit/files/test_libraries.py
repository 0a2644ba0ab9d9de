import importlib
import json
import sys
from types import ModuleType

import pytest

from attribution import UserError
from attribution.files import ROOT, libraries


def test_what_is_missing_is_said_with_the_command_that_installs_it(monkeypatch):
    assert libraries.missing("numpy") == ""
    libraries.check_library("numpy")
    said = "this needs no_such_library; install it with: python -m pip install -e "
    assert libraries.missing("no_such_library").startswith(said) and str(ROOT) in libraries.missing("no_such_library")
    with pytest.raises(UserError, match=r"\[train\]"):
        libraries.check_library("no_such_library")
    assert "[cluster]" in libraries.missing("no_such_library", "cluster")


@pytest.mark.parametrize(
    ("recorded", "command"),
    [
        (None, "python -m pip install 'lineup-attribution[train]'"),
        ({"url": "file:///a/b.whl"}, "python -m pip install 'lineup-attribution[train] @ file:///a/b.whl'"),
        (
            {"url": "https://example.org/l.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "python -m pip install 'lineup-attribution[train] @ git+https://example.org/l.git@abc'",
        ),
    ],
)
def test_the_command_names_where_an_installed_lineup_came_from(monkeypatch, tmp_path, recorded, command):
    class Distribution:
        def read_text(self, name):
            return recorded and json.dumps(recorded)

    monkeypatch.setattr(libraries, "APP", tmp_path)  # a wheel: the app is inside the package
    monkeypatch.setattr(libraries, "distribution", lambda name: Distribution())
    assert libraries.install_command("train") == command


def test_a_tool_of_uv_is_installed_again_by_uv(monkeypatch, tmp_path):
    (tmp_path / "uv-receipt.toml").touch()
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    assert libraries.install_command("train").startswith("uv tool install ")


def test_the_grammar_of_addresses_is_left_out(monkeypatch):
    """What is there already stays: another part of the process may use it."""
    monkeypatch.delitem(sys.modules, "rfc3987_syntax", raising=False)
    libraries.leave_out_grammar()
    with pytest.raises(ImportError):
        importlib.import_module("rfc3987_syntax")
    monkeypatch.setitem(sys.modules, "rfc3987_syntax", kept := ModuleType("rfc3987_syntax"))
    libraries.leave_out_grammar()
    assert sys.modules["rfc3987_syntax"] is kept
