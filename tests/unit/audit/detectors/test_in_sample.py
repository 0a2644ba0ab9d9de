"""Loss and margin under models that saw the image, against the formulas; and from the base models' weights."""

import numpy as np
import pytest

from attribution.audit import detectors
from attribution.audit.detectors import in_sample
from attribution.builds import base_models
from attribution.training import recipes
from attribution.workspace import parts
from tests import tiny


def test_the_formulas():
    logits = np.random.default_rng(0).normal(size=(4, 20, 3)) * 3
    labels = np.arange(20) % 3
    p = np.exp(logits) / np.exp(logits).sum(2, keepdims=True)
    given = p[:, np.arange(20), labels]
    loss, margin, likeliest = in_sample.score_labels(logits.astype(np.float32), labels)
    assert np.allclose(loss, -np.log(given).mean(0), atol=1e-5)
    assert np.allclose(margin, -np.log(given / (1 - given)).mean(0), atol=1e-5)
    assert np.array_equal(likeliest, p.mean(0).argmax(1))


def test_a_probability_that_rounds_to_one_or_zero():
    loss, margin, _ = in_sample.score_labels(np.array([[[300.0, 0, 0], [0, 300.0, 0]]]), np.array([0, 0]))
    assert np.isfinite([loss, margin]).all() and loss[0] < loss[1] and margin[0] < margin[1]


@pytest.fixture(scope="module")
def ws(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seen")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LINEUP_DATA", str(folder / "data"))
        ws = tiny.write(folder / "tiny")
        base_models.build_base_models(ws, 2, lambda *at: None)
        yield ws


def test_of_the_base_models(ws, monkeypatch):
    from attribution.training.trainer import Trainer

    trainer = Trainer(ws, recipes.get_recipe(ws.recipe))
    logits = np.stack(
        [
            trainer.logits(network, trainer.train_images).numpy()
            for network in base_models.load_base_networks(ws, trainer)
        ]
    )
    monkeypatch.setattr(in_sample, "BLOCK", 17)
    found = in_sample.compute(ws, ["loss", "margin"], lambda *at: None)
    loss, margin, likeliest = in_sample.score_labels(logits, ws.train_labels)
    assert np.allclose(found["loss"].scores, loss, atol=0.05) and np.allclose(found["margin"].scores, margin, atol=0.2)
    assert (found["loss"].suggestion == likeliest).mean() > 0.9 and found[
        "loss"
    ].description == "2 models that saw the image"


def test_self_influence_goes_on_at_the_model_where_it_was_stopped(ws, monkeypatch):
    from attribution.rankings import trak

    once, models = trak.self_influence, []

    def stopped_at_the_second(trainer, network, dim, number, **options):
        models.append((number, dim))
        if len(models) == 2:
            raise KeyboardInterrupt
        return once(trainer, network, dim, number, **options)

    monkeypatch.setattr(trak, "self_influence", stopped_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        detectors.build_detectors(ws, ["self-influence"])
    assert "self-influence" not in detectors.names(ws)
    detectors.build_detectors(ws, ["self-influence"])
    assert models == [(0, 15), (1, 15), (1, 15)], "the first model's part is kept; a quarter of the images at most"
    found = detectors.load(ws, "self-influence")
    assert found.scores.shape == (60,) and found.suggestion is None and (found.scores > 0).all()
    assert not parts.scratch_folder(ws, "self-influence").exists()
