"""Rankings computed once and stored in the workspace: TRAK, Datamodels, and what a user brings."""

from functools import cached_property

import numpy as np

from attribution.errors import UserError
from attribution.files import read_array
from attribution.rankings import Ranked, Ranking


class Stored(Ranking):
    """A ranking in `rankings/<name>/`, target-major, so that one target is one contiguous read.

    `targets.npy`: the validation images it ranks for, where these are not all. `scores.npy`: float16 or float32
    [n_val, n_train], NaN where nothing was scored; or sparse as `data.npy`,
    `columns.npy` and `starts.npy` (a CSR matrix); or the first K alone, as `ids.npy`: int32 [n_val, ends, K], best
    first, -1 where a list is at its end, one end or two (helpful, harmful), and `values.npy` float32 of that shape, if
    there are any. Its methods raise UserError where these cannot be read, or are not of the workspace's size.
    """

    def __init__(self, workspace, name: str):
        super().__init__(workspace)
        about = workspace.manifest["parts"][f"rankings/{name}"]
        self.name = name
        self.method = about.get("method", name)
        self.signed = about.get("signed", False)
        self.made_for = about.get("made_for")
        self.about = about.get("about", "")
        self.zero_is_none = about.get("zero_is_none", False)
        self.folder = workspace.folder(f"rankings/{name}")

    @property
    def complete(self):
        return "ids" not in self._arrays

    @property
    def version(self):
        return self.workspace.manifest["parts"][f"rankings/{self.name}"].get("digest")

    @cached_property
    def targets(self) -> np.ndarray:
        if "targets" in self._arrays:
            return np.asarray(self._arrays["targets"], np.int64)
        if "ids" in self._arrays:
            return np.flatnonzero(self._arrays["ids"][:, 0, 0] >= 0)
        return np.arange(self.workspace.n_val)

    @cached_property
    def _arrays(self) -> dict[str, np.ndarray]:
        n, n_val = self.workspace.n_train, self.workspace.n_val
        rows = {"scores": n_val, "tail": n_val, "ids": n_val, "values": n_val, "starts": n_val + 1}
        found = {file.stem: read_array(file, rows.get(file.stem)) for file in self.folder.glob("*.npy")}
        if "scores" in found:
            fits = found["scores"].shape[1:] == (n,)
        elif "ids" in found:
            fits = found["ids"].ndim == 3 and found["ids"].shape[1] == 1 + self.signed
            fits = fits and found.get("values", found["ids"]).shape == found["ids"].shape
        else:
            fits = {"data", "columns", "starts"} <= set(found) and found["columns"].max(initial=0) < n
            fits = fits and len(found["data"]) == len(found["columns"]) == found["starts"][-1]
        if not fits:
            raise UserError(f"the arrays in {self.folder} do not score {n} training images; copy the workspace again")
        return found

    def values(self, target, candidates):
        return self.row(target)[candidates]

    def row(self, target: int) -> np.ndarray:
        """Scores of all training images for one target, float32 [n_train]; positive is helpful, NaN is not scored.

        Raises UserError where only the first K are stored.
        """
        arrays = self._arrays
        if "scores" in arrays:
            return np.asarray(arrays["scores"][target], np.float32)
        if "ids" in arrays:
            raise UserError(
                f"{self.name} keeps its first {arrays['ids'].shape[2]} training images for each target, "
                "not every score; import it again with --dense"
            )
        row = np.zeros(self.workspace.n_train, np.float32)
        part = slice(int(arrays["starts"][target]), int(arrays["starts"][target + 1]))
        row[arrays["columns"][part]] = arrays["data"][part]
        return row

    def column(self, image):
        """As `Ranking.column`: one read across all targets, in a sparse matrix or in the first K a search through
        them; None where the first K have no scores."""
        arrays = self._arrays
        found = np.full(self.workspace.n_val, np.nan, np.float32)
        if "scores" in arrays:
            found[self.targets] = arrays["scores"][self.targets, image]
        elif "ids" in arrays:
            if "values" not in arrays:
                return None
            at = np.nonzero(arrays["ids"] == image)
            found[at[0]] = arrays["values"][at]
        else:
            found[self.targets] = 0
            at = np.flatnonzero(arrays["columns"] == image)
            found[np.searchsorted(arrays["starts"], at, side="right") - 1] = arrays["data"][at]
        return found

    def candidates(self, target, which=None):
        pool = super().candidates(target, which)
        return pool[~np.isnan(self._arrays["scores"][target][pool])] if "scores" in self._arrays else pool

    def top(self, target, k, candidates=None, end="helpful"):
        """As `Ranking.top`, where what is not scored is not ranked.

        Zeros of a sparse regression are ties: they follow in the order of `tail.npy` (int [n_val, 2, length]: helpful
        end, harmful end; padded with images that are no zeros), and where that is at its end so is the ranking. Where
        the first K are stored the ranking ends with them.
        """
        if "ids" in self._arrays:
            return self._listed(target, k, candidates, end)
        ranked = super().top(target, k, candidates, end)
        sign = 1 if end == "helpful" else -1
        if "tail" not in self._arrays:
            kept = sign * ranked.scores > 0 if self.zero_is_none else slice(None)
            return Ranked(ranked.ids[kept], ranked.scores[kept])
        found = ranked.ids[sign * ranked.scores > 0]
        tail = np.asarray(self._arrays["tail"][target, 0 if end == "helpful" else 1], np.int64)
        tail = tail[np.isin(tail, self.candidates(target, candidates)) & (self.row(target)[tail] == 0)]
        tail = tail[: len(ranked.ids) - len(found)]
        scores = np.concatenate([ranked.scores[: len(found)], np.zeros(len(tail), np.float32)])
        return Ranked(np.concatenate([found, tail]), scores)

    def _listed(self, target, k, candidates, end) -> Ranked:
        target, k = self.check(target, k, end)
        at = 0 if end == "helpful" else 1
        ids = np.asarray(self._arrays["ids"][target, at], np.int64)
        kept = ids >= 0
        if candidates not in (None, "all"):
            kept &= np.isin(ids, self.candidates(target, candidates))
        kept = np.flatnonzero(kept)[:k]
        scores = None
        if "values" in self._arrays:
            scores = np.asarray(self._arrays["values"][target, at][kept], np.float32)
        return Ranked(ids[kept], scores)
