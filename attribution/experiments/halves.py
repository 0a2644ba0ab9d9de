"""Models on random halves of the training set: what LDS is measured on, and what Datamodels are fitted on."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from attribution.experiments.spec import FixedSpec, Training, common_fields, needed_seeds
from attribution.training.edits import Edit, remove
from attribution.workspace.workspace import Workspace


@dataclass(frozen=True, kw_only=True, eq=False)
class SubsetsSpec(FixedSpec):
    """Train on random halves first .. first + count - 1 of sequence `draw`, each under `seeds`. both: and on the
    complement of each, so that every image is left out equally often."""

    verb = "subsets"
    long = True
    out_of_subset = True  # detectors score an image by the models that have not seen it

    first: int
    count: int
    seeds: list[int]
    draw: int
    both: bool = False

    def describe(self) -> str:
        """As `Spec.describe`."""
        what = "pairs of complementary halves" if self.both else "random halves"
        return f"{self.count} {what}, {len(self.seeds)} seeds each"

    @property
    def total(self) -> int:
        """As `Spec.total`."""
        return self.count * len(self.seeds) * (2 if self.both else 1)

    def trainings(self, workspace: Workspace) -> Iterator[Training]:
        """As `FixedSpec.trainings`."""
        for number in range(self.first, self.first + self.count):
            for seed in self.seeds:
                for complement in (False, True) if self.both else (False,):
                    edit = half_edit(workspace, self.draw, number, complement)
                    yield edit, half_seed(self.draw, number, seed, complement)


def subsets_spec(workspace: Workspace, first: int, count: int, seeds, draw: int, both: bool = False) -> SubsetsSpec:
    """Train on random halves: see `SubsetsSpec`."""
    return SubsetsSpec(
        **common_fields(workspace),
        first=first,
        count=count,
        seeds=needed_seeds(workspace, None, seeds),
        draw=draw,
        both=both,
    )


def random_half(n_train: int, draw: int, number: int) -> np.ndarray:
    """Random half `number` of sequence `draw`: bool [n_train], True for the images that stay."""
    half = np.zeros(n_train, bool)
    half[np.random.default_rng([draw, number]).permutation(n_train)[: n_train // 2]] = True
    return half


def half_edit(workspace: Workspace, draw: int, number: int, complement: bool = False) -> Edit:
    """Removes all but random half `number` of sequence `draw`, or that half itself."""
    half = random_half(workspace.n_train, draw, number)
    return remove(np.flatnonzero(half if complement else ~half))


def half_seed(draw: int, number: int, seed: int, complement: bool = False) -> int:
    """Its training seed: another for each half, so that no initialisation is shared, and far from all other seeds."""
    return 1_000_000 * draw + 10_000 * seed + number + 500_000 * complement
