"""Builds the demo workspace: Fashion-MNIST 5,000 / 1,000, everything computed, step by step and resumable.

A step that workspace.json records is not done again; trainings and study answers come from the result store, so a
build goes on where it was stopped. The split, the planted labels and the recipe come first: all else rests on them.
"""

import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd

from attribution.audit import detectors
from attribution.builds import base_models, features, halves
from attribution.builds import scores as builds
from attribution.builds.base_models import BASE_SEEDS
from attribution.builds.halves import HELD_OUT_SEQUENCE
from attribution.builds.scores import MAX_TUNING_HALVES
from attribution.data import fashion_mnist
from attribution.errors import UserError
from attribution.evaluation import (
    agreement,
    calibration,
    candidate_sets,
    cost,
    lds_report,
    lds_vs_compute,
    lds_vs_support,
    model_diff,
    sanity_checks,
)
from attribution.experiments import jobs, support_search, support_table
from attribution.experiments.halves import random_half
from attribution.experiments.study import STUDY_SEED, study_spec
from attribution.explore import hubs
from attribution.explore.targets import draw_stable_targets
from attribution.features import knn, projection
from attribution.files import write_array, write_json, write_table
from attribution.metrics import lds
from attribution.rankings import default_rankings
from attribution.store.results import ResultStore
from attribution.training import recipes
from attribution.workspace.parts import ranking_origin, scratch_folder
from attribution.workspace.provenance import command_provenance
from attribution.workspace.workspace import SCHEMA, Workspace, data_fingerprint

