"""LDS of a workspace's rankings on its held-out halves."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from threadpoolctl import threadpool_limits

from attribution.builds.halves import (
    SECOND_PART,
    has_stored_halves,
    held_out_provenance,
    load_held_out_halves,
    load_second_draw,
)
from attribution.files import write_json
from attribution.metrics import lds
from attribution.rankings.base import Ranking
from attribution.rankings.combination import Combination
from attribution.training.head.recipe import PREFIX, is_head
from attribution.workspace import heads
from attribution.workspace.parts import Part, Progress, held_out_digest, ranking_versions
from attribution.workspace.workspace import Workspace

#: beside the halves, which are the part's arrays; of a head alone, whose halves are refitted when they are needed
STORED = Part("lds", "lds.json")


@dataclass(frozen=True)
class Draw:
    """Models on random halves: masks bool [M, n_train], margins float [M, R, n_val], and what a report says of them,
    "alpha", "masks", "seeds", "ceiling", "signal", "recipe" and "recipe_hash"."""

    masks: np.ndarray
    margins: np.ndarray
    about: dict


def compute(workspace: Workspace, rankings: list[str] | None = None, progress: Progress = lambda *at: None) -> dict:
    """What `evaluate lds` prints as JSON: `lds.evaluate_rankings` of every ranking (or those named) on the held-out
    halves of the workspace, with "recipe" and "recipe_hash" of the halves, and "combinations": combination -> "best",
    the part with the highest LDS, and by how much the combination is above it, "difference" and "ci" (paired). Where
    there is a second draw of halves, "second_draw" has the same keys of that.

    Similarity rankings are judged with their published candidates, images of the target's class; a ranking of some
    targets, on these. Rankings that keep only their first images are left out unless named. A head's halves are
    refitted. Raises UserError where the workspace has no held-out halves.
    """
    names = rankings or judged(workspace)
    first, *more = judge_on(draws(workspace), {name: workspace.ranking(name) for name in names}, progress)
    return {**first, **({"second_draw": more[0]} if more else {})}


def judged(workspace: Workspace) -> list[str]:
    """The rankings that are judged where nobody names some: those that keep every score."""
    return [name for name in workspace.rankings() if workspace.ranking(name).complete]


def draws(workspace: Workspace) -> list[Draw]:
    """The draws of held-out halves: the first, and the second where there is one. Raises UserError where there is
    none."""
    masks, margins = load_held_out_halves(workspace)
    made = held_out_provenance(workspace)
    counted = lds.evaluate_rankings(masks, margins, {})
    del counted["rankings"]
    found = [
        Draw(
            masks,
            margins,
            counted | {"alpha": made.get("alpha"), "recipe": made.get("recipe"), "recipe_hash": made.get("hash")},
        )
    ]
    if second := load_second_draw(workspace):
        made = workspace.manifest["parts"][SECOND_PART]
        about = {
            "alpha": made.get("alpha"),
            "masks": len(second[0]),
            "seeds": len(made["seeds"]),
            "ceiling": made["ceiling"],
            "signal": made["signal"],
            "recipe": made.get("recipe"),
            "recipe_hash": made.get("hash"),
        }
        found.append(Draw(*second, about))
    return found


class Scored(Protocol):
    """What LDS needs of a ranking: the validation images that it scores, int64 [T], ascending, and float [n_train] for
    each of them in this order."""

    targets: np.ndarray

    def all_scores(self) -> Iterable[np.ndarray]:
        """The rows."""


def judge_on(
    judges: list[Draw],
    rankings: Mapping[str, Ranking | Scored],
    progress: Progress = lambda *at: None,
    among: np.ndarray | None = None,
) -> list[dict]:
    """LDS of rankings on each draw: `Draw.about`, "rankings" and "combinations" as in `compute`. Scores are computed
    once for all draws. among: the targets that the draws have margins of, int64, where these are not all; raises
    UserError for a ranking of none of them."""
    answers = [{**draw.about, "rankings": {}, "combinations": {}} for draw in judges]
    parts = {part.name: part for ranking in rankings.values() for part in getattr(ranking, "parts", [])}
    everything = {**parts, **rankings}
    predicted: dict[str, tuple[np.ndarray, list[np.ndarray]]] = {}
    with threadpool_limits(1):  # the products are small: BLAS threads would mostly wait for each other
        for done, (name, ranking) in enumerate(everything.items(), 1):
            targets = ranking.targets if among is None else np.intersect1d(ranking.targets, among)
            rows = _rows_among(ranking, targets)
            sums = lds.predict([draw.masks for draw in judges], rows, targets)
            if name in parts:
                predicted[name] = targets, sums
            for at, (draw, answer) in enumerate(zip(judges, answers, strict=True)):
                score = lds.judge(sums[at], draw.margins, targets)
                answer["rankings"][name] = lds.row_of(score, len(targets))
                if isinstance(ranking, Combination):
                    inside = {part.name: _at_targets(*predicted[part.name], at, targets) for part in ranking.parts}
                    answer["combinations"][name] = _above_best(sums[at], inside, draw.margins, targets)
            progress("LDS: rankings", done, len(everything))
    return [{**answer, "rankings": {name: answer["rankings"][name] for name in rankings}} for answer in answers]


def _rows_among(ranking: Ranking | Scored, targets: np.ndarray) -> Iterable[np.ndarray]:
    """A ranking's scores for `targets`, some of its own, ascending."""
    if len(targets) == len(ranking.targets) or not isinstance(ranking, Ranking):
        return ranking.all_scores()
    return (ranking.scores(target) for target in targets.tolist())


