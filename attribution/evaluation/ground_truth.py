"""Ground truth that others can score against: the masks and margins of models on random halves, as one `.npz` file.

`docs/ground_truth.md` has the format, and how to score with numpy alone. The file holds numbers and a JSON text, is
read without pickle, and is refused where it is about other images or labels than the workspace's.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from attribution.builds import halves
from attribution.data.foreign import check_file, printable
from attribution.errors import UserError
from attribution.evaluation.lds_report import Draw, Scored, judge_on
from attribution.files import write_atomically
from attribution.importing.formats.arrays import (
    FileArray,
    check_unpacked,
    npz_array,
    npz_shapes,
    open_array,
    shape_text,
)
from attribution.importing.formats.parquet import labels_digest
from attribution.inputs import limits, names
from attribution.metrics.lds import MIN_SUBSETS, noise_ceiling
from attribution.rankings.base import Ranking
from attribution.workspace.manifest import check
from attribution.workspace.parts import Progress
from attribution.workspace.workspace import Workspace

FORMAT, VERSION = "lineup-ground-truth", 1
MAX_BYTES = 16 << 30  # of a bundle
MAX_ABOUT = 1 << 16  # bytes of its JSON
REMEDY = "download or write the bundle again"

_TEXT = {"type": ["string", "null"], "maxLength": 1000}
_NUMBER = {"type": ["number", "null"]}
_SIZE = {"type": "integer", "minimum": 1, "maximum": 2**31 - 1}
_DIGEST = {"type": ["string", "null"], "pattern": "^[0-9a-f]{64}(?![\\s\\S])"}
ABOUT_SCHEMA = {
    "type": "object",
    "required": ["format", "version", "n_train", "n_val", "fingerprint", "labels"],
    "properties": {
        "format": {"const": FORMAT},
        "version": {"const": VERSION},
        "n_train": _SIZE,
        "n_val": _SIZE,
        **dict.fromkeys(("workspace", "dataset", "recipe", "hash", "training", "made"), _TEXT),
        **dict.fromkeys(("alpha", "ceiling", "signal"), _NUMBER),
        **dict.fromkeys(("fingerprint", "labels"), _DIGEST),
        "images": {"type": "object", "properties": dict.fromkeys(("train", "val"), _DIGEST)},
        "seeds": {"type": "array", "items": {"type": "integer", "minimum": 0}, "maxItems": limits.MAX_SEEDS},
        "draw": {"type": ["integer", "null"]},
    },
}


@dataclass(frozen=True)
class GroundTruth:
    """A bundle: masks bool [M, n_train]; margins float [M, R, T]; targets int64 [T], ascending; about, its JSON."""

    masks: np.ndarray
    margins: np.ndarray
    targets: np.ndarray
    about: dict

    def draw(self) -> Draw:
        """What `lds_report.judge_on` takes: margins of all validation images, NaN of those that are no target."""
        whole = np.full((*self.margins.shape[:2], self.about["n_val"]), np.nan, self.margins.dtype)
        whole[:, :, self.targets] = self.margins
        noise = noise_ceiling(self.margins)
        about = {
            "alpha": round(float(self.masks.mean()), 4),
            "masks": len(self.masks),
            "seeds": self.seeds,
            "ceiling": self.about.get("ceiling") if noise.mean is None else noise.mean,
            "signal": self.about.get("signal") if noise.signal is None else noise.signal,
            "recipe": self.about.get("recipe"),
            "recipe_hash": self.about.get("hash"),
        }
        return Draw(self.masks, whole, about)

    @property
    def seeds(self) -> int:
        """Models of each half, of which `margins` may be the mean."""
        return max(self.margins.shape[1], len(self.about.get("seeds") or []))


@dataclass(frozen=True)
class FileScores:
    """Scores in a file of the user's, [targets, n_train], one row for each of `targets`."""

    name: str
    array: FileArray
    targets: np.ndarray

    def all_scores(self) -> Iterator[np.ndarray]:
        """Its rows in order."""
        return (self.array.read_block(slice(at, at + 1))[0] for at in range(len(self.targets)))


