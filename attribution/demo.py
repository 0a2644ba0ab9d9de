"""Builds the demo workspace: Fashion-MNIST 5,000 / 1,000, everything computed, step by step and resumable.

A step that workspace.json records is not done again; trainings and study answers come from the result store, so a
build goes on where it was stopped. The split, the planted labels and the recipe come first: all else rests on them.
"""

import platform
import time
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd

from attribution import features, jobs, lds, measure, recipes, support, supports
from attribution.data import fashion_mnist
from attribution.errors import UserError
from attribution.features import knn
from attribution.files import read_array, write_array, write_json, write_table
from attribution.store import Store
from attribution.workspace import SCHEMA, Workspace, fingerprint

NAME = "demo"
RECIPE = "demo-cnn"
SPLIT_SEED = 20231106
PER_CLASS = {"train": 500, "test": 100}
PLANTED = 100
PLANT_SEEDS = range(900, 905)
BASE_SEEDS = range(200, 210)
#: random halves: sequence, how many, seeds. The held-out ones judge rankings and never make or tune one.
FIT = {"draw": 1, "count": 2000, "seeds": [0]}
DATAMODELS = f"datamodels-{FIT['count'] // 1000}k"
HELD_OUT = {"draw": 2, "count": 100, "seeds": [0, 1, 2, 3, 4]}
#: of the fit halves, the last ones tune: TRAK and Datamodels are both tuned on these, and Datamodels then fits on all
TUNING = 200
TRAK_DIMS = (128, 256, 512, 1024, 2048)
TRAK_TUNING_MODELS = 2
PENALTIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
STUDY = {"rankings": ["esvm-moco", "l2-moco", "trak-10", DATAMODELS, "random"], "kinds": ["remove", "mislabel"]}
STUDY_TARGETS = 40


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

    def record(self, part: str, arrays: dict[str, np.ndarray] | None = None, tables: dict | None = None,
               **about) -> None:
        """Writes a part's files, named by their path inside the workspace, and then its provenance."""
        workspace = self.workspace
        if workspace.manifest["parts"].pop(part, None):  # while its files change, the workspace does not vouch for them
            write_json(self.folder / "workspace.json", workspace.manifest)
        for name, array in (arrays or {}).items():
            write_array(self.folder / name, array)
        for name, table in (tables or {}).items():
            write_table(self.folder / name, table)
        made = {"command": "python -m attribution demo build", "made": time.strftime("%Y-%m-%d", time.gmtime()),
                "versions": versions(), "device": platform.processor() or platform.machine()}
        workspace.record(part, {**made, **about}, [*(arrays or {}), *(tables or {})])

    def outside(self) -> tuple[np.ndarray, np.ndarray]:
        """The 9,000 test images that are not in the workspace, and their labels: what accuracies are measured on."""
        images, labels = fashion_mnist.load("test", self.root)
        rest = np.setdiff1d(np.arange(len(labels)), self.workspace.val_index)
        return images[rest], labels[rest]


def split(build: Build) -> None:
    """Draws the images, plants the wrong labels, and writes both: from here on nothing may change."""
    start = time.perf_counter()
    rng = np.random.default_rng(SPLIT_SEED)
    parts = {}
    for name, count in PER_CLASS.items():
        images, labels = fashion_mnist.load(name, build.root)
        chosen = np.sort(np.concatenate([rng.choice(np.flatnonzero(labels == c), count, replace=False)
                                         for c in range(10)]))
        parts[name] = images[chosen], labels[chosen], chosen
    images, original, index = parts["train"]
    val_images, val_labels, val_index = parts["test"]
    given = plant(images, original, val_images, val_labels, rng, build)
    write_json(build.folder / "workspace.json", {
        "schema": SCHEMA, "name": NAME, "recipe": RECIPE, "parts": {}, "steps": {},
        "dataset": {"name": "Fashion-MNIST", "classes": fashion_mnist.CLASSES, "n_train": len(given),
                    "n_val": len(val_labels),
                    "shape": list(images.shape[1:]), "planted": PLANTED, "inverted": True,
                    "fingerprint": fingerprint(images, given, val_images, val_labels)}})
    (build.folder / "LICENSE-Fashion-MNIST").write_text(fashion_mnist.LICENCE)
    build.record("data", {"images/train.npy": images, "images/val.npy": val_images},
                 {"train.parquet": pd.DataFrame({"source_index": index, "label": given}),
                  "val.parquet": pd.DataFrame({"source_index": val_index, "label": val_labels}),
                  "truth.parquet": pd.DataFrame({"original": original, "planted": given != original})},
                 seeds=[SPLIT_SEED, *PLANT_SEEDS], seconds=round(time.perf_counter() - start, 1))


