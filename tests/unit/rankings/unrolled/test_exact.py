"""Unrolled of one target against finite differences, in float64, and how it reports."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from attribution.rankings.unrolled.exact import make_trainer, target_scores  # noqa: E402
from attribution.training import recipes  # noqa: E402
from tests.unit.rankings.unrolled import small  # noqa: E402


def test_one_target_is_what_retraining_shows(tmp_path):
    """Each step is on all images, so that their order does not matter."""
    trainer = small.WeightedTrainer(small.recipe(batch_size=40, epochs=5, average=0.5))
    said = []
    scores = target_scores(trainer, 7, 5, 5, 3, tmp_path, lambda *at: said.append(at))
    assert scores.shape == (40,) and scores.dtype == np.float32
    for image in (3, 11, 30):
        assert scores[image] == pytest.approx(trainer.slopes(image, 5)[7], rel=1e-5)
    done, totals = zip(*said)
    assert list(done) == sorted(done) and done[-1] == totals[0] and len(set(totals)) == 1


def test_fewer_epochs_are_gone_back_over_than_there_are(tmp_path):
    trainer = small.WeightedTrainer(small.recipe(small.with_norms))
    some, all_of_them, more = (target_scores(trainer, 7, 5, n, 2, tmp_path) for n in (1, 3, 9))
    assert np.array_equal(all_of_them, more) and small.relative_error(some, all_of_them) > 1e-3


def test_its_trainer_computes_in_float32(ws):
    trainer = make_trainer(ws, recipes.get_recipe("demo-cnn"))
    assert trainer.precision is torch.float32 and trainer.train_images.dtype is torch.float32