def write(workspace: Workspace, file: Path, draw: int = 1) -> dict:
    """Writes a draw of held-out halves, 1 or 2, as a bundle; returns its JSON. The second draw has the margins of
    single seeds where the result store knows them, else their means. Raises UserError where there is no such draw."""
    masks, margins, made, noise = _first(workspace) if draw == 1 else _second(workspace)
    images = workspace.manifest["dataset"].get("digests", {})
    about = {
        "format": FORMAT,
        "version": VERSION,
        "workspace": names.visible(workspace.name),
        "dataset": workspace.manifest["dataset"].get("name"),
        "n_train": workspace.n_train,
        "n_val": workspace.n_val,
        "fingerprint": workspace.fingerprint,
        "images": {split: images.get(split) for split in ("train", "val")},
        "labels": labels_digest(workspace.train_labels, workspace.val_labels),
        **{key: made.get(key) for key in ("recipe", "hash", "training", "made")},
        "alpha": round(float(masks.mean()), 4),
        "draw": draw,
        "seeds": made.get("seeds") or [0],
        **noise,
    }
    half = margins.astype(np.float16)
    arrays = {
        "masks": np.packbits(masks, axis=1),
        "margins": half if np.array_equal(half, margins) else margins,
        "targets": np.arange(workspace.n_val),
        "about": np.frombuffer(json.dumps(about).encode(), np.uint8),
    }
    try:
        write_atomically(file, lambda stream: np.savez_compressed(stream, **arrays))
    except OSError as error:
        raise UserError(f"{file} cannot be written ({error.strerror}); choose another place") from None
    return about


def _first(workspace: Workspace):
    masks, margins = halves.load_held_out_halves(workspace)
    noise = noise_ceiling(margins)
    return masks, margins, halves.held_out_provenance(workspace), {"ceiling": noise.mean, "signal": noise.signal}


def _second(workspace: Workspace):
    found = halves.load_second_draw(workspace)
    if found is None:
        raise UserError(
            f"the workspace {workspace.name} has no second draw of halves; train it with: "
            f"python -m attribution halves train --draw 2{workspace.options()}"
        )
    masks, means = found
    made = workspace.manifest["parts"][halves.SECOND_PART]
    sequence = {**halves.SECOND_SEQUENCE, "count": len(masks), "seeds": made["seeds"]}
    if not halves.missing_halves(workspace, sequence):
        _, means = halves.load_half_margins(workspace, sequence)
    return masks, means, made, {key: made[key] for key in ("ceiling", "signal")}


def read(path: Path) -> GroundTruth:
    """The bundle in a file. Nothing in it is executed, and nothing is unpacked that is larger than its sizes call for.
    Raises UserError for what is no such file, damaged, or at odds with itself."""
    check_file(path, MAX_BYTES)
    shapes = npz_shapes(path)
    if missing := {"masks", "margins", "targets", "about"} - set(shapes):
        raise UserError(f"{path} is no bundle of halves: it has no {' or '.join(sorted(missing))}; {REMEDY}")
    check_unpacked(path)
    about = _read_about(path, shapes["about"])
    if len(shapes["margins"]) != 3 or not MIN_SUBSETS <= shapes["margins"][0] <= limits.MAX_MODELS:
        raise UserError(
            f"{path} has margins of {shape_text(shapes['margins'])}, and halves x seeds x targets are expected, at "
            f"least {MIN_SUBSETS} halves; {REMEDY}"
        )
    count, seeds, n_targets = shapes["margins"]
    if not 1 <= seeds <= limits.MAX_SEEDS or not 1 <= n_targets <= about["n_val"]:
        raise UserError(f"{path} has margins of {shape_text(shapes['margins'])}, which cannot be; {REMEDY}")
    masks = npz_array(path, "masks", count, math.ceil(about["n_train"] / 8))
    margins = npz_array(path, "margins", count, seeds, n_targets)
    targets = npz_array(path, "targets", n_targets)
    if masks.dtype != np.uint8 or margins.dtype.kind != "f" or targets.dtype.kind not in "iu":
        raise UserError(
            f"{path} has masks of {masks.dtype}, margins of {margins.dtype} and targets of {targets.dtype}, and bytes, "
            f"floats and whole numbers are expected; {REMEDY}"
        )
    targets = targets.astype(np.int64)
    if targets[0] < 0 or targets[-1] >= about["n_val"] or (np.diff(targets) <= 0).any():
        raise UserError(f"{path} has targets that are not ascending numbers of {about['n_val']:,} images; {REMEDY}")
    if not np.isfinite(margins).all():
        raise UserError(f"{path} has margins that are not finite; {REMEDY}")
    unpacked = np.unpackbits(masks, axis=1, count=about["n_train"]).astype(bool)
    return GroundTruth(unpacked, margins.astype(np.promote_types(margins.dtype, np.float32)), targets, about)


