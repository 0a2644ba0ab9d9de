"""Near-duplicates: groups among the training images, and copies of validation images among these.

Groups are there so that an edit can remove all of one together.

Removing one of two near-duplicates shows nothing, since the other one stays. A group is a connected component of the
pairs whose features have a cosine of at least a threshold (single linkage), so two of its images may be less alike than
that. What a cosine means differs between feature sets: look at the groups before trusting a threshold of your own.

Copies across the splits are pairs at the same threshold, beside those whose bytes are the same.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np

from attribution.errors import UserError
from attribution.features.unit_rows import ROUNDING, unit_rows
from attribution.metrics.precision import precision_of
from attribution.workspace import copies
from attribution.workspace.workspace import Workspace

#: in the demo's `moco` features: 84 groups with 225 of the 5,000 images, nine in ten groups of one label
DEFAULT_COSINE = 0.98
#: every image is compared with every other: some 15 s at 50,000 images of 128 dimensions on one core
MAX_IMAGES = 100_000
#: where that bound comes from, for those who see what it finds elsewhere
COSINE_ORIGIN = (
    f"The bound {DEFAULT_COSINE:g} was set on training images of the demo in moco features, where nine in ten groups "
    "carry one label; in other features a cosine means something else"
)
#: `find_copies` compares so many training images with the others, evenly drawn, for what is usual in this data set
SAMPLE = 5_000
QUERIES, BLOCK = 1_000, 16_384  # images that are compared at a time, and with how many
GROUPED = 256  # images that are compared with all at a time: with 100,000 in 200 MB, where all are alike
#: `group_and_nearest` stops extending a group at so many other images: such features tell little apart
MAX_WALKED = 200


def grouping_spec(workspace: Workspace, features: str | None = None, cosine: float = DEFAULT_COSINE) -> dict:
    """How a spec says which images belong together, as `comparison_spec`. Raises UserError as that does, and where
    there are too many images to compare each with each."""
    spec = comparison_spec(workspace, features, cosine)
    if workspace.n_train > MAX_IMAGES:
        raise UserError(
            f"near-duplicates are looked for among at most {MAX_IMAGES:,} training images, and "
            f"{workspace.name} has {workspace.n_train:,}; name the images with --remove"
        )
    return spec


def comparison_spec(workspace: Workspace, features: str | None = None, cosine: float = DEFAULT_COSINE) -> dict:
    """Which images are alike, JSON: {"features", "cosine", "version"}; in the workspace's first feature set where none
    is named. Raises UserError for an unknown set, for none at all, and for a cosine outside (0, 1]."""
    if features is None and not workspace.features():
        raise UserError(
            f"near-duplicates are found in features, and {workspace.name} has none yet; make some with: "
            "python -m attribution features train moco"
        )
    features = features or workspace.features()[0]
    if features not in workspace.features():
        workspace.feature(features)  # says which there are
    if not 0 < cosine <= 1:
        raise UserError(
            f"a cosine of {cosine:g} is no threshold; give more than 0 and at most 1, such as {DEFAULT_COSINE}"
        )
    version = workspace.manifest["parts"][f"features/{features}"].get("digest")
    return {"features": features, "cosine": float(cosine), "version": version}


def group_numbers(workspace: Workspace, grouping: dict) -> np.ndarray:
    """The number of each training image's group, int [n_train], from 0. grouping: a `grouping_spec`."""
    return _group_numbers(workspace, grouping["features"], grouping["cosine"], grouping["version"])


@lru_cache(maxsize=4)
def _group_numbers(workspace: Workspace, features, cosine, version):
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    train = workspace.feature(features).train
    groups = np.arange(len(train))
    for images, near in _pairs(unit_rows(train, precision_of(train)), cosine):
        # joined as they come, since all pairs may be all images with all
        pairs = coo_matrix((np.ones(len(near), bool), (groups[images], groups[near])), shape=(len(train), len(train)))
        groups = connected_components(pairs, directed=False)[1][groups]
    return groups


