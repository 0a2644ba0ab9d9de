"""Faults of the pictures themselves: too dark, blurred, of an odd size, nearly one colour, there twice. By cleanvision.

They say nothing of a label, so that they are no detector of wrong ones: `combined` does not count them. A review queue
(`queue_spec`) puts the pictures before a person, who may remove them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec

import numpy as np

from attribution.data import Images
from attribution.errors import UserError
from attribution.files.libraries import install_command
from attribution.workspace.parts import Part, Progress
from attribution.workspace.workspace import Workspace

LIBRARY, EXTRA = "cleanvision", "faults"
STORED = Part("faults", command="faults")
#: cleanvision's name -> ours
KINDS = {
    "dark": "dark",
    "light": "light",
    "blurry": "blurred",
    "low_information": "nearly one colour",
    "odd_size": "odd size",
    "odd_aspect_ratio": "odd proportions",
    "exact_duplicates": "exact duplicate",
}
#: what is true of more than this share of the images is how the data set is, and no fault of one (as in cleanvision's
#: own report)
MAX_SHARE = 0.5


@dataclass(frozen=True)
class Faults:
    """What cleanvision says of the training images. kinds: of KINDS; scores: its quality scores, in [0, 1], lower is
    worse, float32 [n_train, kinds]; found: where it calls that a fault, bool [n_train, kinds]."""

    kinds: tuple[str, ...]
    scores: np.ndarray
    found: np.ndarray

    def counts(self) -> dict[str, int]:
        """Kind -> how many images have it."""
        return dict(zip(self.kinds, self.found.sum(0).tolist()))

    def telling(self) -> list[str]:
        """The kinds that some images have, and not more than MAX_SHARE of them."""
        return [kind for kind, n in self.counts().items() if 0 < n <= MAX_SHARE * len(self.found)]

    def of_image(self, image: int) -> list[tuple[str, float]]:
        """(kind, score) of each telling fault of an image."""
        rows = zip(self.kinds, self.scores[image].tolist(), self.found[image].tolist())
        telling = self.telling()
        return [(kind, score) for kind, score, found in rows if found and kind in telling]

    def order(self, kind: str | None = None) -> np.ndarray:
        """The images with a fault, worst first, int64 [m]: of one kind, or of all that are telling, the worst of each
        kind before the second worst of any."""
        places = np.full(len(self.found), np.inf)
        for name in self.telling() if kind is None else [kind]:
            at = self.kinds.index(name)
            images = np.flatnonzero(self.found[:, at])
            images = images[np.argsort(self.scores[images, at], kind="stable")]
            places[images] = np.minimum(places[images], np.arange(len(images)))
        order = np.argsort(places, kind="stable")
        return order[np.isfinite(places[order])]


def missing_requirement() -> str:
    """What is missing for `compute`, a sentence without a full stop; "" where nothing is."""
    if find_spec(LIBRARY):
        return ""
    return f"the faults of pictures are found by {LIBRARY}; install it with: {install_command(EXTRA)}"


def compute(workspace: Workspace, progress: Progress = lambda *at: None) -> Faults:
    """Has cleanvision look at every training image, at the size it has on the disk, with its own thresholds.
    progress(text, done, total). Raises UserError where it is not installed, and where an image cannot be read."""
    if problem := missing_requirement():
        raise UserError(problem)
    from cleanvision import Imagelab

    pictures = _Pictures(workspace, progress)
    lab = Imagelab(torchvision_dataset=pictures, verbose=False)
    lab.find_issues({kind: {} for kind in KINDS}, n_jobs=1, verbose=False)
    issues = lab.issues.sort_index()
    return Faults(
        tuple(KINDS),
        issues[[f"{kind}_score" for kind in KINDS]].to_numpy(np.float32),
        issues[[f"is_{kind}_issue" for kind in KINDS]].to_numpy(bool),
    )


def save(workspace: Workspace, faults: Faults, provenance: dict, record: Callable | None = None) -> None:
    """Stores them as the part "faults"; provenance, record: as `Part.save`."""
    made = {"kinds": list(faults.kinds), "library": f"{LIBRARY} {version(LIBRARY)}", **provenance}
    STORED.save(workspace, {"scores": faults.scores, "found": faults.found}, made, record)


def load(workspace: Workspace) -> Faults | None:
    """What is stored; None where nothing is. Raises UserError where it cannot be read."""
    if not STORED.is_current(workspace):
        return None
    kinds = tuple(STORED.provenance(workspace).get("kinds") or ())
    if not kinds or len(set(kinds)) < len(kinds) or not set(kinds) <= set(KINDS):
        raise STORED.unreadable(workspace, ValueError("kinds of faults that are not known"))
    shape = (workspace.n_train, len(kinds))
    arrays = STORED.read_arrays(workspace, {"scores": shape, "found": shape})
    if arrays["scores"].dtype.kind != "f" or not np.isfinite(arrays["scores"]).all():
        raise STORED.unreadable(workspace, ValueError("scores that cannot be"))
    return Faults(kinds, arrays["scores"], arrays["found"].astype(bool))


def queue_spec(workspace: Workspace, kind: str | None, size: int) -> dict:
    """What a queue of faults is asked to be, as `review_queue.queue_spec`. kind: of KINDS, None for all that are
    telling; size: at most so many images. Raises UserError where nobody has looked, and where there is none."""
    faults = load(workspace)
    if faults is None:
        raise UserError(
            f"nobody has looked for faults yet; look with: python -m attribution faults{workspace.options()}"
        )
    if kind is not None and kind not in faults.kinds:
        raise UserError(f"no fault is called {kind}; choose from {', '.join(faults.kinds)}")
    if not len(faults.order(kind)):
        raise UserError(f"{LIBRARY} finds no {'' if kind is None else KINDS[kind] + ' '}fault in these images")
    return {
        **{"detector": STORED.name, "of": STORED.name, "fault": kind, "size": int(size)},
        **{"given": None, "suggested": None, "controls": False, "blind": False, "seed": 0, "uses_val": False},
    }


def queue_images(workspace: Workspace, spec: dict) -> tuple[np.ndarray, np.ndarray]:
    """The images of a `queue_spec`, worst first, int64 [n], and how bad they are, float32 [n] in [0, 1]."""
    faults = load(workspace)
    if faults is None:
        raise UserError(
            f"nobody has looked for faults yet; look with: python -m attribution faults{workspace.options()}"
        )
    images = faults.order(spec["fault"])[: spec["size"]]
    worst = np.where(faults.found, faults.scores, 1).min(1)
    return images, (1 - worst[images]).astype(np.float32)


class _Pictures:
    """The training images as cleanvision takes a torchvision data set, which need not be torch's: a tuple with a
    picture of Pillow's for each. It looks at all of them twice, for properties and for duplicates."""

    def __init__(self, workspace: Workspace, progress: Progress):
        self.images = workspace.read_images("train")
        self.inverted = workspace.greyscale_inverted
        self.progress, self.seen = progress, 0

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int):
        from PIL import Image, ImageOps

        in_place = isinstance(self.images, Images)
        picture = self.images.picture(int(i)) if in_place else Image.fromarray(np.asarray(self.images[i]))
        if self.inverted and picture.mode == "L":
            picture = ImageOps.invert(picture)  # as it is shown
        self.seen += 1
        self.progress("looking at images", min(self.seen, 2 * len(self)), 2 * len(self))
        return (picture,)
