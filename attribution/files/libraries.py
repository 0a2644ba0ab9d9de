"""Libraries that the dashboard does without: whether they are there, and how to have them."""

import json
import os
import shlex
import sys
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from attribution.errors import UserError
from attribution.files.places import APP, ROOT

#: what pip calls Lineup
DISTRIBUTION = "lineup-attribution"
#: names the file that says how far an installation is
INSTALL_VARIABLE = "LINEUP_INSTALL"


@dataclass(frozen=True)
class Installing:
    """An installation beside the server. state: "running", "done" or "failed"; text: what it does or did, a clause;
    seconds: how long it has been at that."""

    state: str
    text: str
    seconds: float


def installing() -> Installing | None:
    """How far the installation of what training needs is (`attribution.install`); None where there is none."""
    try:
        told = json.loads(Path(os.environ[INSTALL_VARIABLE]).read_text())
        state, text, seconds = told["state"], told["text"], time.time() - told["started"]
        if state == "running" and not _runs(told["pid"]):
            state, text = "failed", "the installation of what training needs was interrupted; call `make run` again"
        return Installing(state, text, seconds)
    except (KeyError, OSError, ValueError, TypeError):
        return None


def missing(library: str, extra: str = "train") -> str:
    """What a library is missing for, a sentence without a full stop: how to install it; "" where it is there. extra: of
    pyproject.toml, the one that has it."""
    if extra == "train" and (now := installing()) and now.state == "running":
        return f"this needs {library}, which is being installed ({now.text}); try again in some minutes"
    return "" if find_spec(library) else f"this needs {library}; install it with: {install_command(extra)}"


def check_library(library: str) -> None:
    """Raises UserError where `library`, of the extra `train`, is not installed. Call it before long work."""
    if problem := missing(library):
        raise UserError(problem)


def install_command(extra: str) -> str:
    """What a person types to have an extra of pyproject.toml, too: from where this Lineup was installed."""
    is_tool = (Path(sys.prefix) / "uv-receipt.toml").exists()  # what `uv tool` leaves in an environment of its own
    tool = "uv tool install" if is_tool else "python -m pip install"
    if APP == ROOT:
        return f"{tool} -e {shlex.quote(f'{ROOT}[{extra}]')}"
    source = _source()
    return f"{tool} {shlex.quote(f'{DISTRIBUTION}[{extra}]' + (f' @ {source}' if source else ''))}"


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _source() -> str:
    """The address that the installed package came from, as pip recorded it (PEP 610); "" for an index."""
    try:
        recorded = json.loads(distribution(DISTRIBUTION).read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        return ""
    control = recorded.get("vcs_info", {})
    if not control:
        return recorded.get("url", "")
    revision = control.get("requested_revision") or control.get("commit_id", "")
    return f"{control['vcs']}+{recorded['url']}" + (f"@{revision}" if revision else "")


def leave_out_grammar() -> None:
    """Has jsonschema do without the grammar of web addresses, which it takes a second to compile where it finds it, as
    beside Jupyter: Lineup checks no addresses. For programs of Lineup's own, before anything is read: a process that
    merely imports Lineup is another's."""
    sys.modules.setdefault("rfc3987_syntax", None)  # pyright: ignore[reportArgumentType] - None: not to be imported
