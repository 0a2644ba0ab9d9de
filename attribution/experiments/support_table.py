"""Answers of support searches: those a workspace brings, and those found since, in one table.

An answer belongs to the ranking as it was: one found with another version of it (`Ranking.version`) is left out.
Supports that leave images out or take near-duplicates along are other questions, and stand in no table: see `load`.
"""

import json
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attribution.errors import UserError
from attribution.files import read_table
from attribution.store.results import ResultStore
from attribution.workspace.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

    from attribution.experiments.support import SupportSpec

#: what was asked; one answer each
KEY = ["ranking", "target", "kind", "protocol", "k_max"]
SIZE_COLUMNS = ["support", "lo", "hi"]
#: "others" only adaptive searches have; tables from before them lack it
REQUIRED_COLUMNS = [*KEY, "version", "status", *SIZE_COLUMNS, "trainings", "trace", "created"]
COLUMNS = [*REQUIRED_COLUMNS, "others"]


def load_support_table(
    workspace: Workspace,
    store: ResultStore | None = None,
    recipe: str | None = None,
    recipe_hash: str | None = None,
    traces: bool | str = True,
    **only,
) -> "pd.DataFrame":
    """One row an answer, columns COLUMNS; trace and others are lists (see `support_search.Support`).

    recipe: by name, the workspace's if not given; recipe_hash: as it was, if not as it is now; traces: False leaves
    the column trace empty, which saves half of the time, and "text" leaves each for `read_trace`, which saves as much
    where few are looked at; only: a value for some names of KEY, for those answers alone.
    The workspace's own answers, which are of its recipe, come first; an answer in the store to the same question stands
    in their place. Raises UserError where the workspace's table cannot be read.

    >>> len(load_support_table(Workspace.open()))
    1370
    """
    import pandas as pd

    parts = []
    recipe = recipe or workspace.recipe
    file = workspace.supports_file
    if file.exists() and recipe == workspace.recipe:
        parts.append(_with_traces(file, only) if traces else _only(_without_traces(file, *_state(file)), only))
        if traces is True:
            parts[0]["trace"] = [read_trace(trace, file) for trace in parts[0]["trace"].tolist()]
    own = store.supports(recipe_hash or workspace.get_recipe(recipe).hash) if store else []
    # which wrong label an image was given is for a model to say, and another one may have said another
    own = [row for row in own if row["kind"] != "mislabel" or row.get("model") == workspace.model]
    if own:
        parts.append(_only(pd.DataFrame(own).reindex(columns=COLUMNS), only))
    parts = [part for part in parts if len(part)]
    if not parts:
        return pd.DataFrame(columns=COLUMNS)
    whole = pd.concat([part.astype(dict.fromkeys(SIZE_COLUMNS, "Int64")) for part in parts], ignore_index=True)
    if not traces:
        whole["trace"] = None
    versions = _current_versions(workspace, whole)
    whole["version"] = whole["version"].astype(object).where(whole["version"].notna(), None)
    whole["others"] = [_range(ends) for ends in whole["others"].tolist()]
    current = [
        pair in versions and versions[pair] == version
        for pair, version in zip(zip(whole.ranking.tolist(), whole.target.tolist()), whole.version.tolist())
    ]
    return whole[current].drop_duplicates(KEY, keep="last").reset_index(drop=True)


def read_trace(trace: str | list, file: Path | str = "supports.parquet") -> list[dict]:
    """A trace, of a table whose traces are text. file: what the sentence names. Raises UserError for one that cannot be
    read."""
    try:
        return json.loads(trace) if isinstance(trace, str) else list(trace)
    except (TypeError, ValueError) as error:
        raise UserError(f"{file} cannot be read ({error}); copy the workspace again") from None


def _with_traces(file: Path, only: dict) -> "pd.DataFrame":
    """The answers that a workspace brings, their traces as text."""
    return _only(read_table(file, *REQUIRED_COLUMNS).reindex(columns=COLUMNS), only)


@lru_cache(maxsize=4)  # a page and a report ask a dozen times; 8,500 answers take 2 MB
def _without_traces(file: Path, modified: int, size: int) -> "pd.DataFrame":
    return read_table(file, *REQUIRED_COLUMNS).reindex(columns=COLUMNS).assign(trace=None)


def _state(file: Path) -> tuple[int, int]:
    """Changes when a file does."""
    state = file.stat()
    return state.st_mtime_ns, state.st_size


