"""What a worker does for Unrolled with a user's recipe: its training, kept by `trajectory`, and the way back.

Scores come back in files, a block of targets at a time, so that a build that was stopped goes on where it was.
"""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from attribution.files import write_atomically
from attribution.training.devices import core_count
from attribution.training.own.trainer import Reporter

Report = Callable[[int, int], None]


def first_step(trainer: Any, wanted: dict, seed: int) -> None:
    """Writes what a training takes, see `attribution.rankings.unrolled.own.first_step`, into the file "into"."""
    from attribution.rankings.unrolled import own

    found = own.first_step(trainer, seed)
    write_atomically(Path(wanted["into"]), lambda stream: np.savez(stream, **found))


def compute(trainer: Any, wanted: dict, seed: int, on_training: Report, on_step_back: Report) -> None:
    """Writes the scores by one training of each of "blocks", (file, targets): {"scores": float32 [K, n_train],
    "seconds", "epochs": of the whole training}. "epochs", "windows", "exact", "rough": as of a build's plan; "kept":
    the folder for the steps, "limit": bytes that it may take. Raises UserError as `own.record`, and where derivatives
    cannot be taken."""
    import torch

    from attribution.rankings.unrolled import final, own, reverse

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
                gradients = final.margin_gradients(training, kept.network, torch.tensor(targets))
                by_epoch = reverse.expected_influence(
                    training,
                    kept,
                    gradients,
                    (wanted["windows"],),
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
