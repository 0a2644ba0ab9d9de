"""LDS of a workspace's rankings on its held-out halves."""

from threadpoolctl import threadpool_limits

from attribution.builds.halves import load_held_out_halves
from attribution.files import write_json
from attribution.metrics import lds
from attribution.workspace.parts import Part, Progress, held_out_digest, ranking_versions
from attribution.workspace.workspace import Workspace

STORED = Part("lds", "lds.json")  # beside the halves, which are the part's arrays


def compute(workspace: Workspace, rankings: list[str] | None = None, progress: Progress = lambda *at: None) -> dict:
    """What `evaluate lds` prints as JSON: `lds.evaluate_rankings` of every ranking (or those named) on the held-out
    halves of the workspace, with "recipe" and "recipe_hash" of the halves.

    Similarity rankings are judged with their published candidates, images of the target's class; a ranking of some
    targets, on these. Rankings that keep only their first images are left out unless named. Raises UserError where the
    workspace has no held-out halves.
    """
    masks, margins = load_held_out_halves(workspace)
    halves = STORED.provenance(workspace)
    names = rankings or [name for name in workspace.rankings() if workspace.ranking(name).complete]
    answer = lds.evaluate_rankings(masks, margins, {}) | {
        "alpha": halves.get("alpha"),
        "recipe": halves.get("recipe"),
        "recipe_hash": halves.get("hash"),
    }
    with threadpool_limits(1):  # the products are small: BLAS threads would mostly wait for each other
        for done, name in enumerate(names, 1):
            ranking = workspace.ranking(name)
            scored = lds.evaluate_rankings(masks, margins, {name: ranking.all_scores()}, ranking.targets)
            answer["rankings"] |= scored["rankings"]
            progress("LDS: rankings", done, len(names))
    return answer


def save(workspace: Workspace, answer: dict) -> None:
    """Stores an answer of `compute` beside the halves, with their digest and the rankings' versions."""
    computed_with = {"halves": held_out_digest(workspace), "versions": ranking_versions(workspace, answer["rankings"])}
    write_json(workspace.folder(STORED.name) / STORED.file, {**answer, **computed_with})


def load(workspace: Workspace) -> dict | None:
    """The stored answer of `compute`, without the rankings that have changed since; None where nothing is stored or the
    halves have changed. Raises UserError where it cannot be read.

    >>> from attribution import Workspace
    >>> round(load(Workspace.open())["rankings"]["trak-10"]["lds"], 3)
    0.486
    """
    if not STORED.exists(workspace) or not (workspace.folder(STORED.name) / STORED.file).exists():
        return None
    answer = STORED.read_json(workspace)
    if answer.get("halves", held_out_digest(workspace)) != held_out_digest(workspace):
        return None
    before, names = answer.get("versions", {}), set(workspace.rankings())
    rows = {
        name: row
        for name, row in answer["rankings"].items()
        if name in names and before.get(name, workspace.ranking(name).version) == workspace.ranking(name).version
    }
    return {**answer, "rankings": rows}
