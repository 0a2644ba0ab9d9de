"""Detectors by the course of a training: how late, and how surely, does it come to believe the given label?"""

import numpy as np

from attribution.audit.detectors.base import ComputedDetector
from attribution.audit.detectors.in_sample import FAMILY as FAMILY  # models that see the image, too
from attribution.errors import UserError
from attribution.training.recipes import Recipe
from attribution.workspace.parts import Progress, cached_npz, scratch_folder
from attribution.workspace.workspace import Workspace

AUM_NAME, FORGETTING_NAME = "aum", "forgetting"
SEEDS = (400, 401)  # of the trainings: none is a base model's or a retraining's


def names(workspace: Workspace) -> list[str]:
    """The same two for every workspace."""
    return [AUM_NAME, FORGETTING_NAME]


def missing_requirement(workspace: Workspace, name: str) -> str:
    """A built-in recipe: of others nobody sees what they predict while they train."""
    recipe = workspace.get_recipe()
    if recipe.problem:
        return recipe.problem
    if isinstance(recipe, Recipe):
        return ""
    return f"it watches the training of a built-in recipe, and {recipe.name} is none"


def source_digests(workspace: Workspace, name: str) -> dict:
    """The recipe."""
    return {"recipe": workspace.get_recipe().hash}


def compute(workspace: Workspace, names: list[str], progress: Progress) -> dict[str, ComputedDetector]:
    """ "aum": minus the area under the margin, the logit of the given label less the largest other, mean over the
    epochs (Pleiss et al., arXiv 2001.10528). "forgetting": how often the image was predicted as labelled and then not
    (Toneva et al., arXiv 1812.05159); never so is one more than there are epochs. Both of the views that the training
    shows, mean over `SEEDS`. Suggestion: the class with the largest mean logit. Raises UserError as `Trainer.train`."""
    from attribution.training.watched import watch

    recipe, folder = workspace.get_recipe(), scratch_folder(workspace, "dynamics")
    watched = []
    for number, seed in enumerate(SEEDS):

        def report(done, epochs, text=f"training {number + 1} of {len(SEEDS)}: epochs"):
            progress(text, done, epochs)

        file = folder / f"{recipe.hash}-{seed}.npz"
        watched.append(cached_npz(file, lambda seed=seed, report=report: watch(workspace, recipe, seed, report)))
    shown = sum(one["shown"] for one in watched)
    if not shown.all():
        raise UserError("some images were not shown in any epoch; choose a recipe with more epochs")
    suggestion = sum(one["logits"] for one in watched).argmax(1)
    scores = {
        AUM_NAME: -sum(one["margin"] for one in watched) / shown,
        FORGETTING_NAME: np.mean([one["forgotten"] for one in watched], 0),
    }
    description = f"{len(SEEDS)} trainings as they went, {recipe.epochs} epochs each"
    extra = {"models": len(SEEDS), "epochs": recipe.epochs}
    return {name: ComputedDetector(scores[name], suggestion, description, extra=extra) for name in names}
