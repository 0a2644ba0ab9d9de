"""Trains under a recipe of the user's own, in a process that may import it: a worker's.

What the recipe returns is checked here, so that nothing of a wrong shape is stored.
"""

import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attribution.errors import UserError
from attribution.files import file_mode, make_folder
from attribution.own_code.loading import load_class
from attribution.training.edits import Edit, no_edit
from attribution.training.own import OwnRecipe
from attribution.training.probabilities import probabilities_of

if TYPE_CHECKING:
    from attribution.data import Images
    from attribution.workspace.workspace import Workspace

Report = Callable[[int, int], None]
REPORT_SECONDS = 0.2  # between two reports that are passed on
MAX_MODEL = 4 * 2**30  # bytes of a saved model
MAX_FEATURES = 8192  # dimensions
#: libraries whose versions are stored with a result, where the recipe has imported them
LIBRARIES = (
    "torch",
    "torchvision",
    "timm",
    "transformers",
    "sklearn",
    "xgboost",
    "lightgbm",
    "jax",
    "flax",
    "tensorflow",
)


@dataclass(frozen=True)
class OwnOutcome:
    """As `attribution.training.trainer.TrainingOutcome`; model: what the recipe's `fit` returned; logits:
    float32 [n_val, classes]."""

    predicted: np.ndarray
    margins: np.ndarray
    probabilities: np.ndarray
    seconds: float
    model: Any
    device: str
    library: str
    logits: np.ndarray


class RecipeData:
    """The data as a recipe sees them. split: "train" or "val". classes: their names."""

    def __init__(self, workspace: "Workspace"):
        self._workspace = workspace
        self.classes = list(workspace.classes)

    def images(self, split: str) -> "np.ndarray | Images":
        """The images, uint8 [n, H, W] or [n, H, W, 3]; read when they are indexed."""
        return self._workspace.train_images if self._is_train(split) else self._workspace.val_images

    def labels(self, split: str) -> np.ndarray:
        """The given labels, int64 [n]. A training uses those that `fit` is given instead: an edit may change them."""
        return np.array(self._workspace.train_labels if self._is_train(split) else self._workspace.val_labels)

    def paths(self, split: str) -> list[Path] | None:
        """The file of each image, in their order; None where images have no file each."""
        self._is_train(split)
        if not getattr(self._workspace, "manifest", {}).get("dataset", {}).get("images"):  # they are an array
            return None
        return None if self._workspace.image_files(split) is None else self._workspace.image_paths(split)

    @staticmethod
    def _is_train(split: str) -> bool:
        if split not in ("train", "val"):
            raise ValueError(f'split is "train" or "val", not {split!r}')
        return split == "train"


