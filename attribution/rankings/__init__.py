"""Rankings: a method's ordering of the training images for each target, behind one protocol, `Ranking`.

`names` and `load` are of a workspace. Similarity rankings are computed on demand; the others are stored.
"""

from __future__ import annotations

import importlib
from contextlib import suppress
from types import ModuleType
from typing import TYPE_CHECKING

from attribution.errors import UserError
from attribution.rankings.base import Ranking

if TYPE_CHECKING:
    from attribution.workspace.workspace import Workspace

#: files here whose rankings are computed on demand; each has `names(workspace)` and `load(workspace, name)`
LIVE = ("similarity",)
#: candidates that a ranking's name may end with, after "@"; see `among`
NAMED_CANDIDATES = ("true", "pair", "all")


def names(workspace: "Workspace") -> list[str]:
    """Names of all rankings of a workspace: similarity in each feature set, then the stored ones, then random. Variants
    that exist only to be measured (`compute`), and conditions (`among`), are left out."""
    parts = workspace.manifest["parts"]
    stored = [name for name in _stored_names(workspace) if not parts[f"rankings/{name}"].get("variant")]
    live = [name for name in live_modules(workspace) if name not in stored]
    return live + sorted(stored, key=lambda name: not name.startswith("trak")) + ["random"]


def live_modules(workspace: "Workspace") -> dict[str, ModuleType]:
    """Rankings that are computed on demand, but for "random" -> the module that loads them."""
    modules = [importlib.import_module(f"attribution.rankings.{module}") for module in LIVE]
    return {name: module for module in modules for name in module.names(workspace)}


def _stored_names(workspace: "Workspace") -> list[str]:
    return sorted(part.split("/")[1] for part in workspace.manifest["parts"] if part.startswith("rankings/"))


def unchanged_names(workspace: "Workspace", versions: dict[str, str | None]) -> set[str]:
    """Those of the rankings {name: its version before} that exist, listed or not, and have that version still."""
    same = set()
    for name, before in versions.items():
        with suppress(UserError):
            if load(workspace, name).version == before:  # from the manifest, not from a cached ranking
                same.add(name)
    return same


def load(workspace: "Workspace", name: str) -> Ranking:
    """The ranking `name` of a workspace; NAME@true, NAME@pair and NAME@all are NAME among these candidates. Raises
    UserError for an unknown name, listing the known ones."""
    from attribution.rankings.candidates import CANDIDATES_MARK, RankingAmong
    from attribution.rankings.random import Random
    from attribution.rankings.stored import StoredRanking

    inner, mark, which = name.partition(CANDIDATES_MARK)
    if mark and which in NAMED_CANDIDATES:
        return RankingAmong(workspace.ranking(inner), which)
    if name in _stored_names(workspace):
        return StoredRanking(workspace, name)
    if name not in names(workspace):
        raise UserError(f"no ranking {name!r} in {workspace.name}; it has {', '.join(names(workspace))}")
    if name == "random":
        return Random(workspace)
    return live_modules(workspace)[name].load(workspace, name)


#: What a page opens with: the first ranking of each of these methods.
DEFAULT_METHODS = ("ESVM", "L2", "TRAK", "Datamodels", "Random")


#: Features a training image beyond which an exemplar SVM takes seconds a target: pixels of colour images, mostly.
MAX_LIVE_DIM = 1024


def default_rankings(ws: "Workspace") -> list[str]:
    """One ranking of each of DEFAULT_METHODS, as far as the workspace has them and they are quick, and of each other
    method that is stored: somebody brought it to see it. Random stands last."""
    first = {}
    for name in ws.rankings():
        ranking = ws.ranking(name)
        if (ranking.method in DEFAULT_METHODS or not ranking.live) and not _is_slow(ws, ranking):
            first.setdefault(ranking.method, name)
    order = [*DEFAULT_METHODS[:-1], *(method for method in first if method not in DEFAULT_METHODS), DEFAULT_METHODS[-1]]
    return [first[method] for method in order if method in first]


def _is_slow(ws: "Workspace", ranking: Ranking) -> bool:
    if ranking.method != "ESVM" or not ranking.live:
        return False
    width = ws.manifest["parts"][f"features/{ranking.feature}"].get("dim")
    return (width or ws.feature(ranking.feature).train.shape[1]) > MAX_LIVE_DIM
