"""A worker process: reads one retraining a line on stdin, writes events a line on stdout, ends when stdin closes.

In: what `Task.to_json` writes. Out: the events of `Executor.poll`, "done" with its arrays in base64. It writes nothing
to disk.
"""

import json
import os
import sys
import threading
from collections.abc import Callable

import numpy as np

from attribution.edits import Edit
from attribution.errors import UserError
from attribution.executors.base import pack

NICE = 10  # the dashboard goes first


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
    give_way()
    trainers: dict = {}
    while True:
        arrived.acquire()
        request = json.loads(lines.pop(0))
        say(attempt(lambda request=request: serve(request, trainers)))


def give_way() -> None:
    """Lowers this process's priority. Linux may share the processor among sessions first, and among the processes of
    each only then: so the session's priority, too, which is the process's own where it was started in a new one."""
    os.nice(NICE)
    try:
        with open("/proc/self/autogroup", "w") as file:
            file.write(str(NICE))
    except OSError:
        pass  # another system, or a kernel that shares among processes alone


def serve(request: dict, trainers: dict) -> dict:
    """Does one retraining; trainers holds the loaded data sets by (workspace, recipe)."""
    from attribution import Workspace, recipes
    from attribution.train import Trainer

    name = (request["workspace"], request["recipe"])
    if name not in trainers:
        trainers[name] = Trainer(Workspace.open(name[0]), recipes.get(name[1]))
    return retrain(trainers[name], request,
                   lambda epoch, epochs: say({"event": "epoch", "epoch": epoch, "epochs": epochs}))


def attempt(training: Callable[[], dict]) -> dict:
    """What `training` returns, or a "failed" event: the runner must hear of every failure, whatever it is."""
    try:
        return training()
    except UserError as error:
        return {"event": "failed", "message": str(error)}
    except Exception as error:
        return {"event": "failed", "message": f"{type(error).__name__}: {error}"}


def retrain(trainer, request: dict, on_epoch: Callable[[int, int], None]) -> dict:
    """Does one retraining with an `attribution.train.Trainer` and returns its "done" event."""
    from attribution.train import LIBRARY

    edit = Edit.from_json(request["edit"])
    outcome = trainer.run(edit, request["seed"], on_epoch)
    event = {"event": "done", "predicted": pack(outcome.predicted), "margins": pack(outcome.margins),
             "seconds": outcome.seconds, "device": trainer.device.type, "library": LIBRARY,
             "threads": trainer.recipe.threads}
    if request["out_of_subset"]:
        left_out = trainer.logits(outcome.network, trainer.train_images[list(edit.indices)]).softmax(1)
        event["out_of_subset"] = pack(left_out.numpy().astype(np.float16))
    return event


def say(event: dict) -> None:
    """Writes one event for the runner."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
