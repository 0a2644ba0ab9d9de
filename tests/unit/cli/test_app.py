"""All commands are registered, under the names of their functions; and what provenance says they were called with."""

import inspect
from pathlib import Path

from typer.main import get_command

from attribution.cli import app as registry
from attribution.cli import command_line


def test_commands_have_the_names_of_their_functions():
    commands = get_command(registry.app).commands
    assert list(commands) == [
        *("prune", "duplicates", "worth", "import", "show", "info", "rank", "reach", "retrain", "support", "study"),
        *("runner", "features", "halves", "evaluate", "workspace", "base", "rankings", "demo", "detectors", "export"),
        "jobs",
    ]
    assert {"lds-supports", "transfer"} <= set(commands["evaluate"].commands)
    assert list(commands["demo"].commands) == ["build", "export-study"]


def test_no_command_is_forgotten():
    registered = {*registry.COMMANDS, *(function for _, group in registry.GROUPS.values() for function in group)}
    modules = {inspect.getmodule(function) for function in registered}
    with_workspace = {
        function
        for module in modules
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
        and not name.startswith("_")
        and "ws" in inspect.signature(function).parameters
    }
    assert {function.__name__ for function in with_workspace - registered} == {"save_for_pages"}


def test_a_command_line_names_what_was_given():
    given = {
        "name": "mine",
        "index_base": 0,
        "targets": Path("/tmp/a b.npy"),
        "sign": None,
        "dense": False,
        "force": True,
    }
    assert command_line("import topk", **given) == "import topk --name mine --index-base 0 --targets 'a b.npy' --force"
