"""People who decide about labels in bursts, while whoever writes their decisions down is killed.

A `Decider` is the browser: what is not acknowledged waits in its outbox and is sent again. Run as a program this is the
part of the server: it answers each outbox as the Audit page does.
"""

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from attribution import UserError, Workspace
from attribution.audit.decision_log import DecisionLog
from attribution.audit.decisions import Entry

ROOT = Path(__file__).resolve().parents[1]
BURST, EVERY, PAUSE = 20, 0.03, (1.0, 4.0)  # decisions; seconds between two; seconds between two bursts


class Decider:
    """A browser of its own thread, and the process that writes for it. It decides about `images` of queue `number`,
    which nobody else decides about, until `end` is called.

    refused: the sentences with which nothing was acknowledged. started: how many processes have written for it.
    """

    def __init__(self, workspace: Workspace, name: str, images: list[int], queue: int, seed: int, log_file: Path):
        self.ws, self.name, self.images, self.queue, self.log_file = workspace, name, images, queue, log_file
        self.draw = random.Random(seed)
        self.made: list[dict] = []
        self.outbox: list[dict] = []
        self.refused: list[str] = []
        self.started = 0
        self.ending = False
        self.process: subprocess.Popen | None = None
        self.environment = dict(os.environ)
        self.thread = threading.Thread(target=self._decide, daemon=True)
        self.thread.start()

    def end(self) -> None:
        """Decides no more, and waits until all that was decided is acknowledged."""
        self.ending = True
        self.thread.join(120)
        assert not self.thread.is_alive() and not self.outbox, f"{len(self.outbox)} decisions are never acknowledged"

    def kill(self) -> None:
        """Whatever becomes of what was decided."""
        self.ending, self.outbox = True, []
        if self.process:
            self.process.kill()

    def _decide(self):
        left, after = BURST, 0.0
        while not self.ending or self.outbox:
            if not self.ending and time.monotonic() >= after:
                self._make()
                left -= 1
                after = time.monotonic() + (EVERY if left else self.draw.uniform(*PAUSE))
                left = left or BURST
            if self.outbox:
                self._send()
            time.sleep(0.01)
        if self.process:
            self.process.stdin.close()
            self.process.wait()

    def _make(self):
        """Decides about an image, or takes back a decision that was made before, or the taking back."""
        entry = {
            "uid": f"{self.name}-{len(self.made)}",
            "item": self.draw.choice(self.images),
            "action": self.draw.choice(("keep", "relabel", "remove", "unsure")),
            "seen": 0,
            "reason": "é" * self.draw.choice((0, 0, 400)),
            "queue": self.queue,
        }
        if entry["action"] == "relabel":
            entry["label"] = self.draw.randrange(len(self.ws.classes))
        decided = [one for one in self.made[-50:] if "of" not in one]
        if decided and self.draw.random() < 0.25:
            of = self.draw.choice(decided)
            entry |= {"item": of["item"], "action": self.draw.choice(("undo", "undo", "redo")), "of": of["uid"]}
            entry.pop("label", None)
        self.made.append(entry)
        self.outbox.append(entry)

    def _send(self):
        """Sends all that is not acknowledged; to a new process where the one before was killed."""
        if self.process is None or self.process.poll() is not None:
            with open(self.log_file, "a") as log:
                self.process = subprocess.Popen(
                    [sys.executable, "-m", "tests.deciders", str(self.ws.path)],
                    cwd=ROOT,
                    env=self.environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                )
            self.started += 1
        outbox = {"n": 1, "client": self.name, "seen": 0, "entries": self.outbox}
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(outbox) + "\n")
            self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line.endswith("\n"):  # killed
            with suppress(BrokenPipeError):
                self.process.stdin.close()
            self.process.wait()
            return
        answer = json.loads(line)
        if answer["error"]:
            self.refused.append(answer["error"])
            time.sleep(0.5)
        self.outbox = [entry for entry in self.outbox if entry["uid"] not in set(answer["acked"])]

    # -- afterwards

    def check(self, log: DecisionLog) -> Counter:
        """What the log holds of it against what it decided: how many decisions, and how many of them are lost, doubled,
        and wrong: another than was made, in another order, or with another outcome for its image."""
        found = [entry for entry in log.entries() if entry.client == self.name]
        times, made = Counter(entry.uid for entry in found), {entry["uid"]: entry for entry in self.made}
        current = {item: one for item, one in log.current_decisions().items() if one.client == self.name}
        wrong = sum(entry.uid not in made or not _same(entry, made[entry.uid]) for entry in found)
        wrong += [entry.uid for entry in found] != [uid for uid in made if uid in times]
        wrong += {item: one.uid for item, one in current.items()} != self._expected()
        return Counter(
            {
                "decisions": len(made),
                "lost": sum(uid not in times for uid in made),
                "doubled": sum(n - 1 for n in times.values()),
                "wrong": wrong,
            }
        )

    def _expected(self) -> dict[int, str]:
        """Image -> uid of the decision that is the newest not undone."""
        undone = {}
        for entry in self.made:
            if "of" in entry:
                undone[entry["of"]] = entry["action"] == "undo"
        return {one["item"]: one["uid"] for one in self.made if "of" not in one and not undone.get(one["uid"])}


def _same(entry: Entry, made: dict) -> bool:
    names = ("item", "action", "label", "of", "queue")
    return entry.reason == made["reason"] and all(getattr(entry, name) == made.get(name) for name in names)


def main() -> None:
    """Answers each outbox, a line of stdin, by a line, as the Audit page does."""
    from pages.labels import decision_cache

    workspace, written = Workspace.open(sys.argv[1]), set()
    for line in sys.stdin:
        try:
            with DecisionLog.of(workspace) as log:
                answer = decision_cache.write_outbox(workspace, log, json.loads(line), "me", written)
                decision_cache.current(workspace, log)
        except UserError as error:  # the page shows it and acknowledges nothing
            answer = {"acked": [], "error": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
