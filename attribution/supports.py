"""Answers of support searches: those a workspace brings, and those found since, in one table."""

import json

import pandas as pd

from attribution import recipes
from attribution.errors import UserError
from attribution.store import Store

COLUMNS = ["ranking", "target", "kind", "protocol", "k_max", "status", "support", "lo", "hi", "trainings", "trace", "created"]


def table(workspace, store: Store | None = None) -> pd.DataFrame:
    """One row an answer, columns COLUMNS; trace is a list of probes (see `attribution.support.Support`).

    The workspace's own answers come first; an answer in the store to the same question stands in their place.
    Raises UserError where the workspace's table cannot be read.
    """
    parts = []
    file = workspace.path / "supports.parquet"
    if file.exists():
        try:
            shipped = pd.read_parquet(file)
            shipped["trace"] = [json.loads(trace) for trace in shipped["trace"]]
            parts.append(shipped[COLUMNS])
        except (OSError, ValueError, KeyError) as error:
            raise UserError(f"{file} cannot be read ({error}); copy the workspace again") from None
    if store is not None:
        own = store.supports(recipes.get(workspace.recipe).hash)
        if own:
            parts.append(pd.DataFrame(own)[COLUMNS])
    if not parts:
        return pd.DataFrame(columns=COLUMNS)
    whole = pd.concat(parts, ignore_index=True)
    whole = whole.drop_duplicates(["ranking", "target", "kind", "protocol", "k_max"], keep="last")
    for column in ("support", "lo", "hi"):
        whole[column] = whole[column].astype("Int64")
    return whole.reset_index(drop=True)


def to_table(rows: list[dict]) -> pd.DataFrame:
    """Rows of `Store.supports` as a workspace keeps them: traces as JSON text, sizes as nullable integers."""
    found = pd.DataFrame(rows)[COLUMNS]
    found["trace"] = [json.dumps(trace) for trace in found["trace"]]
    for column in ("support", "lo", "hi"):
        found[column] = found[column].astype("Int64")
    return found
