"""Libraries that the dashboard does without: whether they are there, and how to have them."""

import json
import shlex
import sys
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from attribution.errors import UserError
from attribution.files.places import APP, ROOT

#: what pip calls Lineup
DISTRIBUTION = "lineup-attribution"


def missing(library: str, extra: str = "train") -> str:
    """What a library is missing for, a sentence without a full stop: how to install it; "" where it is there. extra: of
    pyproject.toml, the one that has it."""
    return "" if find_spec(library) else f"this needs {library}; install it with: {install_command(extra)}"


def check_library(library: str) -> None:
    """Raises UserError where `library`, of the extra `train`, is not installed. Call it before long work."""
    if problem := missing(library):
        raise UserError(problem)


def install_command(extra: str) -> str:
    """What a person types to have an extra of pyproject.toml, too: from where this Lineup was installed."""
    tool = "uv tool install" if "uv/tools/" in Path(sys.prefix).as_posix() else "python -m pip install"
    if APP == ROOT:
        return f"{tool} -e {shlex.quote(f'{ROOT}[{extra}]')}"
    source = _source()
    return f"{tool} {shlex.quote(f'{DISTRIBUTION}[{extra}]' + (f' @ {source}' if source else ''))}"


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
