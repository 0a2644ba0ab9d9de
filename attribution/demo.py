"""Builds the demo workspace: Fashion-MNIST 5,000 / 1,000, everything computed, step by step and resumable.

A step that workspace.json records is not done again; trainings and study answers come from the result store, so a
build goes on where it was stopped. The split, the planted labels and the recipe come first: all else rests on them.
"""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd

from attribution.audit import detectors
from attribution.builds import base_models, features, halves, scores, unrolled
from attribution.builds.base_models import BASE_SEEDS
from attribution.builds.halves import HELD_OUT_SEQUENCE, SECOND_PART, SECOND_SEQUENCE
from attribution.builds.scores import MAX_TUNING_HALVES
from attribution.data import fashion_mnist
from attribution.errors import UserError
from attribution.evaluation import (
    adaptive_supports,
    agreement,
    calibration,
    candidate_sets,
    cost,
    lds_report,
    lds_vs_compute,
    lds_vs_support,
    metasmoothness,
    model_diff,
    sanity_checks,
    support_transfer,
)
from attribution.experiments import bundled_retrainings, jobs, support_search, support_table
from attribution.experiments.halves import random_half
from attribution.experiments.retrain import retrain_spec
from attribution.experiments.study import STUDY_SEED, read_study, study_spec
from attribution.explore import hubs
from attribution.explore.opening_target import opening_targets
from attribution.explore.targets import draw_stable_targets
from attribution.features import knn, projection
from attribution.files import change_json, write_array, write_json, write_table
from attribution.metrics import lds
from attribution.rankings import combination, default_rankings
from attribution.store.results import ResultStore
from attribution.training import recipes
from attribution.training.head.recipe import PREFIX
from attribution.workspace import heads
from attribution.workspace.fingerprint import image_digest, sampled_fingerprint
from attribution.workspace.manifest import SCHEMA
from attribution.workspace.parts import Progress, ranking_origin, scratch_folder, write_file
from attribution.workspace.provenance import command_provenance
from attribution.workspace.workspace import Workspace

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
#: as they were chosen on the tuning halves, see docs/protocol.md
UNROLLED = {"models": 5, "epochs": 3, "windows": 3}
UNROLLED_NAME = f"unrolled-{UNROLLED['models']}"
COMBINED = (UNROLLED_NAME, DATAMODELS_NAME)
TRAK_DIMS = (128, 256, 512, 1024, 2048)
TRAK_TUNING_MODELS = 2
STUDY = {
    "rankings": ["esvm-moco", "l2-moco", "trak-10", DATAMODELS_NAME, "random"],
    "kinds": ["remove", "mislabel"],
    "protocol": "default",
}
STUDY_TARGETS = 40
#: the same targets by Unrolled
UNROLLED_STUDY = {"rankings": [UNROLLED_NAME], "kinds": STUDY["kinds"], "protocol": "default"}
#: all of these by the protocol that takes fewest trainings
ADAPTIVE_STUDY = {"rankings": [*STUDY["rankings"], UNROLLED_NAME], "kinds": STUDY["kinds"], "protocol": "adaptive"}
#: the same targets by what a head says of images: by removal alone, since relabelling takes twice the trainings
INFLUENCE_STUDY = {
    "rankings": ["influence-all", "influence-moco"],
    "kinds": ["remove"],
    "protocol": "default",
}
#: some of the same targets under variants of these rankings, by the adaptive protocol
VARIANT_STUDY = {
    "rankings": [
        "esvm-moco@pair",
        "esvm-moco@all",
        "trak-10@true",
        "trak-10@pair",
        f"{DATAMODELS_NAME}@true",
        f"{DATAMODELS_NAME}@pair",
        *(f"trak-{count}{lds_vs_compute.VARIANT_SUFFIX}" for count in lds_vs_compute.CHECKPOINT_COUNTS),
        *(f"datamodels-{count}{lds_vs_compute.VARIANT_SUFFIX}" for count in lds_vs_compute.HALF_COUNTS),
        "l2-simclr",
        "l2-dino",
        "l2-supervised",
        "l2-pixels",
        "ridge-pixels",
        "ridge-moco",
        "influence-all",
        "influence-supervised",
        "influence-moco",
    ],
    "kinds": ["remove"],
    "protocol": "adaptive",
}


