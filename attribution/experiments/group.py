"""What becomes of a group of validation images when training images are edited, and of all others: what mends one cell
of the confusion matrix may break another.

The edit is trained beside no edit and beside random edits that touch as many images of the same classes. Influence was
read from one part of the group, and another part judges.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from attribution.errors import UserError
from attribution.experiments.prefixes import HEAD_CONTROL_DRAWS, random_controls
from attribution.experiments.spec import SEEDS, MeasuredSpec, Training, common_fields, needed_seeds
from attribution.metrics.group_change import change_of_group, change_of_rest
from attribution.store.results import ResultStore, Retraining
from attribution.training.edits import Edit, no_edit
from attribution.training.head.recipe import is_head
from attribution.workspace.workspace import Workspace

NETWORK_DRAWS = 4  # random edits beside an edit, each trained under every seed
#: fields of a spec that say how the page came to it
REMEMBERED = ("group", "ranking", "against", "end", "label")


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupSpec(MeasuredSpec):
    """Train with and without an edit, and with `draws` random edits, and compare what is predicted of a group.

    group: as it was asked for; read, judged: its validation images that influence was read from, and those that judge;
    edit: as JSON. Where that is to be remembered: ranking: whose first images it is of; against: the ranking that it is
    compared with; end: which of its ends; label: the class that the images are given, by name.
    """

    verb = "group"

    group: str
    read: list[int]
    judged: list[int]
    seeds: list[int]
    draws: int
    edit: dict
    ranking: str | None = None
    against: str | None = None
    end: str | None = None
    label: str | None = None

    def describe(self) -> str:
        """As `Spec.describe`."""
        edit = Edit.from_json(self.edit)
        what = f"without {edit.k}" if edit.kind == "remove" else f"with other labels on {edit.k}"
        return f"group {self.group}: {what} training images, {self.draws} random edits beside"

    @property
    def total(self) -> int:
        """As `Spec.total`."""
        return 1 + len(self.seeds) * (2 + self.draws)

    def trainings(self, workspace: Workspace) -> Iterator[Training]:
        """Seed by seed: no edit, the edit, the random edits."""
        edit = Edit.from_json(self.edit)
        edits = [no_edit(), edit, *random_controls(workspace, edit, self.draws)]
        for seed in self.seeds:
            yield from ((one, seed) for one in edits)

    def question(self) -> dict:
        """The key of the stored answer. What the group was called, and why these images, does not change it."""
        return {name: value for name, value in super().question().items() if name not in REMEMBERED}

    def measure(self, workspace: Workspace, trainings: list[Training], results: list[Retraining]) -> dict:
        """As `MeasuredSpec.measure`. Margins are means over seeds."""
        margins = np.stack([result.margins.astype(np.float64) for result in results])
        before, after, *controls = margins.reshape(len(self.seeds), 2 + self.draws, -1).mean(0)
        controls = np.stack(controls)
        rest = np.setdiff1d(np.arange(workspace.n_val), [*self.read, *self.judged])
        read, judged = np.array(self.read), np.array(self.judged)
        edit = Edit.from_json(self.edit)
        labels, counts = np.unique(workspace.train_labels[list(edit.indices)], return_counts=True)
        return {
            "kind": edit.kind,
            "k": edit.k,
            "label": workspace.classes[edit.labels[0]] if edit.labels else None,
            "images": list(edit.indices),
            "classes": {workspace.classes[label]: int(count) for label, count in zip(labels, counts)},
            "draws": self.draws,
            "seeds": self.seeds,
            "judged": change_of_group(before[judged], after[judged], controls[:, judged]),
            "read": change_of_group(before[read], after[read], controls[:, read]),
            "rest": change_of_rest(before[rest], after[rest], controls[:, rest]),
        }

    def answer(self, workspace: Workspace, store: ResultStore) -> dict | None:
        """What an edit does to the members that judge, to those that influence was read from, and to the other
        validation images, beside `draws` random edits of the same classes; None where it is not done.

        {"kind" of the edit, "k": images it touches, "label": the class that they are given, None for a removal,
        "images", "classes": {class name: images of it}, "draws", "seeds", "judged", "read": as `change_of_group`,
        "rest": as `change_of_rest`}. An error is a mean margin, over seeds, below 0.
        """
        measured = self.load_answer(store)
        return measured and {name: value for name, value in measured.items() if name != "created"}


def group_spec(
    workspace: Workspace,
    group: str,
    read: np.ndarray,
    judged: np.ndarray,
    edit: Edit,
    draws: int | None = None,
    recipe: str | None = None,
    ranking: str | None = None,
    against: str | None = None,
    end: str | None = None,
) -> GroupSpec:
    """Train with and without `edit` and beside random edits, and compare a group, for `experiments.jobs.submit`.

    group: its name; read, judged: int, its members that influence was read from, and those that judge. draws: how many
    random edits, `default_draws` if not given; recipe: the model that is trained, the one looked at if not given;
    ranking, against, end: as of GroupSpec. Raises UserError for fewer than one draw."""
    draws = default_draws(recipe or workspace.recipe) if draws is None else int(draws)
    if draws < 1:
        raise UserError("an edit is judged beside random ones; give at least 1")
    return GroupSpec(
        **common_fields(workspace, recipe),
        group=group,
        read=[int(target) for target in read],
        judged=[int(target) for target in judged],
        seeds=needed_seeds(workspace, recipe, SEEDS),
        draws=draws,
        edit=edit.to_json(),
        label=workspace.classes[edit.labels[0]] if edit.labels else None,
        ranking=ranking,
        against=against,
        end=end,
    )


def default_draws(recipe: str) -> int:
    """Random edits beside an edit, where nobody says how many: a network is trained several times for each."""
    return HEAD_CONTROL_DRAWS if is_head(recipe) else NETWORK_DRAWS
