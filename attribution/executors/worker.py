"""A worker process: reads one retraining a line on stdin, writes events a line on stdout, ends when stdin closes.

In: {"workspace", "recipe", "edit", "seed", "out_of_subset"}. Out: {"event": "epoch", "epoch", "epochs"} and
{"event": "done", ...arrays in base64} or {"event": "failed", "message"}. It writes nothing to disk.
"""

import base64
import json
import os
import sys
import threading

import numpy as np

from attribution.errors import UserError


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
    os.nice(5)  # the dashboard goes first
    trainers: dict = {}
    while True:
        arrived.acquire()
        request = json.loads(lines.pop(0))
        try:
            say(serve(request, trainers))
        except UserError as error:
            say({"event": "failed", "message": str(error)})
        except Exception as error:  # the runner must hear of every failure, whatever it is
            say({"event": "failed", "message": f"{type(error).__name__}: {error}"})


def serve(request: dict, trainers: dict) -> dict:
    """Does one retraining; trainers holds the loaded data sets by (workspace, recipe)."""
    from attribution import Workspace, recipes
    from attribution.edits import Edit
    from attribution.train import LIBRARY, Trainer

    name = (request["workspace"], request["recipe"])
    if name not in trainers:
        trainers[name] = Trainer(Workspace.open(name[0]), recipes.get(name[1]))
    trainer = trainers[name]
    edit = Edit.from_json(request["edit"])
    outcome = trainer.run(edit, request["seed"],
                          lambda epoch, epochs: say({"event": "epoch", "epoch": epoch, "epochs": epochs}))
    answer = {"event": "done", "predicted": pack(outcome.predicted), "margins": pack(outcome.margins),
              "seconds": outcome.seconds, "device": outcome.device, "library": LIBRARY,
              "threads": trainer.recipe.threads}
    if request["out_of_subset"]:
        left_out = trainer.logits(outcome.network, trainer.train_images[list(edit.indices)]).softmax(1)
        answer["out_of_subset"] = pack(left_out.numpy().astype(np.float16))
    return answer


def pack(array: np.ndarray) -> str:
    """The array's bytes in base64."""
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def unpack(text: str, dtype) -> np.ndarray:
    """What `pack` packed, flat."""
    return np.frombuffer(base64.b64decode(text), dtype)


def say(event: dict) -> None:
    """Writes one event for the runner."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
