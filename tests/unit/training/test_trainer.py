"""Training: the same question gives the same answer, bit for bit, and two edits under one seed differ in the edit."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from attribution import UserError  # noqa: E402
from attribution.training import augmentation, recipes  # noqa: E402
from attribution.training import trainer as train  # noqa: E402
from attribution.training.edits import no_edit, relabel, remove  # noqa: E402
from attribution.training.trainer import Trainer, margins, triangular_schedule  # noqa: E402

IN_A_FRESH_PROCESS = """
import json
from tests.unit.training.test_trainer import data
from attribution.training import recipes
from attribution.training.edits import remove
from attribution.training.trainer import Trainer
outcome = Trainer(data(), recipes.get_recipe("demo-cnn"), "cpu").run(remove([1, 5]), 3)
print(json.dumps([outcome.margins.tobytes().hex(), outcome.probabilities.tobytes().hex()]))
"""


def data(n=200, side=8):
    """Three classes of noisy stripes."""
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 3
    pixels = rng.integers(0, 120, (n, side, side)).astype(np.uint8)
    for image, label in zip(pixels, labels):
        image[label::3] += 90
    return SimpleNamespace(
        train_images=pixels,
        train_labels=labels,
        val_images=pixels[:30],
        val_labels=labels[:30],
        classes=["a", "b", "c"],
    )


@pytest.fixture(scope="module")
def trainer():
    return Trainer(data(), recipes.get_recipe("demo-cnn"), "cpu")


def same(one, other):
    return all(
        getattr(one, name).tobytes() == getattr(other, name).tobytes()
        for name in ("predicted", "margins", "probabilities")
    )


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
    outcomes = [
        trainer.run(edit, seed)
        for edit, seed in [(no_edit(), 3), (no_edit(), 4), (remove([1]), 3), (relabel([1], 2), 3)]
    ]
    assert len({outcome.probabilities.tobytes() for outcome in outcomes}) == 4


def test_relabelling_with_the_label_it_has_changes_nothing(trainer):
    """What the seed fixes does not hang on the edit: only the labels differ, and here they do not."""
    assert same(trainer.run(no_edit(), 3), trainer.run(relabel([1], int(trainer.train_labels[1])), 3))


@pytest.mark.parametrize("name", ["demo-cnn", "fast94"])
def test_two_edits_under_one_seed_share_initial_weights_order_and_augmentation(name, monkeypatch):
    """Removing image 7 leaves the others in the order they had, mirrored, shifted and cut as they were."""
    shown, begun = [], []
    recipe = replace(recipes.get_recipe(name), epochs=2, batch_size=16, cutout=2)

    def network(shape, classes):
        made = recipe.network(shape, classes)
        begun.append([weight.detach().clone() for weight in made.parameters()])
        return made

    def watched(images, rows, recipe, show=augmentation.augmented_batch):
        shown.append(rows)
        return show(images, rows, recipe)

    monkeypatch.setattr(augmentation, "augmented_batch", watched)
    watched = Trainer(data(64, 12), replace(recipe, network=network), "cpu")
    seen = []
    for edit in (no_edit(), remove([7])):
        shown.clear()
        watched.run(edit, 5)
        half = len(shown) // 2
        seen.append([torch.cat(epoch).tolist() for epoch in (shown[:half], shown[half:])])
    assert all(torch.equal(one, other) for one, other in zip(*begun))
    for everything, without in zip(*seen):
        left = [row for row in everything if row[augmentation.IMAGE] != 7]
        together = min(len(left), len(without))
        assert together >= 48 and left[:together] == without[:together]
        assert {row[augmentation.MIRROR] for row in left} == {0, 1}


def test_demo_cnn_is_trained_as_by_the_loop_of_its_stored_results():
    """The loop of 10,500 stored retrainings, in plain words: what came later must not change a bit of it."""
    recipe, ws = recipes.get_recipe("demo-cnn"), data(150, 28)
    pixels = ws.train_images
    mean, spread = float(pixels.mean() / 255), float(pixels.std() / 255)
    images = ((torch.as_tensor(pixels, dtype=torch.float32)[:, None] / 255 - mean) / spread).to(torch.bfloat16)
    both = torch.cat([images, images.flip(3)]).contiguous(memory_format=torch.channels_last)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = recipe.network((1, 28, 28), 3).to(memory_format=torch.channels_last)
    kept, labels = torch.ones(150, dtype=bool), torch.as_tensor(ws.train_labels)
    kept[[1, 5]] = False
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    draw, step, averaged = torch.Generator().manual_seed(3), 0, []
    for _ in range(6):
        order, flip = torch.randperm(150, generator=draw), torch.rand(150, generator=draw) < 0.5
        order = order[kept[order]]
        for part in (slice(0, 64), slice(64, 128)):
            optimiser.param_groups[0]["lr"] = 0.1 * triangular_schedule((step + 0.5) / 12, 0.25)
            with torch.autocast("cpu", torch.bfloat16):
                logits = network(both[order[part] + 150 * flip[order[part]]])
            optimiser.zero_grad()
            functional.cross_entropy(logits.float(), labels[order[part]], label_smoothing=0.1).backward()
            optimiser.step()
            step += 1
            if step > 6:
                averaged.append([weight.detach().clone() for weight in network.parameters()])
    trained = Trainer(ws, recipe, "cpu").train(remove([1, 5]), 3)
    for weight, past in zip(trained.parameters(), zip(*averaged)):
        assert torch.equal(weight, sum(past) / 6)


def test_without_averaging_the_last_weights_and_their_running_statistics_stay():
    recipe = replace(recipes.get_recipe("demo-cnn"), epochs=2, average=0)
    network = Trainer(data(), recipe, "cpu").train(no_edit(), 0)
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert [norm.num_batches_tracked.item() for norm in norms] == [6] * 3 and norms[0].momentum == 0.1


def test_images_are_prepared_a_block_at_a_time(monkeypatch):
    """Large sets need not fit twice."""
    ws = data(50)
    ws.train_images = np.repeat(ws.train_images[..., None], 3, 3) + np.uint8([0, 1, 2])
    whole = Trainer(ws, recipes.get_recipe("demo-cnn"), "cpu")
    assert whole.mean == ws.train_images.mean() / 255
    assert type(whole.mean) is type(whole.std) is float  # kept beside weights, in files that hold no others
    assert np.isclose(whole.std, ws.train_images.std() / 255, rtol=1e-12)
    monkeypatch.setattr(train, "PREPARE_BLOCK", 7)
    blocks = Trainer(ws, recipes.get_recipe("demo-cnn"), "cpu")
    assert (blocks.mean, blocks.std) == (whole.mean, whole.std)
    assert torch.equal(blocks.train_images, whole.train_images)
    by_hand = (ws.train_images[31, 4, 2] / 255 - whole.mean) / whole.std
    assert np.allclose(whole.train_images[31, :, 4, 2].float(), by_hand, atol=0.01)


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


def test_predictions_that_are_no_numbers_are_refused(trainer, monkeypatch):
    black = data(60)
    black.train_images, black.val_images = black.train_images * 0, black.val_images * 0
    with pytest.raises(
        UserError, match="of demo-cnn came to nothing: its predictions for 30 of 30 images are no numbers"
    ):
        Trainer(black, recipes.get_recipe("demo-cnn"), "cpu").run()
    too_fast = replace(trainer.recipe, learning_rate=1e30)
    monkeypatch.setattr(trainer, "recipe", too_fast)
    with pytest.raises(UserError, match="no numbers .NaN or infinity.; look whether the images are as they should be"):
        trainer.run()


def test_colour_images():
    grey = data(90)
    colour = SimpleNamespace(
        **vars(grey)
        | {
            "train_images": np.repeat(grey.train_images[..., None], 3, 3),
            "val_images": np.repeat(grey.val_images[..., None], 3, 3),
        }
    )
    assert Trainer(colour, recipes.get_recipe("demo-cnn"), "cpu").run().predicted.shape == (30,)


def test_margins_by_hand():
    logits = torch.tensor([[1.0, 3.0, 2.0], [1.0, 3.0, 2.0], [0.5, 0.0, -1.0]])
    assert margins(logits, torch.tensor([1, 2, 0])).tolist() == [1, -1, 0.5]


def test_the_learning_rate_rises_and_falls():
    assert [triangular_schedule(share, 0.25) for share in (0, 0.125, 0.25, 0.625, 1)] == [0, 0.5, 1, 0.5, 0]


def test_a_recipe_is_named_by_what_is_in_it():
    recipe = recipes.get_recipe("demo-cnn")
    assert len(recipe.hash) == 12 and recipe.hash == replace(recipe).hash
    changed = [{"epochs": 7}, {"learning_rate": 0.2}, {"threads": 2}, {"version": 9}, {"network": data}]
    assert len({recipe.hash, *(replace(recipe, **change).hash for change in changed)}) == 6
    with pytest.raises(UserError, match="no recipe 'vgg'; there is demo-cnn"):
        recipes.get_recipe("vgg")


def test_more_classes_than_a_byte_can_name():
    many = data()
    many.classes = [str(c) for c in range(300)]
    many.train_labels = many.train_labels + 297
    many.val_labels = many.val_labels + 297
    outcome = Trainer(many, recipes.get_recipe("demo-cnn"), "cpu").run(seed=0)
    assert outcome.predicted.dtype == np.uint16 and outcome.probabilities.shape == (len(many.val_labels), 300)
    assert np.array_equal(outcome.predicted, outcome.probabilities.argmax(1))


def test_norms_are_those_of_all_classes_also_where_images_stand_class_by_class(monkeypatch):
    for module in (recipes, train):
        monkeypatch.setattr(module, "NORM_IMAGES", 60)
    mixed = data()
    order = np.argsort(mixed.train_labels, kind="stable")
    by_class = SimpleNamespace(
        **{**vars(mixed), "train_images": mixed.train_images[order], "train_labels": mixed.train_labels[order]}
    )
    recipe = recipes.get_recipe("demo-cnn")
    assert Trainer(mixed, recipe, "cpu").recipe == recipe
    trainer = Trainer(by_class, recipe, "cpu")
    assert trainer.recipe == replace(recipe, norms="shuffled")

    def taken(keep):
        """The numbers of the images that norms are taken over."""
        trainer.train_images = torch.arange(len(order))
        return trainer.norm_images(torch.as_tensor(keep)).tolist()

    everything = np.arange(len(order))
    whole = taken(everything)
    assert len(set(whole)) == 60 and set(by_class.train_labels[whole[:20]]) == {0, 1, 2}
    without = taken(np.delete(everything, whole[3]))
    assert without[:59] == whole[:3] + whole[4:], "an edit changes nothing but what it removes"
    assert sorted(taken([5, 3, 199])) == [3, 5, 199]
