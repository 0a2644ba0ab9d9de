"""Bundles of halves: written, read without us, scored; and what is refused, in one sentence."""

import json
import re
import zipfile

import numpy as np
import pytest
from scipy.stats import spearmanr

from attribution import UserError, Workspace, metrics
from attribution.builds.halves import SECOND_PART, load_held_out_halves
from attribution.evaluation import ground_truth, lds_report
from attribution.metrics import lds
from tests.conftest import ROOT
from tests.unit.evaluation.test_candidate_sets import give_halves
from tests.unit.rankings.test_combination import give_ranking

OTHER = "f" * 64  # the tiny workspace's fingerprint is another


@pytest.fixture
def bundle(ws, tmp_path):
    give_halves(ws)
    file = tmp_path / "truth.npz"
    ground_truth.write(ws, file)
    return file


def changed(file, about=None, **arrays):
    """The bundle with other arrays, and other words about it."""
    with np.load(file) as stored:
        content = dict(stored)
    text = json.loads(content["about"].tobytes()) | (about or {})
    content["about"] = np.frombuffer(json.dumps(text).encode(), np.uint8)
    np.savez(file, **(content | arrays))
    return file


def test_what_is_written_is_read(ws, bundle):
    truth = ground_truth.read(bundle)
    masks, margins = load_held_out_halves(ws)
    assert (truth.masks == masks).all() and (truth.margins == margins).all()
    assert truth.targets.tolist() == list(range(12))
    about = truth.about
    assert (about["recipe"], about["hash"], about["seeds"], about["draw"]) == ("demo-cnn", "x", [0, 1], 1)
    assert (about["n_train"], about["n_val"], about["fingerprint"]) == (60, 12, ws.fingerprint)
    ground_truth.check_fits(truth, bundle, ws)


def test_numpy_alone_reads_it(ws, bundle):
    with np.load(bundle, allow_pickle=False) as arrays:
        masks = np.unpackbits(arrays["masks"], axis=1, count=60)
        margins, targets = arrays["margins"].astype(float).mean(1), arrays["targets"]
        assert arrays["margins"].dtype == np.float16
        json.loads(arrays["about"].tobytes())
    predicted = masks @ np.array([ws.ranking("trak-10").scores(target) for target in targets]).T
    by_numpy = np.mean([spearmanr(predicted[:, t], margins[:, t]).statistic for t in range(len(targets))])
    judged = ground_truth.judge(ground_truth.read(bundle), {"trak-10": ws.ranking("trak-10")})
    assert judged["rankings"]["trak-10"]["lds"] == pytest.approx(by_numpy, abs=1e-6)


def test_it_gives_what_the_workspace_gives(ws, bundle):
    here = lds_report.compute(ws, ["trak-10", "l2-moco"])
    there = ground_truth.judge(ground_truth.read(bundle), {name: ws.ranking(name) for name in here["rankings"]})
    assert there == here


def test_some_targets_and_rankings_of_some(ws, bundle):
    with np.load(bundle) as stored:
        margins = stored["margins"][:, :, [3, 4, 7]]
    changed(bundle, margins=margins, targets=np.array([3, 4, 7]))
    truth = ground_truth.read(bundle)
    judged = ground_truth.judge(truth, {"trak-10": ws.ranking("trak-10")})["rankings"]["trak-10"]
    wanted = lds.lds(*load_held_out_halves(ws), ws.ranking("trak-10").scores, np.array([3, 4, 7]))
    assert (judged["n_targets"], judged["lds"]) == (3, pytest.approx(wanted.mean))
    scores = np.full((12, 60), np.nan, np.float32)
    scores[0] = 1
    give_ranking(ws, "one", {"scores": scores, "targets": np.array([0])})
    with pytest.raises(UserError, match="at least one target"):
        ground_truth.judge(truth, {"one": ws.ranking("one")})


def test_the_second_draw_as_means_with_its_ceiling(ws, tmp_path):
    give_halves(ws)
    with pytest.raises(UserError, match="no second draw .* --draw 2"):
        ground_truth.write(ws, tmp_path / "b.npz", 2)
    masks, margins = load_held_out_halves(ws)
    folder = ws.path / SECOND_PART
    folder.mkdir()
    np.save(folder / "masks.npy", np.packbits(masks, axis=1))
    np.save(folder / "margins.npy", margins.mean(1, keepdims=True).astype(np.float16))
    made = {"masks": 12, "seeds": [0, 1], "ceiling": 0.7, "signal": 0.3, "recipe": "demo-cnn", "hash": "x"}
    ws.record_part(SECOND_PART, made, [f"{SECOND_PART}/masks.npy", f"{SECOND_PART}/margins.npy"])
    ground_truth.write(ws, tmp_path / "b.npz", 2)
    truth = ground_truth.read(tmp_path / "b.npz")
    judged = ground_truth.judge(truth, {})
    assert truth.margins.shape == (12, 1, 12) and truth.about["draw"] == 2
    assert (judged["seeds"], judged["ceiling"], judged["signal"]) == (2, 0.7, 0.3)


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"n_train": 59}, "59 training and 12 validation images, and .* has 60 and 12"),
        ({"fingerprint": OTHER, "labels": "1" * 64}, "other labels"),
        ({"fingerprint": OTHER, "images": {"train": "2" * 64}}, "other training images"),
        ({"fingerprint": OTHER, "images": {}}, "other training images"),
    ],
)
def test_other_data_is_refused(ws, bundle, about, said):
    truth = ground_truth.read(changed(bundle, about))
    with pytest.raises(UserError, match=said):
        ground_truth.check_fits(truth, bundle, ws)


