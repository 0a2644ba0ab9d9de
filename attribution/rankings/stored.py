"""Rankings that are stored in the workspace: TRAK, Datamodels, and imported ones."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from attribution.errors import UserError
from attribution.files import read_array
from attribution.rankings.base import RankedImages, Ranking

if TYPE_CHECKING:
    from attribution.workspace.workspace import Workspace


class StoredRanking(Ranking):
    """A ranking in `rankings/<name>/`, target-major, so that reading a target is a contiguous read.

    The scores are in one of three forms:
    - dense: `scores.npy`, float16, float32 or float64 [n_val, n_train], NaN where nothing was scored; or int8 of that
      shape, and `scales.npy`, float32 [n_val], what 1 stands for in each target's row;
    - sparse: `data.npy`, `columns.npy` and `starts.npy`, a CSR matrix, with or without `tail.npy` (see `top`);
    - the first K alone: `ids.npy`, int32 [n_val, ends, K], best first, padded with -1, for one end or two (helpful,
      harmful), and perhaps their scores, `values.npy`, float32 or float64 of that shape.
    `targets.npy` lists the validation images that have a ranking, where these are not all. Methods raise UserError
    where the files cannot be read or do not have the workspace's size.
    """

    def __init__(self, workspace: Workspace, name: str):
        super().__init__(workspace)
        provenance = workspace.manifest["parts"][f"rankings/{name}"]
        self.name = name
        self.method = provenance.get("method", name)
        self.signed = provenance.get("signed", False)
        self.made_for = provenance.get("made_for")
        self.description = provenance.get("about", "")
        self.zero_is_none = provenance.get("zero_is_none", False)
        self.folder = workspace.folder(f"rankings/{name}")

    @property
    def complete(self):
        """See `Ranking.complete`."""
        return "ids" not in self._arrays

    @property
    def version(self):
        """See `Ranking.version`."""
        return self.workspace.manifest["parts"][f"rankings/{self.name}"].get("digest")

    @cached_property
    def targets(self) -> np.ndarray:
        """See `Ranking.targets`."""
        if "targets" in self._arrays:
            return np.asarray(self._arrays["targets"], np.int64)
        if "ids" in self._arrays:
            return np.flatnonzero(self._arrays["ids"][:, 0, 0] >= 0)
        return np.arange(self.workspace.n_val)

    @cached_property
    def _arrays(self) -> dict[str, np.ndarray]:
        n, n_val = self.workspace.n_train, self.workspace.n_val
        rows = {"scores": n_val, "scales": n_val, "tail": n_val, "ids": n_val, "values": n_val, "starts": n_val + 1}
        arrays = {file.stem: read_array(file, rows.get(file.stem)) for file in self.folder.glob("*.npy")}
        if "scores" in arrays:
            fits = arrays["scores"].shape[1:] == (n,)
            fits = fits and ("scales" in arrays) == (arrays["scores"].dtype == np.int8)
        elif "ids" in arrays:
            fits = arrays["ids"].ndim == 3 and arrays["ids"].shape[1] == 1 + self.signed
            fits = fits and arrays.get("values", arrays["ids"]).shape == arrays["ids"].shape
        else:
            fits = {"data", "columns", "starts"} <= set(arrays) and arrays["columns"].max(initial=0) < n
            fits = fits and len(arrays["data"]) == len(arrays["columns"]) == arrays["starts"][-1]
        if not fits:
            raise UserError(f"the arrays in {self.folder} do not score {n} training images; copy the workspace again")
        return arrays

    def _precision(self, name: str) -> np.dtype:
        """What the numbers of a stored array are read as: as they are stored, float16 as float32."""
        return np.promote_types(self._arrays[name].dtype, np.float32)

    def values(self, target, candidates):
        """See `Ranking.values`."""
        return self.score_row(target)[candidates]

    def score_row(self, target: int) -> np.ndarray:
        """Scores of all training images for a target, float [n_train]; positive is helpful, NaN is not scored.

        Raises UserError where only the first K are stored.
        """
        arrays = self._arrays
        if "scores" in arrays:
            row = np.asarray(arrays["scores"][target], self._precision("scores"))
            return row * arrays["scales"][target] if "scales" in arrays else row
        if "ids" in arrays:
            raise UserError(
                f"{self.name} keeps its first {arrays['ids'].shape[2]} training images for each target, "
                "not every score; import it again with --dense"
            )
        row = np.zeros(self.workspace.n_train, self._precision("data"))
        part = slice(int(arrays["starts"][target]), int(arrays["starts"][target + 1]))
        row[arrays["columns"][part]] = arrays["data"][part]
        return row

    def image_scores(self, image):
        """See `Ranking.image_scores`: a strided read of dense scores, a search through the others; None where the first
        K have no scores."""
        arrays = self._arrays
        stored = next((name for name in ("scores", "values", "data") if name in arrays), "ids")
        column = np.full(self.workspace.n_val, np.nan, self._precision(stored))
        if "scores" in arrays:
            column[self.targets] = arrays["scores"][self.targets, image]
            column *= arrays.get("scales", 1)
        elif "ids" in arrays:
            if "values" not in arrays:
                return None
            at = np.nonzero(arrays["ids"] == image)
            column[at[0]] = arrays["values"][at]
        else:
            column[self.targets] = 0
            at = np.flatnonzero(arrays["columns"] == image)
            column[np.searchsorted(arrays["starts"], at, side="right") - 1] = arrays["data"][at]
        return column

    def candidates(self, target, candidate_set=None):
        """See `Ranking.candidates`."""
        pool = super().candidates(target, candidate_set)
        return pool[~np.isnan(self._arrays["scores"][target][pool])] if "scores" in self._arrays else pool

    def top(self, target, k, candidates=None, end="helpful"):
        """As `Ranking.top`; images without a score are not ranked.

        The zeros of a sparse regression are ties: they follow the nonzero scores in the order of `tail.npy` (int
        [n_val, 2, length]: helpful end, harmful end; padded with images of nonzero score), and the ranking ends with
        the tail. Where only the first K are stored it ends with them.
        """
        if "ids" in self._arrays:
            return self._top_of_list(target, k, candidates, end)
        ranked = super().top(target, k, candidates, end)
        sign = 1 if end == "helpful" else -1
        if "tail" not in self._arrays:
            scored = sign * ranked.scores > 0 if self.zero_is_none else slice(None)
            return RankedImages(ranked.ids[scored], ranked.scores[scored])
        nonzero = ranked.ids[sign * ranked.scores > 0]
        tail = np.asarray(self._arrays["tail"][target, 0 if end == "helpful" else 1], np.int64)
        tail = tail[np.isin(tail, self.candidates(target, candidates)) & (self.score_row(target)[tail] == 0)]
        tail = tail[: len(ranked.ids) - len(nonzero)]
        scores = np.concatenate([ranked.scores[: len(nonzero)], np.zeros(len(tail), ranked.scores.dtype)])
        return RankedImages(np.concatenate([nonzero, tail]), scores)

    def _top_of_list(self, target, k, candidates, end) -> RankedImages:
        target, k = self.check(target, k, end)
        side = 0 if end == "helpful" else 1
        ids = np.asarray(self._arrays["ids"][target, side], np.int64)
        allowed = ids >= 0
        if candidates not in (None, "all"):
            allowed &= np.isin(ids, self.candidates(target, candidates))
        chosen = np.flatnonzero(allowed)[:k]
        scores = None
        if "values" in self._arrays:
            scores = np.asarray(self._arrays["values"][target, side][chosen], self._precision("values"))
        return RankedImages(ids[chosen], scores)


def to_bytes(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Finite scores [targets, n_train] as int8 of that shape and float32 [targets], what 1 stands for in each row: a
    127th of its largest."""
    scales = (np.abs(scores).max(axis=1) / 127).astype(np.float32)
    scales[scales == 0] = 1
    return np.rint(scores / scales[:, None]).astype(np.int8), scales
