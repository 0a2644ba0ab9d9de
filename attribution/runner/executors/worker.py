"""A worker process: reads one retraining a line on stdin, writes events a line on stdout, ends when stdin closes.

In: what `Task.to_json` writes. Out: the events of `Executor.poll`, "done" with its arrays in base64. It writes nothing
to disk.
"""

import json
import os
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from attribution.errors import UserError
from attribution.runner.executors.base import encode_array
from attribution.training import recipes
from attribution.training.edits import Edit
from attribution.workspace.workspace import Workspace

if TYPE_CHECKING:
    from attribution.training.trainer import Trainer

NICE = 10  # the dashboard goes first; the variable LINEUP_NICE sets another


def main() -> None:
    """Serves requests until stdin closes; a training under way is then abandoned at once."""
    lines: list[str] = []
    arrived = threading.Semaphore(0)

    def read():
        for line in sys.stdin:
            lines.append(line)
            arrived.release()
        os._exit(0)  # the runner is gone: nobody waits for this result

    threading.Thread(target=read, daemon=True).start()
    lower_priority(int(os.environ.get("LINEUP_NICE", NICE)))
    trainers: dict = {}
    while True:
        arrived.acquire()
        request = json.loads(lines.pop(0))
        try:
            write_event(serve_request(request, trainers))
        except Exception as error:
            write_event(failure_event(error))


def lower_priority(niceness: int) -> None:
    """Lowers this process's priority by 0 to 19. Linux may share the processor among sessions first, and only then
    among the processes of each: so the session's, too, which is the process's own where it was started in a new one."""
    os.nice(niceness)
    try:
        with open("/proc/self/autogroup", "w") as file:
            file.write(str(niceness))
    except OSError:
        pass  # another system, or a kernel that shares among processes alone


def serve_request(request: dict, trainers: dict) -> dict:
    """Does one retraining and returns its event; trainers holds the loaded data sets by (workspace, recipe)."""
    name = (request["workspace"], request["recipe"])
    if name not in trainers:
        workspace, recipe = Workspace.open(name[0]), recipes.get_recipe(name[1])
        from attribution.training.trainer import Trainer

        trainers[name] = Trainer(workspace, recipe)
    return retrain(
        trainers[name], request, lambda epoch, epochs: write_event({"event": "epoch", "epoch": epoch, "epochs": epochs})
    )


def failure_event(error: Exception) -> dict:
    """The "failed" event of an exception: the runner must hear of every one, whatever it is."""
    return {
        "event": "failed",
        "message": str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}",
    }


def retrain(trainer: "Trainer", request: dict, on_epoch: Callable[[int, int], None]) -> dict:
    """Does one retraining and returns its "done" event. request: of `Task.to_json`. Raises as `Trainer.run`."""
    from attribution.training.trainer import LIBRARY

    edit = Edit.from_json(request["edit"])
    outcome = trainer.run(edit, request["seed"], on_epoch)
    event = {
        "event": "done",
        "predicted": encode_array(outcome.predicted),
        "margins": encode_array(outcome.margins),
        "seconds": outcome.seconds,
        "device": outcome.device,
        "library": LIBRARY,
        "threads": trainer.recipe.threads,
    }
    if request["out_of_subset"]:
        left_out = trainer.logits(outcome.network, trainer.train_images[list(edit.indices)]).softmax(1)
        event["out_of_subset"] = encode_array(left_out.numpy().astype(np.float16))
    return event


def write_event(event: dict) -> None:
    """Writes one event for the runner."""
    try:
        sys.stdout.write(json.dumps(event) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os._exit(0)  # the runner is gone: nobody waits for this result


if __name__ == "__main__":
    main()
