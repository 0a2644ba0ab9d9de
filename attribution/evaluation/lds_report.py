"""What a workspace's rankings and detectors are worth: its LDS and how well planted errors are
found, as tables ready for JSON."""

import json
from collections.abc import Callable

from threadpoolctl import threadpool_limits

from attribution.builds.halves import load_held_out_halves
from attribution.errors import UserError
from attribution.files import write_json
from attribution.metrics import lds as scoring
from attribution.workspace.parts import held_out_digest


def evaluate_lds(workspace, rankings: list[str] | None = None, progress: Callable | None = None) -> dict:
    """What `evaluate lds` reports: every ranking (or those named) on the held-out halves that the workspace brings.

    Similarity rankings are judged as published, among images of the target's class; a ranking of some targets, on
    these. Left out, unless named, are rankings that keep no more than their first images. progress(text, done, total)
    is called after each ranking. Raises UserError where the workspace has no held-out halves.
    """
    masks, margins = load_held_out_halves(workspace)
    about = workspace.manifest["parts"]["lds"]
    names = rankings or [name for name in workspace.rankings() if workspace.ranking(name).complete]
    made = {"alpha": about["alpha"], "recipe": about["recipe"], "recipe_hash": about["hash"]}
    answer = scoring.evaluate_rankings(masks, margins, {}) | made
    with threadpool_limits(1):  # of small products, where BLAS threads mostly wait for each other
        for done, name in enumerate(names, 1):
            ranking = workspace.ranking(name)
            scored = scoring.evaluate_rankings(masks, margins, {name: ranking.all_scores()}, ranking.targets)
            answer["rankings"] |= scored["rankings"]
            if progress:
                progress("LDS: rankings", done, len(names))
    return answer


def load_lds(workspace) -> dict | None:
    """What `evaluate lds` found last, as far as it still holds: None once the half-models are others, and without the
    rankings that are. Raises UserError where it cannot be read."""
    if "lds" not in workspace.manifest["parts"]:
        return None
    file = workspace.folder("lds") / "lds.json"
    try:
        answer = json.loads(file.read_text()) if file.exists() else None
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read ({error}); measure again with `evaluate lds`") from None
    if answer is None or answer.get("halves", held_out_digest(workspace)) != held_out_digest(workspace):
        return None
    then, now = answer.get("versions", {}), set(workspace.rankings())
    kept = {
        name: row
        for name, row in answer["rankings"].items()
        if name in now and then.get(name, workspace.ranking(name).version) == workspace.ranking(name).version
    }
    return {**answer, "rankings": kept}


def save_lds(workspace, answer: dict) -> None:
    """Keeps what `evaluate lds` found beside the half-models, for the pages, with what it was found with."""
    versions = {name: workspace.ranking(name).version for name in answer["rankings"]}
    write_json(
        workspace.folder("lds") / "lds.json", {**answer, "halves": held_out_digest(workspace), "versions": versions}
    )