NAME = "demo"
RECIPE = "demo-cnn"
PLAIN_RECIPE = "demo-cnn-plain"  # the same without augmentation
SPLIT_SEED = 20231106
PER_CLASS = {"train": 500, "test": 100}
N_PLANTED = 100
PLANT_SEEDS = range(900, 905)
#: random halves that Datamodels is fitted on: sequence, how many, seeds
FIT_SEQUENCE = {"draw": 1, "count": 2000, "seeds": [0]}
DATAMODELS_NAME = f"datamodels-{FIT_SEQUENCE['count'] // 1000}k"
TRAK_DIMS = (128, 256, 512, 1024, 2048)
TRAK_TUNING_MODELS = 2
STUDY = {
    "rankings": ["esvm-moco", "l2-moco", "trak-10", DATAMODELS_NAME, "random"],
    "kinds": ["remove", "mislabel"],
    "protocol": "default",
}
STUDY_TARGETS = 40
#: the same targets under variants of these rankings, by the protocol that takes fewest trainings
VARIANT_STUDY = {
    "rankings": [
        "esvm-moco",
        "esvm-moco@pair",
        "esvm-moco@all",
        "trak-10",
        "trak-10@true",
        "trak-10@pair",
        DATAMODELS_NAME,
        f"{DATAMODELS_NAME}@true",
        f"{DATAMODELS_NAME}@pair",
        "random",
        *(f"trak-{count}{lds_vs_compute.VARIANT_SUFFIX}" for count in lds_vs_compute.CHECKPOINT_COUNTS),
        *(f"datamodels-{count}{lds_vs_compute.VARIANT_SUFFIX}" for count in lds_vs_compute.HALF_COUNTS),
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


class DemoBuild:
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
        workspace = self._without_part(part)
        for name, array in (arrays or {}).items():
            write_array(self.folder / name, array)
        for name, table in (tables or {}).items():
            write_table(self.folder / name, table)
        workspace.record(part, {**command_provenance("demo build"), **about}, [*(arrays or {}), *(tables or {})])

    def record_arrays(self, part: str, arrays: dict[str, np.ndarray], about: dict) -> None:
        """As `record`, of a part whose arrays are `<name>.npy` each in its own folder."""
        self.record(part, {f"{part}/{name}.npy": array for name, array in arrays.items()}, **about)

    def record_json(self, part: str, file: str, answer: dict, about: dict) -> None:
        """As `record`, of a part that is one JSON file."""
        workspace = self._without_part(part)
        write_json(self.folder / part / file, answer)
        workspace.record(part, {**command_provenance("demo build"), **about}, [f"{part}/{file}"])

    def _without_part(self, part: str) -> Workspace:
        """The workspace, which does not vouch for a part while its files change."""
        workspace = self.workspace
        workspace.unrecord_part(part)
        return workspace

    def test_images(self) -> tuple[np.ndarray, np.ndarray]:
        """The 9,000 test images that are not in the workspace, and their labels: what accuracies are measured on."""
        images, labels = fashion_mnist.read("test", self.root)
        rest = np.setdiff1d(np.arange(len(labels)), self.workspace.val_index)
        return images[rest], labels[rest]


def draw_split(build: DemoBuild) -> None:
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
    given = flip_labels(images, original, val_images, val_labels, rng, build)
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
                "planted": N_PLANTED,
                "inverted": True,
                "fingerprint": data_fingerprint(images, given, val_images, val_labels),
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


def flip_labels(images, labels, val_images, val_labels, rng, build) -> np.ndarray:
    """Given labels: PLANTED of them changed to a wrong class drawn from what models that did not see the image say.

    Each model trains on one half and is asked about the other; an image's wrong class is drawn from the mean
    probabilities of the models that did not see it, the right class left out."""
    from attribution.training.edits import remove
    from attribution.training.trainer import Trainer

    data = SimpleNamespace(
        train_images=images,
        train_labels=labels,
        val_images=val_images,
        val_labels=val_labels,
        classes=fashion_mnist.CLASSES,
    )
    trainer = Trainer(data, recipes.get_recipe(RECIPE))
    said, asked = np.zeros((len(labels), 10)), np.zeros(len(labels))
    for number, seed in enumerate(PLANT_SEEDS):
        kept = random_half(len(labels), SPLIT_SEED, number)
        for seen in (kept, ~kept):
            network = trainer.train(remove(np.flatnonzero(~seen)), seed)
            said[~seen] += trainer.logits(network, trainer.train_images[np.flatnonzero(~seen)]).softmax(1).numpy()
            asked[~seen] += 1
        build.progress("planting: models", number + 1, len(PLANT_SEEDS))
    said /= asked[:, None]
    said[np.arange(len(labels)), labels] = 0
    given = labels.copy()
    for image in rng.choice(len(labels), N_PLANTED, replace=False):
        given[image] = rng.choice(10, p=said[image] / said[image].sum())
    return given


def train_base(build: DemoBuild) -> None:
    """Ten models that differ in the seed alone: predictions, weights, and the recipe's accuracy and seconds."""
    from attribution.training.trainer import LIBRARY, Trainer

    workspace, recipe = build.workspace, recipes.get_recipe(RECIPE)
    trainer = Trainer(workspace, recipe)
    probabilities, weights, seconds = base_models.train_base_models(
        trainer, BASE_SEEDS, scratch_folder(workspace, "base"), build.progress
    )
    outside, labels = build.test_images()
    outside = trainer.prepare(outside)
    accuracy = [
        float((trainer.logits(base_models.restore_network(trainer, row), outside).argmax(1).numpy() == labels).mean())
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

    def step(build: DemoBuild) -> None:
        workspace = build.workspace
        outside, labels = build.test_images()
        train, val, rest, about = features.train_and_embed(
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
            knn_k=knn.N_NEIGHBOURS,
            measured_on=f"{len(labels)} test images outside",
            **about,
        )

    return step


def train_held_out_halves(build: DemoBuild) -> None:
    """The models on random halves that judge rankings by LDS, and never make or tune one."""
    workspace = build.workspace
    halves.train_halves(workspace, HELD_OUT_SEQUENCE, build.progress)
    masks, margins = halves.load_half_margins(workspace, HELD_OUT_SEQUENCE)
    build.record(
        "lds",
        {"lds/masks.npy": np.packbits(masks, axis=1), "lds/margins.npy": margins.astype(np.float16)},
        **halves.held_out_provenance(workspace, HELD_OUT_SEQUENCE),
    )


def train_fit_halves(build: DemoBuild) -> None:
    """The models on random halves that Datamodels is fitted on, and what all halves so far say of the images they did
    not see."""
    workspace = build.workspace
    halves.train_halves(workspace, FIT_SEQUENCE, build.progress)
    store = ResultStore.of(workspace)
    sums, counts = store.out_of_subset(recipes.get_recipe(RECIPE).hash)
    store.close()
    build.record(
        "out_of_subset",
        {"out_of_subset/sums.npy": sums.astype(np.float32), "out_of_subset/counts.npy": counts},
        models=round(2 * counts.sum() / workspace.n_train),
        recipe=RECIPE,
        hash=recipes.get_recipe(RECIPE).hash,
    )


def build_trak(build: DemoBuild) -> None:
    """trak-10: dattri on the ten base models, the projection's dimension tuned on halves that are not held out."""
    start = time.perf_counter()
    workspace = build.workspace
    kept = scratch_folder(workspace, "trak")

    def scores(models, dim):
        return builds.trak_score_reader(workspace, models, dim, kept, build.progress)(0, workspace.n_val)

    masks, margins = (part[-MAX_TUNING_HALVES:] for part in halves.load_half_margins(workspace, FIT_SEQUENCE))
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
        made_for=ranking_origin(workspace, BASE_SEEDS),
        tuning=tuning,
        tuned_on=f"{MAX_TUNING_HALVES} halves that are not held out, {TRAK_TUNING_MODELS} models",
        seconds=round(time.perf_counter() - start, 1),
    )


def build_datamodels(build: DemoBuild) -> None:
    """Datamodels: LASSO on the fit halves, its penalty tuned by leaving the tuning halves out."""
    from attribution.rankings import datamodels as method

    start = time.perf_counter()
    workspace = build.workspace
    masks, margins = halves.load_half_margins(workspace, FIT_SEQUENCE)
    margins = margins.mean(1)
    weights, about = builds.fit_tuned_datamodels(masks, margins, MAX_TUNING_HALVES, DATAMODELS_NAME, build.progress)
    weights = half_precision(weights)
    rows, columns = np.nonzero(weights)
    arrays = {
        "data": weights[rows, columns],
        "columns": columns.astype(np.uint16),
        "starts": np.searchsorted(rows, np.arange(workspace.n_val + 1)),
        "tail": method.zero_weight_tails(weights, method.marginal_effects(masks, margins)),
    }
    build.record(
        f"rankings/{DATAMODELS_NAME}",
        {f"rankings/{DATAMODELS_NAME}/{name}.npy": array for name, array in arrays.items()},
        method="Datamodels",
        signed=True,
        about=f"{len(masks):,} half-models · α 0.5",
        models=len(masks),
        made_for=ranking_origin(workspace, "halves"),
        seconds=round(time.perf_counter() - start, 1),
        **about,
    )


def half_precision(scores: np.ndarray) -> np.ndarray:
    """float16, scaled so that the largest score is 1,000: a ranking's scale is arbitrary, its small scores are not."""
    return (scores * (1000 / np.abs(scores).max())).astype(np.float16)


def build_detectors(build: DemoBuild) -> None:
    """Every detector of mislabeled images, from what the steps before have made."""
    workspace = build.workspace

    def keep(part: str, arrays: dict, about: dict) -> None:
        build.record(part, {f"{part}/{name}.npy": array for name, array in arrays.items()}, **about)
        workspace.manifest["parts"][part] = build.workspace.manifest["parts"][part]

    detectors.build_detectors(workspace, None, build.progress, keep)


def run_lds(build: DemoBuild) -> None:
    """LDS of every ranking on the held-out halves, with interval and noise ceiling."""
    workspace = build.workspace
    answer = lds_report.compute(workspace, progress=build.progress)
    write_json(build.folder / "lds" / "lds.json", answer)
    about = workspace.manifest["parts"]["lds"]
    workspace.record(
        "lds", {key: value for key, value in about.items() if key != "files"}, [*about["files"], "lds/lds.json"]
    )


def run_agreement(build: DemoBuild) -> None:
    """How far the usual rankings choose the same images."""
    workspace = build.workspace
    names = default_rankings(workspace)
    found = agreement.compute(
        workspace, names, targets=agreement.draw_targets(workspace, names), progress=build.progress
    )
    agreement.save(workspace, found, {}, build.record_arrays)


def run_cost(build: DemoBuild) -> None:
    """What every ranking costs, queries measured on this machine."""
    workspace = build.workspace
    costs = cost.compute(workspace, progress=build.progress)
    cost.save(workspace, costs, {"device": cost.machine_name()}, build.record_json)


def run_compute(build: DemoBuild) -> None:
    """What a better ranking costs: LDS of TRAK and Datamodels against seconds."""
    workspace = build.workspace
    lds_vs_compute.save(workspace, lds_vs_compute.compute(workspace, progress=build.progress), {}, build.record_json)


def run_candidate_sets(build: DemoBuild) -> None:
    """LDS of rankings among three sets of candidates."""
    workspace = build.workspace
    names = candidate_sets.default_names(workspace)
    answer = candidate_sets.compute(workspace, names, progress=build.progress)
    candidate_sets.save(workspace, answer, {"rankings": names}, build.record_json)


def run_model_diff(build: DemoBuild) -> None:
    """Whose influence changes without augmentation."""
    workspace = build.workspace
    model_diff.save(
        workspace,
        model_diff.compute(workspace, PLAIN_RECIPE, build.progress),
        {},
        build.record_arrays,
    )


def run_lds_vs_support(build: DemoBuild) -> None:
    """LDS of the study's single targets, beside their supports."""
    workspace = build.workspace
    found = lds_vs_support.compute(workspace, STUDY["rankings"], np.sort(study_targets(workspace)), build.progress)
    lds_vs_support.save(workspace, found, {}, build.record_arrays)


def run_calibration(build: DemoBuild) -> None:
    """What signed rankings foretell of the removals that the study brings, beside what was measured."""
    workspace = build.workspace
    rows = calibration.compute(workspace, progress=build.progress)
    calibration.save(workspace, rows, {}, build.record_arrays)


def run_hubs(build: DemoBuild) -> None:
    """Whose lists each training image stands in, under the usual rankings."""
    workspace = build.workspace
    for lists in hubs.compute(workspace, default_rankings(workspace), build.progress):
        hubs.save(workspace, lists, {}, build.record_arrays)


def build_maps(build: DemoBuild) -> None:
    """Every feature set in two dimensions."""
    workspace = build.workspace
    for name in workspace.features():
        start = time.perf_counter()
        found = projection.project(workspace, name, "tsne", build.progress)
        seconds = {"seconds": round(time.perf_counter() - start, 1)}
        projection.save(workspace, found, seconds, build.record_arrays)


def run_sanity_checks(build: DemoBuild) -> None:
    """What TRAK says on untrained networks, and of planted duplicates."""
    workspace = build.workspace
    sanity_checks.save(workspace, sanity_checks.compute(workspace, progress=build.progress), {}, build.record_json)


def run_study(build: DemoBuild) -> None:
    """Removal and mislabel supports of random stable targets under the rankings of STUDY."""
    workspace = build.workspace
    spec = study_spec(workspace, study_targets(workspace), STUDY["rankings"], STUDY["kinds"])
    jobs.run_job(workspace, spec, build.progress)
    export_study(build)


def run_variant_study(build: DemoBuild) -> None:
    """Removal supports of the same targets, the first of them, under rankings that are variants of the study's: among
    other candidates, of fewer models, in other features."""
    workspace = build.workspace
    spec = study_spec(
        workspace,
        study_targets(workspace),
        VARIANT_STUDY["rankings"],
        VARIANT_STUDY["kinds"],
        VARIANT_STUDY["protocol"],
    )
    jobs.run_job(workspace, spec, build.progress)
    export_study(build)


def export_study(build: DemoBuild) -> None:
    """Writes the supports found so far into the workspace, beside those it brought along: of each study and kind the
    targets that all its rankings have finished, so that the curves of a kind compare like sets. Raises UserError where
    there is none."""
    workspace, recipe = build.workspace, recipes.get_recipe(RECIPE)
    store = ResultStore.of(workspace)
    found = support_table.load_support_table(workspace, store)
    store.close()
    parts, about = [], []
    for asked in (STUDY, VARIANT_STUDY):
        rows, targets = _finished_rows(workspace, found, asked)
        parts.append(rows)
        about.append({**asked, "targets": targets, "trainings": int(rows.trainings.sum())})
    rows = pd.concat(parts)
    if rows.empty:
        raise UserError("no target of the study is finished yet; let it run on")
    build.record(
        "supports",
        tables={"supports.parquet": support_table.to_stored_table(rows)},
        of=STUDY_TARGETS,
        **about[0],
        varied=about[1],
        k_max=support_search.DEFAULT_K_MAX,
        seeds=[*support_search.SEEDS, *support_search.CONFIRM_SEEDS],
        recipe=RECIPE,
        hash=recipe.hash,
    )


def _finished_rows(workspace: Workspace, found: pd.DataFrame, asked: dict) -> tuple[pd.DataFrame, dict[str, int]]:
    """The rows of one study, and how many targets there are of each kind."""
    found = found[
        (found.protocol == asked["protocol"])
        & (found.k_max == support_search.DEFAULT_K_MAX)
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
    return draw_stable_targets(workspace, STUDY_TARGETS, STUDY_SEED)


STEPS = {
    "split": draw_split,
    "base": train_base,
    "pixels": feature_step("pixels"),
    **{name: feature_step(name) for name in ("supervised", "moco", "simclr", "dino")},
    "held-out": train_held_out_halves,
    "halves": train_fit_halves,
    "trak": build_trak,
    "datamodels": build_datamodels,
    "lds": run_lds,
    "study": run_study,
    "detectors": build_detectors,
    "agreement": run_agreement,
    "cost": run_cost,
    "conditioning": run_candidate_sets,
    "compute": run_compute,
    "algorithms": run_model_diff,
    "varied": run_variant_study,
    "lds-supports": run_lds_vs_support,
    "calibration": run_calibration,
    "hubs": run_hubs,
    "map": build_maps,
    "sanity": run_sanity_checks,
}
