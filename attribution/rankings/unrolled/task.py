"""What a worker does for Unrolled with a user's recipe: its training, kept by `trajectory`, and the way back.

Scores come back in files, a block of targets at a time, so that a build that was stopped goes on where it was.
"""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from attribution.errors import UserError
from attribution.files import write_atomically
from attribution.rankings.unrolled import MAX_KEPT_BYTES, STATE, final, own, reverse
from attribution.training.devices import core_count
from attribution.training.own.trainer import OwnTrainer, Reporter

Report = Callable[[int, int], None]
NOT_FINITE = "unrolled scores of recipe {} come out with NaN or infinity: its derivatives grow without bound"
CLOSE = 1e-3  # logits that differ by no more, in shares of the largest, are the same


def first_step(trainer: OwnTrainer, wanted: dict, seed: int) -> None:
    """Writes what a training takes, see `attribution.rankings.unrolled.own.first_step`, into the file "into"."""
    found: dict[str, Any] = {**own.first_step(trainer, seed)}
    write_atomically(Path(wanted["into"]), lambda stream: np.savez(stream, **found))


def compute(trainer: OwnTrainer, wanted: dict, seed: int, on_training: Report, on_step_back: Report) -> None:
    """Writes the scores by one training of each of "blocks", (file, targets): {"scores": float32 [K, n_train],
    "seconds", "epochs": of the whole training}. "epochs", "windows", "exact", "rough": as of a build's plan; "kept":
    the folder for the steps, "limit": bytes that it may take. Raises UserError as `own.record`, and where derivatives
    cannot be taken."""
    clock = time.process_time if trainer.device == "cpu" else time.perf_counter
    start, threads = clock(), torch.get_num_threads()
    training, kept = own.record(
        trainer,
        seed,
        wanted["epochs"],
        Path(wanted["kept"]),
        wanted["limit"],
        Reporter(on_training),
    )
    products = torch.bfloat16 if wanted["rough"] else None
    torch.set_num_threads(core_count())  # of the passes alone: a training takes the recipe's
    try:
        for number, (file, targets) in enumerate(wanted["blocks"]):
            steps = len(wanted["blocks"]) * len(kept.steps)

            def on_step(done, total, before=number * len(kept.steps), steps=steps):
                on_step_back(before + done, steps)

            with training.own.explained():
                gradients = final.margin_gradients(training, kept.network, torch.tensor(targets), training.fast)
                by_epoch = reverse.expected_influence(
                    training,
                    kept,
                    gradients,
                    (wanted["windows"],),
                    fast=training.fast,
                    exact=wanted["exact"],
                    products=products,
                    progress=on_step,
                )
            scores = {"scores": by_epoch[0].sum(0), "seconds": clock() - start, "epochs": training.n_epochs}
            write_atomically(Path(file), lambda stream, scores=scores: np.savez(stream, **scores))
            start = clock()
    finally:
        torch.set_num_threads(threads)
        shutil.rmtree(wanted["kept"], ignore_errors=True)


def target_scores(
    trainer: OwnTrainer, target: int, seed: int, epochs: int, windows: int, folder: Path, progress: Report
) -> np.ndarray:
    """As `attribution.rankings.unrolled.exact.target_scores`, by a user's recipe. progress(0, 1) while it trains, since
    nobody knows for how long, then (done, total) of the steps back. Raises UserError as `compute`."""
    file = folder / "scores.npz"
    wanted = {"blocks": [(file, [target])], "kept": folder / "kept", "limit": MAX_KEPT_BYTES}
    wanted |= {"epochs": epochs, "windows": windows, "exact": True, "rough": False}
    compute(trainer, wanted, seed, lambda *at: progress(0, 1), progress)
    scores = np.load(file)["scores"][0]
    if not np.isfinite(scores).all():
        raise UserError(NOT_FINITE.format(trainer.recipe.name))
    return scores


def try_out(trainer: OwnTrainer, logits: np.ndarray, folder: Path) -> tuple[str, str]:
    """A whole training by `trajectory`, with seed 0, of which an epoch is kept in a folder: the state and the text of a
    finding. logits: of a model of `fit` with that seed, for the first validation images. Raises UserError as
    `own.record`, and where derivatives cannot be taken."""
    try:
        training, kept = own.record(trainer, 0, 1, folder, MAX_KEPT_BYTES)
        with training.own.explained(), torch.no_grad():
            final.margin_gradients(training, kept.network, torch.zeros(1, dtype=torch.int64), training.fast)
            some = torch.arange(len(logits)).split(100)
            found = torch.cat([kept.network(training.val_views(ids)[0]) for ids in some]).cpu().numpy()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    text = (
        f"trajectory takes {training.n_steps:,} steps in {training.n_epochs:,} epochs, and those that were taken anew "
        f"are of stochastic gradient descent with momentum; for Unrolled, an epoch takes {training.bytes / 2**20:.1f} "
        f"MiB on disk, and a target {STATE * training.size * 4 / 2**20:.1f} MiB of memory"
    )
    apart = float(np.abs(found - logits).max())
    if apart > CLOSE * max(1.0, float(np.abs(logits).max())):
        return "note", f"{text}; its model's logits differ from those of fit by up to {apart:.2g}, and scores are of it"
    return "ok", f"{text}; it ends at the model of fit"