def _only(table: "pd.DataFrame", only: dict) -> "pd.DataFrame":
    for name, value in only.items():
        table = table[table[name] == value]
    return table.copy()


def _range(ends) -> list | None:
    """The column "others" of one answer, whether a table or the store had it."""
    if ends is None or np.ndim(ends) == 0:  # NaN where a table has no such column
        return None
    return [None if k is None or np.isnan(k) else int(k) for k in ends]


def _current_versions(workspace: Workspace, table: "pd.DataFrame") -> dict[tuple[str, int], str | None]:
    """The versions of those rankings of a table that there still are, each with its targets there."""
    versions = {}
    for name, rows in table.groupby("ranking"):
        with suppress(UserError):
            ranking = workspace.ranking(name)
            version = ranking.version
            for target in rows.target.unique().tolist():
                versions[name, target] = ranking.version_of(target) if ranking.by_target else version
    return versions


def default_protocol(workspace: Workspace) -> str:
    """The search protocol of the answers a workspace brings, so that further ones compare; else "adaptive", which takes
    the fewest trainings, where there are the base models it needs."""
    shipped = workspace.manifest["parts"].get("supports")
    if shipped:
        return shipped.get("protocol", "default")
    return "adaptive" if workspace.has_base and workspace.base.noise > 0 else "default"


def answered_protocols(workspace: Workspace, store: ResultStore | None = None) -> list[str]:
    """The protocols that there are answers of under the workspace's recipe, in the order of `load_support_table`."""
    return list(dict.fromkeys(load_support_table(workspace, store, traces=False).protocol))


def is_answered(answers: "pd.DataFrame", specs: "list[SupportSpec]") -> list[bool]:
    """For each support spec, whether its answer is in `answers`, a `load_support_table`."""
    keys = set(answers[KEY].itertuples(index=False, name=None))
    return [_key(spec) in keys for spec in specs]


def to_stored_table(rows: "list[dict] | pd.DataFrame") -> "pd.DataFrame":
    """Rows of `Store.supports` or of `load_support_table` as a workspace keeps them: traces as JSON text, sizes as
    nullable integers."""
    import pandas as pd

    answers = pd.DataFrame(rows).reindex(columns=COLUMNS).astype(dict.fromkeys(SIZE_COLUMNS, "Int64"))
    answers["trace"] = [json.dumps(trace) for trace in answers["trace"]]
    return answers


def find_answer(
    workspace: Workspace, store: ResultStore, recipe: str | None = None, recipe_hash: str | None = None, **key
) -> dict | None:
    """The answer to one question, JSON-serialisable, or None; key: a value for each name in KEY."""
    rows = load_support_table(workspace, store, recipe, recipe_hash, **key)
    if rows.empty:
        return None
    row = rows.iloc[0].to_dict()
    numbers = {name: None if rows[name].isna().iloc[0] else int(row[name]) for name in SIZE_COLUMNS}
    return {
        **row,
        **{name: int(row[name]) for name in ("target", "k_max", "trainings")},
        **numbers,
        "created": float(row["created"]),
    }


def save(store: ResultStore, spec: "SupportSpec", version: str | None, answer: dict) -> None:
    """Stores the answer to a support spec, a `support_search.Support` as a dict, found with this version of its
    ranking."""
    body = answer | {"version": version} | ({"model": spec.model} if spec.model else {})
    if _is_plain(spec):
        store.put_support(spec.recipe_hash, *_key(spec), body)  # type: ignore[call-arg]
    else:
        spec.save_answer(store, body)


def load(workspace: Workspace, store: ResultStore, spec: "SupportSpec") -> dict | None:
    """The answer to a support spec, plain or not, JSON-serialisable, or None."""
    workspace = workspace.with_model(spec.model)
    if _is_plain(spec):
        return find_answer(workspace, store, spec.recipe, spec.recipe_hash, **dict(zip(KEY, _key(spec))))
    answer = spec.load_answer(store)
    if answer is None or answer["version"] != workspace.ranking(spec.ranking).version_of(spec.target):
        return None
    return {name: spec[name] for name in (*KEY, "without", "groups") if name in spec} | answer


def _key(spec: "SupportSpec") -> tuple:
    return tuple(getattr(spec, name) for name in KEY)


def _is_plain(spec: "SupportSpec") -> bool:
    """Whether the answer has a row in the table: another question is asked with images left out or grouped."""
    return not (spec.without or spec.groups)
