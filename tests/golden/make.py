"""Writes the golden files anew: tiny attributions, each written by the real library the way its users do it.

    python -m venv golden && golden/bin/pip install -r requirements.txt dattri==0.3.0 captum==0.9.0 \\
        traker==0.3.2 kronfluence==1.0.1 quanda==0.5.0
    golden/bin/pip install --no-deps --target old traker==0.1.3
    PYTHONPATH=. golden/bin/python tests/golden/make.py old

24 training and 6 validation points of six classes, and a network of 126 parameters. `orders/<name>.npy`, int64 [6, 24],
is each library's own order, most helpful first; `versions.json` says what wrote which file, and which files are written
by hand here because their authors released data and no writer.
"""

import json
import os
import pickle
import platform
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from attribution.importing.formats.parquet import labels_digest

HERE = Path(__file__).resolve().parent
N_TRAIN, N_VAL = 24, 6
#: training and validation points that kronfluence's subset is about
SOME_TRAIN, SOME_VAL = [20, 3, 11, 4, 16, 7, 0, 23], [5, 0, 3]
CLASSES = 6


def points(n: int, seed: int) -> TensorDataset:
    """`n` points in 8 dimensions, their classes by turns."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % CLASSES
    return TensorDataset(torch.randn(n, 8, generator=draw) * 0.4 + 2 * nn.functional.one_hot(labels, 8), labels)


def trained(train: TensorDataset, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, CLASSES))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(train.tensors[0]), train.tensors[1]).backward()
        optimizer.step()
    return model.eval()


def batches(data: TensorDataset, size: int = 2) -> DataLoader:
    return DataLoader(data, batch_size=size, shuffle=False)


def keep_order(name: str, helpfulness) -> None:
    """helpfulness: the library's scores [n_val, n_train], larger is more helpful."""
    order = np.argsort(-np.asarray(helpfulness, np.float64), axis=1, kind="stable")
    np.save(HERE / "orders" / f"{name}.npy", order)


def make_traker(train, val, model, folder: Path) -> None:
    """Two experiments of two checkpoints, one of them not finalised: its file is there, and all zeros."""
    traker, states, save_dir = _featurized(train, model, folder, lambda_reg=1.0)
    for name in ("val", "started"):
        for model_id, state in enumerate(states):
            traker.start_scoring_checkpoint(exp_name=name, checkpoint=state, model_id=model_id, num_targets=N_VAL)
            for batch in batches(val):
                traker.score(batch, num_samples=len(batch[0]))
        if name == "val":
            keep_order("traker", np.asarray(traker.finalize_scores(exp_name=name)).T)
    kept = HERE / "traker"
    (kept / "scores").mkdir(parents=True)
    for file in [*save_dir.glob("*.json"), *save_dir.glob("scores/*.mmap")]:
        text = file.read_bytes()
        if file.suffix == ".json":  # it holds an absolute path; any other machine's would do
            text = text.replace(str(save_dir.resolve()).encode(), b"/elsewhere/trak_results")
        (kept / file.relative_to(save_dir)).write_bytes(text)


def make_old_traker(train, val, model, folder: Path) -> None:
    """Run by a process of its own that finds traker 0.1.3 first."""
    traker, states, save_dir = _featurized(train, model, folder)
    for model_id, state in enumerate(states):
        traker.start_scoring_checkpoint(state, model_id=model_id, num_targets=N_VAL)
        for batch in batches(val):
            traker.score(batch, num_samples=len(batch[0]))
    keep_order("traker_old", np.asarray(traker.finalize_scores(exp_name="val")).T)
    shutil.copytree(save_dir / "scores", HERE / "traker_old" / "scores")


def _featurized(train, model, folder: Path, **arguments):
    from trak import TRAKer

    states = [trained(train, seed).state_dict() for seed in (0, 1)]
    save_dir = folder / "trak_results"
    traker = TRAKer(
        model, "image_classification", N_TRAIN, save_dir=str(save_dir), device="cpu", proj_dim=8, **arguments
    )
    for model_id, state in enumerate(states):
        traker.load_checkpoint(state, model_id=model_id)
        for batch in batches(train):
            traker.featurize(batch, num_samples=len(batch[0]))
    traker.finalize_features()
    return traker, states, save_dir


def make_dattri(train, val, model, folder: Path) -> None:
    """TRAK of the margin: [n_train, n_test], positive is helpful."""
    from dattri.algorithm.trak import TRAKAttributor
    from dattri.task import AttributionTask

    def logits(parameters, data):
        return torch.func.functional_call(model, parameters, data[0][None])[0]

    def is_label(data, said):  # neither one_hot nor indexing by a tensor works under vmap
        return torch.arange(len(said)) == data[1]

    def margin(parameters, data):
        said = logits(parameters, data)
        correct = is_label(data, said)
        return (said * correct).sum() - said.masked_fill(correct, -torch.inf).logsumexp(0)

    def probability(parameters, data):
        said = logits(parameters, data).softmax(0)
        return (said * is_label(data, said)).sum()[None]

    task = AttributionTask(loss_func=margin, model=model, checkpoints=[model.state_dict()])
    attributor = TRAKAttributor(
        task, probability, projector_kwargs={"proj_dim": 16, "proj_max_batch_size": 8}, device="cpu", regularization=1.0
    )
    attributor.cache(batches(train, 8))
    with torch.no_grad():
        scores = attributor.attribute(batches(val, 3))
    keep_order("dattri", scores.T.cpu())
    torch.save(scores, new("tensors") / "dattri.pt")


