"""Attribution methods behind one protocol, `base.Ranking`: an ordering of the training images for each target.

A ranking is computed when asked, by a module in LIVE, or stored in the workspace (`stored`).
"""

from __future__ import annotations

import importlib
from contextlib import suppress
from typing import TYPE_CHECKING

from attribution.errors import UserError
from attribution.rankings.base import Ranking
from attribution.training.head.recipe import PREFIX, is_head

if TYPE_CHECKING:
    from attribution.workspace.workspace import Workspace

#: modules here whose rankings are computed when asked: each has names(workspace) and load(workspace, name)
LIVE = ("similarity", "influence", "own")
#: candidates that a ranking's name may end with, after "@"; see `candidates`
NAMED_CANDIDATES = ("true", "pair", "all")
#: what a page opens with: the first ranking of each of these methods
DEFAULT_METHODS = ("ESVM", "L2", "TRAK", "Datamodels", "Unrolled", "Random")
#: features of a training image beyond which an exemplar SVM takes seconds a target: pixels of colour images, mostly
MAX_LIVE_DIM = 1024


def names(workspace: Workspace) -> list[str]:
    """Names of all rankings of a workspace: those computed when asked, then the stored ones, TRAK first, then random.

    Variants that exist only to be measured (`lds_vs_compute`) and other candidates (NAME@all) are left out.
    """
    parts = workspace.manifest["parts"]
    stored = [name for name in _stored_names(workspace) if not parts[f"rankings/{name}"].get("variant")]
    live = [name for name in live_names(workspace) if name not in stored]
    return live + sorted(stored, key=lambda name: not name.startswith("trak")) + ["random"]


def live_names(workspace: Workspace) -> list[str]:
    """Names of the rankings that the modules in LIVE compute for a workspace."""
    return [name for module in LIVE for name in _module(module).names(workspace)]


def row_names(workspace: Workspace) -> list[str]:
    """Names of all rankings that can be a row: `names`, and last the one whose scores are computed by a job, target by
    target, as they are asked for (`unrolled.on_demand`). That one is no part of what is measured over many targets."""
    from attribution.rankings.unrolled import on_demand

    listed = names(workspace)
    return listed if on_demand.NAME in listed or on_demand.refusal(workspace) else [*listed, on_demand.NAME]


def unchanged_names(workspace: Workspace, versions: dict[str, str | None]) -> set[str]:
    """Those of the rankings {name: its version before} that exist, listed or not, and have that version still."""
    same = set()
    for name, before in versions.items():
        with suppress(UserError):
            if load(workspace, name).version == before:  # from the manifest, not from a cached ranking
                same.add(name)
    return same


def load(workspace: Workspace, name: str) -> Ranking:
    """The ranking `name` of a workspace; NAME@true, NAME@pair and NAME@all are NAME among these candidates.

    Raises UserError for an unknown name, listing the known ones.
    """
    from attribution.rankings.candidates import CANDIDATES_MARK, RankingAmong
    from attribution.rankings.random import Random
    from attribution.rankings.stored import StoredRanking
    from attribution.rankings.unrolled import on_demand

    inner, mark, candidate_set = name.partition(CANDIDATES_MARK)
    if mark and candidate_set in NAMED_CANDIDATES:
        return RankingAmong(workspace.ranking(inner), candidate_set)
    if name in _stored_names(workspace):
        return StoredRanking(workspace, name)
    if name == "random":
        return Random(workspace)
    for module in map(_module, LIVE):
        if name in module.names(workspace):
            return module.load(workspace, name)
    if name == on_demand.NAME:
        return on_demand.load(workspace)
    raise UserError(f"no ranking {name!r} in {workspace.name}; it has {', '.join(names(workspace))}")


def default_rankings(workspace: Workspace) -> list[str]:
    """Names of the rankings that a page opens with; random is last.

    These are one of each of DEFAULT_METHODS, as far as the workspace has them and they are quick, and one of each other
    stored method, since somebody imported it to see it. Of a head its own influence comes first, and similarities are
    those of its features.

    >>> from attribution import Workspace
    >>> default_rankings(Workspace.open())
    ['esvm-moco', 'l2-moco', 'trak-10', 'datamodels-2k', 'random']
    """
    first: dict[str, str] = {}
    own, others = [], workspace.rankings()
    if is_head(workspace.recipe):
        features = workspace.recipe.removeprefix(PREFIX)
        own = [name for name in others if name == f"influence-{features}"]
        others = sorted(others, key=lambda name: not name.endswith(f"-{features}"))
    for name in others:
        ranking = workspace.ranking(name)
        if (ranking.method in DEFAULT_METHODS or not ranking.live) and not _is_slow(workspace, ranking):
            first.setdefault(ranking.method, name)
    order = [*DEFAULT_METHODS[:-1], *(method for method in first if method not in DEFAULT_METHODS), DEFAULT_METHODS[-1]]
    return own + [first[method] for method in order if method in first]


def _module(name: str):
    return importlib.import_module(f"attribution.rankings.{name}")


def _stored_names(workspace: Workspace) -> list[str]:
    return sorted(part.split("/")[1] for part in workspace.manifest["parts"] if part.startswith("rankings/"))


def _is_slow(workspace: Workspace, ranking: Ranking) -> bool:
    if ranking.method != "ESVM" or not ranking.live or not ranking.feature:
        return False
    dim = workspace.manifest["parts"][f"features/{ranking.feature}"].get("dim")
    return (dim or workspace.feature(ranking.feature).train.shape[1]) > MAX_LIVE_DIM
