"""One line to show: data and scores in memory, lined up in the dashboard."""

import hashlib
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from attribution.data import DataSet, objects
from attribution.errors import UserError
from attribution.files import data_folder, locked
from attribution.importing.base_predictions import import_predictions
from attribution.importing.formats import DataSetSizes
from attribution.importing.formats.predictions import ImageNames, Predictions, from_array
from attribution.notebook.opened import OpenWorkspace, import_scores, import_text
from attribution.notebook.progress import Progress
from attribution.notebook.scores import NamedScores, in_notebook_words, read_scores
from attribution.rankings import default_rankings
from attribution.workspace.create import create
from attribution.workspace.fingerprint import image_digest
from attribution.workspace.provenance import command_provenance
from attribution.workspace.workspace import Workspace

#: where the workspaces that `show` makes are, in the data folder
FOLDER = "shown"
#: what the model behind logits is called, where nobody says
MODEL = "my-model"


def show(
    train,
    val=None,
    scores=None,
    *,
    sign: str | Mapping[str, str] | None = None,
    logits=None,
    orientation: str | Mapping[str, str] | None = None,
    classes: Sequence[str] | None = None,
    name: str = "data",
    target: int | None = None,
    port: int | None = None,
    height: int = 900,
    serve: bool = True,
    force: bool = False,
) -> OpenWorkspace:
    """Lines up training images by your scores, in the dashboard, and returns the workspace that this is.

    train, val: (images, labels), a Dataset of torch or of Hugging Face, or lists of picture files with labels; classes:
    their names (`attribution.data.objects.from_objects`). scores: name -> an array [n_val, n_train], or what another
    library returns or has written; sign: what a positive score means, "helpful" where it raises the margin of the true
    class, "harmful" or "unsigned", asked for where the scores do not say it; orientation: of square matrices
    (`attribution.notebook.scores`). logits: of your model, [n_val, n_classes], or [models, n_val, n_classes], or a dict
    of one name -> these; the pages then say what it predicts. target: the validation image that it opens with.
    port, height, serve: as of `OpenWorkspace.show`. force: keeps scores and logits that do not pass their checks.

    The workspace is kept in the data folder. Its name there is a fingerprint of all that was given, so that the same
    data and scores find it, and nothing is made twice. Nothing is trained. Raises UserError for data, scores or logits
    that are not fit, with nothing half made left behind.

    >>> import attribution as lineup
    >>> demo = lineup.open().workspace
    >>> train, val = (demo.train_images, demo.train_labels), (demo.val_images, demo.val_labels)
    >>> ws = lineup.show(train, val, scores={"mine": scores}, sign="helpful")  # doctest: +SKIP
    """
    with Progress() as progress:
        data_set = objects.from_objects(train, val, classes, name, progress)
        named = read_scores(scores, DataSetSizes(data_set.train.labels, data_set.val.labels), sign, orientation)
        models = _read_logits(logits, data_set)
        path = _home(data_set, named, models)
        with locked(path.parent):
            ws = _find_or_make(path, data_set, named, models, force, progress)
    ws = Workspace.open(ws.path, next(iter(models), None))
    for note in data_set.notes:
        print(note)
    for one in named:
        print(import_text(ws, one.name))
    opened = OpenWorkspace(ws)
    others = [ranking for ranking in default_rankings(ws) if ranking not in [one.name for one in named]]
    opened.show(target, [*(one.name for one in named), *others], port=port, height=height, serve=serve)
    return opened


def _read_logits(given, data_set: DataSet) -> dict[str, Predictions]:
    """Name of the model -> its predictions; at most one."""
    if given is None:
        return {}
    named = given if isinstance(given, Mapping) else {MODEL: given}
    if len(named) != 1:
        raise UserError(f"logits are of one model, and there are {len(named)}; import the others with: base import")
    ((name, values),) = named.items()
    images = ImageNames("validation", np.arange(len(data_set.val.labels)), None)
    return {name: from_array(objects.to_array(values), images, data_set.classes)}


def _home(data_set: DataSet, named: list[NamedScores], models: dict[str, Predictions]) -> Path:
    """The folder of the workspace that has just this."""
    given = {
        "name": data_set.name,
        "classes": list(map(str, data_set.classes)),
        "images": [image_digest(part.images) for part in (data_set.train, data_set.val)],
        "labels": [_array_digest(np.asarray(part.labels, "<i8")) for part in (data_set.train, data_set.val)],
        "scores": [[one.name, one.digest] for one in named],
        "models": [[name, _array_digest(predictions.probabilities)] for name, predictions in models.items()],
    }
    digest = hashlib.sha256(json.dumps(given).encode()).hexdigest()
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", data_set.name).strip("-._")[:40] or "data"
    return data_folder() / FOLDER / f"{readable}-{digest[:16]}"


def _array_digest(array: np.ndarray) -> str:
    return hashlib.sha256(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes()).hexdigest()


def _find_or_make(
    path: Path,
    data_set: DataSet,
    named: list[NamedScores],
    models: dict[str, Predictions],
    force: bool,
    progress,
) -> Workspace:
    """The workspace at `path`, with all scores and models: what is there already is not made again."""
    is_new = not (path / "workspace.json").exists()
    ws = create(path, data_set, name=data_set.name) if is_new else Workspace.open(path)
    try:
        for one in named:
            if f"rankings/{one.name}" not in ws.manifest["parts"]:
                import_scores(ws, one, force, progress)
        for name, predictions in models.items():
            if name not in ws.models():
                made = {**command_provenance("base import"), "command": "attribution.show"}
                in_notebook_words(import_predictions, ws, name, predictions, made, force=force)
    except BaseException:
        if is_new:
            shutil.rmtree(path, ignore_errors=True)
        raise
    return ws
