"""Whether a recipe of the user's does what retraining needs of it: a handful of trainings, and a sentence a finding.

What is looked for: an image that is left out must have no effect, a label that is changed must have one, and what is
trained twice must come out twice the same, whatever was trained between. The optional methods are tried on one model.
"""

import os
import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from attribution.errors import UserError
from attribution.runner import optional_check
from attribution.runner.executors.base import Task, decode_array, encode_array
from attribution.training import devices
from attribution.training.edits import no_edit
from attribution.training.own import OwnRecipe

if TYPE_CHECKING:
    from attribution.workspace.workspace import Workspace

Progress = Callable[[str, int, int], None]
LONG_SECONDS = 60.0  # a training that takes longer is checked on SHARE of the images
SHARE = 0.1
STUDIES = (40, 500)  # numbers of trainings whose time is foretold
CLOSE = 1e-6  # logits that differ by no more are the same
OUTPUT_SHOWN = 2000  # characters of what a recipe wrote before it failed


@dataclass(frozen=True)
class Finding:
    """What was looked for; state: "ok", "note" or "problem"; text: a sentence."""

    check: str
    state: str
    text: str


@dataclass(frozen=True)
class FitTask(Task):
    """A training of a check. fit: "keep", "labels" (arrays), "seed", "shuffled": whether the validation labels that the
    recipe sees are shuffled, and "optional": whether its optional methods are tried, too."""

    fit: dict = field(default_factory=dict)

    def to_json(self) -> dict:
        """As `Task.to_json`."""
        arrays = {name: encode_array(np.asarray(self.fit[name], np.int64)) for name in ("keep", "labels")}
        return {**super().to_json(), "fit": {**self.fit, **arrays}}


def check_recipe(workspace: "Workspace", recipe: OwnRecipe, progress: Progress) -> dict:
    """{"recipe", "hash", "ok", "findings": [{"check", "state", "text"}], "accuracy", "seconds", "memory" (MiB),
    "images", "subset", "trainings": {40: seconds, 500: seconds}}.

    It makes about eight trainings in two processes. Raises UserError where the recipe cannot train at all.
    """
    if recipe.problem:
        raise UserError(recipe.problem)
    return _Check(workspace, recipe, progress).run()


