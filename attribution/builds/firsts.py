"""The first images that each of a ranking's models would put in its place: how far they agree says how much of a row is
the seeds' doing (single scores drown in the noise of seeds: Nguyen et al., arXiv 2305.19765).

A ranking that is a mean over models forgets them; this keeps a little of each, as the part "firsts/<ranking>".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from attribution.errors import UserError
from attribution.files import read_array
from attribution.rankings.base import top_k
from attribution.workspace.parts import Progress, save_part
from attribution.workspace.provenance import command_provenance
from attribution.workspace.workspace import Workspace

#: how many first images are kept, and compared
FIRST = 20
#: ways in which the models are cut in two halves
MAX_SPLITS = 10
MAX_BLOCK_BYTES = 128 << 20
#: read(start, stop) -> scores float [stop - start, n_train] by one model, of the ranking's targets in their order
ScoreReader = Callable[[int, int], np.ndarray]


@dataclass(frozen=True)
class Firsts:
    """The first images of a ranking, model by model.

    targets  int64 [T], ascending
    ids      int [models, T, ends, FIRST], best first, helpful and harmful end, -1 where there are fewer images
    halves   float32 [T, ends], how many of their first FIRST the means over two disjoint halves of the models share,
             mean over `splits` ways to cut them; NaN for one model alone
    half     how many models such a half has
    splits   in how many ways they were cut
    fits     whether the "models" are two fits of one regression, each on half of what the ranking was fitted on
    """

    ranking: str
    targets: np.ndarray
    ids: np.ndarray
    halves: np.ndarray
    half: int
    splits: int
    fits: bool = False

    @property
    def models(self) -> int:
        """How many there are."""
        return len(self.ids)

    def of_target(self, target: int, end: str = "helpful") -> tuple[np.ndarray, float] | None:
        """(first images of each model, int [models, FIRST], and what `halves` says) of a target; None where it is not
        ranked for."""
        at = int(np.searchsorted(self.targets, target))
        if at == len(self.targets) or self.targets[at] != target:
            return None
        side = 0 if end == "helpful" else 1
        return self.ids[:, at, side], float(self.halves[at, side])


def first_ids(scores: np.ndarray, zero_is_none: bool = False) -> np.ndarray:
    """The first FIRST training images by scores, float [n_train]: int64 [2, FIRST], helpful and harmful end, best
    first; -1 after the last where there are fewer. zero_is_none: images whose score is 0, or of the other sign, have no
    place."""
    ids = np.full((2, FIRST), -1)
    for side, sign in enumerate((1, -1)):
        order = top_k(sign * scores, FIRST)
        order = order[sign * scores[order] > 0] if zero_is_none else order
        ids[side, : len(order)] = order
    return ids


def split_models(models: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Ways to cut so many models in two disjoint halves of the same size, at most MAX_SPLITS of them, drawn at random
    where there are more; none for one model. Of an odd number one model stays out.

    >>> split_models(2), split_models(3)
    ([((0,), (1,))], [((0,), (1,)), ((0,), (2,)), ((1,), (2,))])
    """
    half = models // 2
    if models > 12:  # too many to list
        rng = np.random.default_rng(0)
        orders = [rng.permutation(models).tolist() for _ in range(MAX_SPLITS)]
        return [(tuple(order[:half]), tuple(order[half : 2 * half])) for order in orders]
    all_of = [
        (one, other)
        for one in combinations(range(models), half)
        for other in combinations([model for model in range(models) if model not in one], half)
        if one and one < other
    ]
    chosen = np.sort(np.random.default_rng(0).permutation(len(all_of))[:MAX_SPLITS])
    return [all_of[number] for number in chosen]


