"""Models on random halves of the training images: Datamodels is fitted on some, the held-out ones judge rankings."""

import numpy as np
from threadpoolctl import threadpool_limits

from attribution.errors import UserError
from attribution.experiments import jobs
from attribution.experiments.halves import SubsetsSpec, half_edit, half_seed, random_half, subsets_spec
from attribution.experiments.spec import needed_seeds
from attribution.files import read_array
from attribution.metrics.lds import noise_ceiling
from attribution.store.results import ResultStore
from attribution.training.head.recipe import is_head
from attribution.workspace import heads
from attribution.workspace.parts import Progress, save_part
from attribution.workspace.provenance import command_provenance
from attribution.workspace.workspace import Workspace

#: the random halves that judge rankings and never make or tune one: sequence, how many, seeds
HELD_OUT_SEQUENCE = {"draw": 2, "count": 100, "seeds": [0, 1, 2, 3, 4]}
#: a second, fresh draw of such halves, since LDS moves with the draw
SECOND_SEQUENCE = {"draw": 4, "count": 100, "seeds": [0, 1, 2, 3, 4]}
SECOND_PART = "lds_second"


def train_halves(workspace: Workspace, sequence: dict, progress: Progress, both: bool = False) -> None:
    """Has the runner train every half of a sequence under each of its seeds; both: the complements, too. Where all are
    trained the runner, which may be busy with a study for hours, is left alone. Raises UserError as `jobs.run_job`."""
    if missing_halves(workspace, sequence, both):
        jobs.run_job(workspace, _spec(workspace, sequence, both), progress)


def missing_halves(workspace: Workspace, sequence: dict, both: bool = False) -> int:
    """How many trainings of `train_halves` the result store does not know yet."""
    with ResultStore.for_workspace(workspace) as store:
        return _spec(workspace, sequence, both).missing(workspace, store)


def _spec(workspace: Workspace, sequence: dict, both: bool) -> SubsetsSpec:
    return subsets_spec(workspace, 0, sequence["count"], sequence["seeds"], sequence["draw"], both)


def load_half_margins(workspace: Workspace, sequence: dict) -> tuple[np.ndarray, np.ndarray]:
    """Masks bool [count, n_train] and margins [count, seeds, n_val] of trained halves, from the store: float16, or
    float32 where that would lose them."""
    recipe, needed = workspace.get_recipe().hash, needed_seeds(workspace, None, sequence["seeds"])
    masks = np.stack([random_half(workspace.n_train, sequence["draw"], i) for i in range(sequence["count"])])
    margins = []
    with ResultStore.for_workspace(workspace) as store:
        for number in range(sequence["count"]):
            edit = half_edit(workspace, sequence["draw"], number)
            seeds = [half_seed(sequence["draw"], number, seed) for seed in needed]
            margins.append([store.get(store.key(recipe, edit, seed)).margins for seed in seeds])
    return masks, np.array(margins)


def build_held_out_halves(workspace: Workspace, sequence: dict, progress: Progress) -> dict:
    """Trains the halves that judge rankings by LDS and saves them as the part "lds"; returns its provenance."""
    workspace.check_can_add("lds")
    arrays, provenance = compute_held_out_halves(workspace, sequence, progress)
    return save_part(workspace, "lds", arrays, {**provenance, **command_provenance("halves train")})


def compute_held_out_halves(
    workspace: Workspace, sequence: dict, progress: Progress
) -> tuple[dict[str, np.ndarray], dict]:
    """The arrays of the part "lds" (masks, packed along n_train, and margins [M, R, n_val]) and its provenance;
    halves that are missing are trained."""
    train_halves(workspace, sequence, progress)
    masks, margins = load_half_margins(workspace, sequence)
    arrays = {"masks": np.packbits(masks, axis=1), "margins": margins}
    return arrays, halves_provenance(workspace, sequence)


def build_second_draw(workspace: Workspace, sequence: dict, progress: Progress) -> dict:
    """Trains the second draw of halves and saves it as the part SECOND_PART; returns its provenance. Raises UserError
    where there is no first draw."""
    load_held_out_halves(workspace)
    workspace.check_can_add(SECOND_PART)
    arrays, provenance = compute_second_draw(workspace, sequence, progress)
    return save_part(workspace, SECOND_PART, arrays, {**provenance, **command_provenance("halves train --draw 2")})