class _Check:
    def __init__(self, workspace, recipe, progress):
        self.workspace, self.recipe, self.progress = workspace, recipe, progress
        self.labels = np.array(workspace.train_labels)
        self.findings: list[Finding] = []
        self.done = 0

    def run(self) -> dict:
        from attribution.runner.executors.local import LocalExecutor

        draw = np.random.default_rng(0)
        plan = devices.plan_workers(1, 1, self.recipe.threads)
        n, executor = len(self.labels), LocalExecutor(plan)
        try:
            everything = np.arange(n)
            first = self._fit(executor, everything, self.labels, 0, optional=True)
            is_long = first["seconds"] > LONG_SECONDS
            chosen = np.sort(draw.choice(n, max(2, int(n * SHARE)), replace=False)) if is_long else everything
            left_out = np.sort(draw.choice(chosen, max(1, len(chosen) // 10), replace=False))
            keep = np.setdiff1d(chosen, left_out)
            shuffled = self.labels.copy()
            shuffled[np.setdiff1d(everything, keep)] = draw.integers(len(self.workspace.classes), size=n - len(keep))
            relabelled = self.labels.copy()
            changed = draw.choice(keep, max(1, len(keep) // 20), replace=False)
            relabelled[changed] = (relabelled[changed] + 1) % len(self.workspace.classes)
            a = self._fit(executor, keep, self.labels, 0)
            half = self._fit(executor, keep[::2], self.labels, 0)
            again = self._fit(executor, keep, self.labels, 0)
            blind = self._fit(executor, keep, shuffled, 0)
            other_labels = self._fit(executor, keep, relabelled, 0)
            other_seed = self._fit(executor, keep, self.labels, 1)
        finally:
            executor.close()
        executor = LocalExecutor(plan)
        try:
            fresh = self._fit(executor, keep, self.labels, 0, shuffled=True)
        finally:
            executor.close()
        accuracy = self._check_columns(first["logits"])
        noise = self._check_repeats(a, again)
        same = max(CLOSE, 3 * noise)
        self._expect_same(
            "left out", a, blind, same, "labels of images that were left out change the result; train on keep alone"
        )
        self._expect_same(
            "fresh process",
            a,
            fresh,
            same,
            "a fresh process, which sees shuffled validation labels, comes to another result; keep nothing from one "
            "fit to the next, and use no validation labels",
        )
        self._expect_other(
            "keep", a, half, same, "half of the images left out change nothing; fit has to train on keep alone"
        )
        self._expect_other(
            "labels", a, other_labels, same, "changed labels change nothing; train on the labels that fit is given"
        )
        if _distance(a, other_seed) <= same:
            text = "another seed changes nothing; say deterministic = True, and one training will stand for five"
            self._find(
                "seed",
                "ok" if self.recipe.deterministic else "note",
                text if not self.recipe.deterministic else "the seed changes nothing, as it says",
            )
        elif self.recipe.deterministic:
            self._find("seed", "problem", "another seed changes the result; take deterministic = True out")
        else:
            self._find("seed", "ok", "another seed changes the result")
        self.findings += [Finding(**row) for row in first["optional"]]
        if first["writes"]:
            self._find(
                "files", "note", f"it writes outside its folder, to {first['writes'][0]}; Lineup does not undo that"
            )
        if is_long:
            self._find(
                "subset",
                "note",
                f"a training takes {first['seconds']:.0f} s, so all but the first were of {len(keep):,} images",
            )
        seconds, workers = first["seconds"], len(devices.plan_workers(None, None, self.recipe.threads).slots)
        return {
            "recipe": self.recipe.name,
            "hash": self.recipe.hash,
            "ok": all(finding.state != "problem" for finding in self.findings),
            "findings": [finding.__dict__ for finding in self.findings],
            "accuracy": round(accuracy, 4),
            "seconds": round(seconds, 3),
            "memory": first["memory"],
            "images": int(n),
            "subset": len(chosen) if is_long else None,
            "workers": workers,
            "trainings": {str(count): round(count * seconds / workers, 1) for count in STUDIES},
        }

    def _fit(self, executor, keep, labels, seed, shuffled=False, optional=False) -> dict:
        """One training: {"logits", "seconds", "memory", "writes", "optional"}."""
        self.progress("trainings", self.done, 8)
        fit = {"keep": keep, "labels": labels, "seed": seed, "shuffled": shuffled, "optional": optional}
        recipe = self.recipe
        executor.submit(
            FitTask(
                "check", str(Path(self.workspace.path).resolve()), recipe.name, recipe.hash, no_edit(), seed, fit=fit
            )
        )
        while True:
            for _, event in executor.poll(0.5):
                if event["event"] == "done":
                    self.done += 1
                    self.progress("trainings", self.done, 8)
                    logits = decode_array(event["logits"], np.float32).reshape(self.workspace.n_val, -1)
                    return {**event, "logits": logits}
                if event["event"] == "failed":
                    raise UserError(event["message"] + _last_lines(event))
                if event["event"] == "lost":
                    code = event.get("code", 0)
                    raise UserError(f"the process of recipe {recipe.name} ended ({code})" + _last_lines(event))

    def _find(self, check, state, text):
        self.findings.append(Finding(check, state, text))

    def _check_columns(self, logits) -> float:
        """Whether the columns follow the classes; returns the accuracy."""
        labels, classes = self.workspace.val_labels, len(self.workspace.classes)
        counts = np.zeros((classes, classes))
        np.add.at(counts, (labels, logits.argmax(1)), 1)
        accuracy = np.trace(counts) / len(labels)
        rows, columns = linear_sum_assignment(-counts)
        best = counts[rows, columns].sum() / len(labels)
        if best > accuracy + max(0.1, 3 / np.sqrt(len(labels))):
            self._find(
                "columns",
                "problem",
                f"{accuracy:.1%} of the validation images are right, and {best:.1%} would be with the columns of the "
                "logits in another order; they have to follow data.classes",
            )
        else:
            self._find("columns", "ok", f"the logits are [{len(labels)}, {classes}], and {accuracy:.1%} are right")
        return float(accuracy)

    def _check_repeats(self, a, again) -> float:
        """Whether the same training twice comes out the same; returns by how much it does not."""
        noise = _distance(a, again)
        if noise <= CLOSE:
            self._find("repeated", "ok", "the same training comes out the same, with another one between")
        elif a["device"] != "cpu":
            self._find(
                "repeated",
                "note",
                f"the same training comes out with logits that differ by up to {noise:.2g}, as a GPU's do",
            )
        else:
            self._find(
                "repeated",
                "problem",
                f"the same training comes out with logits that differ by up to {noise:.2g}; draw all that is random "
                "from the seed that fit is given",
            )
        return noise

    def _expect_same(self, check, a, b, same, otherwise):
        good = _distance(a, b) <= same
        self._find(check, "ok" if good else "problem", _GOOD[check] if good else otherwise)

    def _expect_other(self, check, a, b, same, otherwise):
        good = _distance(a, b) > same
        self._find(check, "ok" if good else "problem", _GOOD[check] if good else otherwise)


_GOOD = {
    "left out": "images that are left out have no effect",
    "fresh process": "a fresh process, which sees shuffled validation labels, comes to the same result",
    "keep": "images that are left out are missed",
    "labels": "changed labels change the result",
}


def with_shuffled_labels(workspace: "Workspace") -> Any:
    """The workspace with its validation labels in another order."""

    class Shuffled(type(workspace)):  # type: ignore[misc]
        @property
        def val_labels(self):
            return np.random.default_rng(1).permutation(super().val_labels)

    workspace.__class__ = Shuffled
    return workspace


def fit_event(trainer, fit: dict, report) -> dict:
    """Does one training of a check in a worker and returns its event."""
    keep, labels = (decode_array(fit[name], np.int64) for name in ("keep", "labels"))
    outcome = trainer.fit(keep, labels, fit["seed"], report)
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    optional = fit.get("optional") and trainer.recipe.form == "file"
    found = optional_check.try_optional(trainer, outcome.model) if optional else []
    return {
        "event": "done",
        "logits": encode_array(np.asarray(outcome.logits, np.float32)),
        "seconds": outcome.seconds,
        "device": outcome.device,
        "memory": round(peak / (2**20 if sys.platform == "darwin" else 2**10)),
        "writes": written_outside(),
        "optional": found,
    }


_written: list[str] = []


def watch_writes() -> None:
    """Notes from now on which files this process's Python opens for writing that are not in its working folder, the
    system's folder for temporary files or its caches."""
    import tempfile

    allowed = tuple(os.path.realpath(path) for path in (os.getcwd(), tempfile.gettempdir(), "/dev", "/proc"))

    def hook(event, values):
        if event == "open" and isinstance(values[0], str) and isinstance(values[2], int):
            if values[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and len(_written) < 10:
                with suppress(OSError, ValueError):
                    path = os.path.realpath(values[0])
                    if not path.startswith(allowed) and "__pycache__" not in path:
                        _written.append(path)

    sys.addaudithook(hook)


def written_outside() -> list[str]:
    """The files that `watch_writes` has noted."""
    return list(_written)


def _distance(a: dict, b: dict) -> float:
    return float(np.abs(a["logits"] - b["logits"]).max())


def _last_lines(event: dict) -> str:
    output = event.get("output", "").strip()
    return f"\n{output[-OUTPUT_SHOWN:]}" if output else ""