def test_other_validation_images_are_refused_and_the_same_under_another_key_are_not(ws, bundle):
    ws.manifest["dataset"]["digests"] = {"train": "3" * 64, "val": "4" * 64}
    truth = ground_truth.read(changed(bundle, {"fingerprint": OTHER, "images": {"train": "3" * 64, "val": "5" * 64}}))
    with pytest.raises(UserError, match="other validation images"):
        ground_truth.check_fits(truth, bundle, ws)
    truth.about["images"]["val"] = "4" * 64
    ground_truth.check_fits(truth, bundle, ws)


class Code:
    def __reduce__(self):
        return (pytest.fail, ("code of the file was run",))


BROKEN = {
    "no zip": lambda file: file.write_bytes(b"nothing"),
    "cut short": lambda file: file.write_bytes(file.read_bytes()[:-200]),
    "a folder": lambda file: (file.unlink(), file.mkdir()),
    "nothing there": lambda file: file.unlink(),
    "a pickle": lambda file: changed(file, margins=np.array([Code()] * 12, object).reshape(12, 1, 1)),
    "a pickle for words": lambda file: changed(file, about={}, targets=np.array([Code()] * 12, object)),
    "an array missing": lambda file: np.savez(file, masks=np.zeros((12, 8), np.uint8)),
    "words that are none": lambda file: _with_about(file, b"{"),
    "words of another kind": lambda file: _with_about(file, b"[1]"),
    "deep words": lambda file: _with_about(file, b"[" * 60_000),
    "long words": lambda file: _with_about(file, b" " * 70_000),
    "another version": lambda file: changed(file, {"version": 2}),
    "no size": lambda file: changed(file, {"n_train": -1}),
    "a size beyond measure": lambda file: changed(file, {"n_train": 2**31 - 1, "n_val": 2**31 - 1}),
    "a number of digits": lambda file: _with_about(file, b'{"n_train": ' + b"9" * 5000 + b"}"),
    "masks of another size": lambda file: changed(file, masks=np.zeros((12, 9), np.uint8)),
    "masks of another kind": lambda file: changed(file, masks=np.zeros((12, 8), np.int64)),
    "margins of text": lambda file: changed(file, margins=np.full((12, 2, 12), "1")),
    "margins of whole numbers": lambda file: changed(file, margins=np.ones((12, 2, 12), int)),
    "margins that are not finite": lambda file: changed(file, margins=np.full((12, 2, 12), np.nan)),
    "margins without seeds": lambda file: changed(file, margins=np.ones((12, 12))),
    "two halves": lambda file: changed(file, margins=np.ones((2, 2, 12)), masks=np.zeros((2, 8), np.uint8)),
    "more targets than images": lambda file: changed(file, margins=np.ones((12, 2, 13)), targets=np.arange(13)),
    "targets out of range": lambda file: changed(file, targets=np.arange(12) + 1),
    "a target twice": lambda file: changed(file, targets=np.zeros(12, int)),
    "targets below 0": lambda file: changed(file, targets=np.arange(-1, 11)),
    "far more than it has": lambda file: _padded(file),
}


def _with_about(file, text: bytes):
    with np.load(file) as stored:
        content = dict(stored)
    np.savez(file, **(content | {"about": np.frombuffer(text, np.uint8)}))


def _padded(file):
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("more.npy", bytes(2**24))


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_file_is_refused_in_a_sentence(bundle, how):
    BROKEN[how](bundle)
    with pytest.raises(UserError) as refused:
        ground_truth.read(bundle)
    assert "\n" not in str(refused.value) and str(bundle) in str(refused.value)


def test_files_of_scores(ws, bundle, tmp_path):
    truth = ground_truth.read(bundle)
    scores = np.array([ws.ranking("trak-10").scores(target) for target in range(12)])
    np.save(tmp_path / "mine.npy", scores)
    opened = ground_truth.open_scores(f"mine={tmp_path / 'mine.npy'}", 60, truth.targets)
    judged = ground_truth.judge(truth, {"mine": opened, "trak-10": ws.ranking("trak-10")})["rankings"]
    assert judged["mine"] == judged["trak-10"]
    np.save(tmp_path / "turned.npy", scores.T)
    for text, said in (
        ("mine.npy", "write NAME=FILE"),
        (f"mine={tmp_path / 'turned.npy'}", "60 x 12, and 12 x 60 is expected, transposed"),
        (f"mine={tmp_path / 'none.npy'}", "cannot be opened"),
    ):
        with pytest.raises(UserError, match=said):
            ground_truth.open_scores(text, 60, truth.targets)


def test_the_demos_bundle(tmp_path):
    demo = Workspace.open()
    about = ground_truth.write(demo, tmp_path / "demo.npz")
    assert about["images"]["train"] and (tmp_path / "demo.npz").stat().st_size < 1_100_000
    judged = ground_truth.judge(ground_truth.read(tmp_path / "demo.npz"), {"trak-10": demo.ranking("trak-10")})
    assert judged["rankings"]["trak-10"]["lds"] == pytest.approx(0.486, abs=5e-4)
    assert judged["ceiling"] == pytest.approx(0.865, abs=5e-4)


def test_the_example_of_the_documents(ws, bundle, tmp_path, monkeypatch, capsys):
    page = (ROOT / "docs/ground_truth.md").read_text()
    [example] = re.findall(r"```python\n(.*?)```", page, re.S)
    scores = np.array([ws.ranking("trak-10").scores(target) for target in range(12)])
    np.save(tmp_path / "scores.npy", scores)
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "<example>", "exec"), found := {})
    printed = float(capsys.readouterr().out)
    with np.load(bundle) as stored:
        judged = metrics.lds(found["masks"], stored["margins"], scores)
    assert printed == pytest.approx(judged.mean, abs=1e-6) and judged.ci