def plant(images, labels, val_images, val_labels, rng, build) -> np.ndarray:
    """Given labels: PLANTED of them changed to a wrong class drawn from what models that did not see the image say.

    Each model trains on one half and is asked about the other; an image's wrong class is drawn from the mean
    probabilities of the models that did not see it, the right class left out."""
    from attribution.edits import remove
    from attribution.train import Trainer

    data = SimpleNamespace(train_images=images, train_labels=labels, val_images=val_images, val_labels=val_labels,
                           classes=fashion_mnist.CLASSES)
    trainer = Trainer(data, recipes.get(RECIPE))
    said, asked = np.zeros((len(labels), 10)), np.zeros(len(labels))
    for number, seed in enumerate(PLANT_SEEDS):
        kept = jobs.half(len(labels), SPLIT_SEED, number)
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
    import torch

    from attribution.train import LIBRARY, Trainer

    workspace = build.workspace
    trainer = Trainer(workspace, recipes.get(RECIPE))
    outside, labels = build.outside()
    outside = trainer.prepare(outside)
    trainer.run(seed=0)  # the first training of a process is slower and is not counted
    probabilities, weights, accuracy, seconds = [], [], [], []
    for seed in BASE_SEEDS:
        outcome = trainer.run(seed=seed)
        probabilities.append(outcome.probabilities)
        weights.append(torch.cat([value.float().flatten() for value in outcome.network.state_dict().values()]).numpy())
        accuracy.append(float((trainer.logits(outcome.network, outside).argmax(1).numpy() == labels).mean()))
        seconds.append(outcome.seconds)
        build.progress("base models", len(seconds), len(BASE_SEEDS))
    recipe = recipes.get(RECIPE)
    build.record("base",
                 {"base/probabilities.npy": np.array(probabilities, np.float16), "base/weights.npy": np.array(weights)},
                 recipe=recipe.name, hash=recipe.hash, seeds=list(BASE_SEEDS),
                 accuracy=round(float(np.mean(accuracy)), 4),
                 accuracy_std=round(float(np.std(accuracy, ddof=1)), 4),
                 measured_on=f"{len(labels)} test images outside",
                 seconds=round(float(np.median(seconds)), 2), library=LIBRARY, device=trainer.device.type,
                 threads=recipe.threads)


def base_networks(workspace: Workspace, trainer) -> list:
    """The base models as torch modules, from the weights the workspace keeps."""
    import torch

    networks = []
    for row in read_array(workspace.path / "base" / "weights.npy"):
        network, at = trainer.untrained(0), 0
        state = network.state_dict()
        for name, value in state.items():
            state[name] = torch.as_tensor(row[at : at + value.numel()].copy()).reshape(value.shape).to(value.dtype)
            at += value.numel()
        network.load_state_dict(state)
        networks.append(network.eval())
    return networks


def feature_step(name: str):
    """The step that trains and embeds one feature set."""

    def step(build: Build) -> None:
        workspace = build.workspace
        outside, labels = build.outside()
        scratch = Store.of(workspace).folder / "features" / name
        every = workspace.train_images, workspace.val_images, outside
        if name == "supervised":
            from attribution.features import supervised

            about = supervised.train(workspace, scratch)
            train, val, rest = (supervised.embed(scratch, images) for images in every)
        else:
            about = features.train(name, workspace.train_images, scratch,
                                   progress=lambda *at: build.progress(f"{name}: epochs", *at))
            train, val, rest = (features.embed(name, scratch, images) for images in every)
        arrays = {f"features/{name}/{part}.npy": array.astype(np.float16)
                  for part, array in (("train", train), ("val", val))}
        accuracy = knn.knn_accuracy(train, workspace.train_labels, rest, labels)
        build.record(f"features/{name}", {} if name == "pixels" else arrays, knn_accuracy=round(float(accuracy), 4),
                     knn_k=knn.K, measured_on=f"{len(labels)} test images outside", **about)

    return step


def held_out(build: Build) -> None:
    """The models on random halves that judge rankings by LDS, and never make or tune one."""
    workspace = build.workspace
    train_halves(build, HELD_OUT)
    masks, margins = half_margins(workspace, HELD_OUT)
    build.record("lds", {"lds/masks.npy": np.packbits(masks, axis=1), "lds/margins.npy": margins.astype(np.float16)},
                 alpha=0.5, masks=len(masks), seeds=HELD_OUT["seeds"], training="equal epochs: half as many steps",
                 recipe=RECIPE, hash=recipes.get(RECIPE).hash)