def make_captum(train, val, model, folder: Path) -> None:
    """TracInCP: [n_test, n_train], positive is a proponent; saved in the three ways people save a tensor."""
    from captum.influence import TracInCP
    from safetensors.torch import save_file

    torch.save(model.state_dict(), folder / "checkpoint.pt")
    tracin = TracInCP(
        model,
        train,
        [str(folder / "checkpoint.pt")],
        _load_checkpoint,
        batch_size=8,
        loss_fn=nn.CrossEntropyLoss(reduction="none"),
    )
    scores = tracin.influence(val.tensors).detach()
    keep_order("captum", scores)
    torch.save(scores, new("tensors") / "captum.pt")
    np.save(HERE / "tensors" / "captum.npy", scores.numpy())
    save_file({"influence": scores.contiguous()}, HERE / "tensors" / "captum.safetensors")
    write_as_csv(scores.numpy(), new("csv"))


def write_as_csv(scores: np.ndarray, folder: Path) -> None:
    """The scores [n_val, n_train] as a matrix, and as a table with a row for each pair."""
    np.savetxt(folder / "matrix.csv", scores, delimiter=",", fmt="%.9g")
    rows = [f"{target},{train},{score:.9g}\n" for (target, train), score in np.ndenumerate(scores)]
    (folder / "pairs.csv").write_text("".join(["target,train,score\n", *rows]))


def make_quanda(train, val, model, folder: Path) -> None:
    """Explanations of captum's TracInCP, cached one file a batch."""
    from quanda.explainers.wrappers import CaptumTracInCP
    from quanda.utils.cache import ExplanationsCache

    torch.save(model.state_dict(), folder / "checkpoint.pt")
    explainer = CaptumTracInCP(
        model,
        train,
        [str(folder / "checkpoint.pt")],
        checkpoints_load_func=_load_checkpoint,
        loss_fn=nn.CrossEntropyLoss(reduction="none"),
        batch_size=8,
    )
    kept, home = [], new("quanda")
    for number, (data, labels) in enumerate(batches(val)):
        kept.append(explainer.explain(test_data=data, targets=labels).detach())
        ExplanationsCache.save(str(home), kept[-1], number)
    keep_order("quanda", torch.cat(kept))


def _load_checkpoint(model, path):
    model.load_state_dict(torch.load(path, weights_only=True))
    return 1.0


def make_kronfluence(train, val, model, folder: Path) -> None:
    """The loss as measurement, so that positive is helpful: whole, module by module, in partitions, and of a subset."""
    from kronfluence.analyzer import Analyzer, prepare_model
    from kronfluence.arguments import FactorArguments, ScoreArguments
    from kronfluence.task import Task

    class Loss(Task):
        def compute_train_loss(self, batch, model, sample=False):
            said = model(batch[0])
            labels = torch.distributions.Categorical(logits=said.detach()).sample() if sample else batch[1]
            return nn.functional.cross_entropy(said, labels, reduction="sum")

        def compute_measurement(self, batch, model):
            return self.compute_train_loss(batch, model)

    task = Loss()
    analyzer = Analyzer("tiny", prepare_model(model, task), task, cpu=True, disable_tqdm=True, output_dir=str(folder))
    torch.manual_seed(0)
    analyzer.fit_all_factors(
        "ekfac",
        train,
        per_device_batch_size=8,
        factor_args=FactorArguments(strategy="ekfac", use_empirical_fisher=True),
    )
    home = new("kronfluence")

    def score(name, **arguments):
        asked = {key: arguments.pop(key) for key in ("train_indices", "query_indices") if key in arguments}
        analyzer.compute_pairwise_scores(
            name,
            "ekfac",
            val,
            train,
            per_device_query_batch_size=3,
            per_device_train_batch_size=8,
            score_args=ScoreArguments(**arguments),
            **asked,
        )
        shutil.copytree(folder / "tiny" / f"scores_{name}", home / f"scores_{name}")
        return analyzer.load_pairwise_scores(name)

    keep_order("kronfluence_whole", score("whole")["all_modules"])
    keep_order("kronfluence_modules", sum(score("modules", compute_per_module_scores=True).values()))
    keep_order("kronfluence_parts", score("parts", data_partitions=2, module_partitions=2)["all_modules"])
    # as on a cluster, where nobody has put the partitions together
    (home / "scores_parts" / "pairwise_scores.safetensors").unlink()
    some = score("some", train_indices=SOME_TRAIN, query_indices=SOME_VAL)["all_modules"]
    keep_order("kronfluence_some", some)


