"""Rankings that come with Lineup reach a workspace of the same images, and no other; exporting and importing one is the
way they go."""

import json
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest

from attribution import UserError, Workspace, data
from attribution.data import DataSet, Split
from attribution.explore.lineup import lineup_rows
from attribution.importing import formats, importing
from attribution.importing.formats import DataSetSizes, Declaration, parquet
from attribution.rankings import default_rankings
from attribution.workspace import bundled, create
from tests.unit.data.test_parquet import SHARED

#: what comes with Lineup, where a test has put another folder in its place
COME = bundled.RESULTS_FOLDER


@pytest.fixture(autouse=True)
def own_results(tmp_path, monkeypatch):
    monkeypatch.setattr(bundled, "RESULTS_FOLDER", tmp_path / "results")


def export(ws, run, ranking, *options):
    file = bundled.RESULTS_FOLDER / "tiny" / f"{ranking}-some.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    done = run("export", "ranking", "--ranking", ranking, "--out", file, "--workspace", ws.path, *options)
    return file, done


def signed(ws):
    """A signed ranking of the workspace, in which a target's class is helpful."""
    scores = np.random.default_rng(0).normal(size=(ws.n_val, ws.n_train)).astype(np.float32)
    scores += 4 * (ws.train_labels == ws.val_labels[:, None])
    incoming = formats.ForeignRanking("TRAK", True, np.arange(ws.n_val), read_scores=lambda a, b: scores[a:b])
    importing.import_ranking(ws, incoming, "mine", provenance={"made_for": {"recipe": "demo-cnn", "hash": "abc"}})
    return Workspace.open(ws.path)


def test_what_is_shipped_reaches_the_same_labels_only(ws, run, tmp_path, monkeypatch):
    ws = signed(ws)
    for ranking in ("mine", "l2-moco", "esvm-moco"):
        _, done = export(ws, run, ranking, "--top", "7", "--targets", "0-4", "--note", "a test")
        assert done.code == 0, done.err
    splits = [
        Split(np.asarray(images), labels)
        for images, labels in ((ws.train_images, ws.train_labels), (ws.val_images, ws.val_labels))
    ]
    monkeypatch.setattr(data, "get_loader", lambda name: SimpleNamespace(load=lambda root=None: found))
    found = DataSet("again", ws.classes, *splits)
    again = create.create(tmp_path / "again", "set")
    assert {"mine-some", "l2-moco-some"} <= set(again.rankings())
    for ranking, ends in (("mine", ("helpful", "harmful")), ("l2-moco", ("helpful",)), ("esvm-moco", ("helpful",))):
        copy = again.ranking(f"{ranking}-some")
        assert copy.targets.tolist() == [0, 1, 2, 3, 4] and copy.signed == ws.ranking(ranking).signed
        assert copy.method == ws.ranking(ranking).method
        assert copy.description.endswith("top 7 · a test") and "live" not in copy.description
        for end in ends:
            assert copy.top(3, 7, end=end).ids.tolist() == ws.ranking(ranking).top(3, 7, end=end).ids.tolist()
            assert np.allclose(copy.top(3, 7, end=end).scores, ws.ranking(ranking).top(3, 7, end=end).scores)
        assert copy.top(3, 30, end="helpful").scores.min() >= 0 or not copy.signed, "no harmful ones behind the helpful"
    assert "mine-some" in default_rankings(again)
    about = again.manifest["parts"]["rankings/mine-some"]
    assert about["made_for"]["hash"] == "abc" and about["origin"]["rankings/mine"]["method"] == "TRAK"
    assert about["file"] == "assets/results/tiny/mine-some.parquet" and about["alignment"]["warning"] is None
    assert str(tmp_path) not in json.dumps(about)

    other = splits[1].labels[::-1].copy()
    found = DataSet("other", ws.classes, splits[0], Split(splits[1].images, other))
    assert not {"mine-some", "l2-moco-some"} & set(create.create(tmp_path / "other", "set").rankings())


def test_a_list_for_another_order_is_refused(ws, run):
    file, _ = export(signed(ws), run, "mine")
    with pytest.raises(UserError, match="other labels or in another order"):
        parquet.load(file, Declaration(), DataSetSizes(ws.train_labels, np.roll(ws.val_labels, 1)))
    assert len(parquet.load(file, Declaration(), DataSetSizes(ws.train_labels, ws.val_labels)).targets) == ws.n_val


def test_a_provenance_that_is_none_is_refused(ws, run):
    file, _ = export(signed(ws), run, "mine")
    table = pq.read_table(file)
    for text in ("[1]", "{", "[" * 100_000):
        pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"provenance": text}), file)
        with pytest.raises(UserError, match="provenance in .* is not a JSON object"):
            parquet.load(file, Declaration(), DataSetSizes(ws.train_labels, ws.val_labels))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--targets", "0-99"], "0-99 is out of range; validation images are 0 to 11"),
        (["--targets", "first"], "'first' is not a validation image"),
        (["--top", "0"], "--top 0 is out of range"),
    ],
)
def test_export_refuses(ws, run, options, sentence):
    file, done = export(ws, run, "l2-moco", *options)
    assert done.code == 2 and sentence in done.err and len(done.err.strip().splitlines()) == 1
    assert not list(file.parent.iterdir())


@pytest.mark.parametrize("file", sorted(COME.glob("cifar10/*.parquet")), ids=lambda file: file.stem)
def test_what_comes_for_cifar10(file):
    table, about = pq.read_table(file), parquet.schema_metadata(pq.read_schema(file))
    both = 2 if about["sign"] == "helpful" else 1
    assert table.num_rows == 1000 * 100 * both and set(table["target"].to_pylist()) == set(range(1000))
    assert max(table["train"].to_pylist()) < 50_000 and np.isfinite(table["score"].to_numpy()).all()
    made = json.loads(about["provenance"])
    assert made["command"].startswith("python -m attribution export ranking") and {"made", "versions"} <= set(made)
    assert len(about["labels"]) == 64 and about["method"] in ("ESVM", "L2", "TRAK")


@pytest.mark.skipif(not (SHARED / "cifar10" / "train.parquet").is_file(), reason="no CIFAR-10 in ../shared/data")
def test_cifar10_after_one_command(tmp_path, monkeypatch):
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(bundled, "RESULTS_FOLDER", COME)
    ws = create.create(tmp_path / "cifar10", "parquet", SHARED / "cifar10")
    names = [file.stem for file in COME.glob("cifar10/*.parquet")]
    assert names and set(names) <= set(ws.rankings())
    for name in names:
        found = ws.ranking(name)
        assert found.targets.tolist() == list(range(1000)) and len(found.top(999, 200).ids) == 100
        assert ws.manifest["parts"][f"rankings/{name}"]["alignment"]["warning"] is None
    rows = lineup_rows(ws, 0, default_rankings(ws), 20)
    assert [row.method for row in rows][:3] == ["ESVM", "L2", "TRAK"]
