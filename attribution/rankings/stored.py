"""Rankings computed once and stored in the workspace: TRAK, Datamodels, and what a user brings."""

from functools import cached_property

import numpy as np

from attribution.files import read_array
from attribution.rankings import Ranking


class Stored(Ranking):
    """A ranking in `rankings/<name>/`, target-major, so that one target is one contiguous read.

    `scores.npy`: float16 [n_val, n_train], or sparse as `data.npy`, `columns.npy` and `starts.npy` (a CSR matrix).
    `tail.npy`, where it is there: float16 [n_val, n_train] order of the images whose score is exactly zero (larger
    first): LASSO's zeros are ties and are not ranked as if ordered (protocol.md, section 4).
    """

    def __init__(self, workspace, name: str):
        super().__init__(workspace)
        about = workspace.manifest["parts"][f"rankings/{name}"]
        self.name = name
        self.method = about["method"]
        self.signed = about["signed"]
        self.made_for = about["made_for"]
        self.about = about["about"]
        self.folder = workspace.path / "rankings" / name

    @cached_property
    def _arrays(self) -> dict[str, np.ndarray]:
        rows = {"scores": self.workspace.n_val, "starts": self.workspace.n_val + 1}
        found = sorted(file.stem for file in self.folder.glob("*.npy"))
        return {stem: read_array(self.folder / f"{stem}.npy", rows.get(stem)) for stem in found}

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
