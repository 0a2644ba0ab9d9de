"""What a worker does for `attribution.experiments.unrolled`: the scores of one target by one seed."""

import os
import resource
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attribution.experiments.unrolled import UnrolledSpec
from attribution.files.work_folder import WorkFolder
from attribution.rankings.unrolled import on_demand
from attribution.training import recipes
from attribution.training.own import OwnRecipe

if TYPE_CHECKING:
    import numpy as np

    from attribution.training.trainer import Trainer

REPORT_SECONDS = 0.5  # between two reports at least


def load_trainer(workspace: Any, name: str, device: str | None = None) -> "Trainer":
    """The trainer of a built-in recipe, as `rankings.unrolled.exact` needs it."""
    from attribution.rankings.unrolled.exact import make_trainer

    return make_trainer(workspace, recipes.get_recipe(name), device)


def unrolled_event(spec: UnrolledSpec, trainer: Any, report: Callable[[int, int], None]) -> dict:
    """The "done" event of a spec with one seed, by the trainer of its recipe, built in or a user's. Its answer has
    the scores (`on_demand.pack`), "seconds" by the clock, "processor_seconds", "peak_bytes" of the process's memory so
    far, "device" and "library". report(done, total) now and then, in training steps about. Raises UserError as
    `Trainer.train`, and of a user's recipe as `rankings.unrolled.task.compute`."""
    from attribution.training.trainer import LIBRARY

    reported = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal reported
        if time.monotonic() - reported >= REPORT_SECONDS:
            reported = time.monotonic()
            report(done, total)

    folder = WorkFolder()
    start, used = time.perf_counter(), time.process_time()
    try:
        scores = _scores(spec, trainer, folder.path, progress)
    finally:
        folder.remove()
        os.close(folder.lock)
    answer = {
        **on_demand.pack(scores),
        "seconds": time.perf_counter() - start,
        "processor_seconds": time.process_time() - used,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        "device": trainer.device_kind,
        "library": LIBRARY,
    }
    return {"event": "done", "answer": answer}


def _scores(spec, trainer, folder, progress) -> "np.ndarray":
    if isinstance(trainer.recipe, OwnRecipe):
        from attribution.rankings.unrolled.task import target_scores
    else:
        from attribution.rankings.unrolled.exact import target_scores
    return target_scores(trainer, spec.target, spec.seeds[0], spec.epochs, spec.windows, folder, progress)