def _read_about(path: Path, shape: tuple[int, ...]) -> dict:
    if len(shape) != 1 or shape[0] > MAX_ABOUT:
        raise UserError(f"{path} says too much of itself; {REMEDY}")
    text = npz_array(path, "about", None)
    try:
        about = json.loads(text.astype(np.uint8).tobytes().decode())
    except (ValueError, RecursionError):
        raise UserError(f"{path} does not say as JSON what it is about; {REMEDY}") from None
    check(about, ABOUT_SCHEMA, path, REMEDY)
    return about


def check_fits(truth: GroundTruth, path: Path, workspace: Workspace) -> None:
    """Raises UserError where a bundle is about other images or labels than the workspace's."""
    about, name = truth.about, printable(str(path))
    sizes = (about["n_train"], about["n_val"])
    if sizes != (workspace.n_train, workspace.n_val):
        raise UserError(
            f"{name} is about {sizes[0]:,} training and {sizes[1]:,} validation images, and {workspace.name} has "
            f"{workspace.n_train:,} and {workspace.n_val:,}; open the workspace of that data set with --workspace"
        )
    if about["fingerprint"] == workspace.fingerprint:
        return
    if about["labels"] != labels_digest(workspace.train_labels, workspace.val_labels):
        raise UserError(
            f"{name} was made with other labels than {workspace.name} has; take those that it was made with, "
            "planted errors included"
        )
    mine, theirs = workspace.manifest["dataset"].get("digests", {}), about.get("images", {})
    for split, words in (("train", "training"), ("val", "validation")):
        if not mine.get(split) or mine.get(split) != theirs.get(split):
            raise UserError(
                f"{name} was made with other {words} images than {workspace.name} has, or with the same in another "
                "order; open the workspace of that data set with --workspace"
            )


def judge(truth: GroundTruth, rankings: Mapping[str, Ranking | Scored], progress: Progress = lambda *at: None) -> dict:
    """LDS of rankings, or files of scores, on a bundle: the keys of `lds_report.compute`."""
    [answer] = judge_on([truth.draw()], rankings, progress, truth.targets)
    return answer


def open_scores(text: str, n_train: int, targets: np.ndarray) -> FileScores:
    """The scores that "NAME=FILE" names: an array file of [targets, n_train], larger is more helpful. Raises UserError
    for a text of another form, and for an array of another shape."""
    name, equals, file = text.partition("=")
    if not (name and equals and file):
        raise UserError(f"--scores {limits.shortened(text)} does not say what to call a file; write NAME=FILE")
    array = open_array(Path(file).expanduser())
    if array.shape != (len(targets), n_train):
        turned = ", transposed" if array.shape == (n_train, len(targets)) else ""
        raise UserError(
            f"{file} is {shape_text(array.shape)}, and {shape_text((len(targets), n_train))} is expected{turned}: "
            "a row for each target, a column for each training image"
        )
    return FileScores(name, array, targets)
