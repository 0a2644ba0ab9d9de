"""The detector by self-influence: how much does a model's answer for a training image rest on that image itself? An
image with a wrong label has to be learnt by heart (Feldman and Zhang, arXiv 2008.03703)."""

import shutil
from importlib.util import find_spec

import numpy as np

from attribution.audit.detectors.base import ComputedDetector, part_digest
from attribution.audit.detectors.in_sample import missing_weights
from attribution.training import recipes

FAMILY = NAME = "self-influence"
#: dimensions of the random projection, as `trak-10` of the demo has them; fewer where images are few
PROJECTION_DIM = 512


def names(workspace) -> list[str]:
    return [NAME]


def missing_requirement(workspace, name: str) -> str:
    if find_spec("dattri") is None:
        return "it needs dattri: pip install -r requirements-build.txt"
    return missing_weights(workspace)


def source_digests(workspace, name: str) -> dict:
    return {"base": part_digest(workspace, "base")}


def compute(workspace, names: list[str], progress) -> dict[str, ComputedDetector]:
    """TRAK's score of each training image for itself (dattri), the mean over the base models. A model whose part is
    kept from a run that was broken off is not asked again."""
    from attribution.builds import base_models
    from attribution.rankings import trak
    from attribution.training.trainer import Trainer
    from attribution.workspace.parts import cached_npz, scratch_folder

    trainer = Trainer(workspace, recipes.get_recipe(workspace.recipe))
    networks = base_models.load_base_networks(workspace, trainer)
    kept, made = scratch_folder(workspace, NAME), part_digest(workspace, "base")
    dim, parts = min(PROJECTION_DIM, max(1, workspace.n_train // 4)), []  # the kernel of more cannot be inverted
    for number, network in enumerate(networks):

        def influence(number=number, network=network):
            return {
                "scores": trak.self_influence(
                    trainer,
                    network,
                    dim,
                    number,
                    progress=lambda *at: progress(
                        f"self-influence, model {number + 1} of {len(networks)}: images", *at
                    ),
                )
            }

        parts.append(cached_npz(kept / f"{trainer.recipe.hash}-{made}-{number}-{dim}.npz", influence)["scores"])
    shutil.rmtree(kept, ignore_errors=True)
    return {
        NAME: ComputedDetector(
            np.mean(parts, axis=0),
            None,
            f"TRAK of {len(networks)} models, dim {dim:,}",
            more={"models": len(networks), "dim": dim},
        )
    }
