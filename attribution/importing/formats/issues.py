"""Tables of label issues that other tools write, a row an image.

cleanlab   is_label_issue, label_quality or label_score (low is suspicious), given_label, predicted_label: what
           `CleanLearning.find_label_issues` returns, and `Datalab.get_issues("label")`, as .csv or .parquet
FiftyOne   filepath, mistakenness (high is suspicious), and where it was exported the predicted label: samples.json, or
           .csv of these fields
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from attribution.errors import UserError
from attribution.importing.formats.image_table import ImageTable, load_table
from attribution.importing.formats.predictions import ImageNames

QUALITY, FLAG, MISTAKENNESS = ("label_quality", "label_score"), "is_label_issue", "mistakenness"
GIVEN = ("given_label", "ground_truth.label", "ground_truth")
PREDICTED = (
    *("predicted_label", "suggested_label", "possible_label"),
    *("predictions.label", "prediction.label", "predictions", "prediction"),
)
TRUE, FALSE = ("true", "1", "1.0"), ("false", "0", "0.0")


@dataclass(frozen=True)
class Issues:
    """What was read. tool: who writes such tables; scores: how suspicious each training image is, float64 [n], those
    that the table leaves out below all others; suggestion: the class that it would give instead, int64 [n], the given
    one where it says none, None where it never does; listed, flagged: how many images it has, and how many it calls
    issues (None where it does not say)."""

    tool: str
    scores: np.ndarray
    suggestion: np.ndarray | None
    listed: int
    flagged: int | None


def load_issues(path: Path, images: ImageNames, labels: np.ndarray, classes: list[str], force: bool = False) -> Issues:
    """The issues in the table at `path`. labels: the given ones, int64 [n].

    Raises UserError where it has no column that says how suspicious an image is, for values that cannot be, as
    `load_table`, and unless force where it says that images were given other labels.
    """
    table = load_table(path, images, (*QUALITY, FLAG, MISTAKENNESS, *GIVEN, *PREDICTED))
    quality, given, predicted = (table.first(names) for names in (QUALITY, GIVEN, PREDICTED))
    flags = _flags(table) if FLAG in table.columns else None
    if quality:
        numbers = table.numbers(quality)
        outside = (numbers < 0) | (numbers > 1)
        if outside.any():
            raise UserError(
                f"{path} has {numbers[outside.argmax()]:g} in its column {quality}, and a quality is from 0 (surely "
                "wrong) to 1; write cleanlab's table again"
            )
        tool, suspicion = "cleanlab", 1 - numbers
    elif MISTAKENNESS in table.columns:
        tool, suspicion = "FiftyOne", table.numbers(MISTAKENNESS)
    elif flags is not None:
        tool, suspicion = "cleanlab", flags.astype(float)
    else:
        raise UserError(
            f"{path} does not say how suspicious an image is; bring a table with cleanlab's column label_quality, "
            "label_score or is_label_issue, or FiftyOne's mistakenness"
        )
    if given and not force:
        _check_given(table, table.classes(given, classes), labels, classes)
    scores = np.full(images.n, suspicion.min() - 1)
    scores[table.images] = suspicion
    suggestion = None
    if predicted:
        suggestion = np.array(labels, np.int64)
        said = table.classes(predicted, classes)
        suggestion[table.images[said >= 0]] = said[said >= 0]
    return Issues(tool, scores, suggestion, len(suspicion), None if flags is None else int(flags.sum()))


def _flags(table: ImageTable) -> np.ndarray:
    """Whether each row is an issue, bool [rows]."""
    cells = [text.lower() for text in table.columns[FLAG]]
    wrong = [text for text in cells if text not in (*TRUE, *FALSE)]
    if wrong:
        raise UserError(f"{table.path} has {wrong[0][:40]!r} in its column {FLAG}; write True or False in each row")
    return np.array([text in TRUE for text in cells])


def _check_given(table: ImageTable, given: np.ndarray, labels: np.ndarray, classes: list[str]) -> None:
    others = (given >= 0) & (given != labels[table.images])
    if others.any():
        row = int(others.argmax())
        image = table.images[row]
        raise UserError(
            f"{table.path} says that training image {image} was given {classes[given[row]]!r}, and here it was given "
            f"{classes[labels[image]]!r}, and so of {others.sum():,} images; it is of another data set or in another "
            "order: bring the table of this one, or keep it as it is with --force"
        )
