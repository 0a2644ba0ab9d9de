"""Rankings computed once and stored in the workspace: TRAK, Datamodels, and what a user brings."""

from functools import cached_property

import numpy as np

from attribution.errors import UserError
from attribution.files import read_array
from attribution.rankings import Ranked, Ranking


class Stored(Ranking):
    """A ranking in `rankings/<name>/`, target-major, so that one target is one contiguous read.

    `scores.npy`: float16 [n_val, n_train], or sparse as `data.npy`, `columns.npy` and `starts.npy` (a CSR matrix).
    Its methods raise UserError where these cannot be read, or are not of the workspace's size.
    """

    def __init__(self, workspace, name: str):
        super().__init__(workspace)
        about = workspace.manifest["parts"][f"rankings/{name}"]
        self.name = name
        self.method = about.get("method", name)
        self.signed = about.get("signed", False)
        self.made_for = about.get("made_for")
        self.about = about.get("about", "")
        self.folder = workspace.path / "rankings" / name

    @property
    def version(self):
        return self.workspace.manifest["parts"][f"rankings/{self.name}"].get("digest")

    @cached_property
    def _arrays(self) -> dict[str, np.ndarray]:
        rows = {"scores": self.workspace.n_val, "tail": self.workspace.n_val, "starts": self.workspace.n_val + 1}
        found = {file.stem: read_array(file, rows.get(file.stem)) for file in self.folder.glob("*.npy")}
        n = self.workspace.n_train
        if "scores" in found:
            fits = found["scores"].shape[1:] == (n,)
        else:
            fits = {"data", "columns", "starts"} <= set(found) and found["columns"].max(initial=0) < n
            fits = fits and len(found["data"]) == len(found["columns"]) == found["starts"][-1]
        if not fits:
            raise UserError(f"the arrays in {self.folder} do not score {n} training images; copy the workspace again")
        return found

    def values(self, target, candidates):
        return self.row(target)[candidates]

    def row(self, target: int) -> np.ndarray:
        """Scores of all training images for one target, float32 [n_train]; positive is helpful."""
        arrays = self._arrays
        if "scores" in arrays:
            return np.asarray(arrays["scores"][target], np.float32)
        row = np.zeros(self.workspace.n_train, np.float32)
        part = slice(int(arrays["starts"][target]), int(arrays["starts"][target + 1]))
        row[arrays["columns"][part]] = arrays["data"][part]
        return row

    def top(self, target, k, candidates=None, end="helpful"):
        """As `Ranking.top`. Zeros of a sparse regression are ties: they follow in the order of `tail.npy` (int
        [n_val, 2, length]: helpful end, harmful end; padded with images that are no zeros), and where that is at its
        end so is the ranking."""
        ranked = super().top(target, k, candidates, end)
        if "tail" not in self._arrays:
            return ranked
        sign = 1 if end == "helpful" else -1
        found = ranked.ids[sign * ranked.scores > 0]
        tail = np.asarray(self._arrays["tail"][target, 0 if end == "helpful" else 1], np.int64)
        tail = tail[np.isin(tail, self.candidates(target, candidates)) & (self.row(target)[tail] == 0)]
        tail = tail[: len(ranked.ids) - len(found)]
        scores = np.concatenate([ranked.scores[: len(found)], np.zeros(len(tail), np.float32)])
        return Ranked(np.concatenate([found, tail]), scores)
