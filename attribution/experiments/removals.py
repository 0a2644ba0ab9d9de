"""Many sets of training images removed, one at a time, each beside random sets of the same classes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from attribution.errors import UserError
from attribution.experiments.prefixes import random_control
from attribution.experiments.spec import FixedSpec, Training, common_fields, needed_seeds
from attribution.training.edits import Edit, remove
from attribution.workspace.workspace import Workspace


@dataclass(frozen=True, kw_only=True, eq=False)
class RemovalsSpec(FixedSpec):
    """Train without each of `sets`, and without `draws` random sets of the same classes and size, under `seeds`."""

    verb = "removals"
    long = True

    sets: list[list[int]]
    seeds: list[int]
    draws: int

    def describe(self) -> str:
        """As `Spec.describe`."""
        return f"{len(self.sets)} sets of images removed, {self.draws} random ones beside each"

    @property
    def total(self) -> int:
        """As `Spec.total`."""
        return len(self.sets) * (1 + self.draws) * len(self.seeds)

    def edits(self, workspace: Workspace) -> list[tuple[Edit, list[Edit]]]:
        """For each set its edit, and those of its controls."""
        edits = [remove(ids) for ids in self.sets]
        return [(edit, [random_control(workspace, edit, draw) for draw in range(self.draws)]) for edit in edits]

    def trainings(self, workspace: Workspace) -> Iterator[Training]:
        """As `FixedSpec.trainings`: set by set, so that what is cut short holds whole sets."""
        for edit, controls in self.edits(workspace):
            for one in (edit, *controls):
                for seed in self.seeds:
                    yield one, seed


def removals_spec(
    workspace: Workspace, sets: Iterable[Iterable[int]], seeds: Iterable[int], draws: int
) -> RemovalsSpec:
    """Train without each of these sets of training images, under the model that is looked at. Raises UserError for an
    empty set, and for a recipe that cannot train."""
    chosen = [[int(image) for image in ids] for ids in sets]
    if not chosen or not all(chosen):
        raise UserError("a set of training images to remove is empty; name at least one image in each")
    return RemovalsSpec(
        **common_fields(workspace), sets=chosen, seeds=needed_seeds(workspace, None, seeds), draws=int(draws)
    )
