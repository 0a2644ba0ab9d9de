"""Hubs: training images that stand in the lists of many targets, whatever the target.

A list is the first images that a ranking names for a target. How often an image stands in lists of k is its
k-occurrence; the skewness of k-occurrences over all images is the usual measure of how far a few images fill the lists
(Radovanović et al., Hubs in Space, JMLR 2010). Lists are kept, so that whose lists an image stands in needs no ranking.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from attribution.errors import UserError
from attribution.files import read_array
from attribution.rankings.base import check_k

DEFAULT_K = 20
LIST_DEPTH = 50  # images that are kept of each list
ENDS = ("helpful", "harmful")


@dataclass(frozen=True)
class TopLists:
    """ids: int [ends, n_val, DEPTH], the first training images of every target, best first, helpful end and, where the
    ranking is signed, harmful end; -1 after a list's end and for validation images that it ranks nothing for. targets:
    how many it ranks images for; n_train: training images in all."""

    ranking: str
    ids: np.ndarray
    targets: int
    n_train: int

    @property
    def signed(self) -> bool:
        return len(self.ids) > 1

    def counts(self, k: int = DEFAULT_K, end: str = "helpful") -> np.ndarray:
        """In how many targets' first k each training image stands, int [n_train]. Raises UserError for a k that is
        not 1 to DEPTH."""
        first = self.ids[ENDS.index(end), :, : check_list_k(k)]
        return np.bincount(first[first >= 0], minlength=self.n_train)

    def places(self, image: int, end: str = "helpful") -> tuple[np.ndarray, np.ndarray]:
        """(targets, 1-based ranks) of the lists that an image stands in, int [n] each, lowest rank first."""
        targets, at = np.nonzero(self.ids[ENDS.index(end)] == image)
        order = np.lexsort((targets, at))
        return targets[order], at[order] + 1


def check_list_k(k) -> int:
    """`k` as an int. Raises UserError where it is not 1 to DEPTH."""
    if check_k(k) > LIST_DEPTH:
        raise UserError(f"k = {k} is more than is kept of a list; give 1 to {LIST_DEPTH}")
    return int(k)


def compute(
    workspace, names: list[str], progress: Callable[[str, int, int], None] = lambda *at: None
) -> list[TopLists]:
    """The lists of all targets under each of the rankings `names`, as published. progress(text, done, total).

    Raises UserError for an unknown ranking."""
    rankings = [workspace.ranking(name) for name in dict.fromkeys(names)]
    done, total = 0, sum(len(ranking.targets) for ranking in rankings)
    found = []
    for ranking in rankings:
        ends = ENDS[: 1 + ranking.signed]
        ids = np.full((len(ends), workspace.n_val, LIST_DEPTH), -1, np.min_scalar_type(-workspace.n_train))
        for target in ranking.targets.tolist():
            for at, end in enumerate(ends):
                top = ranking.top(target, LIST_DEPTH, end=end).ids
                ids[at, target, : len(top)] = top
            done += 1
            progress("hubs: lists of targets", done, total)
        found.append(TopLists(ranking.name, ids, len(ranking.targets), workspace.n_train))
    return found


def summarise(lists: TopLists, k: int = DEFAULT_K, end: str = "helpful", most: int = 10) -> dict:
    """{"targets", "k", "mean", "never" (share of the training images that stand in no list), "skewness" (None where
    all stand in as many), "hubs": [{"image", "lists"}], those in most lists first}."""
    from scipy.stats import skew  # half a second that the page need not wait for

    counts = lists.counts(k, end)
    order = np.argsort(-counts, kind="stable")[:most]
    return {
        "targets": lists.targets,
        "k": k,
        "mean": float(counts.mean()),
        "never": float((counts == 0).mean()),
        "skewness": float(skew(counts)) if np.ptp(counts) else None,
        "hubs": [{"image": int(image), "lists": int(counts[image])} for image in order if counts[image]],
    }


def part_name(name: str) -> str:
    """What the lists of a ranking are kept as."""
    return f"hubs/{name}"


def save(workspace, lists: TopLists, about: dict, record: Callable | None = None) -> None:
    """Keeps lists as a part of their own, where a user's parts go, or as record(part, arrays, about) stores it; about:
    further provenance."""
    about = {**about, "of": workspace.ranking(lists.ranking).version, "targets": lists.targets, "depth": LIST_DEPTH}
    if record:
        record(part_name(lists.ranking), {"ids": lists.ids}, about)
        return
    from attribution.workspace.parts import save_part

    save_part(workspace, part_name(lists.ranking), {"ids": lists.ids}, about)


def load(workspace, name: str) -> TopLists | None:
    """The lists that were kept of a ranking; None where there are none, or where it is another by now. Raises UserError
    where they cannot be read."""
    about = workspace.manifest["parts"].get(part_name(name))
    if about is None or name not in workspace.rankings() or about["of"] != workspace.ranking(name).version:
        return None
    ids = read_array(workspace.folder(part_name(name)) / "ids.npy", None, workspace.n_val, about["depth"])
    return TopLists(name, ids, about["targets"], workspace.n_train)