def make_by_hand(train, val, model, folder: Path) -> None:
    """Layouts whose authors released files and no writer; the numbers are made up, half of them in favour of a class.

    Datamodels' released file, a store of masks and margins, the paper's index matrices and results, Feldman and Zhang's
    file, and our own Parquet.
    """
    rng = np.random.default_rng(0)
    labels = train.tensors[1].numpy(), val.tensors[1].numpy()
    alike = labels[0][:, None] == labels[1]
    weight = (rng.normal(size=(N_TRAIN, N_VAL)) * 0.1 + 0.3 * alike) * (rng.random((N_TRAIN, N_VAL)) < 0.6)
    weight = weight.astype(np.float32)
    home = new("datamodels")
    torch.save(
        {"weight": torch.from_numpy(weight), "bias": torch.zeros(N_VAL), "lam": torch.full((N_VAL,), 1e-3)},
        home / "test_50pct.pt",
    )
    keep_order("datamodels", weight.T)

    home = new("datamodels_store")
    masks = rng.random((200, N_TRAIN)) < 0.5
    margins = (masks @ weight + rng.normal(size=(200, N_VAL)) * 0.05).astype(np.float16)
    completed = np.arange(200) < 190
    margins[~completed] = 0
    for name, array in (("masks", masks), ("margins", margins), ("_completed", completed)):
        np.save(home / f"{name}.npy", array)

    order = np.argsort(-weight.T, axis=1, kind="stable")[:, :8]
    home = new("topk")
    np.save(home / "test_3.npy", np.array([1, 2, 5]))
    np.save(home / "few.npy", order[[1, 2, 5]])
    blank = order.copy()
    blank[[0, 3, 4]] = 0
    np.save(home / "all.npy", blank)
    keep_order("topk", weight.T)

    home = new("feldman_zhang")
    arrays = {"tr_mem": rng.random(N_TRAIN), "tr_labels": labels[0], "tt_labels": labels[1]}
    helpful = np.full((N_VAL, N_TRAIN), -np.inf)
    for c in range(CLASSES):
        ours, theirs = (np.flatnonzero(one == c) for one in labels)
        arrays |= {
            f"tr_classidx_{c}": ours,
            f"tt_classidx_{c}": theirs,
            f"infl_matrix_class{c}": rng.normal(size=(len(ours), len(theirs))),
        }
        helpful[np.ix_(theirs, ours)] = arrays[f"infl_matrix_class{c}"].T
    np.savez(home / "cifar100_infl_matrix.npz", **arrays)
    keep_order("feldman_zhang", helpful)

    home = new("parquet")
    table = pa.table(
        {
            "target": np.repeat(np.arange(N_VAL), 8),
            "train": order.ravel(),
            "rank": np.tile(np.arange(8), N_VAL),
            "score": np.take_along_axis(weight.T, order, 1).ravel(),
        }
    )
    said = {
        "sign": "helpful",
        "method": "By hand",
        "about": "by hand · first 8",
        "index_base": "0",
        "labels": labels_digest(*labels),
        "provenance": json.dumps({"made": "by hand", "seeds": [0]}),
    }
    pq.write_table(table.replace_schema_metadata(said), home / "ranking.parquet")

    home = new("paper_results")
    for target, support in ((3, 24), (5, -1)):
        (home / f"{target}.pkl").write_bytes(pickle.dumps(support))


def new(name: str) -> Path:
    (HERE / name).mkdir(exist_ok=True)
    return HERE / name


def main(old_traker: str | None) -> None:
    for folder in HERE.iterdir():
        if folder.is_dir():
            shutil.rmtree(folder)
    train, val = points(N_TRAIN, 0), points(N_VAL, 1)
    np.save(new("orders") / "train_labels.npy", train.tensors[1].numpy())
    np.save(HERE / "orders" / "val_labels.npy", val.tensors[1].numpy())
    said = {"python": platform.python_version(), "torch": version("torch"), "numpy": np.__version__}
    written = {}
    for name, make in (
        ("traker", make_traker),
        ("dattri", make_dattri),
        ("captum", make_captum),
        ("quanda", make_quanda),
        ("kronfluence", make_kronfluence),
    ):
        with tempfile.TemporaryDirectory() as folder:
            make(train, val, trained(train), Path(folder))
        written[name] = version(name)
    if old_traker:
        subprocess.run(
            [sys.executable, __file__, "--old"],
            check=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([old_traker, os.environ["PYTHONPATH"]])},
        )
        written["traker_old"] = "traker 0.1.3"
    make_by_hand(train, val, None, HERE)
    by_hand = ["datamodels", "datamodels_store", "topk", "feldman_zhang", "parquet", "paper_results"]
    said |= {"written by": written, "by hand": by_hand}
    (HERE / "versions.json").write_text(json.dumps(said, indent=1) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1:] == ["--old"]:
        with tempfile.TemporaryDirectory() as place:
            make_old_traker(points(N_TRAIN, 0), points(N_VAL, 1), trained(points(N_TRAIN, 0)), Path(place))
    else:
        main(*sys.argv[1:])
