"""The recipes that can be asked for in a workspace, and what is known of each."""

import time

from attribution.store.results import ResultStore
from attribution.training import own, recipes
from attribution.training.head.recipe import is_head
from attribution.workspace import heads
from attribution.workspace.base_models import describe_models, made_by
from attribution.workspace.workspace import Workspace


def describe_recipes(workspace: Workspace, store: ResultStore) -> list[dict]:
    """{"recipe", "kind", "hash", "accuracy" and "seconds" (None where nothing was measured), "results" (how many are
    stored), "place" (where it was named), "note"} of each. accuracy: of base models that it made, on the
    validation images."""
    counts, rows = store.count_by_recipe(), []
    base = _measured_models(workspace)
    for name in workspace.recipe_names():
        recipe = workspace.get_recipe(name)
        timed = store.median_seconds(recipe.hash)
        made = (heads.measured(workspace, name) if is_head(name) else base.get((name, recipe.hash))) or {}
        rows.append(
            {
                "recipe": name,
                "kind": recipe.kind,
                "hash": recipe.hash,
                "accuracy": made.get("accuracy"),
                "seconds": timed[0] if timed else made.get("seconds"),
                "results": counts.get(recipe.hash, 0),
                "place": getattr(recipe, "place", ""),
                "note": recipe.problem or older_results(name, recipe.hash, counts),
            }
        )
    return rows


def older_results(name: str, recipe_hash: str, counts: dict[str, int]) -> str:
    """What is stored of earlier versions of a user's recipe: "recipe changed; 40 results belong to the version of
    2026-11-28 12:03", or "". counts: recipe hash -> results."""
    if name in recipes.NAMES or is_head(name):
        return ""
    told = [
        f"{counts[version.hash]} results belong to the version of "
        f"{time.strftime('%Y-%m-%d %H:%M', time.localtime(version.created))}"
        for version in own.versions(name)
        if version.hash != recipe_hash and counts.get(version.hash)
    ]
    return "recipe changed; " + ", ".join(told) if told else ""


def _measured_models(workspace: Workspace) -> dict[tuple[str, str | None], dict]:
    """(recipe, hash) -> what was measured of the base models that it made."""
    measured = {}
    for model in describe_models(workspace):
        view = workspace.with_model(model["recipe"])
        seconds = view.manifest["parts"].get("base", {}).get("seconds")
        measured[made_by(view)] = {"accuracy": model["accuracy"], "seconds": seconds}
    return measured
