"""The lineup of one target: the top training images of several rankings, a row each."""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from attribution.errors import UserError
from attribution.own_code import OwnCodeError
from attribution.rankings.base import Ranking, check_k
from attribution.rankings.candidates import CANDIDATES_MARK
from attribution.rankings.random import Random
from attribution.workspace.workspace import Workspace

ENDS = ("helpful", "harmful", "both")


@dataclass(frozen=True)
class LineupRow:
    """One ranking's top training images for a target, at one end.

    description: what is behind the ranking, badges first (`ranking_badges`). end and candidates: as `Ranking.top` takes
    them. sign: +1 for images that speak for the class `for_class`, -1 against. explained: the class asked about, the
    target's true or predicted one. ids int64 [n], labels (given) int64 [n], best first; scores float32 [n], or None
    where there are none. n_same_class: how many of the n carry the target's true class. class_counts: (class, count),
    largest first. most_alike: (name of the other ranking that shares most images, how many), or None. undefined: why
    the row is empty, or None. failed: whether that is a fault of the user's own code, which may be mended by the next
    look.
    """

    ranking: str
    method: str
    description: str
    end: str
    candidates: str | None
    sign: int
    for_class: int
    explained: int
    ids: np.ndarray
    labels: np.ndarray
    scores: np.ndarray | None
    n_same_class: int
    class_counts: tuple[tuple[int, int], ...]
    most_alike: tuple[str, int] | None
    undefined: str | None
    failed: bool = False

    @property
    def id(self) -> str:
        """Name of the ranking and the end, such as "trak-10 harmful"."""
        return f"{self.ranking} {self.end}"

    @property
    def is_control(self) -> bool:
        """Whether it is the random order, whose images are neither helpful nor harmful."""
        return self.ranking.partition(CANDIDATES_MARK)[0] == Random.name


def lineup_rows(
    ws: Workspace,
    target: int,
    rankings: list[str],
    n: int = 20,
    ends: str = "helpful",
    explain: str = "true",
    candidates: str | None = None,
) -> list[LineupRow]:
    """A row of n images for each ranking and end; candidates as in `Ranking.top`.

    explain="predicted" asks why the models predict what they predict, right or wrong: a row that compares within a
    class then looks among training images of the predicted class, and a signed row shows what speaks against the true
    class. For a target that is predicted right both questions are one. An unsigned ranking has no harmful end: its row
    says so. Raises UserError for an unknown end, class to explain or candidates, for n below 1, and for
    explain="predicted" without base models.

    >>> rows = lineup_rows(Workspace.open(), 44, ["trak-10", "esvm-moco"], n=3)
    >>> [(row.ranking, row.ids.tolist()) for row in rows]
    [('trak-10', [3786, 2338, 1833]), ('esvm-moco', [1910, 3168, 172])]
    """
    target = ws.check_target(target)
    check_k(n)
    if ends not in ENDS:
        raise UserError(f"no end {ends!r}; choose one of {', '.join(ENDS)}")
    if explain not in ("true", "predicted"):
        raise UserError(f"no class {explain!r} to explain; choose true or predicted")
    explained = int((ws.base.prediction if explain == "predicted" else ws.val_labels)[target])
    rows = [
        _build_row(ws, target, explained, ws.ranking(name), end, candidates, n)
        for name in rankings
        for end in (("helpful", "harmful") if ends == "both" else (ends,))
    ]
    return [_with_most_alike(row, rows) for row in rows]


def rank_of_image(ws: Workspace, row: LineupRow, target: int, image: int, depth: int = 128) -> int | None:
    """Rank, from 1, of training image `image` in the list whose beginning `row` shows, or None beyond `depth`."""
    if row.undefined:
        return None
    top = ws.ranking(row.ranking).top(target, depth, candidates=row.candidates, end=row.end)
    positions = np.flatnonzero(top.ids == image)
    return int(positions[0]) + 1 if len(positions) else None


def ranking_badges(ws: Workspace, ranking: Ranking) -> list[str]:
    """What a reader must know before believing a row: made for another recipe, or a failed alignment check."""
    badges, origin = [], ranking.made_for or {}
    recipe, recipe_hash = origin.get("recipe"), origin.get("hash")
    if recipe and recipe != ws.recipe:
        badges.append(f"⚠ made for {recipe}")
    elif recipe in ws.recipe_names() and recipe_hash and recipe_hash != ws.get_recipe(recipe).hash:
        badges.append(f"⚠ made for {recipe} {recipe_hash}")
    if alignment_warning(ws, ranking.name):
        badges.append("⚠ alignment")
    return badges


def alignment_warning(ws: Workspace, name: str) -> str | None:
    """What the alignment check of an import says against the ranking `name`, or None."""
    return (ws.manifest["parts"].get(f"rankings/{name}", {}).get("alignment") or {}).get("warning")


def _build_row(
    ws: Workspace, target: int, explained: int, ranking: Ranking, end: str, candidates: str | None, n: int
) -> LineupRow:
    label = for_class = int(ws.val_labels[target])
    sign = 1 if end == "helpful" else -1
    if explained != label and ranking.signed:  # scores speak about the true class: against it is for the error
        end, sign = {"helpful": ("harmful", -1), "harmful": ("helpful", 1)}[end]
    elif explained != label and ranking.conditioned:
        candidates, for_class = candidates or "predicted", explained
    undefined, failed, ids, scores = None, False, np.zeros(0, np.int64), None
    if end == "harmful" and not ranking.signed:
        undefined = "This method has no harmful scores"
    elif missing := ranking.missing(target):
        undefined = missing
    else:
        try:
            top = ranking.top(target, n, candidates=candidates, end=end)
            ids, scores = np.asarray(top.ids), top.scores
        except OwnCodeError as error:  # of this row alone: the others stand
            undefined, failed = str(error), True
        if not len(ids) and not failed:
            undefined = "no training image fits these candidates"
            if target not in ranking.targets:
                undefined = f"it ranks {len(ranking.targets):,} validation images, and not this one"
    labels = ws.train_labels[ids]
    counts = Counter(labels.tolist())
    return LineupRow(
        ranking=ranking.name,
        method=ranking.method,
        description=" · ".join(filter(None, [*ranking_badges(ws, ranking), ranking.description_of(target)])),
        end=end,
        candidates=candidates,
        sign=sign,
        for_class=for_class,
        explained=explained,
        ids=ids,
        labels=labels,
        scores=scores,
        n_same_class=counts[label],
        class_counts=tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0]))),
        most_alike=None,
        undefined=undefined,
        failed=failed,
    )


def _with_most_alike(row: LineupRow, rows: list[LineupRow]) -> LineupRow:
    others = [other for other in rows if other is not row and len(other.ids)]
    if not others or not len(row.ids):
        return row
    n_shared = [len(np.intersect1d(row.ids, other.ids)) for other in others]
    first = int(np.argmax(n_shared))  # of equals the first
    return replace(row, most_alike=(others[first].ranking, n_shared[first]))
