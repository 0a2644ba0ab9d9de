"""Detectors of the user's own: a class in a file that a person named, or of an installed package (`own_code`).

Each is a family of its own: Lineup does not know what evidence it weighs.
"""

import numpy as np

from attribution import own_code
from attribution.audit.detectors import dynamics, harm, in_sample, knn, out_of_fold, out_of_sample, self_influence
from attribution.audit.detectors.base import ComputedDetector, part_digest
from attribution.errors import UserError
from attribution.own_code import OwnCodeError, OwnObject
from attribution.own_code.process import check_numbers, start
from attribution.workspace.parts import Progress
from attribution.workspace.workspace import Workspace

FAMILY = "own"
KIND = "detector"
TAKEN = ("combined",)


def names(workspace: Workspace) -> list[str]:
    """The names of the user's detectors, without those that are taken."""
    taken = _taken(workspace)
    return [name for name in own_code.names(KIND) if name not in taken]


def add(workspace: Workspace, place: str) -> OwnObject:
    """Remembers the class at `place`, "FILE:CLASS", as a detector. Raises UserError as `own_code.add`, and where its
    name is that of a built-in one."""

    def check(name: str) -> None:
        if name in _taken(workspace):
            raise UserError(f"{name} is the name of a detector that comes with Lineup; give yours another name")

    return own_code.add(KIND, place, check)


def missing_requirement(workspace: Workspace, name: str) -> str:
    """A file that can be used, and the parts that it reads."""
    own = _own(name)
    absent = [part for part in own.uses if part not in workspace.manifest["parts"] and part != "base"]
    return own.problem or (f"it reads {absent[0]}, which {workspace.name} has not; make it first" if absent else "")


def source_digests(workspace: Workspace, name: str) -> dict:
    """Its code, and the parts that it reads."""
    own = _own(name)
    return {"code": own.hash, **{part: part_digest(workspace, part) for part in own.uses}}


def compute(workspace: Workspace, names: list[str], progress: Progress) -> dict[str, ComputedDetector]:
    """What the user's code says, each detector in a process of its own. Raises UserError with what it did wrong."""
    computed = {}
    for done, name in enumerate(names):
        progress(f"{name}: your code", done, len(names))
        own = _own(name).check()
        process = start(own, {"workspace": str(workspace.path.resolve()), "model": workspace.model})
        try:
            event = process.ask({"do": "scores"}, own.patience)
        finally:
            process.close()
        scores = check_numbers(event, "scores", (workspace.n_train,), f"the scores of {name}")
        computed[name] = ComputedDetector(
            scores,
            _check_suggestions(workspace, name, event) if "suggestions" in event else None,
            own.about.get("description") or f"your code, {own.main}",
            bool(own.about.get("uses_val")),
            {"family": f"{FAMILY} {name}", "code": own.provenance()},
        )
        progress(f"{name}: your code", done + 1, len(names))
    return computed


def _check_suggestions(workspace: Workspace, name: str, event: dict) -> np.ndarray:
    classes = len(workspace.classes)
    found = check_numbers(event, "suggestions", (workspace.n_train,), f"the suggestions of {name}", np.int64)
    if found.min() < 0 or found.max() >= classes:
        raise OwnCodeError(f"the suggestions of {name} are no classes; return numbers from 0 to {classes - 1}")
    return found


def _own(name: str) -> OwnObject:
    found = own_code.get(KIND, name)
    if found is None:
        raise UserError(f"the detector {name} was taken out; choose another")
    return found


def _taken(workspace: Workspace) -> set[str]:
    families = (dynamics, harm, in_sample, knn, out_of_fold, out_of_sample, self_influence)
    return {*TAKEN, *(name for family in families for name in family.names(workspace))}
