"""Detectors of mislabelled training images: one suspicion score an image, one family of evidence a file.

`build_detectors` computes and stores them, `load` reads one. None reads which labels were planted (a test holds that),
and importing this loads no torch. How to add a family: `base.DetectorFamily`.
"""

import time
from collections.abc import Callable

import numpy as np

from attribution.audit.detectors import combined
from attribution.audit.detectors import own as own
from attribution.audit.detectors.base import Detector
from attribution.audit.detectors.families import FAMILIES, family_by_name
from attribution.audit.detectors.stored import COMBINED, default_detector, load, load_harmed, names
from attribution.errors import UserError
from attribution.own_code import OwnCodeError
from attribution.workspace import parts
from attribution.workspace.parts import Progress
from attribution.workspace.provenance import command_provenance
from attribution.workspace.workspace import Workspace

__all__ = [
    "Detector",
    "available",
    "build_detectors",
    "default_detector",
    "is_outdated",
    "load",
    "load_harmed",
    "names",
    "single_class_error",
]


def available(workspace: Workspace) -> dict[str, str]:
    """Every detector that there could be -> "" where it can be built now, else what it needs, without a full stop."""
    single_class = single_class_error(workspace)
    families = {COMBINED: combined, **family_by_name(workspace)}
    return {name: single_class or family.missing_requirement(workspace, name) for name, family in families.items()}


def build_detectors(
    workspace: Workspace,
    chosen: list[str] | None = None,
    progress: Progress = lambda *at: None,
    record: Callable[[str, dict, dict], None] | None = None,
) -> dict[str, dict]:
    """Computes detectors and stores them as parts "detectors/<name>"; returns their provenance, name -> dict.

    chosen: None for all that can be had and are not there yet, or rest on what has changed since. Where too few models
    are known that did not see the images, some are trained first (`out_of_sample.FALLBACK_SEQUENCE`). record(part,
    arrays, provenance) stores one; where a user's parts go if not given. progress(text, done, total).

    Raises UserError for unknown names and for what cannot be built, before anything is computed; and OwnCodeError with
    what a user's code did wrong, where nothing is chosen once all others are stored.
    """
    requirements, failure = available(workspace), None
    is_all = chosen is None
    if chosen is None:
        if single_class := single_class_error(workspace):
            raise UserError(single_class)
        chosen = [
            name
            for name, requirement in requirements.items()
            if not requirement and (record or is_outdated(workspace, name))
        ]
        if chosen and workspace.can_add(f"detectors/{COMBINED}") and not requirements[COMBINED]:
            chosen.append(COMBINED)  # it rests on what changes now
    chosen = list(dict.fromkeys(chosen))
    for name in chosen:
        if name not in requirements:
            known = ", ".join(requirements)
            raise UserError(f"no detector {name!r} can be built for {workspace.name}; choose from {known}")
        if requirements[name]:
            raise UserError(f"{name} cannot be built: {requirements[name]}")
        if not record:
            workspace.check_can_add(f"detectors/{name}")
    command = f"detectors build {','.join(chosen)}"

    def save(part: str, arrays: dict, provenance: dict) -> None:
        parts.save_part(workspace, part, arrays, {**provenance, **command_provenance(command)})

    built = {}
    for family in (*FAMILIES, combined):  # "combined" reads what the others stored
        members = [name for name in chosen if name in family.names(workspace)]
        if not members:
            continue
        start = time.perf_counter()
        try:
            computed = family.compute(workspace, members, progress)
        except OwnCodeError as error:
            if not is_all:
                raise
            failure = error
            continue
        seconds = round((time.perf_counter() - start) / len(computed), 1)
        for name, detector in computed.items():
            arrays = {"scores": _check_scores(name, detector.scores, exactly=family is own), **detector.arrays}
            if detector.suggestion is not None:
                arrays["suggestion"] = detector.suggestion.astype(np.min_scalar_type(len(workspace.classes) - 1))
            built[name] = {
                "family": family.FAMILY,
                "about": detector.description,
                "uses_val": detector.uses_val,
                "suggests": detector.suggestion is not None,
                "of": family.source_digests(workspace, name),
                **detector.extra,
                "seconds": seconds,
            }
            (record or save)(f"detectors/{name}", arrays, built[name])
    if failure:
        raise failure
    return built


def single_class_error(workspace: Workspace) -> str:
    """Why no label can be suspected where all are the same, else ""."""
    if len(np.unique(workspace.train_labels)) > 1:
        return ""
    return f"all training images of {workspace.name} carry one label, and no detector can tell whether it is wrong"


def is_outdated(workspace: Workspace, name: str) -> bool:
    """Whether a detector is not there, or rests on what has changed since, and can be computed and kept here."""
    part = f"detectors/{name}"
    if part not in workspace.manifest["parts"]:
        return True
    if not workspace.can_add(part):
        return False
    family = combined if name == COMBINED else family_by_name(workspace)[name]
    return family.source_digests(workspace, name) != workspace.manifest["parts"][part].get("of")


def _check_scores(name: str, scores: np.ndarray, exactly: bool) -> np.ndarray:
    scores = np.asarray(scores, None if exactly else np.float32)  # whose last bits are noise, but for the user's own
    if not np.isfinite(scores).all():
        raise UserError(
            f"{name} comes out with scores that are not finite: what it is computed from holds such "
            "values, too; make that again"
        )
    return scores
