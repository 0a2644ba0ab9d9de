"""What the functions of a notebook return: plain values that show themselves, as text and as HTML."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from attribution.explore.lineup import LineupRow, lineup_rows
from attribution.export import lineup_figure
from attribution.export.numbers import MISSING, score
from attribution.export.tables import to_html
from attribution.files import user_path
from attribution.inputs import names
from attribution.notebook.frame import picture_html
from attribution.workspace.workspace import Workspace


@dataclass(frozen=True)
class Lineup:
    """The lineup of a target: a row of training images a ranking. In a notebook it is drawn; k: the cut, or None."""

    workspace: Workspace = field(repr=False)
    target: int
    rows: list[LineupRow]
    k: int | None = None

    def __repr__(self) -> str:
        label = self.workspace.classes[self.workspace.val_labels[self.target]]
        lines = [f"validation image {self.target} ({label})"]
        for row in self.rows:
            images = row.undefined or ", ".join(map(str, row.ids.tolist()))
            lines.append(f"{row.ranking}, {'helpful' if row.sign > 0 else 'harmful'}: {images}")
        return "\n".join(map(names.visible, lines))

    def _repr_html_(self) -> str:
        return picture_html(self.png(), self.one_line())

    def one_line(self) -> str:
        """What the picture shows, for those who do not see it."""
        return "; ".join(repr(self).splitlines())

    def png(self) -> bytes:
        """The figure as the content of a PNG file."""
        return lineup_figure.encode(self.workspace, self.target, self.rows, ".png", self.k)

    def image(self) -> Image.Image:
        """The figure as a picture of Pillow's, which a notebook shows, too."""
        return lineup_figure.draw(self.workspace, self.target, self.rows, self.k)

    def save(self, path: str | Path) -> Path:
        """Writes the figure (.png, .svg, .pdf) or the table behind it (.csv); returns the path. Raises UserError for
        another ending, and where the file cannot be written."""
        return lineup_figure.save(self.workspace, self.target, self.rows, user_path(path), self.k)


@dataclass(frozen=True)
class TopImages:
    """The first training images of a ranking for a target: ids int64 [k], best first, and scores float32 [k], or None
    where it has none. Its length is k, and it iterates over the ids."""

    workspace: Workspace = field(repr=False)
    target: int
    ranking: str
    end: str
    candidates: str | None
    ids: np.ndarray
    scores: np.ndarray | None

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[int]:
        return iter(self.ids.tolist())

    @property
    def labels(self) -> list[str]:
        """The given labels of the images, by name."""
        return [self.workspace.classes[label] for label in self.workspace.train_labels[self.ids]]

    def __repr__(self) -> str:
        lines = [f"{self.ranking}, {self.end}, for validation image {self.target}"]
        for rank, (image, label) in enumerate(zip(self.ids.tolist(), self.labels), 1):
            value = MISSING if self.scores is None else score(float(self.scores[rank - 1]))
            lines.append(f"{rank:3}  image {image}  {label}  {value}")
        return "\n".join(map(names.visible, lines))

    def _repr_html_(self) -> str:
        rows = lineup_rows(
            self.workspace, self.target, [self.ranking], max(1, len(self)), self.end, candidates=self.candidates
        )
        return Lineup(self.workspace, self.target, rows)._repr_html_()


class Answer(dict):
    """What a retraining or a search found: the keys of the command line's `--json`. title, rows (dicts of column ->
    text) and notes are how it is shown."""

    def __init__(self, values: dict, title: str, rows: list[dict], notes: tuple[str, ...] = ()):
        super().__init__(values)
        self.title, self.rows, self.notes = title, rows, notes

    def __repr__(self) -> str:
        lines = [", ".join(f"{column} {value}".strip() for column, value in row.items()) for row in self.rows]
        return "\n".join(map(names.visible, [self.title, *lines, *self.notes]))

    def _repr_html_(self) -> str:
        columns = list(self.rows[0]) if self.rows else []
        return to_html(columns, [row.values() for row in self.rows], names.visible(self.title)) + "".join(
            to_paragraph(note) for note in self.notes
        )


def to_paragraph(text: str) -> str:
    """A line of text as HTML."""
    from markupsafe import escape

    return f"<p>{escape(names.visible(text))}</p>"