class OwnTrainer:
    """Trains one data set under one version of a user's recipe, as often as asked.

    workspace: as `attribution.training.trainer.Trainer` takes it. folder: with the recipe's files, the snapshot's if
    not given. Raises UserError where the images have changed, and where the recipe cannot be set up.
    """

    def __init__(self, workspace, recipe: OwnRecipe, folder: Path | None = None):
        if hasattr(workspace, "check_images"):
            workspace.check_images()
        self.recipe, self.data = recipe, RecipeData(workspace)
        self.train_labels, self.val_labels = np.array(workspace.train_labels), np.array(workspace.val_labels)
        self.device = "cuda" if os.environ.get("CUDA_VISIBLE_DEVICES") else "cpu"
        folder = folder or recipe.snapshot
        recipe.check_files(folder)
        self.own = load_class(folder / recipe.main, recipe.object, folder if recipe.form == "package" else None)()
        self.call("setup", self.data, self.device)

    @property
    def device_kind(self) -> str:
        """See `device_name`."""
        return device_name(self.device)

    def run(self, edit: Edit | None = None, seed: int = 0, on_epoch: Report | None = None) -> OwnOutcome:
        """Trains on the edited training set and predicts all validation images.

        on_epoch(done, total) is called as the recipe reports. Raises UserError where the edit leaves no image, and
        where the recipe raises or returns what it may not.
        """
        keep, labels = (edit or no_edit()).apply(self.train_labels)
        return self.fit(keep, labels, seed, on_epoch)

    def fit(self, keep: np.ndarray, labels: np.ndarray, seed: int, on_epoch: Report | None = None) -> OwnOutcome:
        """As `run`, of the images `keep`, int64 [m] ascending, with `labels`, int64 [n_train]."""
        if not len(keep):
            raise UserError("the edit removes every training image; leave some")
        start = time.perf_counter()
        model = self.call("fit", keep.astype(np.int64), labels.astype(np.int64), int(seed), Reporter(on_epoch))
        logits = self.logits(model, "val", np.arange(len(self.val_labels)))
        seconds = time.perf_counter() - start
        made = (seconds, model, self.device_kind, libraries(), logits)
        return OwnOutcome(*summarize(logits, self.val_labels), *made)

    def logits(self, model, split: str, ids: np.ndarray) -> np.ndarray:
        """What the model says of images, float [len(ids), classes]. Raises UserError for another shape and for what
        is not finite."""
        given = self.call("logits", model, split, np.asarray(ids, np.int64))
        return check_logits(given, len(ids), len(self.data.classes), f"{self.recipe.name}.logits")

    def train_probabilities(self, outcome: OwnOutcome, ids) -> np.ndarray:
        """Class probabilities of the training images `ids`, float32 [len(ids), classes]."""
        return probabilities_of(self.logits(outcome.model, "train", np.asarray(ids, np.int64)))

    def has(self, method: str) -> bool:
        """Whether the recipe has an optional method."""
        return callable(getattr(self.own, method, None))

    def features(self, model, split: str, ids: np.ndarray) -> np.ndarray:
        """The recipe's features of images, float32 [len(ids), d]. Raises UserError for another shape and for what is
        not finite."""
        given = self.call("features", model, split, np.asarray(ids, np.int64))
        return check_features(given, len(ids), f"{self.recipe.name}.features")

    def save(self, model, file: Path) -> None:
        """Has the recipe save a model into `file`, which is there whole or not at all. Raises UserError where it writes
        none, or more than MAX_MODEL bytes."""
        make_folder(file.parent)
        with tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent) as folder:
            unfinished = Path(folder) / f"model{file.suffix}"
            self.call("save", model, unfinished)
            if not unfinished.is_file() or unfinished.is_symlink():
                raise UserError(f"{self.recipe.name}.save wrote no file to the path that it was given; write one file")
            if (size := unfinished.stat().st_size) > MAX_MODEL:
                raise UserError(
                    f"{self.recipe.name}.save wrote {size / 2**30:.1f} GiB, and a model may have "
                    f"{MAX_MODEL / 2**30:.0f}; save its weights alone"
                )
            if (mode := file_mode(file)) == 0o600:  # in a data folder that is its owner's alone
                unfinished.chmod(mode)
            unfinished.replace(file)

    def load(self, file: Path) -> Any:
        """The model that `save` wrote into `file`. Raises UserError where the recipe cannot load it."""
        try:
            return self.call("load", file)
        except UserError as error:
            raise UserError(f"{error} (of {file}; without that file the model is trained again)") from None

    def call(self, method: str, *values):
        """What a method of the recipe returns. Raises UserError, a sentence, for whatever it raises."""
        with self.explained(method):
            return getattr(self.own, method)(*values)

    def iterate(self, method: str, *values) -> Generator:
        """What a method of the recipe that is a generator yields; the value of `yield from` is what it returns. Raises
        UserError as `call`, and where it is no generator."""
        given = self.call(method, *values)
        if not isinstance(given, Generator):
            raise UserError(
                f"{self.recipe.name}.{method} returned {type(given).__name__}; have it yield each step, and return the "
                "model at the end"
            )
        while True:
            with self.explained(method):
                try:
                    value = next(given)
                except StopIteration as end:
                    return end.value
            yield value

    @contextmanager
    def explained(self, method: str) -> Iterator[None]:
        """Turns what a method of the recipe raises inside into a UserError, a sentence."""
        try:
            yield
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # sys.exit, too: the worker goes on
            traceback.print_exc()
            said = (str(error).splitlines() or ["without a word"])[0][:300]
            hint = ""
            if isinstance(error, ModuleNotFoundError) and (Path(self.recipe.folder) / f"{error.name}.py").exists():
                hint = f"; write {error.name}.py into its sources, so that the recipe's hash covers it"
            raise UserError(f"{self.recipe.name}.{method} raised {type(error).__name__}: {said}{hint}") from None


