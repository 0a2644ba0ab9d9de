"""All commands are registered, under the names of their functions; what provenance says they were called with; and that
each refuses numbers that cannot be."""

import inspect
import subprocess
import typing
from pathlib import Path

import pytest
from typer.main import get_command

from attribution.cli import app as registry
from attribution.cli import command_line
from attribution.experiments import jobs as background_jobs


def test_commands_have_the_names_of_their_functions():
    commands = get_command(registry.app).commands
    assert list(commands) == [
        *("serve", "prune", "duplicates", "faults", "worth", "import", "show", "info", "rank", "reach"),
        *("group", "retrain", "retrain plan", "retrain collect", "support", "study", "runner", "features", "halves"),
        *("evaluate", "workspace", "base", "recipe", "rankings", "demo", "detectors", "audit", "export", "jobs"),
    ]
    assert {"lds-supports", "transfer"} <= set(commands["evaluate"].commands)
    assert list(commands["demo"].commands) == ["build", "export-study", "export-retrainings"]


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


# -- numbers

FUNCTIONS = [*registry.COMMANDS, *(function for _, group in registry.GROUPS.values() for function in group)]
#: options that hold numbers in a text, checked by what knows the data
TEXTS = {"target", "image", "targets", "remove", "relabel", "shares", "checkpoints", "halves"}


def _kinds(function) -> dict[str, type]:
    """Parameter -> int, float or str, of those that hold numbers."""
    kinds = {}
    for name, hint in typing.get_type_hints(function).items():
        hints = {hint, *typing.get_args(hint)}
        kind = next((kind for kind in (int, float) if kind in hints), str if name in TEXTS and str in hints else None)
        if kind:
            kinds[name] = kind
    return kinds


def _commands(command, words=()):
    """(words of the command, its parameters) of every command."""
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from _commands(inner, (*words, name))
    else:
        yield words, {param.name: param for param in command.params}


NUMERIC = [
    (words, parameters, name, kind)
    for function, (words, parameters) in zip(
        sorted(FUNCTIONS, key=lambda function: function.__name__.strip("_").replace("_", " ")),
        sorted(_commands(get_command(registry.app)), key=lambda command: " ".join(command[0]).replace("-", " ")),
    )
    for name, kind in _kinds(function).items()
]
ZEROS = {
    "cosine",
    "draws",
    "seed",
    "index_base",
    "idle",
    "gpus_per_training",
    "target",
    "image",
    "remove",
    "relabel",
    "targets",
}


def _line(words, parameters, name, value) -> list[str]:
    """A command line that gives the parameter this value, and every other one that has to be given."""
    fillers = {"target": "0", "ranking": "trak-10", "method": "trak", "format": "topk"}
    line, last = list(words), []
    for param in parameters.values():
        given = value if param.name == name else fillers.get(param.name, "x") if param.required else None
        if given is None:
            continue
        if param.param_type_name == "argument":
            last.append(given)
        else:
            line.append(f"{param.opts[0]}={given}")
    return [*line, *last]


def test_every_number_is_known():
    assert len(NUMERIC) > 45 and {kind for *_, kind in NUMERIC} == {int, float, str}
    assert all(name in parameters for _, parameters, name, _ in NUMERIC)


@pytest.mark.parametrize("value", ["1" + "0" * 30, "5" * 5000, "-1", "0"])
def test_a_number_that_cannot_be_is_one_sentence(ws, run, monkeypatch, value):
    """On every numeric option and argument of every command, at once, and nothing is begun."""

    def begun(*arguments, **options):
        pytest.fail("a job was begun")

    monkeypatch.setattr(background_jobs, "submit", begun)
    monkeypatch.setattr(background_jobs, "ensure_runner", begun)
    monkeypatch.setattr(subprocess, "Popen", begun)
    for words, parameters, name, kind in NUMERIC:
        if value == "0" and (name in ZEROS or kind is str):
            continue
        line = _line(words, parameters, name, value)
        code, out, err = run(*line)
        case = (" ".join(line)[:80], err[:300])
        assert (code, out) == (2, ""), case
        assert len(err.splitlines()) == 1 and "Traceback" not in err and len(err) < 400, case
        if kind is not str and value not in ("-1", "0"):  # these may be for the command to refuse
            assert "; give a" in err, case


def test_a_mistake_in_the_words_is_one_sentence_too(run):
    for line in (["nonsense"], ["jobs", "show"], ["rank", "--nonsense"], ["info", "x\x1b]0;y\x07"]):
        code, out, err = run(*line)
        assert (code, out) == (2, "") and len(err.splitlines()) == 1 and "--help` says what there is" in err, err
        assert "\x1b" not in err
    code, out, err = run("jobs")
    assert code == 2 and "cancel" in out + err
    assert run("--help").code == 0