def compute(
    ranking: str,
    n_train: int,
    targets: np.ndarray,
    readers: Sequence[ScoreReader],
    progress: Progress = lambda *at: None,
    fits: bool = False,
) -> Firsts:
    """The first images of a ranking that is the mean over models, of each of which `readers` reads the scores. targets:
    int [T], ascending. fits: as of `Firsts`; a weight of 0 has no place then. progress(text, done, total)."""
    models, splits = len(readers), split_models(len(readers))
    ids = np.full((models, len(targets), 2, FIRST), -1, np.min_scalar_type(-n_train))
    halves = np.full((len(targets), 2), np.nan, np.float32)
    size = max(1, MAX_BLOCK_BYTES // (4 * n_train * models))
    for start in range(0, len(targets), size):
        stop = min(start + size, len(targets))
        block = np.stack([read(start, stop) for read in readers])
        for at in range(start, stop):
            scores = block[:, at - start]
            ids[:, at] = [first_ids(row, fits) for row in scores]
            if splits:
                pairs = [[first_ids(scores[list(half)].mean(0), fits) for half in split] for split in splits]
                halves[at] = np.mean([[count_shared(a[end], b[end]) for end in (0, 1)] for a, b in pairs], axis=0)
        progress(f"{ranking}: first images of each model", stop, len(targets))
    return Firsts(ranking, np.asarray(targets, np.int64), ids, halves, models // 2, len(splits), fits)


def keep(
    workspace: Workspace, ranking: str, files: Sequence[Sequence[Path]], progress: Progress = lambda *at: None
) -> Firsts:
    """Keeps the first images of each model of a ranking that is there already, and returns them.

    files: for each model, at least two, the files that hold its scores of all the ranking's targets, in their order,
    one block of targets after the other: .npy, or .npz with the array "scores", float [targets, n_train]. The ranking
    is the mean over them. Raises UserError for an unknown ranking, and for files that do not fit it.
    """
    targets = workspace.ranking(ranking).targets
    if len(files) < 2:
        raise UserError("first images are compared between models: give the scores of at least two")

    def reader(blocks: Sequence[Path]) -> ScoreReader:
        scores = np.concatenate([_read_scores(file) for file in blocks])
        if scores.shape != (len(targets), workspace.n_train) or not np.isfinite(scores).all():
            raise UserError(
                f"{blocks[0]} does not hold a score of each of {workspace.n_train:,} training images for each of the "
                f"{len(targets):,} targets of {ranking}, all finite; give the file of one model's scores"
            )
        return lambda start, stop: scores[start:stop]

    firsts = compute(ranking, workspace.n_train, targets, [reader(blocks) for blocks in files], progress)
    save(workspace, firsts, command_provenance(f"rankings firsts {ranking}"))
    return firsts


def _read_scores(file: Path) -> np.ndarray:
    try:
        loaded = np.load(file, mmap_mode="r", allow_pickle=False)
        return loaded if isinstance(loaded, np.ndarray) else loaded["scores"]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{file} holds no scores ({error}); give .npy, or .npz with the array scores") from None


def count_shared(a: np.ndarray, b: np.ndarray) -> int:
    """How many images two lists share; -1 is none. a, b: int [n], [m]."""
    return len({*a.tolist()} & {*b.tolist()} - {-1})


def part_name(ranking: str) -> str:
    """The part that holds the first images of a ranking's models."""
    return f"firsts/{ranking}"


def save(workspace: Workspace, firsts: Firsts, provenance: dict, record: Callable | None = None) -> None:
    """Stores first images as a part, where a user's parts go, or with record(part, arrays, provenance). provenance:
    what to note beside the ranking's version."""
    version = workspace.ranking(firsts.ranking).version
    provenance = {**provenance, "of": version, "half": firsts.half, "splits": firsts.splits}
    provenance |= {"fits": True} if firsts.fits else {}
    arrays = {"targets": firsts.targets, "ids": firsts.ids, "halves": firsts.halves.astype(np.float16)}
    if record:
        record(part_name(firsts.ranking), arrays, provenance)
    else:
        save_part(workspace, part_name(firsts.ranking), arrays, provenance)


def load(workspace: Workspace, ranking: str) -> Firsts | None:
    """What is kept of a ranking's models; None where nothing is, or where the ranking's version is another by now.
    Raises UserError where it cannot be read."""
    made = workspace.manifest["parts"].get(part_name(ranking))
    if made is None or ranking not in workspace.rankings() or made["of"] != workspace.ranking(ranking).version:
        return None
    folder = workspace.folder(part_name(ranking))
    targets = np.asarray(read_array(folder / "targets.npy", None), np.int64)
    ids = read_array(folder / "ids.npy", None, len(targets), 2, FIRST)
    halves = read_array(folder / "halves.npy", len(targets), 2)
    return Firsts(ranking, targets, ids, halves, made["half"], made["splits"], made.get("fits", False))
