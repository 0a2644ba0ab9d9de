"""Builds the demo workspace: Fashion-MNIST 5,000 / 1,000, everything computed, step by step and resumable.

A step that workspace.json records is not done again; trainings and study answers come from the result store, so a
build goes on where it was stopped. The split, the planted labels and the recipe come first: all else rests on them.
"""

import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd

from attribution import (
    agreement,
    algorithms,
    builds,
    calibration,
    compute,
    conditioning,
    cost,
    detectors,
    hubs,
    lds,
    lds_supports,
    measure,
    projection,
    recipes,
    sanity,
)
from attribution.builds import BASE_SEEDS, HELD_OUT, TUNING
from attribution.data import fashion_mnist
from attribution.errors import UserError
from attribution.experiments import jobs, support_search, support_table
from attribution.experiments.halves import half
from attribution.experiments.study import STUDY_SEED, study_spec
from attribution.features import knn
from attribution.files import write_array, write_json, write_table
from attribution.lineup import default_rankings
from attribution.provenance import made
from attribution.store import Store
from attribution.workspace import SCHEMA, Workspace, fingerprint

NAME = "demo"
RECIPE = "demo-cnn"
PLAIN = "demo-cnn-plain"  # the same without augmentation
SPLIT_SEED = 20231106
PER_CLASS = {"train": 500, "test": 100}
PLANTED = 100
PLANT_SEEDS = range(900, 905)
#: random halves that Datamodels is fitted on: sequence, how many, seeds
FIT = {"draw": 1, "count": 2000, "seeds": [0]}
DATAMODELS = f"datamodels-{FIT['count'] // 1000}k"
TRAK_DIMS = (128, 256, 512, 1024, 2048)
TRAK_TUNING_MODELS = 2
STUDY = {
    "rankings": ["esvm-moco", "l2-moco", "trak-10", DATAMODELS, "random"],
    "kinds": ["remove", "mislabel"],
    "protocol": "default",
}
STUDY_TARGETS = 40
#: the same targets under variants of these rankings, by the protocol that takes fewest trainings
VARIED = {
    "rankings": [
        "esvm-moco",
        "esvm-moco@pair",
        "esvm-moco@all",
        "trak-10",
        "trak-10@true",
        "trak-10@pair",
        DATAMODELS,
        f"{DATAMODELS}@true",
        f"{DATAMODELS}@pair",
        "random",
        *(f"trak-{count}{compute.VARIANT}" for count in compute.CHECKPOINTS),
        *(f"datamodels-{count}{compute.VARIANT}" for count in compute.HALVES),
        "l2-moco",
        "l2-simclr",
        "l2-dino",
        "l2-supervised",
        "l2-pixels",
        "ridge-pixels",
        "ridge-moco",
    ],
    "kinds": ["remove"],
    "protocol": "adaptive",
}


class Build:
    """One build into `folder`. say(text) and progress(text, done, total) tell the person how far it is."""

    def __init__(self, folder: Path, root: Path | None, say, progress):
        self.folder = Path(folder)
        self.root = root
        self.say = say
        self.progress = progress

    @property
    def workspace(self) -> Workspace:
        return Workspace.open(self.folder)

    def run(self, until: str | None = None) -> None:
        """Does the steps in order, up to and including `until`. Raises UserError for an unknown one."""
        if until and until not in STEPS:
            raise UserError(f"no step {until!r}; the steps are {', '.join(STEPS)}")
        for name, step in STEPS.items():
            if (self.folder / "workspace.json").exists() and name in self.workspace.manifest["steps"]:
                self.say(f"{name}: done before")
            else:
                start = time.perf_counter()
                step(self)
                manifest = self.workspace.manifest
                manifest["steps"][name] = round(time.perf_counter() - start, 1)
                write_json(self.folder / "workspace.json", manifest)
                self.say(f"{name}: {manifest['steps'][name]} s")
            if name == until:
                return

    def record(
        self, part: str, arrays: dict[str, np.ndarray] | None = None, tables: dict | None = None, **about
    ) -> None:
        """Writes a part's files, named by their path inside the workspace, and then its provenance."""
        workspace = self._without(part)
        for name, array in (arrays or {}).items():
            write_array(self.folder / name, array)
        for name, table in (tables or {}).items():
            write_table(self.folder / name, table)
        workspace.record(part, {**made("demo build"), **about}, [*(arrays or {}), *(tables or {})])

    def record_arrays(self, part: str, arrays: dict[str, np.ndarray], about: dict) -> None:
        """As `record`, of a part whose arrays are `<name>.npy` each in its own folder."""
        self.record(part, {f"{part}/{name}.npy": array for name, array in arrays.items()}, **about)

    def record_json(self, part: str, file: str, answer: dict, about: dict) -> None:
        """As `record`, of a part that is one JSON file."""
        workspace = self._without(part)
        write_json(self.folder / part / file, answer)
        workspace.record(part, {**made("demo build"), **about}, [f"{part}/{file}"])

    def _without(self, part: str) -> Workspace:
        """The workspace, which does not vouch for a part while its files change."""
        workspace = self.workspace
        workspace.unrecord(part)
        return workspace

    def outside(self) -> tuple[np.ndarray, np.ndarray]:
        """The 9,000 test images that are not in the workspace, and their labels: what accuracies are measured on."""
        images, labels = fashion_mnist.read("test", self.root)
        rest = np.setdiff1d(np.arange(len(labels)), self.workspace.val_index)
        return images[rest], labels[rest]