def _pairs(unit: np.ndarray, cosine: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Which rows [n, d] of length 1 are alike, some of them with all after others: int64 [pairs], twice."""
    import faiss  # here, for jobs and pages that have no group to make do without

    least = _least(cosine, unit.dtype.type)
    index = faiss.IndexFlatIP(unit.shape[1])
    if unit.dtype == np.float32:
        index.add(unit)
    for start in range(0, len(unit), GROUPED):
        queries = unit[start : start + GROUPED]
        if unit.dtype == np.float32:
            starts, _, near = index.range_search(queries, least)
            images = np.repeat(np.arange(len(queries)), np.diff(starts.astype(np.int64)))
        else:
            images, near = np.nonzero(queries @ unit.T >= least)
        yield images + start, near


def _least(cosine: float, precision: type) -> float:
    """The cosine from which images belong together: that of twins may come out just below 1."""
    return cosine - ROUNDING[precision]


def group_and_nearest(
    workspace: Workspace, image: int, grouping: dict, n: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The other members of a training image's group, int64 [members] ascending; its n nearest other images, int64 [n]
    nearest first; and their cosines, float [n].

    Only the image and its group are compared with all others, which is quick. The group is that of `group_numbers`, or
    a part of it where that has more than MAX_WALKED other members.
    """
    train = workspace.feature(grouping["features"]).train
    precision = precision_of(train)
    least = _least(grouping["cosine"], precision)
    cosines = _cosines(train, [int(image)], precision)[0]
    inside = cosines >= least
    inside[image] = True
    fresh = np.flatnonzero(inside)
    while len(fresh) and inside.sum() <= MAX_WALKED + 1:
        alike = np.zeros(len(train), bool)
        for at in range(0, len(fresh), 64):  # 64 x 100,000 cosines are 26 MB
            alike |= (_cosines(train, fresh[at : at + 64], precision) >= least).any(0)
        fresh = np.flatnonzero(alike & ~inside)
        inside |= alike
    inside[image], cosines[image] = False, -np.inf
    near = np.argsort(-cosines, kind="stable")[: min(n, len(train) - 1)]
    return np.flatnonzero(inside), near, cosines[near]


def _cosines(train, ids: list[int], precision: type, block: int = 16_384) -> np.ndarray:
    """Cosines of the images `ids` with all, [len(ids), n_train] of type `precision`; 0 for a vector of zeros."""
    query = unit_rows(train[ids], precision)
    rows = (unit_rows(train[at : at + block], precision) for at in range(0, len(train), block))
    return np.concatenate([query @ block_rows.T for block_rows in rows], axis=1)


def groups_of_images(workspace: Workspace, ids, grouping: dict) -> list[np.ndarray]:
    """The groups of the training images `ids`, in the order in which their first ones come, each whole: int64 arrays,
    members ascending, those that `ids` does not name included."""
    of = group_numbers(workspace, grouping)
    order = np.argsort(of, kind="stable")
    starts = np.searchsorted(of[order], np.arange(of.max(initial=-1) + 2))
    return [order[starts[group] : starts[group + 1]] for group in dict.fromkeys(of[np.asarray(ids, np.int64)].tolist())]


def count_groups(workspace: Workspace, grouping: dict) -> dict:
    """How many groups of two and more there are: {"groups", "images" (in them), "largest", "same_label" (share of the
    groups that carry one label, None without groups)}."""
    of = group_numbers(workspace, grouping)
    sizes = np.bincount(of)
    several = np.flatnonzero(sizes > 1)
    same = [len(np.unique(workspace.train_labels[of == group])) == 1 for group in several]
    return {
        "groups": len(several),
        "images": int(sizes[several].sum()),
        "largest": int(sizes.max(initial=0)),
        "same_label": float(np.mean(same)) if same else None,
    }


def find_copies(
    workspace: Workspace, alike: dict | None, progress: Callable[[str, int, int], None] = lambda *at: None
) -> tuple[dict, dict | None]:
    """Copies of validation images among the training images: exact ones (`copies.find_exact`), and those that are
    alike, None where `alike`, a `comparison_spec`, is None.

    These are {"features", "cosine", "version", "images" (validation images with one), "pairs", "whole" (False where
    there are more pairs than were counted: of each image the copies.KEPT nearest are), "kept" [[validation image,
    training image, cosine], ...], "sample" and "sample_images" (of so many training images, how many have such a copy
    among the other training images: what is usual in this data set)}; exact copies are among them.
    Raises UserError where images or features cannot be read.
    """
    try:
        stored = copies.load(workspace)
    except UserError:  # damaged: made anew
        stored = None
    exact = stored["exact"] if stored else copies.exact_copies(workspace, progress)
    if alike is None:
        return exact, None
    features = workspace.feature(alike["features"])
    least = _least(alike["cosine"], precision_of(features.train))
    n, sample = len(features.val), np.unique(np.linspace(0, workspace.n_train - 1, SAMPLE).astype(int))
    total = n + len(sample)
    kept, whole, done = [], True, 0
    for ids, cosines in _nearest(features.train, features.val, np.arange(n), copies.KEPT):
        near = cosines >= least
        whole &= not near[:, -1].any() or near.shape[1] == workspace.n_train
        kept += [
            [done + int(row), int(ids[row, at]), round(float(cosines[row, at]), 4)] for row, at in np.argwhere(near)
        ]
        done += len(ids)
        progress("comparing images", done, total)
    usual = 0
    for ids, cosines in _nearest(features.train, features.train, sample, 2):
        asked = sample[done - n : done - n + len(ids)]
        usual += int(((cosines >= least) & (ids != asked[:, None])).any(1).sum())
        done += len(ids)
        progress("comparing images", done, total)
    return exact, {
        **alike,
        "images": len({val for val, _, _ in kept}),
        "pairs": len(kept),
        "whole": bool(whole),
        "kept": kept,
        "sample": len(sample),
        "sample_images": usual,
    }


def _nearest(train, queries, which: np.ndarray, k: int):
    """The k training images most alike, (int64 [b, k'], cosines float [b, k']), of some `queries` after others."""
    from attribution.features import knn  # faiss, see above

    for start in range(0, len(which), QUERIES):
        cosines, ids = knn.search(train, queries[which[start : start + QUERIES]], k, BLOCK)
        yield ids, cosines
