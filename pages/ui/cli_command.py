"""The command lines that do what a page shows."""

import shlex
from collections.abc import Iterable, Mapping

import streamlit as st

from attribution import Workspace
from attribution.experiments.prefixes import control_draws
from attribution.experiments.support_search import DEFAULT_K_MAX
from attribution.workspace.workspace import DEMO
from pages.ui import format as write

#: commands that name a model themselves
ABOUT_ALL_MODELS = tuple(("base", command) for command in ("import", "list", "compare", "remove"))


def popover(ws: Workspace, *words, **options) -> None:
    """A button that opens the command of these words, to copy. options: of `st.popover`."""
    with st.popover("Copy command", icon=":material/terminal:", **options):
        show(ws, *words)


def show(ws: Workspace, *words) -> None:
    """Shows the command of these words."""
    st.code(line(ws, *words), language="bash", wrap_lines=True)


def line(ws: Workspace, *words) -> str:
    """`python -m attribution` with these words, for this workspace."""
    workspace = [] if ws.path == DEMO else ["--workspace", ws.path]
    return " ".join(map(_quoted, ["python", "-m", "attribution", *for_model(ws, words), *workspace]))


def for_model(ws: Workspace, words: Iterable) -> list:
    """The words of a command, with the model that it is to be about where that is not the workspace's own recipe."""
    words = list(words)
    return [*words, "--model", ws.model] if ws.model and tuple(words[:2]) not in ABOUT_ALL_MODELS else words


def _quoted(word) -> str:
    """A word for a shell; what would steer the reader is written as an escape, which bash reads in $'...'."""
    text, escaped = str(word), str(word).replace("\\", "\\\\").replace("'", "\\'")
    return shlex.quote(text) if write.visible(text) == text else f"$'{write.visible(escaped)}'"


def arguments(spec: Mapping) -> list | None:
    """The words that ask the question of a retrain, support or disjoint spec; None where the command line cannot: it
    counts seeds from 0. A retrain spec needs `ids` only where it names no ranking."""
    return _support(spec) if "k_max" in spec else _retrain(spec)


def _retrain(spec: Mapping) -> list | None:
    if spec["seeds"] != list(range(len(spec["seeds"]))):
        return None
    edit = "--remove" if spec["kind"] == "remove" else "--relabel"
    end = "harmful" if spec.get("end") == "harmful" else "top"
    words = ["retrain", *_target(spec)]
    words += [f"{edit}-{end}", spec["k"]] if spec["ranking"] else [edit, ",".join(map(str, spec["ids"]))]
    words += ["--with-duplicates"] if spec.get("groups") else []
    words += ["--seeds", len(spec["seeds"])]
    return words + (["--draws", spec["draws"]] if spec["draws"] != control_draws(spec["recipe"]) else [])


def _support(spec: Mapping) -> list:
    words = ["support", *_target(spec), "--kind", spec["kind"], "--protocol", spec["protocol"]]
    words += ["--k-max", spec["k_max"]] if spec["k_max"] != DEFAULT_K_MAX else []
    words += ["--disjoint", spec["count"]] if "count" in spec else []
    return words + (["--groups"] if spec.get("groups") else [])


def _target(spec: Mapping) -> list:
    return ["--target", spec["target"], *(["--ranking", spec["ranking"]] if spec["ranking"] else [])]
