"""A feature set in two dimensions: the map. Computed once and saved as the part "map/<features>".

t-SNE (van der Maaten and Hinton, JMLR 2008; openTSNE, Poličar et al., 2019) where openTSNE is installed, the two first
principal components elsewhere. Features are scaled to length 1 first, since the rankings that compare them go by angle
or nearly so. Training images make the map; validation images are put into it after, so that they cannot move it.
Its quality is its trustworthiness (Venna and Kaski, 2001), in [0, 1]: 1 where an image's neighbours on the map are its
neighbours in the features, 0.5 for a random map. Distances between far groups, and axes, mean nothing in t-SNE.
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from attribution.errors import UserError
from attribution.features.unit_rows import centred_unit_rows
from attribution.files import read_array
from attribution.files.libraries import install_command
from attribution.workspace.parts import Progress, save_part
from attribution.workspace.workspace import Workspace

METHODS = {"tsne": "t-SNE", "pca": "PCA"}
#: training images beyond which t-SNE takes hours, and values of a feature set beyond which it is not looked at
MAX_IMAGES, MAX_VALUES = 100_000, 1_000_000_000
MAX_DIM = 4096
SEED = 0
SAMPLE_IMAGES, SAMPLE_DRAWS, N_NEIGHBOURS = 2000, 5, 12


@dataclass(frozen=True)
class Projection:
    """train [n_train, 2] and val [n_val, 2], float16, within [-1, 1]; provenance: has "method" and, where it
    was measured, "trustworthiness" and "trustworthiness_pca", {"mean", "low", "high"} over random samples."""

    features: str
    train: np.ndarray
    val: np.ndarray
    provenance: dict


def default_method(workspace: Workspace) -> str:
    """The method where nobody says which."""
    small = workspace.n_train <= MAX_IMAGES
    return "tsne" if small and importlib.util.find_spec("openTSNE") else "pca"


def project(
    workspace: Workspace, name: str, method: str | None = None, progress: Progress = lambda *_: None
) -> Projection:
    """The map of a feature set, the same each time with the same versions. progress(text, done, total).

    Raises UserError for an unknown set or method, too large a set, one that is not finite or the same for all images
    (as of a training that collapsed), and where openTSNE is not installed."""
    method = method or default_method(workspace)
    if method not in METHODS:
        raise UserError(f"no map called {method!r}; say {' or '.join(METHODS)}")
    if method == "tsne" and not importlib.util.find_spec("openTSNE"):
        raise UserError(f"t-SNE needs openTSNE: {install_command('train')}; or say --method pca")
    if method == "tsne" and workspace.n_train > MAX_IMAGES:
        raise UserError(f"t-SNE of {workspace.n_train:,} images takes hours; say --method pca")
    features = workspace.feature(name)
    if features.train.size > MAX_VALUES or features.train.shape[1] > MAX_DIM:
        raise UserError(
            f"{name} is too large to be projected, {features.train.shape[0]:,} x "
            f"{features.train.shape[1]:,}; choose another feature set"
        )
    train, val = centred_unit_rows(features.train, features.val)
    if not (np.isfinite(train).all() and np.isfinite(val).all()):
        raise UserError(f"{name} holds numbers that are not finite; train or import these features again")
    if not np.ptp(train, axis=0).any():
        raise UserError(
            f"all images have the same {name} features, but for their length: there is nothing to draw; "
            "choose another feature set"
        )
    components = pca(train, val)
    points = _tsne(train, val, components[0], progress) if method == "tsne" else components
    scale = max(np.abs(points[0]).max(), np.abs(points[1]).max(initial=0)) or 1
    provenance = {"method": method, "seed": SEED, **_trustworthiness(train, points[0], components[0])}
    return Projection(name, *(np.float16(part / scale) for part in points), provenance)


def pca(train: np.ndarray, val: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first two principal components of train [n, d], and val [m, d] in them: float32 [n, 2] and [m, 2]; a second
    one of zeros where d is 1. The largest weight of each component is positive, so that the map is not mirrored at
    random."""
    mean = train.mean(0)
    centred = train - mean
    _, vectors = np.linalg.eigh(centred.T @ centred)
    axes = vectors[:, ::-1][:, :2]
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])])
    axes = np.pad(axes, ((0, 0), (0, 2 - axes.shape[1])))
    return centred @ axes, (val - mean) @ axes


def _tsne(train, val, start, progress):
    from openTSNE import TSNE
    from openTSNE.initialization import rescale

    done = 0

    def step(iteration, error, embedding):
        nonlocal done
        done += 50
        progress("map: steps of t-SNE", min(done, 750), 750)

    perplexity = min(30, (len(train) - 1) / 3)
    embedding = TSNE(
        perplexity=perplexity,
        initialization=rescale(start.astype(float)),
        random_state=SEED,
        n_jobs=1,
        callbacks=step,
        callbacks_every_iters=50,
    ).fit(train)
    return np.asarray(embedding), np.asarray(embedding.transform(val))


def _trustworthiness(train, map_points, pca_points) -> dict:
    """Trustworthiness over SAMPLE_DRAWS random samples of training images, of the map and of PCA; nothing without
    scikit-learn, or where there are too few images."""
    if not importlib.util.find_spec("sklearn") or len(train) < 4 * N_NEIGHBOURS:
        return {}
    from sklearn.manifold import trustworthiness

    rng = np.random.default_rng(SEED)
    samples = [
        rng.permutation(len(train))[:SAMPLE_IMAGES] for _ in range(SAMPLE_DRAWS if len(train) > SAMPLE_IMAGES else 1)
    ]
    answer = {"sample": len(samples[0]), "draws": len(samples), "neighbours": N_NEIGHBOURS}
    for key, points in (("trustworthiness", map_points), ("trustworthiness_pca", pca_points)):
        values = [float(trustworthiness(train[ids], points[ids], n_neighbors=N_NEIGHBOURS)) for ids in samples]
        answer[key] = {
            "mean": round(float(np.mean(values)), 4),
            "low": round(min(values), 4),
            "high": round(max(values), 4),
        }
    return answer


def points_in_polygon(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """Which points [n, 2] lie in a polygon [m, 2], by the even-odd rule: bool [n]."""
    from matplotlib.path import Path  # here, so that a page without a lasso does not wait for it

    return Path(polygon).contains_points(np.asarray(points, float))


def part_name(name: str) -> str:
    """The name of the part that holds the map of a feature set."""
    return f"map/{name}"


def save(workspace: Workspace, projection: Projection, provenance: dict, record: Callable | None = None) -> None:
    """Saves a map as a part, or calls record(part, arrays, provenance) to do so; provenance: what to add to its own."""
    of = _features_digest(workspace, projection.features)
    record = record or partial(save_part, workspace)
    arrays = {"train": projection.train, "val": projection.val}
    record(part_name(projection.features), arrays, {**provenance, **projection.provenance, "of": of})


def load(workspace: Workspace, name: str) -> Projection | None:
    """The saved map of a feature set; None where there is none, or where the set has changed since.

    Raises UserError where it cannot be read.
    """
    provenance = workspace.manifest["parts"].get(part_name(name))
    if provenance is None or name not in workspace.features() or provenance["of"] != _features_digest(workspace, name):
        return None
    folder = workspace.folder(part_name(name))
    return Projection(
        name,
        read_array(folder / "train.npy", workspace.n_train, 2),
        read_array(folder / "val.npy", workspace.n_val, 2),
        provenance,
    )


def _features_digest(workspace: Workspace, name: str) -> str | None:
    return workspace.manifest["parts"][f"features/{name}"].get("digest")
