"""Training: the same question gives the same answer, bit for bit, and two edits under one seed differ in the edit."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from attribution import UserError, recipes  # noqa: E402
from attribution.edits import nothing, relabel, remove  # noqa: E402
from attribution.train import Trainer, margins, triangle  # noqa: E402

IN_A_FRESH_PROCESS = """
import json
from tests.unit.test_train import data
from attribution import recipes
from attribution.edits import remove
from attribution.train import Trainer
outcome = Trainer(data(), recipes.get("demo-cnn"), "cpu").run(remove([1, 5]), 3)
print(json.dumps([outcome.margins.tobytes().hex(), outcome.probabilities.tobytes().hex()]))
"""


def data(n=200):
    """Three classes of noisy 8 x 8 stripes."""
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 3
    pixels = rng.integers(0, 120, (n, 8, 8)).astype(np.uint8)
    for image, label in zip(pixels, labels):
        image[label :: 3] += 90
    return SimpleNamespace(train_images=pixels, train_labels=labels, val_images=pixels[:30], val_labels=labels[:30],
                           classes=["a", "b", "c"])


@pytest.fixture(scope="module")
def trainer():
    return Trainer(data(), recipes.get("demo-cnn"), "cpu")


def same(one, other):
    return all(getattr(one, name).tobytes() == getattr(other, name).tobytes()
               for name in ("predicted", "margins", "probabilities"))


def test_it_learns(trainer):
    outcome = trainer.run(seed=1)
    assert (outcome.predicted == trainer.val_labels.numpy()).mean() > 0.9
    assert outcome.predicted.dtype == np.uint8 and outcome.margins.dtype == np.float16
    assert outcome.probabilities.shape == (30, 3) and np.allclose(outcome.probabilities.sum(1), 1, atol=1e-5)
    assert ((outcome.margins > 0) == (outcome.predicted == trainer.val_labels.numpy())).all()
    assert not outcome.network.training and outcome.seconds > 0


def test_bit_for_bit_also_after_other_trainings_and_in_a_fresh_process(trainer, run_python):
    first = trainer.run(remove([1, 5]), 3)
    trainer.run(relabel([4], 0), 8)
    torch.manual_seed(99)  # nothing drawn elsewhere matters
    torch.rand(7)
    assert same(first, trainer.run(remove([5, 1]), 3))
    done = run_python("-c", IN_A_FRESH_PROCESS)
    assert done.code == 0, done.err
    assert json.loads(done.out) == [first.margins.tobytes().hex(), first.probabilities.tobytes().hex()]


def test_seeds_and_edits_make_a_difference(trainer):
    outcomes = [trainer.run(edit, seed) for edit, seed in
                [(nothing(), 3), (nothing(), 4), (remove([1]), 3), (relabel([1], 2), 3)]]
    assert len({outcome.probabilities.tobytes() for outcome in outcomes}) == 4


def test_relabelling_with_the_label_it_has_changes_nothing(trainer):
    """What the seed fixes does not hang on the edit: only the labels differ, and here they do not."""
    assert same(trainer.run(nothing(), 3), trainer.run(relabel([1], int(trainer.given[1])), 3))


def test_two_edits_under_one_seed_share_initial_weights_and_order(trainer, monkeypatch):
    """Removing image 7 leaves the other images in the order, and the mirrorings, they had."""
    seen, begun = {}, {}

    def network(shape, classes):
        made = recipes.get("demo-cnn").network(shape, classes)
        began.append([weight.detach().clone() for weight in made.parameters()])
        return made

    class Watched(torch.Tensor):
        def __getitem__(self, key):
            if isinstance(key, torch.Tensor) and key.dtype == torch.int64:
                order.extend(key.tolist())
            return torch.Tensor(self.as_subclass(torch.Tensor)[key])

    watched = Trainer(data(), recipes.get("demo-cnn"), "cpu")
    monkeypatch.setattr(watched, "_both", watched._both.as_subclass(Watched))
    monkeypatch.setattr(watched, "recipe", SimpleNamespace(**vars(watched.recipe) | {"network": network, "epochs": 1}))
    for name, edit in {"all": nothing(), "without": remove([7])}.items():
        order, began = [], []
        watched.run(edit, 5)
        seen[name], begun[name] = order, began[0]
    assert all(torch.equal(one, other) for one, other in zip(begun["all"], begun["without"]))
    left = [view for view in seen["all"] if view % 200 != 7]
    together = min(len(left), len(seen["without"]))
    assert together > 150 and left[:together] == seen["without"][:together]
    assert any(view >= 200 for view in left) and any(view < 200 for view in left)


def test_the_global_random_state_is_left_alone(trainer):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    trainer.untrained(3)
    assert torch.equal(before, torch.random.get_rng_state())


def test_epochs_are_told(trainer):
    told = []
    trainer.run(seed=0, on_epoch=lambda *at: told.append(at))
    assert told == [(i, trainer.recipe.epochs) for i in range(1, trainer.recipe.epochs + 1)]


def test_fewer_images_than_a_batch(trainer):
    outcome = trainer.run(remove(range(9, 200)), 0)
    assert outcome.predicted.shape == (30,) and np.isfinite(outcome.margins).all()


def test_edits_that_cannot_be_trained(trainer):
    with pytest.raises(UserError, match="outside 0..199"):
        trainer.run(remove([200]))
    with pytest.raises(UserError, match="removes every training image"):
        trainer.run(remove(range(200)))


def test_colour_images():
    grey = data(90)
    colour = SimpleNamespace(**vars(grey) | {"train_images": np.repeat(grey.train_images[..., None], 3, 3),
                                             "val_images": np.repeat(grey.val_images[..., None], 3, 3)})
    assert Trainer(colour, recipes.get("demo-cnn"), "cpu").run().predicted.shape == (30,)


def test_margins_by_hand():
    logits = torch.tensor([[1.0, 3.0, 2.0], [1.0, 3.0, 2.0], [0.5, 0.0, -1.0]])
    assert margins(logits, torch.tensor([1, 2, 0])).tolist() == [1, -1, 0.5]


def test_the_learning_rate_rises_and_falls():
    assert [triangle(share, 0.25) for share in (0, 0.125, 0.25, 0.625, 1)] == [0, 0.5, 1, 0.5, 0]


def test_a_recipe_is_named_by_what_is_in_it():
    from dataclasses import replace

    recipe = recipes.get("demo-cnn")
    assert len(recipe.hash) == 12 and recipe.hash == replace(recipe).hash
    changed = [{"epochs": 7}, {"learning_rate": 0.2}, {"threads": 2}, {"version": 9}, {"network": data}]
    assert len({recipe.hash, *(replace(recipe, **change).hash for change in changed)}) == 6
    with pytest.raises(UserError, match="no recipe 'vgg'; there is demo-cnn"):
        recipes.get("vgg")


def test_more_classes_than_a_byte_can_name():
    many = data()
    many.classes = [str(c) for c in range(300)]
    many.train_labels = many.train_labels + 297
    many.val_labels = many.val_labels + 297
    outcome = Trainer(many, recipes.get("demo-cnn"), "cpu").run(seed=0)
    assert outcome.predicted.dtype == np.uint16 and outcome.probabilities.shape == (len(many.val_labels), 300)
    assert np.array_equal(outcome.predicted, outcome.probabilities.argmax(1))
