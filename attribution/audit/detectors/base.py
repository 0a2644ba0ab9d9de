"""What a detector is, and what a family's file gives back. A family's file offers:

FAMILY                       its name: detectors of one family weigh the same evidence
names(workspace)             the detectors it has for a workspace, in order
missing(workspace, name)     what one lacks, as a sentence without its end, or ""
sources(workspace, name)     what it is computed from: part -> digest; where that changes, it is computed anew
compute(workspace, names, progress) -> dict[str, Found]
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Detector:
    """How suspicious each training image's given label is.

    family: detectors of one family weigh the same evidence. about: what is behind it, in words. uses_val: True where
    validation images were read, so that their first half (`validation_split.validation_halves`) cannot judge what comes of it. scores:
    float32 [n_train], finite, higher is more suspicious; only their order means something. suggestion: the class that
    it would give instead, int64 [n_train], the given label where it has no other opinion; None where it never has one.
    version: digest of the stored files.
    """

    name: str
    family: str
    about: str
    uses_val: bool
    scores: np.ndarray
    suggestion: np.ndarray | None
    version: str | None


@dataclass(frozen=True)
class ComputedDetector:
    """A detector that was computed and is not stored yet: as `Detector`; more: further provenance; arrays: further
    files, by name."""

    scores: np.ndarray
    suggestion: np.ndarray | None
    about: str
    uses_val: bool = False
    more: dict = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


def part_digest(workspace, part: str) -> str | None:
    """The digest of a part's files, None where it has none."""
    return workspace.manifest["parts"].get(part, {}).get("digest")


def command_line(workspace, words: str) -> str:
    """A command line for people."""
    import shlex

    return f"python -m attribution {words} --workspace {shlex.quote(str(workspace.path))}"
