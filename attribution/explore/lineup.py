"""Line the suspects up: for one target, the top training images of several rankings as rows of equal length."""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from attribution.errors import UserError
from attribution.rankings.base import Ranking, check_k
from attribution.training import recipes
from attribution.workspace.workspace import Workspace

ENDS = ("helpful", "harmful", "both")


@dataclass(frozen=True)
class LineupRow:
    """One ranking's best training images for a target, at one end.

    end and candidates: as `Ranking.top` takes them. sign: +1 for images that speak for the class `for_class`, -1
    against. ids int64 [n], labels (given) int64 [n], best first; scores float32 [n], or None where there are none.
    about: what is behind the ranking, badges first (`ranking_badges`).
    same: how many of the n carry the target's true class. mix: (class, count), largest first. shared: (name of the most
    alike other ranking, how many ids both have), or None. undefined: why the row is empty, or None.
    """

    ranking: str
    method: str
    about: str
    end: str
    candidates: str | None
    sign: int
    for_class: int
    ids: np.ndarray
    labels: np.ndarray
    scores: np.ndarray | None
    same: int
    mix: tuple[tuple[int, int], ...]
    shared: tuple[str, int] | None
    undefined: str | None

    @property
    def id(self) -> str:
        """Name of the ranking and the end, such as "trak-10 harmful"."""
        return f"{self.ranking} {self.end}"


def lineup_rows(
    ws: Workspace,
    target: int,
    rankings: list[str],
    n: int = 20,
    ends: str = "helpful",
    explain: str = "true",
    candidates: str | None = None,
) -> list[LineupRow]:
    """A row for each ranking and end; candidates as in `Ranking.top`. Raises UserError for unknown words and n below 1.

    explain="predicted" asks why the models say what they say, right or wrong: a row that compares within a class then
    looks among training images of the predicted class, and a signed row shows what speaks against the true class. For
    a target that is predicted right both questions are one. An unsigned ranking has no harmful end: its row says so.
    Without base models nothing is predicted, and asking for it raises UserError.
    """
    target = ws.check_target(target)
    check_k(n)
    if ends not in ENDS:
        raise UserError(f"no end {ends!r}; choose one of {', '.join(ENDS)}")
    if explain not in ("true", "predicted"):
        raise UserError(f"no class {explain!r} to explain; choose true or predicted")
    label = int(ws.val_labels[target])
    predicted = int(ws.base.prediction[target]) if explain == "predicted" else label
    other = predicted != label
    rows = []
    for name in rankings:
        ranking = ws.ranking(name)
        for end in ("helpful", "harmful") if ends == "both" else (ends,):
            among, for_class, sign = candidates, label, 1 if end == "helpful" else -1
            if other and ranking.signed:
                end, sign = {"helpful": ("harmful", -1), "harmful": ("helpful", 1)}[end]
            elif other and ranking.conditioned:
                among, for_class = among or "predicted", predicted
            rows.append(_build_row(ws, target, ranking, end, sign, for_class, among, n, label))
    return [_with_most_alike(row, rows) for row in rows]


def rank_of_image(ws: Workspace, row: LineupRow, target: int, image: int, depth: int = 128) -> int | None:
    """1-based rank of training image `image` in what `row` shows the beginning of, or None beyond `depth`."""
    if row.undefined:
        return None
    top = ws.ranking(row.ranking).top(target, depth, candidates=row.candidates, end=row.end)
    found = np.flatnonzero(top.ids == image)
    return int(found[0]) + 1 if len(found) else None


def ranking_badges(ws: Workspace, ranking: Ranking) -> list[str]:
    """What a reader must know before believing a row: made for another recipe, or a failed alignment check."""
    found = []
    made = ranking.made_for or {}
    recipe, hash_ = made.get("recipe"), made.get("hash")
    if recipe and recipe != ws.recipe:
        found.append(f"⚠ made for {recipe}")
    elif recipe in recipes.NAMES and hash_ and hash_ != recipes.get_recipe(recipe).hash:
        found.append(f"⚠ made for {recipe} {hash_}")
    if alignment_warning(ws, ranking.name):
        found.append("⚠ alignment")
    return found


def alignment_warning(ws: Workspace, name: str) -> str | None:
    """What the alignment check of an import says against the ranking `name`, or None."""
    return (ws.manifest["parts"].get(f"rankings/{name}", {}).get("alignment") or {}).get("warning")


def _build_row(ws, target, ranking, end, sign, for_class, candidates, n, label) -> LineupRow:
    undefined, ids, scores = None, np.zeros(0, np.int64), None
    if end == "harmful" and not ranking.signed:
        undefined = "not defined for this method: its scores have no sign"
    else:
        top = ranking.top(target, n, candidates=candidates, end=end)
        ids, scores = np.asarray(top.ids), top.scores
        if not len(ids):
            undefined = "no training image fits these candidates"
            if target not in ranking.targets:
                undefined = f"it ranks {len(ranking.targets):,} validation images, and not this one"
    labels = ws.train_labels[ids]
    mix = sorted(Counter(labels.tolist()).items(), key=lambda item: (-item[1], item[0]))
    about = " · ".join(filter(None, [*ranking_badges(ws, ranking), ranking.description]))
    return LineupRow(
        ranking.name,
        ranking.method,
        about,
        end,
        candidates,
        sign,
        for_class,
        ids,
        labels,
        scores,
        int((labels == label).sum()),
        tuple(mix),
        None,
        undefined,
    )


def _with_most_alike(row: LineupRow, rows: list[LineupRow]) -> LineupRow:
    alike = [
        (len(np.intersect1d(row.ids, other.ids)), -i, other)
        for i, other in enumerate(rows)
        if other is not row and len(other.ids)
    ]
    if not alike or not len(row.ids):
        return row
    count, _, other = max(alike, key=lambda item: item[:2])
    return replace(row, shared=(other.ranking, count))
