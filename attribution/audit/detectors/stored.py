"""The detectors that a workspace holds, as parts "detectors/<name>"."""

import numpy as np

from attribution.audit.detectors.base import Detector
from attribution.audit.detectors.families import family_by_name
from attribution.errors import UserError
from attribution.files import read_array
from attribution.workspace.workspace import Workspace

COMBINED = "combined"
REQUIRED_KEYS = ("family", "about", "uses_val", "suggests")  # of the provenance


def names(workspace: Workspace) -> list[str]:
    """The stored detectors, "combined" first, then family by family."""
    stored = [part.split("/")[1] for part in workspace.manifest["parts"] if part.startswith("detectors/")]
    known = [COMBINED, *family_by_name(workspace)]
    return sorted(stored, key=lambda name: (known.index(name) if name in known else len(known), name))


def default_detector(workspace: Workspace) -> str | None:
    """The stored detector to begin with: "combined", else the first; None without any."""
    return next(iter(names(workspace)), None)


def load(workspace: Workspace, name: str) -> Detector:
    """The stored detector `name`. Raises UserError naming the known ones, and where its files cannot be read.

    >>> int(load(Workspace.open(), "combined").scores.argmax())  # the most suspicious training image
    2892
    """
    if name not in names(workspace):
        stored = ", ".join(names(workspace)) or "none; build them with: python -m attribution detectors build"
        raise UserError(f"no detector {name!r} in {workspace.name}; it has {stored}")
    provenance = workspace.manifest["parts"][f"detectors/{name}"]
    again = f"build it again with: python -m attribution detectors build {name}"
    if provenance.get("imported"):
        again = "import its file again"
    if absent := [key for key in REQUIRED_KEYS if key not in provenance]:
        raise UserError(
            f"the detector {name} of {workspace.name} was stored by another version, without its {absent[0]!r}; {again}"
        )
    family, description, uses_val, suggests = (provenance[key] for key in REQUIRED_KEYS)
    folder = workspace.folder(f"detectors/{name}")
    scores = np.asarray(read_array(folder / "scores.npy", workspace.n_train))
    suggestion = None
    if suggests:
        suggestion = np.asarray(read_array(folder / "suggestion.npy", workspace.n_train), np.int64)
    fits = scores.ndim == 1 and np.isfinite(scores).all()
    if suggestion is not None:
        fits &= suggestion.ndim == 1 and 0 <= suggestion.min() and suggestion.max() < len(workspace.classes)
    if not fits:
        raise UserError(f"the detector {name} of {workspace.name} holds what cannot be; {again}")
    return Detector(name, family, description, uses_val, scores, suggestion, provenance.get("digest"))


def load_harmed(workspace: Workspace, name: str) -> np.ndarray:
    """The validation images that each training image harms most, by the harm detector `name`: int32 [n_train, n], worst
    first, -1 after the last. Raises UserError where it cannot be read."""
    return read_array(workspace.folder(f"detectors/{name}") / "harmed.npy", workspace.n_train, None)