class Reporter:
    """What `fit` reports its progress to: report(done, total)."""

    def __init__(self, on_epoch: Report | None):
        self.on_epoch, self.last = on_epoch, -REPORT_SECONDS

    def __call__(self, done, total=0) -> None:
        """Says that `done` of `total` is done, of epochs or steps; as often as one likes."""
        now = time.monotonic()
        if self.on_epoch and (now - self.last >= REPORT_SECONDS or done == total):
            self.last = now
            self.on_epoch(max(0, int(done)), max(0, int(total)))


def check_logits(given, n: int, classes: int, source: str) -> np.ndarray:
    """`given` as float32 [n, classes], or as float64 where float32 would round: two large logits may differ by little.
    source: what the sentence calls it. Raises UserError for another shape, and for what is not finite in float32."""
    if hasattr(given, "detach"):  # torch's, on any device; its library is not imported here
        given = given.detach().cpu()
        given = (given if str(given.dtype) == "torch.float64" else given.float()).numpy()
    try:
        logits = np.asarray(given)
        logits = logits.astype(np.float32 if np.can_cast(logits.dtype, np.float32) else np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise UserError(f"{source} are no array of numbers ({error}); return float32 [{n}, {classes}]") from None
    if logits.shape != (n, classes):
        raise UserError(f"{source} have the shape {list(logits.shape)}; they need [{n}, {classes}], a row an image")
    with np.errstate(over="ignore"):
        finite = np.isfinite(logits.astype(np.float32, copy=False)).all(1)
    if not finite.all():
        wrong = int(np.flatnonzero(~finite)[0])
        raise UserError(
            f"{source} hold NaN or infinity (row {wrong} is the first of them); the training may have diverged"
        )
    return logits


def check_features(given, n: int, source: str) -> np.ndarray:
    """`given` as float32 [n, d]. source: what the sentence calls it. Raises UserError for another shape, and for what
    is not finite."""
    if hasattr(given, "detach"):
        given = given.detach().float().cpu().numpy()
    try:
        features = np.asarray(given, np.float32)
    except (TypeError, ValueError) as error:
        raise UserError(f"{source} are no array of numbers ({error}); return float32 [{n}, d]") from None
    if features.ndim != 2 or len(features) != n or not 1 <= features.shape[1] <= MAX_FEATURES:
        raise UserError(
            f"{source} have the shape {list(features.shape)}; they need [{n}, d], a row an image and d from 1 to "
            f"{MAX_FEATURES:,}"
        )
    if not np.isfinite(features).all():
        wrong = int(np.flatnonzero(~np.isfinite(features).all(1))[0])
        raise UserError(f"{source} hold NaN or infinity (row {wrong} is the first of them)")
    return features


def summarize(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predicted, margins and probabilities as in `TrainingOutcome`, of logits float [n, classes] and true labels."""
    predicted = logits.argmax(1).astype(np.min_scalar_type(logits.shape[1] - 1))
    others, rows = logits.astype(np.float64), np.arange(len(labels))
    correct = others[rows, labels].copy()
    others[rows, labels] = -np.inf
    return predicted, correct - others.max(1), probabilities_of(logits)


def device_name(device: str) -> str:
    """The kind of device, the GPU's name where torch knows it."""
    torch = sys.modules.get("torch")
    return torch.cuda.get_device_name() if device == "cuda" and torch and torch.cuda.is_available() else device


def libraries() -> str:
    """The versions of what the recipe computes with: "torch 2.14.1, numpy 2.4.6"."""
    found = [(name, getattr(sys.modules.get(name), "__version__", None)) for name in (*LIBRARIES, "numpy")]
    return ", ".join(f"{name} {version}" for name, version in found if version)