def halves(build: Build) -> None:
    """The models on random halves that Datamodels is fitted on, and what all halves so far say of the images they did
    not see."""
    workspace = build.workspace
    train_halves(build, FIT)
    store = Store.of(workspace)
    sums, counts = store.out_of_subset(recipes.get(RECIPE).hash)
    store.close()
    build.record("out_of_subset",
                 {"out_of_subset/sums.npy": sums.astype(np.float32), "out_of_subset/counts.npy": counts},
                 models=round(2 * counts.sum() / workspace.n_train), recipe=RECIPE, hash=recipes.get(RECIPE).hash)


def train_halves(build: Build, sequence: dict) -> None:
    """Has the runner train every half of a sequence under each of its seeds."""
    workspace = build.workspace
    wait(build, workspace, jobs.subsets_spec(workspace, 0, sequence["count"], sequence["seeds"], sequence["draw"]))


def half_margins(workspace: Workspace, sequence: dict) -> tuple[np.ndarray, np.ndarray]:
    """Masks bool [count, n_train] and margins float16 [count, seeds, n_val] of trained halves, from the store."""
    store, recipe = Store.of(workspace), recipes.get(RECIPE).hash
    masks = np.stack([jobs.half(workspace.n_train, sequence["draw"], i) for i in range(sequence["count"])])
    margins = []
    for number in range(sequence["count"]):
        edit = jobs.half_edit(workspace, sequence["draw"], number)
        seeds = [jobs.half_seed(sequence["draw"], number, seed) for seed in sequence["seeds"]]
        margins.append([store.get(store.key(recipe, edit, seed)).margins for seed in seeds])
    store.close()
    return masks, np.array(margins)


def trak(build: Build) -> None:
    """trak-10: dattri on the ten base models, the projection's dimension tuned on halves that are not held out."""
    from attribution.rankings import trak as method
    from attribution.train import Trainer

    start = time.perf_counter()
    workspace = build.workspace
    trainer = Trainer(workspace, recipes.get(RECIPE))
    networks = base_networks(workspace, trainer)
    masks, margins = (part[-TUNING:] for part in half_margins(workspace, FIT))
    tuning = {}
    for number, dim in enumerate(TRAK_DIMS):
        scores = method.build(trainer, networks[:TRAK_TUNING_MODELS], workspace.val_labels, dim)
        tuning[dim] = round(float(lds.lds(masks, margins, scores, resamples=0).mean), 4)
        build.progress("trak-10: projections tried", number + 1, len(TRAK_DIMS))
    chosen = max(tuning, key=tuning.get)
    scores = method.build(trainer, networks, workspace.val_labels, chosen)
    build.record("rankings/trak-10", {"rankings/trak-10/scores.npy": half_precision(scores)}, method="TRAK",
                 signed=True,
                 about=f"10 models · dim {chosen:,}", models=10, made_for=made_for(workspace, BASE_SEEDS),
                 tuning=tuning,
                 tuned_on=f"{TUNING} halves that are not held out, {TRAK_TUNING_MODELS} models",
                 seconds=round(time.perf_counter() - start, 1))


def datamodels(build: Build) -> None:
    """Datamodels: LASSO on the fit halves, its penalty tuned by leaving the tuning halves out."""
    from attribution.rankings import datamodels as method

    start = time.perf_counter()
    workspace = build.workspace
    masks, margins = half_margins(workspace, FIT)
    margins = margins.mean(1)
    some = np.random.default_rng(jobs.STUDY_SEED).choice(workspace.n_val, 60, replace=False)
    tuning = {}
    for number, penalty in enumerate(PENALTIES):
        weights = method.fit(masks[:-TUNING], margins[:-TUNING, some], penalty)
        tuning[penalty] = round(float(lds.lds(masks[-TUNING:], margins[-TUNING:, None, some], weights,
                                              resamples=0).mean), 4)
        build.progress(f"{DATAMODELS}: penalties tried", number + 1, len(PENALTIES))
    penalty = max(tuning, key=tuning.get)
    weights = method.fit(masks, margins, penalty,
                         lambda done: build.progress(f"{DATAMODELS}: targets", done, workspace.n_val))
    weights = half_precision(weights)
    rows, columns = np.nonzero(weights)
    arrays = {"data": weights[rows, columns], "columns": columns.astype(np.uint16),
              "starts": np.searchsorted(rows, np.arange(workspace.n_val + 1)),
              "tail": method.tails(weights, method.marginal_effects(masks, margins))}
    build.record(f"rankings/{DATAMODELS}",
                 {f"rankings/{DATAMODELS}/{name}.npy": array for name, array in arrays.items()},
                 method="Datamodels", signed=True, about=f"{len(masks):,} half-models · α 0.5", models=len(masks),
                 made_for=made_for(workspace, "halves"), penalty=penalty, tuning=tuning,
                 nonzero=round(len(rows) / workspace.n_val, 1),
                 tuned_on=f"{TUNING} halves that are not held out, {len(some)} targets",
                 seconds=round(time.perf_counter() - start, 1))