def split(build: Build) -> None:
    """Draws the images, plants the wrong labels, and writes both: from here on nothing may change."""
    start = time.perf_counter()
    rng = np.random.default_rng(SPLIT_SEED)
    parts = {}
    for name, count in PER_CLASS.items():
        images, labels = fashion_mnist.read(name, build.root)
        chosen = np.sort(
            np.concatenate([rng.choice(np.flatnonzero(labels == c), count, replace=False) for c in range(10)])
        )
        parts[name] = images[chosen], labels[chosen], chosen
    images, original, index = parts["train"]
    val_images, val_labels, val_index = parts["test"]
    given = plant(images, original, val_images, val_labels, rng, build)
    write_json(
        build.folder / "workspace.json",
        {
            "schema": SCHEMA,
            "name": NAME,
            "recipe": RECIPE,
            "parts": {},
            "steps": {},
            "dataset": {
                "name": "Fashion-MNIST",
                "classes": fashion_mnist.CLASSES,
                "n_train": len(given),
                "n_val": len(val_labels),
                "shape": list(images.shape[1:]),
                "planted": PLANTED,
                "inverted": True,
                "fingerprint": fingerprint(images, given, val_images, val_labels),
            },
        },
    )
    (build.folder / "LICENSE-Fashion-MNIST").write_text(fashion_mnist.LICENCE)
    build.record(
        "data",
        {"images/train.npy": images, "images/val.npy": val_images},
        {
            "train.parquet": pd.DataFrame({"source_index": index, "label": given}),
            "val.parquet": pd.DataFrame({"source_index": val_index, "label": val_labels}),
            "truth.parquet": pd.DataFrame({"original": original, "planted": given != original}),
        },
        seeds=[SPLIT_SEED, *PLANT_SEEDS],
        seconds=round(time.perf_counter() - start, 1),
    )


def plant(images, labels, val_images, val_labels, rng, build) -> np.ndarray:
    """Given labels: PLANTED of them changed to a wrong class drawn from what models that did not see the image say.

    Each model trains on one half and is asked about the other; an image's wrong class is drawn from the mean
    probabilities of the models that did not see it, the right class left out."""
    from attribution.edits import remove
    from attribution.train import Trainer

    data = SimpleNamespace(
        train_images=images,
        train_labels=labels,
        val_images=val_images,
        val_labels=val_labels,
        classes=fashion_mnist.CLASSES,
    )
    trainer = Trainer(data, recipes.get(RECIPE))
    said, asked = np.zeros((len(labels), 10)), np.zeros(len(labels))
    for number, seed in enumerate(PLANT_SEEDS):
        kept = half(len(labels), SPLIT_SEED, number)
        for seen in (kept, ~kept):
            network = trainer.train(remove(np.flatnonzero(~seen)), seed)
            said[~seen] += trainer.logits(network, trainer.train_images[np.flatnonzero(~seen)]).softmax(1).numpy()
            asked[~seen] += 1
        build.progress("planting: models", number + 1, len(PLANT_SEEDS))
    said /= asked[:, None]
    said[np.arange(len(labels)), labels] = 0
    given = labels.copy()
    for image in rng.choice(len(labels), PLANTED, replace=False):
        given[image] = rng.choice(10, p=said[image] / said[image].sum())
    return given


