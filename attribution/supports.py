"""Answers of support searches: those a workspace brings, and those found since, in one table.

An answer belongs to the ranking as it was: one found with another version of it (`Ranking.version`) is left out.
Supports that leave images out or take near-duplicates along are other questions, and stand in no table: `answer`.
"""

import json
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from attribution import recipes
from attribution.errors import UserError
from attribution.files import read_table
from attribution.store import Store

if TYPE_CHECKING:
    import pandas as pd

#: what was asked; one answer each
ASKED = ["ranking", "target", "kind", "protocol", "k_max"]
SIZES = ["support", "lo", "hi"]
#: "others" only adaptive searches have; tables from before them lack it
REQUIRED = [*ASKED, "version", "status", *SIZES, "trainings", "trace", "created"]
COLUMNS = [*REQUIRED, "others"]
#: what makes a support spec another question than the plain one
EXTRAS = ("without", "groups")


def table(workspace, store: Store | None = None, recipe: str | None = None) -> "pd.DataFrame":
    """One row an answer, columns COLUMNS; trace and others are lists (see `attribution.support.Support`).

    recipe: by name, the workspace's if not given. The workspace's own answers, which are of its recipe, come first; an
    answer in the store to the same question stands in their place.
    Raises UserError where the workspace's table cannot be read.
    """
    import pandas as pd

    parts = []
    recipe = recipe or workspace.recipe
    file = workspace.path / "supports.parquet"
    if file.exists() and recipe == workspace.recipe:
        shipped = read_table(file, *REQUIRED).reindex(columns=COLUMNS)
        try:
            shipped["trace"] = [json.loads(trace) for trace in shipped["trace"]]
        except (TypeError, ValueError) as error:
            raise UserError(f"{file} cannot be read ({error}); copy the workspace again") from None
        parts.append(shipped)
    own = store.supports(recipes.get(recipe).hash) if store else []
    if own:
        parts.append(pd.DataFrame(own).reindex(columns=COLUMNS))
    if not parts:
        return pd.DataFrame(columns=COLUMNS)
    whole = pd.concat([part.astype(dict.fromkeys(SIZES, "Int64")) for part in parts], ignore_index=True)
    versions = _versions(workspace, whole.ranking.unique())
    whole["version"] = whole["version"].astype(object).where(whole["version"].notna(), None)
    whole["others"] = [
        None if pd.isna(ends).all() else [None if pd.isna(k) else int(k) for k in ends]
        for ends in map(np.atleast_1d, whole["others"])
    ]
    current = [name in versions and versions[name] == version for name, version in zip(whole.ranking, whole.version)]
    return whole[current].drop_duplicates(ASKED, keep="last").reset_index(drop=True)


def _versions(workspace, names) -> dict[str, str | None]:
    """The versions of those of these rankings that there still are."""
    found = {}
    for name in names:
        with suppress(UserError):
            found[name] = workspace.ranking(name).version
    return found


def usual_protocol(workspace) -> str:
    """The search protocol of the answers a workspace brings, so that further ones compare; else "adaptive", which takes
    the fewest trainings, where there are the base models it needs."""
    shipped = workspace.manifest["parts"].get("supports")
    if shipped:
        return shipped.get("protocol", "default")
    return "adaptive" if workspace.has_base and workspace.base.noise > 0 else "default"


def protocols(workspace, store: Store | None = None) -> list[str]:
    """The protocols that there are answers of under the workspace's recipe, in the order of `table`."""
    return list(dict.fromkeys(table(workspace, store).protocol))


def known(found: "pd.DataFrame", specs: list[dict]) -> list[bool]:
    """For each support spec (see `attribution.jobs`), whether its answer is in `found`, a `table`."""
    asked = set(found[ASKED].itertuples(index=False, name=None))
    return [tuple(spec[name] for name in ASKED) in asked for spec in specs]


def to_table(rows: "list[dict] | pd.DataFrame") -> "pd.DataFrame":
    """Rows of `Store.supports` or of `table` as a workspace keeps them: traces as JSON text, sizes as nullable
    integers."""
    import pandas as pd

    found = pd.DataFrame(rows).reindex(columns=COLUMNS).astype(dict.fromkeys(SIZES, "Int64"))
    found["trace"] = [json.dumps(trace) for trace in found["trace"]]
    return found


def find(workspace, store: Store, recipe: str | None = None, **asked) -> dict | None:
    """The answer to one question, JSON-serialisable, or None; asked: a value for each name in ASKED."""
    found = table(workspace, store, recipe)
    for name in ASKED:
        found = found[found[name] == asked[name]]
    if found.empty:
        return None
    row = found.iloc[0].to_dict()
    numbers = {name: None if found[name].isna().iloc[0] else int(row[name]) for name in SIZES}
    return {
        **row,
        **{name: int(row[name]) for name in ("target", "k_max", "trainings")},
        **numbers,
        "created": float(row["created"]),
    }


def keep(store: Store, spec: dict, version: str | None, answer: dict) -> None:
    """Keeps the answer to a support spec, a `support.Support` as a dict, found with this version of its ranking."""
    recipe, body = recipes.get(spec["recipe"]).hash, answer | {"version": version}
    if any(spec.get(name) for name in EXTRAS):
        store.put_answer(recipe, question(spec), body)
    else:
        store.put_support(recipe, *(spec[name] for name in ASKED), body)


def answer(workspace, store: Store, spec: dict) -> dict | None:
    """The answer to a support spec, plain or not, JSON-serialisable, or None."""
    if not any(spec.get(name) for name in EXTRAS):
        return find(workspace, store, spec["recipe"], **{name: spec[name] for name in ASKED})
    found = store.answer(recipes.get(spec["recipe"]).hash, question(spec))
    if found is None or found["version"] != workspace.ranking(spec["ranking"]).version:
        return None
    return {name: spec[name] for name in (*ASKED, *EXTRAS) if name in spec} | found


def question(spec: dict) -> dict:
    """What a spec asks, without where and under which recipe: the key of its answer."""
    return {name: value for name, value in spec.items() if name not in ("workspace", "recipe")}
