"""Unrolled: the ranking that goes back through the last epochs of fresh trainings (`attribution.rankings.unrolled`).

A build that was stopped goes on where it was: the scores of each training and block of targets are kept under the data
folder until the ranking is whole.
"""

import hashlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import psutil

from attribution.builds import firsts, unrolled_own
from attribution.builds.base_models import of_model
from attribution.builds.timing import Stopwatch
from attribution.errors import UserError
from attribution.experiments.estimate import DEFAULT_SECONDS
from attribution.importing import importing
from attribution.importing.formats import ForeignRanking
from attribution.rankings.unrolled import FIRST_SEED, MAX_KEPT_BYTES, STATE, kept_too_large, recipe_problem
from attribution.training.own import OwnRecipe
from attribution.training.recipes import Recipe
from attribution.workspace.parts import Progress, cached_npz, ranking_origin, scratch_folder
from attribution.workspace.provenance import command_provenance
from attribution.workspace.workspace import Workspace

MEMORY_SHARE = 0.25  # of the machine's memory that derivatives may take
MIN_TARGETS, MAX_TARGETS = 8, 1000  # that go back together
EXACT_STEPS = 2.0  # training steps that a step back takes with the exact curvature, a target
ROUGH_GAIN = 1.3  # how many times faster products in bfloat16 have to be to be taken
OVERHEAD = 2.0  # how much longer a pass takes than its two matrix products, as the demo had it
MEASURED_SIDE = 1024


@dataclass(frozen=True)
class Plan:
    """What a build takes. models, epochs, windows, targets, exact: as asked, with no more epochs than there are; block:
    targets that go back together; rough: whether the large products are computed in bfloat16, as they are where that is
    faster; seconds: of this machine, about; memory, disk: bytes."""

    models: int
    epochs: int
    windows: int
    targets: tuple[int, ...]
    exact: bool
    block: int
    rough: bool
    seconds: float
    memory: int
    disk: int