def base(build: Build) -> None:
    """Ten models that differ in the seed alone: predictions, weights, and the recipe's accuracy and seconds."""
    from attribution.train import LIBRARY, Trainer

    workspace, recipe = build.workspace, recipes.get(RECIPE)
    trainer = Trainer(workspace, recipe)
    probabilities, weights, seconds = builds.base_models(
        trainer, BASE_SEEDS, builds.scratch(workspace, "base"), build.progress
    )
    outside, labels = build.outside()
    outside = trainer.prepare(outside)
    accuracy = [
        float((trainer.logits(builds.unflat(trainer, row), outside).argmax(1).numpy() == labels).mean())
        for row in weights
    ]
    build.record(
        "base",
        {"base/probabilities.npy": probabilities.astype(np.float16), "base/weights.npy": weights},
        recipe=recipe.name,
        hash=recipe.hash,
        seeds=list(BASE_SEEDS),
        accuracy=round(float(np.mean(accuracy)), 4),
        accuracy_std=round(float(np.std(accuracy, ddof=1)), 4),
        measured_on=f"{len(labels)} test images outside",
        seconds=round(float(np.median(seconds)), 2),
        library=LIBRARY,
        device=trainer.device.type,
        threads=recipe.threads,
    )


def feature_step(name: str):
    """The step that trains and embeds one feature set."""

    def step(build: Build) -> None:
        workspace = build.workspace
        outside, labels = build.outside()
        train, val, rest, about = builds.embedded(
            workspace, name, workspace.train_images, [workspace.val_images, outside], None, build.progress
        )
        arrays = {
            f"features/{name}/{part}.npy": array.astype(np.float16) for part, array in (("train", train), ("val", val))
        }
        accuracy = knn.knn_accuracy(train, workspace.train_labels, rest, labels)
        build.record(
            f"features/{name}",
            {} if name == "pixels" else arrays,
            knn_accuracy=round(float(accuracy), 4),
            knn_k=knn.K,
            measured_on=f"{len(labels)} test images outside",
            **about,
        )

    return step


def held_out(build: Build) -> None:
    """The models on random halves that judge rankings by LDS, and never make or tune one."""
    workspace = build.workspace
    builds.train_halves(workspace, HELD_OUT, build.progress)
    masks, margins = builds.half_margins(workspace, HELD_OUT)
    build.record(
        "lds",
        {"lds/masks.npy": np.packbits(masks, axis=1), "lds/margins.npy": margins.astype(np.float16)},
        **builds.held_out_about(workspace, HELD_OUT),
    )


def halves(build: Build) -> None:
    """The models on random halves that Datamodels is fitted on, and what all halves so far say of the images they did
    not see."""
    workspace = build.workspace
    builds.train_halves(workspace, FIT, build.progress)
    store = Store.of(workspace)
    sums, counts = store.out_of_subset(recipes.get(RECIPE).hash)
    store.close()
    build.record(
        "out_of_subset",
        {"out_of_subset/sums.npy": sums.astype(np.float32), "out_of_subset/counts.npy": counts},
        models=round(2 * counts.sum() / workspace.n_train),
        recipe=RECIPE,
        hash=recipes.get(RECIPE).hash,
    )


def trak(build: Build) -> None:
    """trak-10: dattri on the ten base models, the projection's dimension tuned on halves that are not held out."""
    start = time.perf_counter()
    workspace = build.workspace
    kept = builds.scratch(workspace, "trak")

    def scores(models, dim):
        return builds.trak_scores(workspace, models, dim, kept, build.progress)(0, workspace.n_val)

    masks, margins = (part[-TUNING:] for part in builds.half_margins(workspace, FIT))
    tuning = {}
    for dim in TRAK_DIMS:
        tuning[dim] = round(float(lds.lds(masks, margins, scores(TRAK_TUNING_MODELS, dim), resamples=0).mean), 4)
    chosen = max(tuning, key=tuning.get)
    whole = half_precision(scores(len(BASE_SEEDS), chosen))
    build.record(
        "rankings/trak-10",
        {"rankings/trak-10/scores.npy": whole},
        method="TRAK",
        signed=True,
        about=f"10 models · dim {chosen:,}",
        models=10,
        made_for=builds.made_for(workspace, BASE_SEEDS),
        tuning=tuning,
        tuned_on=f"{TUNING} halves that are not held out, {TRAK_TUNING_MODELS} models",
        seconds=round(time.perf_counter() - start, 1),
    )