HEADS = tuple(f"{PREFIX}{name}" for name in ("moco", "simclr", "dino", "supervised"))
STUDIED_HEADS = (f"{PREFIX}moco", f"{PREFIX}supervised")
#: of a head's supports, trained without by the own recipe: two sets of three seeds each
TRANSFER_TARGETS = 16
#: of the study of a head, with its features
HEAD_RANKINGS = ("influence-{}", "esvm-{}", "l2-{}", "trak-10", "random")


class DemoBuild:
    """One build into `folder`. root: the folder of Fashion-MNIST's files, None for the usual places. on_text(text) and
    progress(text, done, total) tell the person how far it is."""

    def __init__(
        self,
        folder: Path,
        root: Path | None,
        on_text: Callable[[str], None],
        progress: Progress,
        model: str | None = None,
    ):
        self.folder = Path(folder)
        self.root = root
        self.on_text = on_text
        self.progress = progress
        self.model = model

    @property
    def workspace(self) -> Workspace:
        """The workspace as it is on disk now, as the model sees it that is built for: its own, or of `of_model`."""
        return Workspace.open(self.folder, self.model)

    def of_model(self, name: str) -> "DemoBuild":
        """The same build, whose parts are those of another model."""
        return DemoBuild(self.folder, self.root, self.on_text, self.progress, name)

    def run(self, until: str | None = None) -> None:
        """Does the steps in order, up to and including `until`. Raises UserError for an unknown one."""
        if until and until not in STEPS:
            raise UserError(f"no step {until!r}; the steps are {', '.join(STEPS)}")
        for name, step in STEPS.items():
            if (self.folder / "workspace.json").exists() and name in self.workspace.manifest["steps"]:
                self.on_text(f"{name}: done before")
            else:
                start = time.perf_counter()
                step(self)
                seconds = round(time.perf_counter() - start, 1)
                change_json(
                    self.folder / "workspace.json",
                    lambda manifest: {**manifest, "steps": {**manifest["steps"], name: seconds}},  # noqa: B023
                )
                self.on_text(f"{name}: {seconds} s")
            if name == until:
                return

    def record(
        self, part: str, arrays: dict[str, np.ndarray] | None = None, tables: dict | None = None, **provenance
    ) -> None:
        """Writes a part's files, named by their path inside the workspace, and then its provenance."""
        workspace, stored = self._without_part(part), []
        for files, write in ((arrays or {}, write_array), (tables or {}, write_table)):
            for name, content in files.items():
                stored.append(workspace.stored_name(name))
                write(self.folder / stored[-1], content)
        workspace.record_part(part, {**command_provenance("demo build"), **provenance}, stored)

    def record_arrays(self, part: str, arrays: dict[str, np.ndarray], provenance: dict) -> None:
        """As `record`, of a part whose arrays are `<name>.npy` each in its own folder."""
        self.record(part, {f"{part}/{name}.npy": array for name, array in arrays.items()}, **provenance)

    def record_file(self, part: str, file: str, content, provenance: dict) -> None:
        """As `record`, of a part that is one file, JSON or a table."""
        workspace = self._without_part(part)
        name = workspace.stored_name(f"{part}/{file}")
        write_file(self.folder / name, content)
        workspace.record_part(part, {**command_provenance("demo build"), **provenance}, [name])

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


Step = Callable[[DemoBuild], None]


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
                "fingerprint": sampled_fingerprint(images, given, val_images, val_labels),
                "digests": {"train": image_digest(images), "val": image_digest(val_images)},
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


def flip_labels(images, labels, val_images, val_labels, rng, build: DemoBuild) -> np.ndarray:
    """The given labels [n_train]: the true `labels` with N_PLANTED of them changed to a wrong class.

    Models train on one random half and predict the other; an image's wrong class is drawn from the mean probabilities
    of the models that did not see it, the right class left out."""
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
    probabilities, counts = np.zeros((len(labels), 10)), np.zeros(len(labels))
    for number, seed in enumerate(PLANT_SEEDS):
        half = random_half(len(labels), SPLIT_SEED, number)
        for left_out in map(np.flatnonzero, (~half, half)):
            network = trainer.train(remove(left_out), seed)
            probabilities[left_out] += trainer.logits(network, trainer.train_images[left_out]).softmax(1).numpy()
            counts[left_out] += 1
        build.progress("planting: models", number + 1, len(PLANT_SEEDS))
    probabilities /= counts[:, None]
    probabilities[np.arange(len(labels)), labels] = 0
    given = labels.copy()
    for image in rng.choice(len(labels), N_PLANTED, replace=False):
        given[image] = rng.choice(10, p=probabilities[image] / probabilities[image].sum())
    return given


