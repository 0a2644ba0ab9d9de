"""The supports that were measured, and retrainings without the images left of the cut."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from attribution import UserError, Workspace
from attribution.experiments import retrain
from attribution.experiments import support_table as answers
from attribution.experiments.estimate import JobCost
from attribution.experiments.prefixes import control_draws
from attribution.experiments.retrain import RetrainSpec
from attribution.experiments.spec import SEEDS
from attribution.explore.lineup import LineupRow
from attribution.explore.opening_target import support_votes
from attribution.store.database import FILE
from attribution.store.results import ResultStore
from pages.ui import format as write
from pages.ui import theme

if TYPE_CHECKING:
    import pandas as pd

K_MAX = 128  # images left of the cut at most


def supports(ws: Workspace) -> Mapping[int, dict[str, dict[str, dict]]]:
    """target -> kind -> ranking -> {"status", "support" (int or None), "k_max"}, and where it flips also "k", "close",
    "becomes" (class), "votes", "wrong" and "seeds", as in `opening_target.OpeningTarget`. Read anew where one was
    found, and where a ranking is another one than 10 s ago.
    """
    if not ws.has_base:  # nothing is searched before they are there
        return {}
    key = theme.cache_key(ws)
    return _supports(ws, key, _stored(ws).supports, _versions(ws, key))


@st.cache_resource(max_entries=4, show_spinner=False)
def _supports(_ws: Workspace, cache_key: str, found: tuple, versions: list) -> "Supports":
    with ResultStore.for_workspace(_ws) as store:
        table = answers.load_support_table(_ws, store, traces="text")
    table = table[(table.protocol == answers.default_protocol(_ws)) & (table.kind != "repair")]
    return Supports(_ws, table)


class Supports(Mapping):
    """Target -> kind -> ranking -> support, each made when its target is looked at: traces take a while to read."""

    def __init__(self, ws: Workspace, table: "pd.DataFrame"):
        self._ws, self._table, self._made = ws, table, {}
        self._rows = {int(target): rows for target, rows in table.groupby("target", sort=False).indices.items()}

    def __getitem__(self, target: int) -> dict[str, dict[str, dict]]:
        if target not in self._made:
            made: dict[str, dict[str, dict]] = {}
            for row in self._table.iloc[self._rows[target]].itertuples():
                made.setdefault(row.kind, {})[row.ranking] = _support(self._ws, row)
            self._made[target] = made
        return self._made[target]

    def __iter__(self):
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


@st.cache_resource(ttl=10, max_entries=4, show_spinner=False)
def _versions(_ws: Workspace, cache_key: str) -> list[str | None]:
    versions = []
    for name in _ws.rankings():
        with suppress(UserError):
            versions.append(_ws.ranking(name).version)
    return versions


@dataclass(frozen=True)
class Stored:
    """Changes with what the store holds: retrainings with every one of them, supports with every answer of a search."""

    retrainings: int
    supports: tuple


def _stored(ws: Workspace) -> Stored:
    return _read_stored(ws, str(ResultStore.folder_of(ws)), store_state(ws))


def store_state(ws: Workspace) -> list[tuple[int, int] | None]:
    """Changes with every write to the result store."""
    folder = ResultStore.folder_of(ws)
    return [_file_state(folder / name) for name in (FILE, f"{FILE}-wal")]


@st.cache_resource(max_entries=4, show_spinner=False)
def _read_stored(_ws: Workspace, folder: str, files: list) -> Stored:
    with ResultStore.for_workspace(_ws) as store:
        return Stored(store.last_retraining_number(), store.supports_version())


def _file_state(file: Path) -> tuple[int, int] | None:
    """Changes with every write to a file of the database; None where there is none, or nothing in it: what is only
    read comes and goes with its readers."""
    try:
        status = file.stat()
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size) if status.st_size else None


def _support(ws: Workspace, row) -> dict:
    support = {"status": row.status, "support": None, "k_max": int(row.k_max)}
    if row.status not in ("flipped", "unstable"):
        return support
    flip = support_votes(ws, row)
    return support | {
        "support": int(row.support),
        "k": flip.k,
        "close": flip.is_close,
        "becomes": ws.classes[flip.wrong_class],
        "votes": flip.votes,
        "wrong": flip.n_wrong,
        "seeds": flip.seeds,
    }


# -- retraining


def row_of(rows: list[LineupRow], ranking: str) -> LineupRow | None:
    """The first row of a ranking that shows something, or None."""
    return next((row for row in rows if row.ranking == ranking and not row.undefined), None)


def ids_to_remove(ws: Workspace, target: int, row: LineupRow, k: int) -> np.ndarray:
    """The training images left of the cut in `row`, which may show fewer than k of them."""
    return ws.ranking(row.ranking).top(target, k, candidates=row.candidates, end=row.end).ids


def question(ws: Workspace, target: int, row: LineupRow, k: int) -> dict:
    """What `retrain.retrain_spec` takes to ask for the retrainings without the first k of `row`; of a wrong
    prediction, without the k most harmful images, which repairs it if anything does."""
    repairs = ws.has_base and ws.base.prediction[target] != ws.val_labels[target]
    # of a ranking without a sign, the first images of the class predicted stand in for the most harmful ones
    stand_in = repairs and row.candidates == "predicted" and not ws.ranking(row.ranking).signed
    as_published = stand_in or (row.candidates is None and (repairs or row.end == "helpful"))
    return {
        "target": target,
        "kind": "remove",
        "k": k,
        "seeds": SEEDS,
        "draws": control_draws(ws.recipe),
        "ranking": row.ranking if as_published else None,
        "ids": None if as_published else [int(i) for i in ids_to_remove(ws, target, row, k)],
        **({"end": "harmful"} if as_published and repairs else {}),
    }


@dataclass(frozen=True)
class Known:
    """A question about a target, and what is known of it.

    spec: None where the question is refused, and `error` says why. answer: the complete one (`RetrainSpec.answer`),
    None while anything of it is still to be trained."""

    spec: RetrainSpec | None = None
    error: UserError | None = None
    answer: dict | None = None
    cost: JobCost | None = None

    def button(self, what: str) -> str:
        """What its button says: what happens ("Remove top 16"), and what it costs."""
        if self.answer:
            return "Show the verdict (known)"
        return f"{what} and retrain" + (f", about {write.seconds(self.cost.seconds)}" if self.cost else "")


@dataclass(frozen=True)
class Cut:
    """What is left of the cut: the first k of a row, None where no ranking is chosen; and what is known without it."""

    row: LineupRow | None
    k: int
    known: Known = Known()

    @property
    def button(self) -> str:
        """What the button beside the cut says."""
        harmful = self.known.spec.end if self.known.spec else self.row and self.row.end == "harmful"
        return self.known.button(f"Remove {self.k} most harmful" if harmful else f"Remove top {self.k}")


def cut(ws: Workspace, target: int, row: LineupRow | None, k: int) -> Cut:
    """What is known of a target without the first k of `row`."""
    if row is None or not ws.has_base or ws.get_recipe().problem:
        return Cut(row, k)
    what = (
        row.ranking,
        ws.ranking(row.ranking).version_of(target),
        row.end,
        row.candidates,
        k,
    )  # a version: of own code, too
    return Cut(row, k, _look_up(ws, target, what, lambda: question(ws, target, row, k)))


def without_image(ws: Workspace, target: int, image: int) -> Known:
    """What is known of a target without one training image."""
    asked = {"target": target, "kind": "remove", "k": 0, "ranking": None, "ids": [image]}
    return _look_up(ws, target, (image,), lambda: asked)


def _look_up(ws: Workspace, target: int, what: tuple, asked: Callable[[], dict]) -> Known:
    return _known(ws, theme.cache_key(ws), _stored(ws).retrainings, target, what, asked)


@st.cache_resource(max_entries=1000, show_spinner=False)
def _known(_ws, cache_key: str, retrainings: int, target: int, what: tuple, _asked) -> Known:
    try:
        spec = retrain.retrain_spec(_ws, **_asked())
        with ResultStore.for_workspace(_ws) as store:
            cost = spec.cost(_ws, store)
            answer = spec.answer(_ws, store) if cost.known == cost.max_trainings else None
    except UserError as error:
        return Known(error=error)
    return Known(spec, answer=answer, cost=cost)
