"""LDS of a workspace's rankings on its held-out halves."""

from collections.abc import Callable

from threadpoolctl import threadpool_limits

from attribution.builds.halves import has_stored_halves, held_out_provenance, load_held_out_halves
from attribution.files import write_json
from attribution.metrics import lds
from attribution.training.head.recipe import PREFIX, is_head
from attribution.workspace import heads
from attribution.workspace.parts import Part, Progress, held_out_digest, ranking_versions
from attribution.workspace.workspace import Workspace

#: beside the halves, which are the part's arrays; of a head alone, whose halves are refitted when they are needed
STORED = Part("lds", "lds.json")


def compute(workspace: Workspace, rankings: list[str] | None = None, progress: Progress = lambda *at: None) -> dict:
    """What `evaluate lds` prints as JSON: `lds.evaluate_rankings` of every ranking (or those named) on the held-out
    halves of the workspace, with "recipe" and "recipe_hash" of the halves.

    Similarity rankings are judged with their published candidates, images of the target's class; a ranking of some
    targets, on these. Rankings that keep only their first images are left out unless named. A head's halves are
    refitted. Raises UserError where the workspace has no held-out halves.
    """
    masks, margins = load_held_out_halves(workspace)
    halves = held_out_provenance(workspace)
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


def save(workspace: Workspace, answer: dict, provenance: dict, record: Callable | None = None) -> None:
    """Stores an answer of `compute` beside the halves, with their digest and the rankings' versions; of a head without
    stored halves as a part by itself, with this provenance. record: as of `Part.save`, which that part is."""
    versions = {"versions": ranking_versions(workspace, answer["rankings"])}
    if is_head(workspace.recipe) and not has_stored_halves(workspace):
        made = held_out_provenance(workspace)
        return STORED.save(workspace, {**answer, **versions}, {**provenance, **made}, record)
    halves = {"halves": held_out_digest(workspace)}
    write_json(workspace.folder(STORED.name) / STORED.file, {**answer, **halves, **versions})


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
    if is_head(workspace.recipe) and answer.get("recipe_hash") != workspace.get_recipe().hash:
        return None
    if answer.get("halves", held_out_digest(workspace)) != held_out_digest(workspace):
        return None
    before, names = answer.get("versions", {}), set(workspace.rankings())
    rows = {
        name: row
        for name, row in answer["rankings"].items()
        if name in names and before.get(name, workspace.ranking(name).version) == workspace.ranking(name).version
    }
    return {**answer, "rankings": rows}


def under_own_heads(workspace: Workspace) -> dict[str, dict]:
    """Ranking -> its LDS under the head of the feature set it is computed in, as in `compute`, with "head"; of the
    rankings of whose head there is a stored report."""
    rows = {}
    for name in heads.names(workspace):
        features = name.removeprefix(PREFIX)
        report = load(workspace.with_model(name)) or {"rankings": {}}
        for ranking, row in report["rankings"].items():
            if ranking.partition("-")[2] == features:
                rows[ranking] = {"head": name, **row}
    return rows
