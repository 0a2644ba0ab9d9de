"""The process that refits heads for the server: a question a line on stdin, an answer a line on stdout, as JSON.

A question: {"id", "what": "cut" or "curve", "model", "target", "rows", "k"}; rows as `live_head.read_rows` takes them.
An answer: {"id", "answer"}, or {"id", "error": a sentence}. It ends when stdin closes.
"""

import json
import os
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from attribution.errors import UserError
from attribution.explore.live_head import cut_verdicts, margin_curve, read_rows
from attribution.inputs.limits import check_whole
from attribution.training.head.recipe import HeadTrainer, is_head
from attribution.workspace import heads
from attribution.workspace.workspace import DEMO, Workspace


class Solver:
    """Answers questions about one workspace, which is opened again when it changes."""

    def __init__(self, path: Path):
        self.path = path
        self.lock = threading.Lock()
        self.opened: tuple[float, Workspace] | None = None
        self.trainers: dict[str, HeadTrainer] = {}

    def answer(self, question: dict) -> list[dict]:
        """The answer to a question, a row each. Raises UserError for what is not of the workspace."""
        try:
            rows = read_rows(question["rows"])
            target, name = check_whole(question["target"], "target", 0, 2**31), str(question["model"])
        except (KeyError, TypeError, ValueError):
            raise UserError("this question names no target or no rows; load the page again") from None
        workspace, trainer = self._load(name)
        if question["what"] == "cut":
            k = check_whole(question.get("k"), "k", 1, workspace.n_train)
            return cut_verdicts(workspace, trainer, target, rows, k)
        return [margin_curve(workspace, trainer, target, row) for row in rows]

    def _load(self, name: str) -> tuple[Workspace, HeadTrainer]:
        if not is_head(name):
            raise UserError(f"{name} is no head: its answers take a training")
        with self.lock:  # two questions at once would fit it twice
            changed = (self.path / "workspace.json").stat().st_mtime
            if self.opened is None or self.opened[0] != changed:
                self.opened, self.trainers = (changed, Workspace.open(self.path)), {}
            workspace = self.opened[1].with_model(name)
            if name not in self.trainers:
                self.trainers[name] = heads.make_trainer(workspace, name)
            return workspace, self.trainers[name]


def main() -> None:
    """Serves until stdin closes. A cut never waits for the curves of another target: each kind has a thread."""
    solver, writing = Solver(Path(os.environ.get("LINEUP_WORKSPACE") or DEMO)), threading.Lock()
    threads = {what: ThreadPoolExecutor(1) for what in ("cut", "curve")}

    def serve(question):
        try:
            answer = {"id": question["id"], "answer": solver.answer(question)}
        except UserError as error:
            answer = {"id": question["id"], "error": str(error)}
        except Exception as error:
            traceback.print_exc()
            answer = {"id": question["id"], "error": f"{type(error).__name__}: {error}"}
        with writing:
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()

    for line in sys.stdin:
        question = json.loads(line)
        threads[question["what"]].submit(serve, question)
    os._exit(0)  # the server is gone: nobody waits for what is under way


if __name__ == "__main__":
    main()
