"""Metasmoothness: how well does the derivative of a training predict what a training without some images becomes?

Unrolled rests on that derivative, so this says whether it can be trusted under a recipe. For each seed one training is
gone back through, and its scores predict the change of every target's margin when a random share of the images is left
out: minus the sum of their scores. Measured is the change in a training with the same seed and without them. The figure
is Spearman's correlation of both over targets, by the share that is left out and by how many of the last epochs were
gone back through. A mean over several seeds' scores, as `unrolled-S` is, predicts the mean over seeds better than this.

The word is that of Engstrom et al. (arXiv 2503.13751), who compare finite differences at neighbouring points; here the
derivative is compared with changes of the size that removals have.
"""

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from attribution.builds import unrolled
from attribution.builds.seed_trainings import SeedTrainings
from attribution.errors import UserError
from attribution.metrics.statistics import percentile_interval, spearman_correlation
from attribution.workspace.parts import Part, Progress, cached_npz, scratch_folder
from attribution.workspace.workspace import Workspace

STORED = Part("metasmoothness", "metasmoothness.json")
PART = STORED.name
SHARES = (0.01, 0.05, 0.1)
EPOCHS, WINDOWS, SEEDS, DRAWS, TARGETS = 3, 3, 2, 2, 60
TARGET_SEED = 31  # of the draw of targets
RESAMPLES = 1000
MIN_TARGETS = 4


def check_shares(shares: Sequence[float]) -> tuple[float, ...]:
    """The shares, ascending. Raises UserError where one is not above 0 and at most a half."""
    if not shares or not all(0 < share <= 0.5 for share in shares):
        raise UserError("a share of the training images that is left out is above 0 and at most 0.5")
    return tuple(sorted(set(shares)))


def compute(
    workspace: Workspace,
    shares: Sequence[float] = SHARES,
    epochs: int = EPOCHS,
    seeds: int = SEEDS,
    draws: int = DRAWS,
    targets: int = TARGETS,
    progress: Progress = lambda *at: None,
) -> dict:
    """{"recipe", "recipe_hash", "targets", "seeds": list, "draws", "epochs", "windows", "precision", "shares":
    [{"share", "dropped", "spread": standard deviation of the measured change, "epochs": [{"epochs", "spearman", "ci",
    "each"}]}]}.

    spearman is the mean over seeds and draws, whose values are `each`; ci its 95 % bootstrap interval over targets.
    seeds, draws: trainings gone back through, and random sets left out of each share; targets: validation images, drawn
    at random. It trains seeds * (1 + shares * draws) times, and goes on where it was stopped. Raises UserError as
    `unrolled.plan`, and for shares that cannot be.
    """
    shares = check_shares(shares)
    chosen = np.sort(np.random.default_rng(TARGET_SEED).permutation(workspace.n_val)[:targets])
    if len(chosen) < MIN_TARGETS:
        raise UserError(f"a correlation over {len(chosen)} targets says nothing; take at least {MIN_TARGETS}")
    plan = unrolled.plan(workspace, 1, epochs, WINDOWS, chosen.tolist())
    recipe, folder = workspace.get_recipe(), scratch_folder(workspace, PART)
    # not by what products are rounded to, which a busy machine decides otherwise: that is far below the noise here
    asked = repr((recipe.hash, plan.epochs, plan.windows, plan.targets))
    key = hashlib.sha256(asked.encode()).hexdigest()[:16]
    dropped = {
        (share, draw): _drawn(workspace.n_train, share, draw) for share in shares for draw in range(max(1, draws))
    }
    numbers = [unrolled.FIRST_SEED + number for number in range(seeds)]
    work = SeedTrainings(workspace, plan)
    total, done = len(numbers) * (1 + len(dropped)), 0
    predicted, measured = {}, {}
    for seed in numbers:
        whole = cached_npz(folder / f"{key}-{seed}.npz", lambda seed=seed: work.scores(seed, folder, progress))
        done += 1
        progress("metasmoothness: trainings", done, total)
        for (share, draw), ids in dropped.items():
            file = folder / f"{key}-{seed}-{share}-{draw}.npz"
            without = cached_npz(file, lambda seed=seed, ids=ids: {"margins": work.margins(seed, ids)})["margins"]
            # the last epoch stands first: the sum over the first e of them is what e epochs say
            predicted[share, seed, draw] = -np.cumsum(whole["scores"][:, :, ids].sum(2, dtype=float), axis=0)
            measured[share, seed, draw] = without - whole["margins"]
            done += 1
            progress("metasmoothness: trainings", done, total)
    rows = []
    for share in shares:
        pairs = [(seed, draw) for seed in numbers for draw in range(max(1, draws))]
        y = np.array([measured[share, *pair] for pair in pairs])
        x = np.array([predicted[share, *pair] for pair in pairs])
        rows.append(
            {
                "share": share,
                "dropped": len(dropped[share, 0]),
                "spread": float(y.std()),
                "epochs": [{"epochs": e + 1, **correlate(x[:, e], y)} for e in range(plan.epochs)],
            }
        )
    return {
        "recipe": recipe.name,
        "recipe_hash": recipe.hash,
        "targets": len(chosen),
        "seeds": numbers,
        "draws": max(1, draws),
        "epochs": plan.epochs,
        "windows": plan.windows,
        "precision": "float32, where the recipe trains in bfloat16",
        "shares": rows,
    }


def correlate(predicted: np.ndarray, measured: np.ndarray, resamples: int = RESAMPLES) -> dict:
    """Spearman's correlation over targets of rows of predicted and measured changes, float [R, T]: {"spearman": mean
    over rows, None where a row is constant, "ci": its 95 % bootstrap interval over targets, "each": of each row}.

    >>> correlate(np.array([[1.0, 2, 3, 4]]), np.array([[1.0, 2, 3, 9]]), 10)["spearman"]
    1.0
    """
    each = spearman_correlation(predicted, measured)
    if np.isnan(each).any():
        return {"spearman": None, "ci": None, "each": []}
    drawn = np.random.default_rng(0).integers(predicted.shape[1], size=(resamples, predicted.shape[1]))
    means = np.array([spearman_correlation(predicted[:, at], measured[:, at]).mean() for at in drawn])
    return {"spearman": float(each.mean()), "ci": percentile_interval(means), "each": [float(one) for one in each]}


def save(workspace: Workspace, answer: dict, provenance: dict, record: Callable | None = None) -> None:
    """Stores an answer of `compute` as the part "metasmoothness"; provenance, record: as `Part.save`."""
    STORED.save(workspace, answer, provenance, record)


def load(workspace: Workspace) -> dict | None:
    """The stored answer; None where nothing is stored, or it is of another version of the recipe."""
    answer = STORED.load(workspace)
    if answer is None:
        return None
    recipe = workspace.get_recipe()
    return answer if (answer["recipe"], answer["recipe_hash"]) == (recipe.name, recipe.hash) else None


def _drawn(n_train: int, share: float, draw: int) -> np.ndarray:
    """A random share of the training images, at least one, ascending; the same under every seed."""
    rng = np.random.default_rng([draw, round(share * 1e6)])
    return np.sort(rng.permutation(n_train)[: max(1, round(share * n_train))])
