"""Computing a workspace's own parts, with real trainings on 60 drawn images; nothing is trained twice."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from attribution import UserError, Workspace
from attribution.builds import base_models, features, firsts, halves, scores
from attribution.evaluation import lds_vs_compute
from attribution.metrics import lds
from attribution.rankings import datamodels
from attribution.workspace import parts
from tests import tiny


@pytest.fixture(scope="module")
def bare_ws(tmp_path_factory):
    """A workspace without base models, and a data folder."""
    folder = tmp_path_factory.mktemp("builds")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LINEUP_DATA", str(folder / "data"))
        patch.setenv("LINEUP_WORKERS", "1")
        patch.setenv("LINEUP_IDLE", "5")
        tiny.write(folder / "tiny")
        (folder / "tiny" / "base" / "probabilities.npy").unlink()
        yield Workspace.open(folder / "tiny")


def quiet(*at):
    pass


def test_without_base_models_trak_says_what_to_do(bare_ws):
    with pytest.raises(UserError, match="base train"):
        scores.build_trak(bare_ws, "mine", 8, quiet)


def test_base_models_and_trak(bare_ws, monkeypatch):
    about = base_models.build_base_models(bare_ws, 2, quiet)
    again = Workspace.open(bare_ws.path)
    assert again.has_base and again.base.n_models == 2 and about["seeds"] == [200, 201]
    assert about["accuracy"] == pytest.approx((again.base.predicted == again.val_labels).mean(), abs=0.001)

    from attribution.training.trainer import Trainer

    monkeypatch.setattr(Trainer, "run", lambda *a, **k: pytest.fail("trained twice"))
    base_models.build_base_models(again, 2, quiet)

    from attribution.rankings import trak as method

    once, models = method.compute_factors, []

    def stopped_at_the_second(*args, **options):
        models.append(args[4])
        if len(models) == 2:
            raise KeyboardInterrupt
        return once(*args, **options)

    monkeypatch.setattr(method, "compute_factors", stopped_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        scores.build_trak(again, "mine", 8, quiet)
    assert "mine" not in again.rankings()
    said = []
    trak = scores.build_trak(again, "mine", 8, lambda *at: said.append(at))
    assert models == [0, 1, 1], "the first model's part is kept"
    assert (
        said[0][0].startswith("TRAK, 8 dimensions, model 2 of 2") and not parts.scratch_folder(again, "trak").exists()
    )
    assert trak["models"] == 2 and trak["made_for"]["data"] == bare_ws.fingerprint and "alignment" in trak
    assert again.ranking("mine").signed and len(again.ranking("mine").top(0, 60).ids) == 60
    kept = firsts.load(Workspace.open(again.path), "mine")
    assert kept.models == 2 and kept.half == 1 and kept.halves.shape == (12, 2) and (kept.halves >= 0).all()


def test_nothing_is_stored_of_a_training_that_came_to_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "results"))
    ws = tiny.write(tmp_path / "black", base=False)
    for split in ("train", "val"):
        file = ws.path / "images" / f"{split}.npy"
        np.save(file, np.load(file) * 0)
    for build in (
        lambda: base_models.build_base_models(ws, 2, quiet),
        lambda: halves.train_halves(ws, {"draw": 2, "count": 1, "seeds": [0]}, quiet),
    ):
        with pytest.raises(UserError, match="came to nothing: its predictions for 12 of 12 images are no numbers"):
            build()
    assert not Workspace.open(ws.path).has_base and not list(parts.scratch_folder(ws, "base").glob("*"))


def test_the_stored_weights_are_the_network(bare_ws):
    from attribution.training import recipes
    from attribution.training.trainer import Trainer

    again = Workspace.open(bare_ws.path)
    trainer = Trainer(again, recipes.get_recipe(again.recipe))
    said = [
        trainer.logits(network, trainer.val_images).softmax(1).numpy()
        for network in base_models.load_base_networks(again, trainer)
    ]
    assert np.allclose(said, again.base.probabilities, atol=1e-3)


def test_a_feature_set(bare_ws):
    about = features.build_features(bare_ws, "supervised", None, quiet)
    again = Workspace.open(bare_ws.path)
    train = again.feature("supervised").train
    assert train.shape == (60, 128) and train.dtype == np.float32
    assert about["measured_on"] == "the validation images" and 0 <= about["knn_accuracy"] <= 1
    assert "l2-supervised" in again.rankings()


def test_halves_datamodels_and_lds(bare_ws, monkeypatch):
    from attribution.evaluation import lds_report

    with pytest.raises(UserError, match="at least 30"):
        scores.build_datamodels(bare_ws, "few", 10, quiet)
    halves.build_held_out_halves(bare_ws, {"draw": 2, "count": 4, "seeds": [0, 1]}, quiet)
    monkeypatch.setattr(scores, "Stopwatch", lambda *_: SimpleNamespace(seconds=7.04))
    about = scores.build_datamodels(bare_ws, "dm", 30, quiet)
    again = Workspace.open(bare_ws.path)
    assert about["seconds"] == 7.0, "of the fits"
    assert about["models"] == 30 and about["penalty"] in datamodels.PENALTIES
    kept = firsts.load(again, "dm")
    assert kept.fits and (kept.models, kept.half, kept.splits) == (2, 1, 1) and kept.halves.shape == (12, 2)
    judged = lds_report.compute(again, ["dm", "l2-moco"])
    assert judged["masks"] == 4 and judged["seeds"] == 2 and set(judged["rankings"]) == {"dm", "l2-moco"}
    assert "second_draw" not in judged
    made = halves.build_second_draw(bare_ws, {**halves.SECOND_SEQUENCE, "count": 4, "seeds": [0, 1]}, quiet)
    again = Workspace.open(bare_ws.path)
    masks, margins = halves.load_second_draw(again)
    single = halves.load_half_margins(again, {**halves.SECOND_SEQUENCE, "count": 4, "seeds": [0, 1]})
    assert (masks == single[0]).all() and margins.shape == (4, 1, 12)
    assert np.allclose(margins[:, 0], single[1].astype(float).mean(1), rtol=1e-3), "the mean over seeds"
    assert made["ceiling"] == lds.noise_ceiling(single[1]).mean and made["seeds"] == [0, 1]
    twice = lds_report.compute(again, ["dm", "l2-moco"])
    assert {key: twice[key] for key in judged} == judged, "the first draw stays what it was"
    second = twice["second_draw"]
    assert (second["masks"], second["seeds"], second["ceiling"]) == (4, 2, made["ceiling"])
    wanted = lds.lds(*single, again.ranking("dm").scores)
    assert second["rankings"]["dm"]["lds"] == pytest.approx(wanted.mean, abs=0.1), "but for ties in float16"
    manifest = json.loads((bare_ws.path / "workspace.json").read_text())
    assert manifest["parts"]["rankings/dm"]["command"].endswith("rankings build datamodels --models 30")


def test_a_second_draw_needs_a_first(ws):
    with pytest.raises(UserError, match="no held-out models"):
        halves.build_second_draw(ws, halves.SECOND_SEQUENCE, quiet)


def test_no_two_draws_share_a_half_or_a_seed():
    from attribution.audit.detectors.out_of_sample import FALLBACK_SEQUENCE
    from attribution.demo import FIT_SEQUENCE
    from attribution.experiments.halves import half_seed, random_half

    drawn = [FIT_SEQUENCE, halves.HELD_OUT_SEQUENCE, FALLBACK_SEQUENCE, halves.SECOND_SEQUENCE]
    masks = {random_half(60, one["draw"], number).tobytes() for one in drawn for number in range(one["count"])}
    assert len(masks) == sum(one["count"] for one in drawn)
    seeds = [
        half_seed(one["draw"], number, seed, complement)
        for one in drawn
        for number in range(one["count"])
        for seed in one["seeds"]
        for complement in (False, True)
    ]
    assert len(set(seeds)) == len(seeds)


def test_what_a_better_ranking_costs_for_real(bare_ws):
    """With the models of the tests before: TRAK's gradients and the halves that are missing are computed."""
    before = lds_vs_compute.missing_work(bare_ws, (1, 2), (30, 32), 8)
    assert before["checkpoints"] == 2 and before["fits"] == 2
    rows = {row["name"]: row for row in lds_vs_compute.compute(bare_ws, (1, 2), (30, 32), 8, resamples=20)["rows"]}
    assert {"trak-1", "trak-2", "datamodels-30", "datamodels-32", "random"} <= set(rows)
    assert rows["trak-2"]["computing_seconds"] > rows["trak-1"]["computing_seconds"] > 0
    assert rows["datamodels-32"]["training_seconds"] > 0 and all(abs(row["lds"]) <= 1 for row in rows.values())
    after = lds_vs_compute.missing_work(bare_ws, (1, 2), (30, 32), 8)
    assert (after["checkpoints"], after["trainings"], after["fits"], after["seconds"]) == (0, 0, 0, 0)


def test_features_of_a_pretrained_network(bare_ws, tmp_path):
    import torch
    from torchvision import models

    torch.save(models.resnet18(num_classes=3).state_dict(), tmp_path / "mine.pth")
    about = features.build_backbone_features(bare_ws, "net", "resnet18", tmp_path / "mine.pth", 32, quiet)
    again = Workspace.open(bare_ws.path)
    assert about["dim"] == 512 and again.feature("net").val.shape == (12, 512) and "esvm-net" in again.rankings()
    assert about["command"].endswith("features embed net --backbone resnet18 --weights mine.pth --side 32")
    kept = again.manifest["parts"]["features/net"]["backbone"]
    assert (kept["model"], kept["layer"], kept["side"], kept["std"]) == (
        "resnet18",
        "input of fc",
        32,
        [0.229, 0.224, 0.225],
    )