def _at_targets(mine: np.ndarray, sums: list[np.ndarray], draw: int, targets: np.ndarray) -> np.ndarray:
    """The predictions on a draw for `targets`, all of which are among `mine`, ascending."""
    return sums[draw][:, np.searchsorted(mine, targets)]


def _above_best(combined: np.ndarray, parts: dict[str, np.ndarray], margins: np.ndarray, targets: np.ndarray) -> dict:
    """By how much a combination is above the best of its parts. combined, and each of parts: float [M, T]."""
    reached = {name: lds.judge(sums, margins, targets, resamples=0).mean for name, sums in parts.items()}
    best = max(reached, key=reached.__getitem__)
    above = lds.difference(combined, parts[best], margins, targets)
    return {"best": best, "difference": above.mean, "ci": above.ci}


def save(workspace: Workspace, answer: dict, provenance: dict, record: Callable | None = None) -> None:
    """Stores an answer of `compute` beside the halves, with their digest and the rankings' versions; of a head without
    stored halves as a part by itself, with this provenance. record: as of `Part.save`, which that part is."""
    versions = {"versions": ranking_versions(workspace, answer["rankings"])}
    if "second_draw" in answer:
        versions["second_halves"] = workspace.manifest["parts"][SECOND_PART].get("digest")
    if is_head(workspace.recipe) and not has_stored_halves(workspace):
        made = held_out_provenance(workspace)
        return STORED.save(workspace, {**answer, **versions}, {**provenance, **made}, record)
    halves = {"halves": held_out_digest(workspace)}
    file, inside = workspace.folder(STORED.name) / STORED.file, f"{STORED.name}/{STORED.file}"
    if listed := workspace.lists_file(STORED.name, inside):  # not while it changes: sizes are checked at opening
        file.unlink(missing_ok=True)
        workspace.list_file(STORED.name, inside)
    write_json(file, {**answer, **halves, **versions})
    if listed:
        workspace.list_file(STORED.name, inside)


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
    same = {
        name
        for name in answer["rankings"]
        if name in names and before.get(name, workspace.ranking(name).version) == workspace.ranking(name).version
    }
    second = workspace.manifest["parts"].get(SECOND_PART, {}).get("digest")
    if "second_draw" in answer and (second is None or answer.get("second_halves", second) != second):
        del answer["second_draw"]
    found = {**answer, **_rows_of(answer, same)}
    if "second_draw" in answer:
        found["second_draw"] = {**answer["second_draw"], **_rows_of(answer["second_draw"], same)}
    return found


def _rows_of(answer: dict, names: set[str]) -> dict:
    """The rows of these rankings alone."""
    kept = [key for key in ("rankings", "combinations") if key in answer]  # earlier, none were combined
    return {key: {name: row for name, row in answer[key].items() if name in names} for key in kept}


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
