"""Detectors of mislabeled training images: one suspicion score an image, one family of evidence a file.

`build_detectors` computes and stores them, `load` reads one. None reads which labels were planted (a test holds that). Importing
this loads no torch.
"""

import time

import numpy as np

from attribution.audit.detectors import combined, harm, in_sample, knn, out_of_sample, self_influence
from attribution.audit.detectors.base import ComputedDetector, Detector, Progress
from attribution.audit.detectors.out_of_sample import OutOfSamplePredictions, out_of_sample_predictions
from attribution.errors import UserError
from attribution.files import read_array
from attribution.metrics.label_detection import suspicion_order

__all__ = [
    "Detector",
    "ComputedDetector",
    "OutOfSamplePredictions",
    "available",
    "build_detectors",
    "load_harmed",
    "load",
    "names",
    "out_of_sample_predictions",
    "suspicion_order",
    "default_detector",
]
COMBINED = combined.NAME
#: in the order in which they are listed, after "combined"
FAMILIES = (out_of_sample, knn, in_sample, self_influence, harm)


def names(workspace) -> list[str]:
    """The stored detectors, "combined" first, then family by family."""
    stored = [part.split("/")[1] for part in workspace.manifest["parts"] if part.startswith("detectors/")]
    known = [COMBINED, *_family_of(workspace)]
    return sorted(stored, key=lambda name: (known.index(name) if name in known else len(known), name))


def default_detector(workspace) -> str | None:
    """The stored detector to begin with: "combined", else the first; None without any."""
    return next(iter(names(workspace)), None)


def load(workspace, name: str) -> Detector:
    """The stored detector `name`. Raises UserError naming the known ones, and where its files cannot be read."""
    if name not in names(workspace):
        stored = ", ".join(names(workspace)) or "none; build them with: python -m attribution detectors build"
        raise UserError(f"no detector {name!r} in {workspace.name}; it has {stored}")
    about = workspace.manifest["parts"][f"detectors/{name}"]
    again = f"build it again with: python -m attribution detectors build {name}"
    if absent := [key for key in ("family", "about", "uses_val", "suggests") if key not in about]:
        raise UserError(
            f"the detector {name} of {workspace.name} was stored by another version, without its {absent[0]!r}; {again}"
        )
    folder = workspace.folder(f"detectors/{name}")
    scores = np.asarray(read_array(folder / "scores.npy", workspace.n_train), np.float32)
    suggestion = None
    if about["suggests"]:
        suggestion = np.asarray(read_array(folder / "suggestion.npy", workspace.n_train), np.int64)
    fits = scores.ndim == 1 and np.isfinite(scores).all()
    if suggestion is not None:
        fits &= suggestion.ndim == 1 and 0 <= suggestion.min() and suggestion.max() < len(workspace.classes)
    if not fits:
        raise UserError(f"the detector {name} of {workspace.name} holds what cannot be; {again}")
    return Detector(name, about["family"], about["about"], about["uses_val"], scores, suggestion, about.get("digest"))


def load_harmed(workspace, name: str) -> np.ndarray:
    """The validation images that each training image harms most, by the harm detector `name`: int32 [n_train, n], worst
    first, -1 after the last. Raises UserError where it cannot be read."""
    return read_array(workspace.folder(f"detectors/{name}") / "harmed.npy", workspace.n_train, None)


def available(workspace) -> dict[str, str]:
    """Every detector that there could be -> "" where it can be built now, else what it needs, without a full stop."""
    one_class = _single_class_error(workspace)
    found = {
        name: one_class or family.missing_requirement(workspace, name) for name, family in _family_of(workspace).items()
    }
    there = {name for name in found if not found[name]} | set(names(workspace)) - {COMBINED}
    alone = "" if len(there) > 1 else "it combines at least two other detectors, and there are not so many"
    return {COMBINED: one_class or alone, **found}


def build_detectors(
    workspace, wanted: list[str] | None = None, progress: Progress = lambda *at: None, keep=None
) -> dict:
    """Computes detectors and stores them as parts "detectors/<name>"; returns their provenance, name -> dict.

    wanted: None for all that can be had and are not there yet, or rest on what has changed since. Where the held-out
    detectors have too few models that did not see the images, these are trained first (`out_of_sample.FALLBACK_SEQUENCE`). keep(part,
    arrays, provenance) stores one; where a user's parts go if not given. progress(text, done, total).

    Raises UserError for unknown names and for what cannot be built, before anything is computed.
    """
    from attribution.workspace import parts
    from attribution.workspace.provenance import command_provenance

    known = available(workspace)
    if wanted is None:
        if _single_class_error(workspace):
            raise UserError(_single_class_error(workspace))
        wanted = [name for name, needs in known.items() if not needs and (keep or _is_outdated(workspace, name))]
        if wanted and workspace.can_add(f"detectors/{COMBINED}") and not known[COMBINED]:
            wanted.append(COMBINED)  # of what changes now
    for name in wanted:
        if name not in known:
            raise UserError(f"no detector {name!r} can be built for {workspace.name}; choose from {', '.join(known)}")
        if known[name]:
            raise UserError(f"{name} cannot be built: {known[name]}")
        if not keep:
            workspace.check_can_add(f"detectors/{name}")
    command = f"detectors build {','.join(dict.fromkeys(wanted))}"

    def store(part: str, arrays: dict, about: dict) -> None:
        parts.save_part(workspace, part, arrays, {**about, **command_provenance(command)})

    stored = {}
    for family in (*FAMILIES, combined):
        mine = [name for name in dict.fromkeys(wanted) if name in family.names(workspace)]
        if not mine:
            continue
        start = time.perf_counter()
        found = family.compute(workspace, mine, progress)
        seconds = round((time.perf_counter() - start) / len(found), 1)
        for name, one in found.items():
            arrays = {"scores": _check_scores(name, one.scores), **one.arrays}
            if one.suggestion is not None:
                arrays["suggestion"] = one.suggestion.astype(np.min_scalar_type(len(workspace.classes) - 1))
            stored[name] = {
                "family": family.FAMILY,
                "about": one.about,
                "uses_val": one.uses_val,
                "suggests": one.suggestion is not None,
                "of": family.source_digests(workspace, name),
                **one.more,
                "seconds": seconds,
            }
            (keep or store)(f"detectors/{name}", arrays, stored[name])
    return stored


def _family_of(workspace) -> dict:
    """Detector -> the file of its family, in the order in which they are listed; "combined" is not among them."""
    return {name: family for family in FAMILIES for name in family.names(workspace)}


def _single_class_error(workspace) -> str:
    if len(np.unique(workspace.train_labels)) > 1:
        return ""
    return f"all training images of {workspace.name} carry one label, and no detector can tell whether it is wrong"


def _is_outdated(workspace, name: str) -> bool:
    """Whether a detector is missing, or rests on what has changed since, and can be replaced."""
    part = f"detectors/{name}"
    if part not in workspace.manifest["parts"]:
        return True
    if not workspace.can_add(part):
        return False
    family = combined if name == COMBINED else _family_of(workspace)[name]
    return family.source_digests(workspace, name) != workspace.manifest["parts"][part].get("of")


def _check_scores(name: str, scores: np.ndarray) -> np.ndarray:
    scores = np.asarray(scores, np.float32)
    if not np.isfinite(scores).all():
        raise UserError(
            f"{name} comes out with scores that are not finite: what it is computed from holds such "
            "values, too; make that again"
        )
    return scores
