"""What every executor does, and what goes in and out of it."""

import base64
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from attribution.store.results import unpack_margins, unpack_predictions
from attribution.training import recipes
from attribution.training.edits import Edit
from attribution.training.head.recipe import is_head


@dataclass(frozen=True)
class Task:
    """One retraining to do. hash: the recipe's; out_of_subset: also predict the removed training images;
    probabilities: also send those of the validation images; file: where a user's recipe is to save the model, if it can
    and that is not ""."""

    key: str
    workspace: str
    recipe: str
    hash: str
    edit: Edit
    seed: int
    out_of_subset: bool = False
    probabilities: bool = False
    file: str = ""

    @property
    def is_own(self) -> bool:
        """Whether the recipe is the user's, whose code only a process of its own may run."""
        return self.recipe not in recipes.NAMES and not is_head(self.recipe)

    def to_json(self) -> dict:
        """The task as a worker reads it."""
        return {
            "workspace": self.workspace,
            "recipe": self.recipe,
            "hash": self.hash,
            "edit": self.edit.to_json(),
            "seed": self.seed,
            "out_of_subset": self.out_of_subset,
            "probabilities": self.probabilities,
            "file": self.file,
        }


@dataclass(frozen=True)
class SearchTask(Task):
    """What a worker does as a whole: a support search under a head, Unrolled by one seed. spec: its JSON. Its "done"
    event has "answer"."""

    spec: dict = field(default_factory=dict)

    def to_json(self) -> dict:
        """As `Task.to_json`."""
        return {**super().to_json(), "spec": self.spec}


class Executor(Protocol):
    """Does retrainings for the runner, which alone counts how often one was lost and alone writes results."""

    def free_slots(self) -> int:
        """How many more tasks can be started now."""

    def submit(self, task: Task) -> int | None:
        """Starts a task where there is room and returns its process id, or None where that is not known (yet)."""

    def poll(self, timeout: float) -> list[tuple[Task, dict]]:
        """(task, event) pairs since the last call; waits up to `timeout` seconds for the first.

        event["event"]: "epoch" (with epoch, epochs), "done" (with what `result_arrays` reads), "failed" (with
        message), or "lost" when the process ended under the task; these two may have "output", the last lines of what
        a user's recipe wrote. After all but "epoch" the task is over.
        """

    def kill(self, keys: set[str]) -> None:
        """Ends the tasks of `keys`; they raise no further event."""

    def close(self) -> None:
        """Ends all tasks and frees what they ran on."""

    def describe(self) -> dict:
        """What it works with, for people: {"executor": in a few words, "devices": [{"device", "memory", "workers"}]}.
        It may change."""


def result_arrays(task: Task, event: dict) -> dict:
    """The keyword arguments of `ResultStore.put`, from a "done" event. Raises ValueError where there are not as many
    predictions as margins: arrays of another type than the two sides have agreed on."""
    result = {name: event[name] for name in ("seconds", "device", "library", "threads")}
    result["margins"] = unpack_margins(decode_array(event["margins"], np.uint8).tobytes())
    result["predicted"] = unpack_predictions(
        decode_array(event["predicted"], np.uint8).tobytes(), len(result["margins"])
    )
    if len(result["predicted"]) != len(result["margins"]):
        raise ValueError(f"{len(result['predicted'])} predictions came back with {len(result['margins'])} margins")
    if "out_of_subset" in event:
        result["out_of_subset"] = decode_array(event["out_of_subset"], np.float16).reshape(task.edit.k, -1)
    return result


def encode_array(array: np.ndarray) -> str:
    """The array's bytes in base64."""
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def decode_array(text: str, dtype) -> np.ndarray:
    """The array that `encode_array` wrote, with one axis."""
    return np.frombuffer(base64.b64decode(text), dtype)
