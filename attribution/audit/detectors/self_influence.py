"""The detector by self-influence: how much does a model's answer for a training image rest on that image itself? An
image with a wrong label has to be memorised (Feldman and Zhang, arXiv 2008.03703)."""

import shutil
from importlib.util import find_spec

import numpy as np

from attribution.audit.detectors.base import ComputedDetector
from attribution.audit.detectors.in_sample import missing_weights, source_digests
from attribution.files.libraries import install_command
from attribution.workspace.parts import Progress, cached_npz, scratch_folder
from attribution.workspace.workspace import Workspace

__all__ = ["FAMILY", "compute", "missing_requirement", "names", "source_digests"]
FAMILY = NAME = "self-influence"
#: dimensions of the random projection, as `trak-10` of the demo has them; fewer where images are few
PROJECTION_DIM = 512


def names(workspace: Workspace) -> list[str]:
    """The one detector of this family."""
    return [NAME]


def missing_requirement(workspace: Workspace, name: str) -> str:
    """dattri, and the weights of the base models."""
    if find_spec("dattri") is None:
        return f"it needs dattri: {install_command('train')}"
    return missing_weights(workspace)


def compute(workspace: Workspace, names: list[str], progress: Progress) -> dict[str, ComputedDetector]:
    """TRAK's score of each training image for itself (dattri), the mean over the base models; no suggestion. Broken
    off, it goes on with the next model."""
    from attribution.builds import base_models
    from attribution.rankings import trak
    from attribution.training.trainer import Trainer

    trainer = Trainer(workspace, workspace.get_recipe())
    networks = base_models.load_base_networks(workspace, trainer)
    scratch, digest = scratch_folder(workspace, NAME), source_digests(workspace, NAME)["base"]
    dim = min(PROJECTION_DIM, max(1, workspace.n_train // 4))  # the kernel of more cannot be inverted
    model_scores = []
    for number, network in enumerate(networks):

        def influence(number=number, network=network):
            text = f"self-influence, model {number + 1} of {len(networks)}: images"
            scores = trak.self_influence(trainer, network, dim, number, progress=lambda *at: progress(text, *at))
            return {"scores": scores}

        file = scratch / f"{trainer.recipe.hash}-{digest}-{number}-{dim}.npz"
        model_scores.append(cached_npz(file, influence)["scores"])
    shutil.rmtree(scratch, ignore_errors=True)
    return {
        NAME: ComputedDetector(
            np.mean(model_scores, axis=0),
            None,
            f"TRAK of {len(networks)} models, dim {dim:,}",
            extra={"models": len(networks), "dim": dim},
        )
    }
