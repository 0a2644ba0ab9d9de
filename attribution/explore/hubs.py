"""Hubs: training images that stand in the top k of many targets.

In how many targets' top k an image stands is its k-occurrence; the skewness of k-occurrences over all images measures
how far a few images fill the lists (Radovanović et al., Hubs in Space, JMLR 2010). The lists are stored, so that it
takes no ranking to look up those that an image stands in.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from attribution.errors import UserError
from attribution.files import read_array
from attribution.rankings.base import check_k
from attribution.workspace.parts import Progress, save_part
from attribution.workspace.workspace import Workspace

DEFAULT_K = 20
LIST_DEPTH = 50  # images that are stored of each list
ENDS = ("helpful", "harmful")


@dataclass(frozen=True)
class TopLists:
    """The lists of all targets under one ranking. ids: int [ends, n_val, LIST_DEPTH], the top training images of every
    target, best first, helpful end and, where the ranking is signed, harmful end; -1 after a list's end and for
    validation images that the ranking does not rank for. targets: how many it ranks for."""

    ranking: str
    ids: np.ndarray
    targets: int
    n_train: int

    @property
    def signed(self) -> bool:
        """Whether there are lists of the harmful end, too."""
        return len(self.ids) > 1

    def count_lists(self, k: int = DEFAULT_K, end: str = "helpful") -> np.ndarray:
        """In how many targets' top k each training image stands, int [n_train]. Raises UserError for a k that is not 1
        to LIST_DEPTH."""
        top = self.ids[ENDS.index(end), :, : check_list_k(k)]
        return np.bincount(top[top >= 0], minlength=self.n_train)

    def lists_with_image(self, image: int, end: str = "helpful") -> tuple[np.ndarray, np.ndarray]:
        """(targets, ranks from 1) of the lists that an image stands in, int [n] each, lowest rank first."""
        targets, positions = np.nonzero(self.ids[ENDS.index(end)] == image)
        order = np.lexsort((targets, positions))
        return targets[order], positions[order] + 1


def check_list_k(k: int) -> int:
    """`k` as an int. Raises UserError where it is not 1 to LIST_DEPTH."""
    if check_k(k) > LIST_DEPTH:
        raise UserError(f"k = {k} is more than is kept of a list; give 1 to {LIST_DEPTH}")
    return int(k)


def compute(workspace: Workspace, names: list[str], progress: Progress = lambda *at: None) -> list[TopLists]:
    """The lists under each of the rankings `names`, with the candidates as published. progress(text, done, total).

    Raises UserError for an unknown ranking."""
    rankings = [workspace.ranking(name) for name in dict.fromkeys(names)]
    done, total = 0, sum(len(ranking.targets) for ranking in rankings)
    computed = []
    for ranking in rankings:
        ends = ENDS[: 1 + ranking.signed]
        ids = np.full((len(ends), workspace.n_val, LIST_DEPTH), -1, np.min_scalar_type(-workspace.n_train))
        for target in ranking.targets.tolist():
            for side, end in enumerate(ends):
                top = ranking.top(target, LIST_DEPTH, end=end).ids
                ids[side, target, : len(top)] = top
            done += 1
            progress("hubs: lists of targets", done, total)
        computed.append(TopLists(ranking.name, ids, len(ranking.targets), workspace.n_train))
    return computed


def summarise(lists: TopLists, k: int = DEFAULT_K, end: str = "helpful", max_hubs: int = 10) -> dict:
    """{"targets", "k", "mean", "never" (share of the training images that stand in no list), "skewness" (None where
    all stand in equally many), "hubs": [{"image", "lists"}], those in most lists first}."""
    from scipy.stats import skew  # half a second that the page need not wait for

    counts = lists.count_lists(k, end)
    order = np.argsort(-counts, kind="stable")[:max_hubs]
    return {
        "targets": lists.targets,
        "k": k,
        "mean": float(counts.mean()),
        "never": float((counts == 0).mean()),
        "skewness": float(skew(counts)) if np.ptp(counts) else None,
        "hubs": [{"image": int(image), "lists": int(counts[image])} for image in order if counts[image]],
    }


def part_name(name: str) -> str:
    """The part that holds the lists of a ranking."""
    return f"hubs/{name}"


def save(workspace: Workspace, lists: TopLists, provenance: dict, record: Callable | None = None) -> None:
    """Stores lists as a part, where a user's parts go, or with record(part, arrays, provenance). provenance: what to
    note beside the ranking's version."""
    version = workspace.ranking(lists.ranking).version
    provenance = {**provenance, "of": version, "targets": lists.targets, "depth": LIST_DEPTH}
    if record:
        record(part_name(lists.ranking), {"ids": lists.ids}, provenance)
    else:
        save_part(workspace, part_name(lists.ranking), {"ids": lists.ids}, provenance)


def load(workspace: Workspace, name: str) -> TopLists | None:
    """The stored lists of a ranking; None where there are none, or where its version is another by now. Raises
    UserError where they cannot be read."""
    provenance = workspace.manifest["parts"].get(part_name(name))
    if provenance is None or name not in workspace.rankings():
        return None
    if provenance["of"] != workspace.ranking(name).version:
        return None
    ids = read_array(workspace.folder(part_name(name)) / "ids.npy", None, workspace.n_val, provenance["depth"])
    return TopLists(name, ids, provenance["targets"], workspace.n_train)
