"""Models of the unedited images under another recipe, which stand in for base models there."""

from collections.abc import Iterator
from dataclasses import dataclass

from attribution.experiments.spec import UNEDITED_SEEDS, FixedSpec, Training, common_fields, needed_seeds
from attribution.training.edits import no_edit
from attribution.workspace.workspace import Workspace


@dataclass(frozen=True, kw_only=True, eq=False)
class UneditedSpec(FixedSpec):
    """Train on the images as they are, once under each seed."""

    verb = "unedited"
    long = True

    seeds: list[int]

    def describe(self) -> str:
        """As `Spec.describe`."""
        return f"{len(self.seeds)} models of {self.recipe} on the images as they are"

    @property
    def total(self) -> int:
        """As `Spec.total`."""
        return len(self.seeds)

    def trainings(self, workspace: Workspace) -> Iterator[Training]:
        """As `FixedSpec.trainings`."""
        for seed in self.seeds:
            yield no_edit(), seed


def unedited_spec(workspace: Workspace, recipe: str) -> UneditedSpec:
    """Train on the images as they are under another recipe, as base models are. Raises UserError for an unknown one."""
    return UneditedSpec(**common_fields(workspace, recipe), seeds=needed_seeds(workspace, recipe, UNEDITED_SEEDS))