def train_base(build: DemoBuild) -> None:
    """Ten models that differ in the seed alone: predictions, weights, and the recipe's accuracy and seconds."""
    from attribution.training.trainer import LIBRARY, Trainer

    workspace, recipe = build.workspace, recipes.get_recipe(RECIPE)
    trainer = Trainer(workspace, recipe)
    probabilities, weights, seconds = base_models.train_base_models(
        trainer, BASE_SEEDS, scratch_folder(workspace, "base"), build.progress
    )
    images, labels = build.test_images()
    images = trainer.prepare(images)
    accuracy = [
        float((trainer.logits(base_models.restore_network(trainer, row), images).argmax(1).numpy() == labels).mean())
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


def feature_step(name: str) -> Step:
    """The step that trains and embeds one feature set."""

    def step(build: DemoBuild) -> None:
        workspace = build.workspace
        images, labels = build.test_images()
        train, val, test, provenance = features.train_and_embed(
            workspace, name, workspace.train_images, [workspace.val_images, images], None, build.progress
        )
        arrays = {
            f"features/{name}/{part}.npy": array.astype(np.float16) for part, array in (("train", train), ("val", val))
        }
        accuracy = knn.knn_accuracy(train, workspace.train_labels, test, labels)
        build.record(
            f"features/{name}",
            {} if name == "pixels" else arrays,
            knn_accuracy=round(float(accuracy), 4),
            knn_k=knn.N_NEIGHBOURS,
            measured_on=f"{len(labels)} test images outside",
            **provenance,
        )

    return step


def train_held_out_halves(build: DemoBuild) -> None:
    """The models on random halves that judge rankings by LDS, and never make or tune one."""
    build.record_arrays("lds", *halves.compute_held_out_halves(build.workspace, HELD_OUT_SEQUENCE, build.progress))


def train_second_draw(build: DemoBuild) -> None:
    """The second draw of such halves."""
    build.record_arrays(SECOND_PART, *halves.compute_second_draw(build.workspace, SECOND_SEQUENCE, build.progress))


def train_fit_halves(build: DemoBuild) -> None:
    """The models on random halves that Datamodels is fitted on, and what all halves so far say of the images they did
    not see."""
    workspace = build.workspace
    halves.train_halves(workspace, FIT_SEQUENCE, build.progress)
    with ResultStore.for_workspace(workspace) as store:
        sums, counts = store.out_of_subset(recipes.get_recipe(RECIPE).hash)
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
    cache_folder = scratch_folder(workspace, "trak")

    def trak_scores(models, dim):
        return scores.trak_score_reader(workspace, models, dim, cache_folder, build.progress)(0, workspace.n_val)

    masks, margins = (array[-MAX_TUNING_HALVES:] for array in halves.load_half_margins(workspace, FIT_SEQUENCE))
    tuning = {}
    for dim in TRAK_DIMS:
        tuning[dim] = round(float(lds.lds(masks, margins, trak_scores(TRAK_TUNING_MODELS, dim), resamples=0).mean), 4)
    chosen = max(tuning, key=tuning.get)
    build.record(
        "rankings/trak-10",
        {"rankings/trak-10/scores.npy": half_precision(trak_scores(len(BASE_SEEDS), chosen))},
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
    weights, tuned = scores.fit_tuned_datamodels(masks, margins, MAX_TUNING_HALVES, DATAMODELS_NAME, build.progress)
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
        **tuned,
    )


def build_detectors(build: DemoBuild) -> None:
    """Every detector of mislabeled images, from what the steps before have made."""
    workspace = build.workspace

    def record(part: str, arrays: dict, provenance: dict) -> None:
        build.record_arrays(part, arrays, provenance)
        workspace.manifest["parts"][part] = build.workspace.manifest["parts"][part]

    detectors.build_detectors(workspace, None, build.progress, record)


def build_unrolled(build: DemoBuild) -> None:
    """Unrolled, a byte a score."""
    workspace = build.workspace
    unrolled.build_unrolled(
        workspace, UNROLLED_NAME, unrolled.plan(workspace, **UNROLLED), build.progress, compact=True
    )


def list_combination(build: DemoBuild) -> None:
    """Unrolled and Datamodels together: the LDS of the sum is above that of either, on both draws of halves."""
    build.record(f"{combination.FOLDER}{combination.MARK.join(COMBINED)}", members=list(COMBINED))


def run_lds(build: DemoBuild) -> None:
    """LDS of every ranking on both draws of the held-out halves, with interval and noise ceiling."""
    workspace = build.workspace
    answer = lds_report.compute(workspace, progress=build.progress)
    lds_report.save(workspace, answer, {})
    workspace.list_file("lds", "lds/lds.json")


def measurement_step(module, compute: Callable[[Workspace, Progress], object], as_json: bool = False) -> Step:
    """The step that saves what compute(workspace, progress) measures as the part of an evaluation `module`."""

    def step(build: DemoBuild) -> None:
        workspace = build.workspace
        answer = compute(workspace, build.progress)
        module.save(workspace, answer, {}, build.record_file if as_json else build.record_arrays)

    return step


def head_step(module, names: Iterable[str], compute: Callable[[Workspace, Progress], object]) -> Step:
    """As `measurement_step`, of each head in `names`, whose part it is; the part is one file."""

    def step(build: DemoBuild) -> None:
        for name in names:
            of_head = build.of_model(name)
            workspace = of_head.workspace
            module.save(workspace, compute(workspace, build.progress), {}, of_head.record_file)

    return step


def bring_heads(build: DemoBuild) -> None:
    """The heads as they are fitted here: a first visitor need not wait for that."""
    for name in HEADS:
        of_head = build.of_model(name)
        fitted = of_head.workspace.head(name.removeprefix(PREFIX))
        file = f"{heads.PART}/{fitted.recipe.hash}"
        workspace = of_head._without_part(heads.PART)
        record, weights = (workspace.stored_name(f"{file}{ending}") for ending in (".json", ".npy"))
        write_json(build.folder / record, fitted.record)
        write_array(build.folder / weights, fitted.head.weights)
        workspace.record_part(
            heads.PART, {**command_provenance("demo build"), "hash": fitted.recipe.hash}, [record, weights]
        )


def study_heads(build: DemoBuild) -> None:
    """The supports of all right validation images under the heads that are studied."""
    for name in STUDIED_HEADS:
        workspace = build.of_model(name).workspace
        rankings = [ranking.format(name.removeprefix(PREFIX)) for ranking in HEAD_RANKINGS]
        targets = adaptive_supports.right_targets(workspace)
        jobs.run_job(workspace, study_spec(workspace, targets, rankings, STUDY["kinds"]), build.progress)
        export_head_study(build, name)


def compare_default_rankings(workspace: Workspace, progress: Progress) -> agreement.Agreement:
    """How far the default rankings choose the same images."""
    names = default_rankings(workspace)
    return agreement.compute(workspace, names, targets=agreement.draw_targets(workspace, names), progress=progress)


def run_cost(build: DemoBuild) -> None:
    """What every ranking costs, queries measured on this machine."""
    workspace = build.workspace
    costs = cost.compute(workspace, progress=build.progress)
    cost.save(workspace, costs, {"device": cost.machine_name()}, build.record_file)


def run_candidate_sets(build: DemoBuild) -> None:
    """LDS of rankings among three sets of candidates."""
    workspace = build.workspace
    names = candidate_sets.default_names(workspace)
    answer = candidate_sets.compute(workspace, names, progress=build.progress)
    candidate_sets.save(workspace, answer, {"rankings": names}, build.record_file)


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
        points = projection.project(workspace, name, "tsne", build.progress)
        seconds = {"seconds": round(time.perf_counter() - start, 1)}
        projection.save(workspace, points, seconds, build.record_arrays)


def study_step(study: dict) -> Step:
    """The step that finds the supports of `study_targets` under the rankings of a study."""

    def step(build: DemoBuild) -> None:
        workspace = build.workspace
        targets = study_targets(workspace)
        spec = study_spec(workspace, targets, study["rankings"], study["kinds"], study["protocol"])
        jobs.run_job(workspace, spec, build.progress)
        export_study(build)

    return step


def export_study(build: DemoBuild) -> None:
    """Writes the supports found so far into the workspace, beside those it brought along: of each study and kind the
    targets that all its rankings have finished, so that the curves of a kind compare like sets. Raises UserError where
    there is none."""
    workspace, recipe = build.workspace, recipes.get_recipe(RECIPE)
    with ResultStore.for_workspace(workspace) as store:
        table = support_table.load_support_table(workspace, store)
    parts, provenance = [], []
    for study in (STUDY, VARIANT_STUDY, INFLUENCE_STUDY, UNROLLED_STUDY, ADAPTIVE_STUDY):
        rows, targets = _finished_rows(workspace, table, study)
        parts.append(rows)
        provenance.append({**study, "targets": targets, "trainings": int(rows.trainings.sum())})
    rows = pd.concat(parts)
    if rows.empty:
        raise UserError("no target of the study is finished yet; let it run on")
    build.record(
        "supports",
        tables={"supports.parquet": support_table.to_stored_table(rows)},
        of=STUDY_TARGETS,
        **provenance[0],
        varied=provenance[1],
        influence=provenance[2],
        unrolled=provenance[3],
        adaptive=provenance[4],
        k_max=support_search.DEFAULT_K_MAX,
        seeds=[*support_search.SEEDS, *support_search.CONFIRM_SEEDS],
        recipe=RECIPE,
        hash=recipe.hash,
    )


def export_retrainings(build: DemoBuild, name: str | None = None) -> None:
    """Writes what the store holds of the first target that a visitor sees under the model `name`, the own recipe if not
    given: without the ranking's first images, beside the controls. Raises UserError where that is not trained yet."""
    view = (build.of_model(name) if name else build).workspace
    with ResultStore.for_workspace(view) as store:
        flips = opening_targets(view)
        specs = [retrain_spec(view, flip.target, flip.ranking, "remove", flip.k) for flip in flips]
        specs = [spec for spec in specs if spec.missing(view, store) == 0]
        if not specs:
            raise UserError("no first target is retrained yet; `retrain` does it")
        table = bundled_retrainings.table_of(view, store, specs)
    (build.of_model(name) if name else build).record(
        bundled_retrainings.PART,
        tables={bundled_retrainings.FILE: table},
        command="python -m attribution demo export-retrainings" + (f" --recipe {name}" if name else ""),
        recipe=view.recipe,
        hash=view.get_recipe().hash,
        trainings=len(table),
    )


def export_head_study(build: DemoBuild, name: str) -> None:
    """As `export_study`, of the studies that were made under the head `name`: the targets that all rankings of a study
    have finished. Raises UserError where there is none."""
    view = build.of_model(name).workspace
    recipe = view.get_recipe()
    with ResultStore.for_workspace(view) as store:
        study = read_study(view, store, "default")
        table = support_table.load_support_table(view, store)
    wanted = {
        (kind, ranking, target)
        for kind, rankings in study.tables.items()
        for ranking, supports in rankings.items()
        for target in supports
        if all(target in others and others[target] for others in rankings.values())
    }
    table = table[table.k_max == study.k_max]
    rows = table[[key in wanted for key in zip(table.kind, table.ranking, table.target)]]
    if rows.empty:
        raise UserError(f"no target of a study of {name} is finished yet; let it run on")
    build.of_model(name).record(
        "supports",
        tables={"supports.parquet": support_table.to_stored_table(rows)},
        command=f"python -m attribution demo export-study --recipe {name}",
        protocol="default",
        k_max=study.k_max,
        kinds=list(study.tables),
        rankings=list(next(iter(study.tables.values()))),
        targets={kind: int(rows[rows.kind == kind].target.nunique()) for kind in study.tables},
        trainings=int(rows.trainings.sum()),
        seeds=[0],
        recipe=name,
        hash=recipe.hash,
    )


def _finished_rows(workspace: Workspace, table: pd.DataFrame, study: dict) -> tuple[pd.DataFrame, dict[str, int]]:
    """The rows of `table` of the targets that a study has finished, and how many these are of each kind."""
    table = table[
        (table.protocol == study["protocol"])
        & (table.k_max == support_search.DEFAULT_K_MAX)
        & table.ranking.isin(study["rankings"])
        & table.target.isin(study_targets(workspace))
    ]
    parts, targets = [table[:0]], {}
    for kind in study["kinds"]:
        of_kind = table[table.kind == kind]
        finished = of_kind.groupby("target").ranking.nunique() == len(study["rankings"])
        parts.append(of_kind[of_kind.target.isin(finished.index[finished])])
        targets[kind] = int(finished.sum())
    return pd.concat(parts), targets


def study_targets(workspace: Workspace) -> list[int]:
    """The targets of both studies: STUDY_TARGETS random ones on which the base models agree."""
    return draw_stable_targets(workspace, STUDY_TARGETS, STUDY_SEED)


def half_precision(scores: np.ndarray) -> np.ndarray:
    """Scores as float16, the largest scaled to 1,000: a ranking's scale is arbitrary, its small scores are not."""
    return (scores * (1000 / np.abs(scores).max())).astype(np.float16)


#: name -> step, in the order they are done
STEPS: dict[str, Step] = {
    "split": draw_split,
    "base": train_base,
    **{name: feature_step(name) for name in ("pixels", "supervised", "moco", "simclr", "dino")},
    "held-out": train_held_out_halves,
    "second-draw": train_second_draw,
    "halves": train_fit_halves,
    "trak": build_trak,
    "datamodels": build_datamodels,
    "unrolled": build_unrolled,
    "combination": list_combination,
    "lds": run_lds,
    "study": study_step(STUDY),
    "detectors": build_detectors,
    "agreement": measurement_step(agreement, compare_default_rankings),
    "cost": run_cost,
    "conditioning": run_candidate_sets,
    # LDS of TRAK and Datamodels against the seconds they take
    "compute": measurement_step(
        lds_vs_compute, lambda workspace, progress: lds_vs_compute.compute(workspace, progress=progress), True
    ),
    # whose influence changes without augmentation
    "algorithms": measurement_step(
        model_diff, lambda workspace, progress: model_diff.compute(workspace, PLAIN_RECIPE, progress)
    ),
    "varied": study_step(VARIANT_STUDY),
    "influence-study": study_step(INFLUENCE_STUDY),
    "unrolled-study": study_step(UNROLLED_STUDY),
    "adaptive-study": study_step(ADAPTIVE_STUDY),
    # LDS of the study's single targets, beside their supports
    "lds-supports": measurement_step(
        lds_vs_support,
        lambda workspace, progress: lds_vs_support.compute(
            workspace,
            [*STUDY["rankings"], *INFLUENCE_STUDY["rankings"], *UNROLLED_STUDY["rankings"]],
            np.sort(study_targets(workspace)),
            progress,
        ),
    ),
    # what signed rankings predict of the study's removals, beside what was measured
    "calibration": measurement_step(
        calibration, lambda workspace, progress: calibration.compute(workspace, progress=progress)
    ),
    # what the derivative behind Unrolled foretells of trainings without some images
    "metasmoothness": measurement_step(
        metasmoothness, lambda workspace, progress: metasmoothness.compute(workspace, progress=progress), True
    ),
    "hubs": run_hubs,
    "map": build_maps,
    # TRAK on untrained networks, and on planted duplicates
    "sanity": measurement_step(
        sanity_checks, lambda workspace, progress: sanity_checks.compute(workspace, progress=progress), True
    ),
    "heads": bring_heads,
    "head-study": study_heads,
    # LDS of all rankings under each head, whose halves are refitted
    "head-lds": head_step(
        lds_report, HEADS, lambda workspace, progress: lds_report.compute(workspace, progress=progress)
    ),
    # the prefix of influence beside influence computed anew after every few images
    "adaptive-supports": head_step(
        adaptive_supports,
        STUDIED_HEADS,
        lambda workspace, progress: adaptive_supports.compute(workspace, progress=progress),
    ),
    # whether the supports of one model flip the other
    "support-transfer": head_step(
        support_transfer,
        STUDIED_HEADS,
        lambda workspace, progress: support_transfer.compute(workspace, TRANSFER_TARGETS, progress=progress),
    ),
}
