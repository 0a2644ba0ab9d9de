"""A worker process: reads one retraining a line on stdin, writes events a line, ends when stdin closes.

In: what `Task.to_json` writes. Out: the events of `Executor.poll`, "done" with its arrays in base64, on stdout; where
the first argument is the number of a file descriptor on that, so that a user's recipe may print what it likes. It
writes nothing to disk but what a request names a file for: a model that a user's recipe saves, and what is computed
with one.
"""

import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from attribution.errors import UserError
from attribution.experiments.head_support import find_support
from attribution.experiments.support import SupportSpec
from attribution.experiments.unrolled import UnrolledSpec
from attribution.runner import model_tasks, recipe_check, unrolled_task
from attribution.runner.executors.base import encode_array
from attribution.store.results import pack_margins
from attribution.training import all_recipes, recipes
from attribution.training.edits import Edit
from attribution.training.head.recipe import HeadTrainer, is_head
from attribution.workspace import heads
from attribution.workspace.workspace import Workspace

if TYPE_CHECKING:
    from attribution.training.own.command import CommandTrainer
    from attribution.training.own.trainer import OwnTrainer
    from attribution.training.trainer import Trainer

    AnyTrainer = Trainer | OwnTrainer | CommandTrainer | HeadTrainer

NICE = 10  # the dashboard goes first; the variable LINEUP_NICE sets another


def main(events: TextIO = sys.stdout) -> None:
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
            write_event(serve_request(request, trainers, events), events)
        except Exception as error:
            write_event(failure_event(error), events)


def lower_priority(niceness: int) -> None:
    """Lowers this process's priority by 0 to 19. Linux may share the processor among sessions first, and only then
    among the processes of each: so the session's, too, which is the process's own where it was started in a new one."""
    os.nice(niceness)
    try:
        with open("/proc/self/autogroup", "w") as file:
            file.write(str(niceness))
    except OSError:
        pass  # another system, or a kernel that shares among processes alone


def serve_request(request: dict, trainers: dict, events: TextIO = sys.stdout) -> dict:
    """Does one retraining and returns its event; trainers holds the last trainer, and its workspace, by (workspace,
    recipe, hash, whether it goes back through trainings)."""
    spec = request.get("spec")
    goes_back = bool(spec) and UnrolledSpec.matches(spec)
    name = (request["workspace"], request["recipe"], request["hash"], goes_back)
    if name not in trainers:
        trainers.clear()  # it holds the images, and perhaps a GPU: one at a time
        workspace = Workspace.open(name[0])
        if "fit" in request:
            recipe_check.watch_writes()
        if request.get("fit", {}).get("shuffled"):
            workspace = recipe_check.with_shuffled_labels(workspace)
        if goes_back and name[1] in recipes.NAMES:
            trainers[name] = unrolled_task.load_trainer(workspace, name[1]), workspace
        else:
            trainers[name] = load_trainer(workspace, *name[1:3]), workspace
    trainer, workspace = trainers[name]

    def report(epoch, epochs):
        write_event({"event": "epoch", "epoch": epoch, "epochs": epochs}, events)

    if goes_back:
        return unrolled_task.unrolled_event(UnrolledSpec.from_json(spec), trainer, report)
    if spec:
        return {"event": "done", "answer": find_support(SupportSpec.from_json(spec), workspace, trainer)}
    if "fit" in request:
        return recipe_check.fit_event(trainer, request["fit"], report)
    if "compute" in request:
        return model_tasks.compute_event(trainer, request, lambda event: write_event(event, events))
    return retrain(trainer, request, report)


def load_trainer(workspace: Any, name: str, recipe_hash: str) -> "AnyTrainer":
    """What trains under a recipe. Raises UserError where this machine has no such version of it, and as trainers do."""
    if name in recipes.NAMES:
        from attribution.training.trainer import Trainer

        return Trainer(workspace, recipes.get_recipe(name))
    if is_head(name):
        trainer = heads.make_trainer(workspace, name)
        if trainer.recipe.hash != recipe_hash:
            raise UserError(f"the features of {name} have changed since this was asked for; ask again")
        return trainer
    recipe = all_recipes.get_recipe(name, recipe_hash)
    if recipe.form == "command":
        from attribution.training.own.command import CommandTrainer

        return CommandTrainer(workspace, recipe, Path.cwd())  # the guard's, who removes it
    from attribution.training.own.trainer import OwnTrainer

    return OwnTrainer(workspace, recipe, Path.cwd())  # where the guard has laid its files


def failure_event(error: Exception) -> dict:
    """The "failed" event of an exception: the runner must hear of every one, whatever it is."""
    return {
        "event": "failed",
        "message": str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}",
    }


def retrain(trainer: "AnyTrainer", request: dict, on_epoch: Callable[[int, int], None]) -> dict:
    """Does one retraining and returns its "done" event. request: of `Task.to_json`. Raises as `Trainer.run`."""
    edit = Edit.from_json(request["edit"])
    more = {"train": True} if request["out_of_subset"] and getattr(trainer, "asks_for_train", False) else {}
    outcome = trainer.run(edit, request["seed"], on_epoch, **more)
    if request.get("file") and trainer.recipe.can_keep:
        trainer.save(outcome.model, Path(request["file"]))
    event = {
        "event": "done",
        "predicted": encode_array(outcome.predicted),
        "margins": encode_array(np.frombuffer(pack_margins(outcome.margins), np.uint8)),
        "seconds": outcome.seconds,
        "device": outcome.device,
        "library": outcome.library,
        "threads": trainer.recipe.threads,
    }
    if request["probabilities"]:
        event["probabilities"] = encode_array(np.asarray(outcome.probabilities, np.float16))
    if request["out_of_subset"]:
        left_out = trainer.train_probabilities(outcome, edit.indices)
        event["out_of_subset"] = encode_array(left_out.astype(np.float16))
    return event


def write_event(event: dict, events: TextIO = sys.stdout) -> None:
    """Writes one event for the runner."""
    try:
        events.write(json.dumps(event) + "\n")
        events.flush()
    except BrokenPipeError:
        os._exit(0)  # the runner is gone: nobody waits for this result


if __name__ == "__main__":
    main(os.fdopen(int(sys.argv[1]), "w") if len(sys.argv) > 1 else sys.stdout)