def datamodels(build: Build) -> None:
    """Datamodels: LASSO on the fit halves, its penalty tuned by leaving the tuning halves out."""
    from attribution.rankings import datamodels as method

    start = time.perf_counter()
    workspace = build.workspace
    masks, margins = builds.half_margins(workspace, FIT)
    margins = margins.mean(1)
    weights, about = builds.tuned_datamodels(masks, margins, TUNING, DATAMODELS, build.progress)
    weights = half_precision(weights)
    rows, columns = np.nonzero(weights)
    arrays = {
        "data": weights[rows, columns],
        "columns": columns.astype(np.uint16),
        "starts": np.searchsorted(rows, np.arange(workspace.n_val + 1)),
        "tail": method.tails(weights, method.marginal_effects(masks, margins)),
    }
    build.record(
        f"rankings/{DATAMODELS}",
        {f"rankings/{DATAMODELS}/{name}.npy": array for name, array in arrays.items()},
        method="Datamodels",
        signed=True,
        about=f"{len(masks):,} half-models · α 0.5",
        models=len(masks),
        made_for=builds.made_for(workspace, "halves"),
        seconds=round(time.perf_counter() - start, 1),
        **about,
    )


def half_precision(scores: np.ndarray) -> np.ndarray:
    """float16, scaled so that the largest score is 1,000: a ranking's scale is arbitrary, its small scores are not."""
    return (scores * (1000 / np.abs(scores).max())).astype(np.float16)


def detect(build: Build) -> None:
    """Every detector of mislabeled images, from what the steps before have made."""
    workspace = build.workspace

    def keep(part: str, arrays: dict, about: dict) -> None:
        build.record(part, {f"{part}/{name}.npy": array for name, array in arrays.items()}, **about)
        workspace.manifest["parts"][part] = build.workspace.manifest["parts"][part]

    detectors.build(workspace, None, build.progress, keep)


def judge(build: Build) -> None:
    """LDS of every ranking on the held-out halves, with interval and noise ceiling."""
    workspace = build.workspace
    answer = measure.evaluate_lds(workspace, progress=build.progress)
    write_json(build.folder / "lds" / "lds.json", answer)
    about = workspace.manifest["parts"]["lds"]
    workspace.record(
        "lds", {key: value for key, value in about.items() if key != "files"}, [*about["files"], "lds/lds.json"]
    )


def agree(build: Build) -> None:
    """How far the usual rankings choose the same images."""
    workspace = build.workspace
    names = default_rankings(workspace)
    found = agreement.compare(workspace, names, targets=agreement.drawn(workspace, names), progress=build.progress)
    agreement.keep(workspace, found, {}, build.record_arrays)


def price(build: Build) -> None:
    """What every ranking costs, queries measured on this machine."""
    workspace = build.workspace
    write_json(build.folder / cost.PART / "cost.json", cost.measure(workspace, progress=build.progress))
    workspace.record(cost.PART, {**made("demo build"), "device": cost.machine()}, [f"{cost.PART}/cost.json"])


def spend(build: Build) -> None:
    """What a better ranking costs: LDS of TRAK and Datamodels against seconds."""
    workspace = build.workspace
    compute.keep(workspace, compute.run(workspace, progress=build.progress), {}, build.record_json)


def condition(build: Build) -> None:
    """LDS of rankings among three sets of candidates."""
    workspace = build.workspace
    names = conditioning.usual(workspace)
    answer = conditioning.measure(workspace, names, progress=build.progress)
    conditioning.keep(workspace, answer, {"rankings": names}, build.record_json)


def compare_algorithms(build: Build) -> None:
    """Whose influence changes without augmentation."""
    workspace = build.workspace
    algorithms.keep(
        workspace,
        algorithms.compare(workspace, PLAIN, build.progress),
        {},
        lambda part, arrays, about: build.record(
            part, {f"{part}/{name}.npy": array for name, array in arrays.items()}, **about
        ),
    )


def compare_lds(build: Build) -> None:
    """LDS of the study's single targets, beside their supports."""
    workspace = build.workspace
    found = lds_supports.per_target(workspace, STUDY["rankings"], np.sort(study_targets(workspace)), build.progress)
    lds_supports.keep(workspace, found, {}, build.record_arrays)


def calibrate(build: Build) -> None:
    """What signed rankings foretell of the removals that the study brings, beside what was measured."""
    workspace = build.workspace
    rows = calibration.gather(workspace, progress=build.progress)
    calibration.keep(workspace, rows, {}, build.record_arrays)


