"""What a detector is, and what the module of a family of detectors offers."""

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from attribution.workspace.parts import Progress
from attribution.workspace.workspace import Workspace


@dataclass(frozen=True)
class Detector:
    """A stored detector: how suspicious each training image's given label is.

    family: see `DetectorFamily.FAMILY`. description: what is behind it, in words. uses_val: True where validation
    images were read, so that their first half (`validation_split.validation_halves`) cannot judge what comes of it.
    scores: float [n_train], finite, higher is more suspicious; only their order means something. suggestion: the
    class that it would give instead, int64 [n_train], the given label where it has no other; None where it never
    suggests one. version: digest of the stored files.
    """

    name: str
    family: str
    description: str
    uses_val: bool
    scores: np.ndarray
    suggestion: np.ndarray | None
    version: str | None


@dataclass(frozen=True)
class ComputedDetector:
    """A detector that is not stored yet: as `Detector`; extra: further provenance; arrays: further files, by name."""

    scores: np.ndarray
    suggestion: np.ndarray | None
    description: str
    uses_val: bool = False
    extra: dict = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


@runtime_checkable
class DetectorFamily(Protocol):
    """What the module of a family offers. A new family is one such file and its entry in `families.FAMILIES`.

    FAMILY: its name, stored with its detectors; detectors of one family weigh the same kind of evidence, which
    "combined" counts once.
    """

    FAMILY: str

    def names(self, workspace: Workspace) -> list[str]:
        """The detectors that the family has for a workspace, in the order in which they are listed."""

    def missing_requirement(self, workspace: Workspace, name: str) -> str:
        """What a detector needs before it can be built, as a sentence without a full stop; "" where nothing."""

    def source_digests(self, workspace: Workspace, name: str) -> dict:
        """What a detector is computed from: part -> digest. Where this changes, the detector is outdated."""

    def compute(self, workspace: Workspace, names: list[str], progress: Progress) -> dict[str, ComputedDetector]:
        """The detectors `names`, by name. Raises UserError where their sources do not serve."""


def part_digest(workspace: Workspace, part: str) -> str | None:
    """The digest of a part's files, None where it has none."""
    return workspace.manifest["parts"].get(part, {}).get("digest")


def command_line(workspace: Workspace, words: str) -> str:
    """The command `words` for this workspace, to be copied into a shell."""
    return f"python -m attribution {words}{workspace.options()}"
