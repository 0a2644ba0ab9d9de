"""The supports that are known, and which of them the workspace brought along."""

import pandas as pd

from attribution import Workspace, recipes
from attribution.experiments import support_table
from attribution.store import Store

ASKED = ("ranking", "target", "kind", "protocol", "k_max")


def kept(ws: Workspace, store: Store) -> list[dict]:
    """All answers of support searches: {ranking, target, kind, protocol, k_max, "created", "shipped" (bool: from the
    workspace, not found since), "answer" (`support_search.Support` as a dict)}."""
    own = {tuple(row[name] for name in ASKED) for row in store.supports(recipes.get(ws.recipe).hash)}
    found = []
    for row in support_table.table(ws, store).itertuples():
        asked = tuple(getattr(row, name) for name in ASKED)
        sizes = {
            name: None if pd.isna(value) else int(value)
            for name, value in (("support", row.support), ("lo", row.lo), ("hi", row.hi))
        }
        found.append(
            dict(zip(ASKED, asked))
            | {
                "created": row.created,
                "shipped": asked not in own,
                "answer": sizes
                | {"status": row.status, "others": row.others, "trace": row.trace, "trainings": int(row.trainings)},
            }
        )
    return found


def answer(ws: Workspace, store: Store, spec: dict) -> dict | None:
    """The kept answer to a support spec, as in `kept`, or None."""
    if spec.get("groups"):
        found = spec.answer(ws, store)
        return found and {**spec} | {"created": found["created"], "shipped": False, "answer": found}
    asked = [spec[name] for name in ASKED]
    return next((one for one in kept(ws, store) if [one[name] for name in ASKED] == asked), None)