def list_hubs(build: Build) -> None:
    """Whose lists each training image stands in, under the usual rankings."""
    workspace = build.workspace
    for lists in hubs.measure(workspace, default_rankings(workspace), build.progress):
        hubs.keep(workspace, lists, {}, build.record_arrays)


def draw_maps(build: Build) -> None:
    """Every feature set in two dimensions."""
    workspace = build.workspace
    for name in workspace.features():
        start = time.perf_counter()
        found = projection.project(workspace, name, "tsne", build.progress)
        seconds = {"seconds": round(time.perf_counter() - start, 1)}
        projection.keep(workspace, found, seconds, build.record_arrays)


def check(build: Build) -> None:
    """What TRAK says on untrained networks, and of planted duplicates."""
    workspace = build.workspace
    sanity.keep(workspace, sanity.measure(workspace, progress=build.progress), {}, build.record_json)


def study(build: Build) -> None:
    """Removal and mislabel supports of random stable targets under the rankings of STUDY."""
    workspace = build.workspace
    spec = study_spec(workspace, study_targets(workspace), STUDY["rankings"], STUDY["kinds"])
    jobs.follow(workspace, spec, build.progress)
    export_study(build)


def vary(build: Build) -> None:
    """Removal supports of the same targets, the first of them, under rankings that are variants of the study's: among
    other candidates, of fewer models, in other features."""
    workspace = build.workspace
    spec = study_spec(workspace, study_targets(workspace), VARIED["rankings"], VARIED["kinds"], VARIED["protocol"])
    jobs.follow(workspace, spec, build.progress)
    export_study(build)


def export_study(build: Build) -> None:
    """Writes the supports found so far into the workspace, beside those it brought along: of each study and kind the
    targets that all its rankings have finished, so that the curves of a kind compare like sets. Raises UserError where
    there is none."""
    workspace, recipe = build.workspace, recipes.get(RECIPE)
    store = Store.of(workspace)
    found = support_table.table(workspace, store)
    store.close()
    parts, about = [], []
    for asked in (STUDY, VARIED):
        rows, targets = _finished(workspace, found, asked)
        parts.append(rows)
        about.append({**asked, "targets": targets, "trainings": int(rows.trainings.sum())})
    rows = pd.concat(parts)
    if rows.empty:
        raise UserError("no target of the study is finished yet; let it run on")
    build.record(
        "supports",
        tables={"supports.parquet": support_table.to_table(rows)},
        of=STUDY_TARGETS,
        **about[0],
        varied=about[1],
        k_max=support_search.K,
        seeds=[*support_search.SEEDS, *support_search.CONFIRM_SEEDS],
        recipe=RECIPE,
        hash=recipe.hash,
    )


def _finished(workspace: Workspace, found: pd.DataFrame, asked: dict) -> tuple[pd.DataFrame, dict[str, int]]:
    """The rows of one study, and how many targets there are of each kind."""
    found = found[
        (found.protocol == asked["protocol"])
        & (found.k_max == support_search.K)
        & found.ranking.isin(asked["rankings"])
        & found.target.isin(study_targets(workspace))
    ]
    parts, targets = [found[:0]], {}
    for kind in asked["kinds"]:
        of_kind = found[found.kind == kind]
        whole = of_kind.groupby("target").ranking.nunique() == len(asked["rankings"])
        parts.append(of_kind[of_kind.target.isin(whole.index[whole])])
        targets[kind] = int(whole.sum())
    return pd.concat(parts), targets


def study_targets(workspace: Workspace) -> list[int]:
    """The study's targets."""
    return measure.random_stable(workspace, STUDY_TARGETS, STUDY_SEED)


STEPS = {
    "split": split,
    "base": base,
    "pixels": feature_step("pixels"),
    **{name: feature_step(name) for name in ("supervised", "moco", "simclr", "dino")},
    "held-out": held_out,
    "halves": halves,
    "trak": trak,
    "datamodels": datamodels,
    "lds": judge,
    "study": study,
    "detectors": detect,
    "agreement": agree,
    "cost": price,
    "conditioning": condition,
    "compute": spend,
    "algorithms": compare_algorithms,
    "varied": vary,
    "lds-supports": compare_lds,
    "calibration": calibrate,
    "hubs": list_hubs,
    "map": draw_maps,
    "sanity": check,
}
