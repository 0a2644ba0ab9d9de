"""Rankings of the user's own: a class in a file that a person named, or of an installed package (`own_code`).

The class runs in a process that is kept as long as its code and what it reads stay the same. A ranking that a workspace
stores, or that is built in, goes before one of that name.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

from attribution import own_code
from attribution.errors import UserError
from attribution.own_code import OwnCodeError, OwnObject
from attribution.own_code.process import OwnProcess, check_numbers, start
from attribution.rankings import influence, similarity
from attribution.rankings.base import Ranking

if TYPE_CHECKING:
    from attribution.workspace.workspace import Workspace

KIND = "ranking"
MAX_PROCESSES = 3  # that are kept: each holds what its code has read
KEPT_BYTES = 64 << 20  # of scores that were asked for before, of each process
FAILURE_SECONDS = 30  # that a failure is not tried again: a page asks at every step


def names(workspace: Workspace) -> list[str]:
    """The names of the user's rankings, without those that are taken."""
    return [name for name in own_code.names(KIND) if not taken_by(workspace, name)]


def load(workspace: Workspace, name: str) -> OwnRanking:
    """The ranking `name`, one of `names`."""
    return OwnRanking(workspace, name)


def add(workspace: Workspace, place: str) -> OwnObject:
    """Remembers the class at `place`, "FILE:CLASS", as a ranking. Raises UserError as `own_code.add`, and where its
    name is taken in the workspace."""

    def check(name: str) -> None:
        if taken := taken_by(workspace, name):
            raise UserError(f"{name} is the name of {taken}; give yours another name")

    return own_code.add(KIND, place, check)


def taken_by(workspace: Workspace, name: str) -> str:
    """What else has that name, in words; "" where nothing has."""
    if name == "random" or name.partition("-")[0] in (*similarity.METHODS, influence.PREFIX):
        return "a ranking that comes with Lineup"
    return f"a ranking that {workspace.name} stores" if f"rankings/{name}" in workspace.manifest["parts"] else ""


class OwnRanking(Ranking):
    """A ranking whose scores a user's code computes when asked; what it says of itself is as its file is now."""

    live = True

    def __init__(self, workspace: Workspace, name: str):
        super().__init__(workspace)
        self.name = name

    @property
    def own(self) -> OwnObject:
        """The version of its code that is there now. Raises OwnCodeError where it was taken out."""
        found = own_code.get(KIND, self.name)
        if found is None:
            raise OwnCodeError(f"the ranking {self.name} was taken out; choose another")
        return found

    @property
    def method(self) -> str:  # type: ignore[override]
        """See `Ranking.method`."""
        return self.own.about.get("method") or self.name

    @property
    def signed(self) -> bool:  # type: ignore[override]
        """See `Ranking.signed`."""
        return bool(self.own.about.get("signed"))

    @property
    def conditioned(self) -> bool:  # type: ignore[override]
        """See `Ranking.conditioned`."""
        return bool(self.own.about.get("conditioned"))

    @property
    def description(self) -> str:  # type: ignore[override]
        """See `Ranking.description`."""
        return " · ".join(filter(None, [self.own.about.get("description"), "your code", "live"]))

    @property
    def version(self) -> str:
        """See `Ranking.version`: of its code, of the data, and of the parts that it reads."""
        parts = self.workspace.manifest["parts"]
        read = []
        for part in self.own.uses:
            digest = parts.get(part, {}).get("digest")
            if part == "base":
                digest = f"{self.workspace.recipe}:{digest or self.workspace.get_recipe().hash}"
            read.append(f"{part}:{digest}")
        return "+".join([self.own.hash, self.workspace.fingerprint[:12], *read])

    def values(self, target, candidates):
        """See `Ranking.values`. Raises OwnCodeError with what the code did wrong."""
        own = self.own.check()
        for part in own.uses:
            if part not in self.workspace.manifest["parts"] and part != "base":
                raise OwnCodeError(f"{self.name} reads {part}, which {self.workspace.name} has not; make it first")
        return _answers_of(self.workspace, own, self.version).scores(int(target))[candidates]


class _Answers:
    """The process of one version of a ranking in one workspace, and what it has answered."""

    def __init__(self, workspace: Workspace, own: OwnObject):
        self.own, self.n_train, self.lock = own, workspace.n_train, threading.Lock()
        model = workspace.model if "base" in own.uses else None
        self.opening = {"workspace": str(workspace.path.resolve()), "model": model}
        self.process: OwnProcess | None = None
        self.kept: OrderedDict[int, np.ndarray] = OrderedDict()
        self.failures: dict[int | None, tuple[float, str]] = {}  # None: of the setup

    def scores(self, target: int) -> np.ndarray:
        """The scores of all training images for a target, float [n_train]."""
        with self.lock:
            if target in self.kept:
                self.kept.move_to_end(target)
                return self.kept[target]
            for failed in (None, target):
                moment, sentence = self.failures.get(failed, (0.0, ""))
                if sentence and time.monotonic() - moment < FAILURE_SECONDS:
                    raise OwnCodeError(sentence)
            scores = self._ask(target)
            self.kept[target] = scores
            while len(self.kept) > max(1, KEPT_BYTES // scores.nbytes):
                self.kept.popitem(last=False)
            return scores

    def close(self) -> None:
        """Ends the process."""
        if self.process:
            self.process.close()

    def _ask(self, target: int) -> np.ndarray:
        asked: int | None = None
        try:
            if self.process is None or self.process.has_ended:
                self.close()
                self.process = start(self.own, self.opening)
            asked = target
            event = self.process.ask({"do": "scores", "target": target}, self.own.patience)
            return check_numbers(event, "scores", (self.n_train,), f"the scores of {self.own.name} for target {target}")
        except OwnCodeError as error:
            self.failures[asked] = time.monotonic(), str(error)
            raise


_kept: OrderedDict[tuple, _Answers] = OrderedDict()
_lock = threading.Lock()


def _answers_of(workspace: Workspace, own: OwnObject, version: str) -> _Answers:
    model = workspace.recipe if "base" in own.uses else ""
    key = (str(workspace.path.resolve()), own.name, version, model)
    with _lock:
        if key not in _kept:
            _kept[key] = _Answers(workspace, own)
        answers = _kept[key]
        _kept.move_to_end(key)
        old = [_kept.popitem(last=False)[1] for _ in range(len(_kept) - MAX_PROCESSES)]
    for other in old:
        threading.Thread(target=other.close, daemon=True).start()  # which may take seconds
    return answers
