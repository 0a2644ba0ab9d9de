"""TRAK by dattri equals the formula written out on a small network, and finds a planted duplicate."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
dattri = pytest.importorskip("dattri.algorithm.trak")

from attribution.rankings import trak  # noqa: E402
from attribution.training import recipes  # noqa: E402
from attribution.training.trainer import Trainer  # noqa: E402

REGULARIZATION = 0.1


def network(shape, classes):
    """63 parameters, batch norm among them: its statistics differ from checkpoint to checkpoint."""
    return torch.nn.Sequential(
        torch.nn.Conv2d(shape[0], 4, 3, stride=2, padding=1),
        torch.nn.BatchNorm2d(4),
        torch.nn.GELU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(4, classes),
    )


@pytest.fixture(scope="module")
def trained():
    """A trainer of 70 images of 3 classes, of which the last is target 0 again, and two networks."""
    rng = np.random.default_rng(0)
    labels = np.arange(70) % 3
    pixels = rng.integers(0, 150, (70, 8, 8)).astype(np.uint8)
    for image, label in zip(pixels, labels):
        image[:, label::3] += 100
    val, val_labels = pixels[60:66].copy(), labels[60:66].copy()
    val[:] = np.clip(val.astype(int) + rng.integers(0, 30, val.shape), 0, 255)
    pixels[69], labels[69] = val[0], val_labels[0]
    data = SimpleNamespace(
        train_images=pixels, train_labels=labels, val_images=val, val_labels=val_labels, classes=["a", "b", "c"]
    )
    trainer = Trainer(data, replace(recipes.get_recipe("demo-cnn"), network=network, batch_size=16), "cpu")
    return trainer, [trainer.run(seed=seed).network.float() for seed in (1, 2)], val_labels


def direct(trainer, networks, val_labels):
    """The formula of the paper (section 3), one gradient after the other, without a projection."""
    parts, doubts = [], []
    for one in networks:
        rows = {}
        for name, images, labels in (
            ("train", trainer.train_images, trainer.train_labels),
            ("val", trainer.val_images, val_labels),
        ):
            rows[name] = []
            for image, label in zip(images.float(), labels):
                p = one(image[None])[0].softmax(0)[int(label)]
                gradient = torch.autograd.grad(torch.log(p / (1 - p)), list(one.parameters()))
                # dattri divides gradients by the square root of their number, which matters to the regularization
                gradient = torch.cat([part.flatten() for part in gradient])
                rows[name].append(gradient / len(gradient) ** 0.5)
                if name == "train":
                    doubts.append(1 - p.item())
        train, val = torch.stack(rows["train"]).double(), torch.stack(rows["val"]).double()
        kernel = train.T @ train + REGULARIZATION * torch.eye(train.shape[1])
        parts.append(val @ torch.linalg.solve(kernel, train.T))
    return (sum(parts) / len(parts)).numpy() * np.reshape(doubts, (len(networks), -1)).mean(0)


def built(trainer, networks, val_labels, dim, regularization=0.0):
    parts = [
        trak.compute_factors(trainer, network, val_labels, dim, number, regularization)
        for number, network in enumerate(networks)
    ]
    whole = trak.scores(parts, 0, len(val_labels))
    assert np.allclose(trak.scores(parts, 2, 4), whole[2:4], rtol=1e-3, atol=1e-5 * np.abs(whole).max())
    return whole


def test_against_the_formula(trained, monkeypatch):
    trainer, networks, val_labels = trained
    monkeypatch.setattr(dattri, "DEFAULT_PROJECTOR_KWARGS", dattri.DEFAULT_PROJECTOR_KWARGS | {"proj_type": "identity"})
    size = sum(weight.numel() for weight in networks[0].parameters())
    found = built(trainer, networks, val_labels, size, REGULARIZATION)
    wanted = direct(trainer, networks, val_labels)
    assert found.shape == (6, 70) and found.dtype == np.float32
    assert np.allclose(found, wanted, rtol=1e-3, atol=1e-4 * np.abs(wanted).max())


def test_checkpoints_one_by_one_are_those_that_dattri_takes_together(trained, monkeypatch):
    """The projection of each is dattri's own, so that a ranking that was built before is built alike again."""
    trainer, networks, val_labels = trained
    found = built(trainer, networks, val_labels, 16)
    task, weights = trak.AttributionTask, [network.state_dict() for network in networks]
    monkeypatch.setattr(trak, "AttributionTask", lambda **asked: task(**asked | {"checkpoints": weights}))
    together, loader = trak._attributor(trainer, networks[0], 16, 0, 0.0, 76, None)
    together.cache(loader(trainer.train_images, trainer.train_labels))
    with torch.no_grad():
        wanted = together.attribute(loader(trainer.val_images, val_labels)).T.numpy()
    assert [np.corrcoef(*pair)[0, 1] for pair in zip(found, wanted)] == pytest.approx([1] * 6, abs=1e-4)


def test_the_score_of_an_image_for_itself(trained, monkeypatch):
    trainer, networks, _ = trained
    monkeypatch.setattr(dattri, "DEFAULT_PROJECTOR_KWARGS", dattri.DEFAULT_PROJECTOR_KWARGS | {"proj_type": "identity"})
    size, said = sum(weight.numel() for weight in networks[0].parameters()), []
    found = trak.self_influence(trainer, networks[0], size, 0, REGULARIZATION, lambda *at: said.append(at))
    # Asked about the training images as targets, the formula has these on its diagonal
    wanted = direct(
        SimpleNamespace(
            train_images=trainer.train_images, train_labels=trainer.train_labels, val_images=trainer.train_images
        ),
        networks[:1],
        trainer.train_labels,
    ).diagonal()
    assert found.shape == (70,) and found.dtype == np.float32 and said[-1] == (70, 70)
    assert np.allclose(found, wanted, rtol=1e-3, atol=1e-4 * np.abs(wanted).max())


def test_a_duplicate_of_the_target_is_helpful(trained):
    trainer, networks, val_labels = trained
    scores = built(trainer, networks, val_labels, 40)
    assert scores[0, 69] > 0 and (scores[0] > scores[0, 69]).sum() < 7, "among the first tenth"
    assert np.array_equal(scores, built(trainer, networks, val_labels, 40)), "repeatable"


def test_the_margin_is_the_log_odds():
    logits = torch.tensor([2.0, -1.0, 0.5])
    p = logits.softmax(0)
    for label in range(3):
        assert torch.isclose(trak.log_odds(logits, torch.tensor(label)), torch.log(p[label] / (1 - p[label])))
    assert torch.isfinite(trak.log_odds(torch.tensor([200.0, 0.0]), torch.tensor(0))), "where p rounds to 1"
