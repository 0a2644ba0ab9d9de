"""The answers of support searches that are known, and which of them the workspace brought along."""

import pandas as pd

from attribution import Workspace
from attribution.experiments import support_table
from attribution.experiments.spec import Spec
from attribution.store.results import ResultStore

QUESTION = ("ranking", "target", "kind", "protocol", "k_max")


def all_answers(ws: Workspace, store: ResultStore) -> list[dict]:
    """All answers of support searches: {ranking, target, kind, protocol, k_max, "created", "shipped" (bool: part of the
    workspace, not found since), "answer" (`support_search.Support` as a dict)}."""
    own = {tuple(row[name] for name in QUESTION) for row in store.supports(ws.get_recipe().hash)}
    answers = []
    for row in support_table.load_support_table(ws, store).itertuples():
        question = {name: getattr(row, name) for name in QUESTION}
        sizes = {name: _integer(getattr(row, name)) for name in ("support", "lo", "hi")}
        more = {"status": row.status, "others": row.others, "trace": row.trace, "trainings": int(row.trainings)}
        shipped = tuple(question.values()) not in own
        answers.append(question | {"created": row.created, "shipped": shipped, "answer": sizes | more})
    return answers


def answer(ws: Workspace, store: ResultStore, spec: Spec) -> dict | None:
    """The known answer to a support spec, as in `all_answers`, or None."""
    if spec.get("groups"):
        known = spec.answer(ws, store)
        return known and {**spec} | {"created": known["created"], "shipped": False, "answer": known}
    question = [spec[name] for name in QUESTION]
    return next((row for row in all_answers(ws, store) if [row[name] for name in QUESTION] == question), None)


def _integer(value: float | None) -> int | None:
    return None if pd.isna(value) else int(value)
