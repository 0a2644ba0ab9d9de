"""What a worker computes with a model of a user's recipe: TRAK's factors, self-influence, logits or features; and
Unrolled, which trains its own.

The model is loaded where the recipe has saved it, else trained from its seed. The arrays come back in a file.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from attribution.errors import UserError
from attribution.files import write_atomically
from attribution.runner.executors.base import Task
from attribution.training.probabilities import probabilities_of

Report = Callable[[int, int], None]
BLOCK = 500  # images that a recipe's method is asked about at a time
TRAINING, COMPUTING = "training", "images"  # what the progress of a task is of


@dataclass(frozen=True)
class ModelTask(Task):
    """Something to compute with the model of the unedited images and one seed; `file` is where the recipe keeps it.

    compute: "what", a key of COMPUTE, and what that takes; "into": the `.npz` file to write. Its events "epoch" have
    "stage", TRAINING or COMPUTING.
    """

    compute: dict = field(default_factory=dict)

    def to_json(self) -> dict:
        """As `Task.to_json`."""
        return {**super().to_json(), "compute": self.compute}


def compute_event(trainer: Any, request: dict, write: Callable[[dict], None]) -> dict:
    """Does a `ModelTask` in a worker and returns its "done" event; Unrolled's files are as
    `attribution.rankings.unrolled.task` has them.

    The file has the arrays that its function in COMPUTE returns, "probabilities", float32 [n_val, classes], "seconds"
    that computing took (processor time on a processor), "loaded", whether the model was not trained for it, and
    "device". Raises UserError where the recipe's methods raise or return what they may not.
    """

    def report(stage: str, done: int, total: int) -> None:
        write({"event": "epoch", "epoch": done, "epochs": total, "stage": stage})

    wanted = request["compute"]
    if wanted["what"] in ("first-step", "unrolled"):
        _unroll(trainer, request, report)
        return {"event": "done"}
    if trainer.recipe.form == "command":
        outcome = trainer.run(None, request["seed"], lambda *at: report(TRAINING, *at), train=True)
        arrays = {"logits": outcome.model, "probabilities": outcome.probabilities, "seconds": 0.0, "loaded": False}
        arrays["device"] = outcome.device
    else:
        arrays = _compute(trainer, request, report)
    write_atomically(Path(wanted["into"]), lambda stream: np.savez(stream, **arrays))
    return {"event": "done"}


def _unroll(trainer: Any, request: dict, report: Callable[[str, int, int], None]) -> None:
    from attribution.rankings.unrolled import task

    wanted, seed = request["compute"], request["seed"]
    if wanted["what"] == "first-step":
        task.first_step(trainer, wanted, seed)
    else:
        task.compute(trainer, wanted, seed, partial(report, TRAINING), partial(report, COMPUTING))


def _compute(trainer: Any, request: dict, report: Callable[[str, int, int], None]) -> dict:
    wanted, file = request["compute"], Path(request["file"])
    loaded = file.is_file()
    if loaded:
        model = trainer.load(file)
        probabilities = probabilities_of(trainer.logits(model, "val", np.arange(len(trainer.val_labels))))
    else:
        outcome = trainer.run(None, request["seed"], lambda *at: report(TRAINING, *at))
        model, probabilities = outcome.model, outcome.probabilities
        if trainer.recipe.can_keep:
            trainer.save(model, file)
    clock = time.process_time if trainer.device == "cpu" else time.perf_counter
    start = clock()
    arrays = COMPUTE[wanted["what"]](trainer, model, wanted, lambda *at: report(COMPUTING, *at))
    about = {"seconds": clock() - start, "loaded": loaded, "device": trainer.device}
    return {**arrays, "probabilities": probabilities, **about}


def _trak(trainer, model, wanted, report: Report) -> dict:
    """TRAK's factors, as `rankings.trak.compute_factors`; "dim" and "number": of the projection."""
    from attribution.rankings import trak
    from attribution.training.own.network import OwnNetwork

    own = OwnNetwork(trainer, model)
    with own.explained():
        return trak.compute_factors(
            own, own.network, trainer.val_labels, wanted["dim"], wanted["number"], progress=report
        )


def _self_influence(trainer, model, wanted, report: Report) -> dict:
    """{"scores"}: as `rankings.trak.self_influence`; "dim" and "number": of the projection."""
    from attribution.rankings import trak
    from attribution.training.own.network import OwnNetwork

    own = OwnNetwork(trainer, model)
    with own.explained():
        return {"scores": trak.self_influence(own, own.network, wanted["dim"], wanted["number"], progress=report)}


def _logits(trainer, model, wanted, report: Report) -> dict:
    """{"logits"}: of all training images, float32 [n_train, classes]."""
    n = len(trainer.train_labels)
    blocks = _blocks(n, 0, n, report)
    return {"logits": np.concatenate([trainer.logits(model, "train", ids) for ids in blocks])}


def _features(trainer, model, wanted, report: Report) -> dict:
    """{"train", "val"}: the recipe's features of the images of each split, else the inputs of its network's last linear
    layer, float32 [n, d]."""
    from attribution.training.own.network import OwnNetwork

    if trainer.has("features"):
        features = partial(trainer.features, model)
    else:
        features = OwnNetwork(trainer, model).features
    n, n_val = len(trainer.train_labels), len(trainer.val_labels)
    train = [features("train", ids) for ids in _blocks(n, 0, n + n_val, report)]
    val = [features("val", ids) for ids in _blocks(n_val, n, n + n_val, report)]
    dims = sorted({part.shape[1] for part in (*train, *val)})
    if len(dims) > 1:
        raise UserError(
            f"{trainer.recipe.name} has features of {dims[0]} dimensions for some images and of {dims[-1]} for others; "
            "return as many for all"
        )
    return {"train": np.concatenate(train), "val": np.concatenate(val)}


def _blocks(n: int, done: int, total: int, report: Report) -> Iterator[np.ndarray]:
    """The numbers below n, BLOCK at a time; reports progress, which is also the sign of life."""
    for start in range(0, n, BLOCK):
        report(done + start, total)
        yield np.arange(start, min(start + BLOCK, n))
    report(done + n, total)


COMPUTE: dict[str, Callable[..., dict]] = {
    "trak": _trak,
    "self-influence": _self_influence,
    "logits": _logits,
    "features": _features,
}