def half_precision(scores: np.ndarray) -> np.ndarray:
    """float16, scaled so that the largest score is 1,000: a ranking's scale is arbitrary, its small scores are not."""
    return (scores * (1000 / np.abs(scores).max())).astype(np.float16)


def made_for(workspace: Workspace, seeds) -> dict:
    """What a ranking was made for: where it is judged under another recipe it wears a badge."""
    return {"recipe": RECIPE, "hash": recipes.get(RECIPE).hash, "data": workspace.fingerprint,
            "seeds": seeds if isinstance(seeds, str) else list(seeds)}


def judge(build: Build) -> None:
    """LDS of every ranking on the held-out halves, with interval and noise ceiling."""
    workspace = build.workspace
    answer = measure.evaluate_lds(workspace, progress=build.progress)
    write_json(build.folder / "lds" / "lds.json", answer)
    about = workspace.manifest["parts"]["lds"]
    workspace.record("lds", {key: value for key, value in about.items() if key != "files"},
                     [*about["files"], "lds/lds.json"])


def study(build: Build) -> None:
    """Removal and mislabel supports of random stable targets under the rankings of STUDY."""
    workspace = build.workspace
    spec = jobs.study_spec(workspace, study_targets(workspace), STUDY["rankings"], STUDY["kinds"])
    wait(build, workspace, spec)
    export_study(build)


def export_study(build: Build) -> None:
    """Writes the supports found so far into the workspace, beside those it brought along: of each kind the targets
    that all rankings have finished, so that the curves of a kind compare like sets. Raises UserError where there is
    none."""
    workspace, recipe = build.workspace, recipes.get(RECIPE)
    store = Store.of(workspace)
    found = supports.table(workspace, store)
    store.close()
    found = found[(found.protocol == "default") & (found.k_max == support.K) & found.ranking.isin(STUDY["rankings"])]
    parts, targets = [], {}
    for kind in STUDY["kinds"]:
        of_kind = found[(found.kind == kind) & found.target.isin(study_targets(workspace))]
        whole = of_kind.groupby("target").ranking.nunique() == len(STUDY["rankings"])
        parts.append(of_kind[of_kind.target.isin(whole.index[whole])])
        targets[kind] = int(whole.sum())
    rows = pd.concat(parts)
    if rows.empty:
        raise UserError("no target of the study is finished yet; let it run on")
    build.record("supports", tables={"supports.parquet": supports.to_table(rows)}, targets=targets, of=STUDY_TARGETS,
                 **STUDY, protocol="default", k_max=support.K, seeds=[*support.SEEDS, *support.CONFIRM_SEEDS],
                 recipe=RECIPE, hash=recipe.hash, trainings=int(rows.trainings.sum()))


def study_targets(workspace: Workspace) -> list[int]:
    """The study's targets."""
    return measure.random_stable(workspace, STUDY_TARGETS, jobs.STUDY_SEED)


def wait(build: Build, workspace: Workspace, spec: dict) -> None:
    """Queues a job and shows its progress to the end. Interrupted, the job goes on in the background."""
    number = jobs.submit(workspace, spec)
    store = Store.of(workspace)
    while (job := store.job(number)).open:
        build.progress(job.what, job.done, job.total)
        jobs.ensure_runner(workspace)
        time.sleep(2)
    store.close()
    if job.state != "done":
        raise UserError(f"the job {job.what!r} ended as {job.state} ({job.message}); run the same command again")


def versions() -> dict[str, str]:
    """Versions of what computed a part."""
    names = ("torch", "numpy", "scikit-learn", "lightly", "dattri", "faiss-cpu")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


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
}