def compute_second_draw(workspace: Workspace, sequence: dict, progress: Progress) -> tuple[dict[str, np.ndarray], dict]:
    """The arrays of the part SECOND_PART and its provenance, with "ceiling" and "signal" of `lds.noise_ceiling`; halves
    that are missing are trained.

    Kept are the margins' means over the seeds, float16 [M, 1, n_val]: a fifth of the bytes, and all that LDS reads.
    Those of single seeds stay in the result store."""
    train_halves(workspace, sequence, progress)
    masks, margins = load_half_margins(workspace, sequence)
    noise = noise_ceiling(margins)
    means = margins.mean(1, dtype=np.float64, keepdims=True).astype(margins.dtype)
    about = {**halves_provenance(workspace, sequence), "ceiling": noise.mean, "signal": noise.signal}
    return {"masks": np.packbits(masks, axis=1), "margins": means}, about


def load_second_draw(workspace: Workspace) -> tuple[np.ndarray, np.ndarray] | None:
    """Masks bool [M, n_train] and margins float32 or float64 [M, 1, n_val], means over seeds, of the second draw; None
    where the workspace has none."""
    return _read(workspace, SECOND_PART) if SECOND_PART in workspace.manifest["parts"] else None


def has_stored_halves(workspace: Workspace) -> bool:
    """Whether the margins of held-out halves are kept: of a head there may be its LDS alone."""
    return "lds" in workspace.manifest["parts"] and (workspace.folder("lds") / "margins.npy").exists()


def halves_provenance(workspace: Workspace, sequence: dict) -> dict:
    """What is said of halves of a sequence beside their arrays."""
    return {
        "alpha": 0.5,
        "masks": sequence["count"],
        "seeds": needed_seeds(workspace, None, sequence["seeds"]),
        "training": "exact refits" if is_head(workspace.recipe) else "equal epochs: half as many steps",
        "recipe": workspace.recipe,
        "hash": workspace.get_recipe().hash,
    }


def held_out_provenance(workspace: Workspace) -> dict:
    """How the halves of `load_held_out_halves` were made. Raises KeyError where there are none."""
    if is_head(workspace.recipe) and not has_stored_halves(workspace):
        return halves_provenance(workspace, HELD_OUT_SEQUENCE)
    return workspace.manifest["parts"]["lds"]


def refit_head_halves(workspace: Workspace, sequence: dict = HELD_OUT_SEQUENCE) -> tuple[np.ndarray, np.ndarray]:
    """Masks bool [count, n_train] and margins float32 [count, 1, n_val] of a head on the halves of a sequence: of the
    same images as those of other models, and with no seed."""
    trainer = heads.make_trainer(workspace, workspace.recipe)
    masks = np.stack([random_half(workspace.n_train, sequence["draw"], i) for i in range(sequence["count"])])
    with threadpool_limits(1):
        margins = [trainer.run(half_edit(workspace, sequence["draw"], i)).margins for i in range(sequence["count"])]
    return masks, np.array(margins, np.float32)[:, None]


def load_held_out_halves(workspace: Workspace) -> tuple[np.ndarray, np.ndarray]:
    """Masks bool [M, n_train] and margins float32 or float64 [M, R, n_val] of the halves that judge rankings.

    A head's are refitted, in seconds, unless they were stored. Raises UserError where the workspace has none."""
    if is_head(workspace.recipe) and not has_stored_halves(workspace):
        return refit_head_halves(workspace)
    if "lds" not in workspace.manifest["parts"]:
        raise UserError(
            f"the workspace {workspace.name} has no held-out models to measure LDS on; train them with: "
            f"python -m attribution halves train{workspace.options()}"
        )
    return _read(workspace, "lds")


def _read(workspace: Workspace, part: str) -> tuple[np.ndarray, np.ndarray]:
    packed = read_array(workspace.folder(part) / "masks.npy")
    masks = np.unpackbits(packed, axis=1, count=workspace.n_train).astype(bool)
    margins = np.asarray(read_array(workspace.folder(part) / "margins.npy", len(masks)))
    return masks, margins.astype(np.promote_types(margins.dtype, np.float32), copy=False)