def plan(
    workspace: Workspace,
    models: int,
    epochs: int,
    windows: int,
    targets: Sequence[int] | None = None,
    exact: bool = False,
) -> Plan:
    """What it takes to build from so many trainings, for these targets (all, if not given). exact: with the exact
    curvature, whose time grows with every target. Raises UserError where the workspace's recipe is none that can be
    gone back through, or its network is too large for that here."""
    recipe = workspace.get_recipe()
    _check_recipe(recipe)
    size, batch_size, all_epochs, shown = _sizes(workspace, recipe)
    targets = tuple(sorted(set(range(workspace.n_val) if targets is None else map(workspace.check_target, targets))))
    epochs = min(epochs, all_epochs or epochs)
    per_epoch = max(1, workspace.n_train // batch_size)
    kept, total = (4 * size * per_epoch + shown) * epochs, psutil.virtual_memory().total
    if kept > MAX_KEPT_BYTES:
        raise UserError(kept_too_large(recipe.name, size, per_epoch * epochs, kept, MAX_KEPT_BYTES))
    each = 4 * (STATE * size + workspace.n_train)
    block = int(min(MEMORY_SHARE * total / each, MAX_TARGETS, len(targets)))
    if block < min(MIN_TARGETS, len(targets)):
        raise UserError(
            f"the network of {recipe.name} has {size:,} weights, and {MIN_TARGETS} targets at once would take "
            f"{MIN_TARGETS * each / 2**30:.1f} GiB, more than a quarter of this machine's memory; choose a smaller "
            "network with --recipe"
        )
    training = workspace.manifest["parts"].get("base", {}).get("seconds") or DEFAULT_SECONDS
    rows = batch_size * (len(workspace.classes) - 1)
    products = 2 * size * len(targets) * epochs * (2 * rows * per_epoch + windows * workspace.n_train)
    per_second = {name: _products_per_second(name) for name in ("float32", "bfloat16")}
    rough = not exact and per_second["bfloat16"] > ROUGH_GAIN * per_second["float32"]
    each_model = training + OVERHEAD * products / per_second["bfloat16" if rough else "float32"]
    if exact:
        each_model = training * (1 + EXACT_STEPS * len(targets) * epochs / (all_epochs or epochs))
    return Plan(
        models,
        epochs,
        min(windows, per_epoch),
        targets,
        exact,
        block,
        rough,
        models * each_model,
        block * each + 8 * math.prod(workspace.train_images.shape),
        kept + 4 * models * len(targets) * workspace.n_train,
    )


def _check_recipe(recipe) -> None:
    if problem := recipe_problem(recipe):
        raise UserError(problem if recipe.kind in ("built-in", "own") else f"{problem}; say another with --recipe")


def _sizes(workspace: Workspace, recipe) -> tuple[int, int, int, int]:
    """(weights that training changes, images a step, epochs, bytes that an epoch's inputs take where they are kept);
    0 epochs of a user's recipe, which says at the end how many there were."""
    if isinstance(recipe, OwnRecipe):
        return unrolled_own.sizes(workspace, recipe)
    return _parameters(workspace, recipe), recipe.batch_size, recipe.epochs, 0


def _parameters(workspace: Workspace, recipe: Recipe) -> int:
    """How many weights training changes."""
    import torch

    height, width, channels = (*workspace.train_images.shape[1:], 1)[:3]
    with torch.random.fork_rng(devices=[]):
        network = recipe.network((channels, height, width), len(workspace.classes))
    return sum(weight.numel() for weight in network.parameters() if weight.requires_grad)


def _products_per_second(precision: str) -> float:
    """Floating-point operations a second of a matrix product here."""
    import torch

    from attribution.training.trainer import best_device

    seconds = []
    one = torch.ones(MEASURED_SIDE, MEASURED_SIDE, device=best_device(), dtype=getattr(torch, precision))
    for _ in range(5):  # the first is slower, and so is any that is interrupted
        start = time.perf_counter()
        (one @ one).sum().item()
        seconds.append(time.perf_counter() - start)
    return 2 * MEASURED_SIDE**3 / min(seconds)


def build_unrolled(workspace: Workspace, name: str, plan: Plan, progress: Progress, compact: bool = False) -> dict:
    """Unrolled over `plan.models` fresh trainings in float32, saved as the ranking `name`; returns its provenance.
    compact: a score is kept as a byte, see `importing.import_ranking`. It goes on at the training and the targets where
    it was stopped. Raises UserError where the name is taken."""
    importing.check_part_name(workspace, name)
    recipe, folder = workspace.get_recipe(), scratch_folder(workspace, "unrolled")
    precision = "float32, where the recipe trains in bfloat16"
    seeds = [FIRST_SEED + number for number in range(plan.models)]
    if isinstance(recipe, OwnRecipe):
        precision = "that of the recipe's trajectory"
        file_of = partial(_score_file, folder, recipe, plan)
        seconds, all_epochs = unrolled_own.compute_scores(workspace, plan, seeds, folder, file_of, progress)
    else:
        seconds, all_epochs = _compute_scores(workspace, plan, seeds, folder, progress), recipe.epochs
    epochs = min(plan.epochs, all_epochs)
    provenance = importing.import_ranking(
        workspace,
        ForeignRanking(
            "Unrolled",
            True,
            np.array(plan.targets),
            read_scores=lambda start, stop: _read_scores(folder, recipe, plan, seeds, start, stop),
        ),
        name,
        force=True,
        compact=compact,
        progress=progress,
        provenance={
            "about": f"{plan.models} model{'s' * (plan.models > 1)} · last {epochs} of {all_epochs} epochs"
            + " · exact" * plan.exact,
            "models": plan.models,
            "epochs": epochs,
            "windows": plan.windows,
            "precision": precision + "; large products in bfloat16" * plan.rough,
            "made_for": ranking_origin(workspace, seeds),
            "seconds": round(seconds, 1),
            **command_provenance(_command(workspace, plan, compact)),
        },
    )
    readers = [_score_reader(folder, recipe, plan, seed) for seed in seeds]
    kept = firsts.compute(name, workspace.n_train, np.array(plan.targets), readers, progress)
    firsts.save(workspace, kept, command_provenance(_command(workspace, plan, compact)))
    for seed in seeds:  # what another build has left there to go on from stays
        for start in range(0, len(plan.targets), plan.block):
            _score_file(folder, recipe, plan, seed, start).unlink(missing_ok=True)
    return provenance


def _command(workspace: Workspace, plan: Plan, compact: bool) -> str:
    words = f"rankings build unrolled --models {plan.models} --epochs {plan.epochs} --windows {plan.windows}"
    if len(plan.targets) < workspace.n_val:
        words += f" --targets {','.join(map(str, plan.targets))}"
    return f"{words}{' --exact' * plan.exact}{' --compact' * compact}{of_model(workspace)}"


def _compute_scores(workspace, plan, seeds, folder, progress) -> float:
    """Has the scores of every training and block in `folder`; returns the seconds that they took, see `Stopwatch`."""
    import torch

    from attribution.rankings.unrolled import trajectory
    from attribution.training.trainer import Trainer

    threads = torch.get_num_threads()  # of the passes; a training takes its recipe's
    recipe = workspace.get_recipe()
    trainer = Trainer(workspace, recipe, precision=torch.float32)
    seconds = 0.0
    for number, seed in enumerate(seeds, 1):
        text = f"unrolled, model {number} of {len(seeds)}"
        kept, weights = None, folder / f"kept-{seed}.npy"
        for start in range(0, len(plan.targets), plan.block):
            file, block = _score_file(folder, recipe, plan, seed, start), plan.targets[start : start + plan.block]
            watch = Stopwatch(trainer.device.type)
            if not file.exists() and kept is None:
                on_epoch = _under(progress, f"{text}: epochs")
                kept = trajectory.record(trainer, seed, plan.epochs, weights, on_epoch)
            of = f", targets {block[0]:,} to {block[-1]:,}" if plan.block < len(plan.targets) else ""
            on_step = _under(progress, f"{text}{of}: steps back")

            def compute(kept=kept, block=block, watch=watch, on_step=on_step):
                scores = _block_scores(trainer, kept, plan, block, threads, on_step)
                return {"scores": scores, "seconds": np.float64(watch.seconds)}

            seconds += float(cached_npz(file, compute)["seconds"])
        weights.unlink(missing_ok=True)
    return seconds


def _block_scores(trainer, kept, plan, block, threads, on_step) -> np.ndarray:
    """Scores float32 [len(block), n_train] of some targets by one training."""
    import torch

    from attribution.rankings.unrolled import final, reverse

    products = torch.bfloat16 if plan.rough else None
    torch.set_num_threads(threads)
    try:
        gradients = final.margin_gradients(trainer, kept.network, torch.tensor(block))
        by_epoch = reverse.expected_influence(
            trainer, kept, gradients, (plan.windows,), exact=plan.exact, products=products, progress=on_step
        )
    finally:
        torch.set_num_threads(trainer.recipe.threads)  # which decide what a training comes to, bit for bit
    return by_epoch[0].sum(0)


def _under(progress: Progress, text: str):
    return lambda done, total: progress(text, done, total)


def _score_file(folder: Path, recipe, plan: Plan, seed: int, start: int) -> Path:
    asked = repr(
        (recipe.hash, plan.epochs, plan.windows, plan.exact, plan.rough, plan.targets[start : start + plan.block])
    )
    return folder / f"{hashlib.sha256(asked.encode()).hexdigest()[:16]}-{seed}.npz"


def _read_scores(folder: Path, recipe, plan: Plan, seeds: list[int], start: int, stop: int) -> np.ndarray:
    """The mean over trainings of the planned targets from `start` to `stop`, float32 [stop - start, n_train]."""
    return np.mean([_score_reader(folder, recipe, plan, seed)(start, stop) for seed in seeds], axis=0)


def _score_reader(folder: Path, recipe, plan: Plan, seed: int) -> firsts.ScoreReader:
    """Reads the scores by one training of the planned targets."""

    def read(start: int, stop: int) -> np.ndarray:
        parts = []
        for first in range(start // plan.block * plan.block, stop, plan.block):
            with np.load(_score_file(folder, recipe, plan, seed, first)) as arrays:
                parts.append(arrays["scores"][max(start - first, 0) : stop - first])
        return np.concatenate(parts)

    return read
