"""Every recipe: trains a few steps on anything it takes, repeatably, and keeps its name."""

from dataclasses import fields, replace
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from attribution import UserError  # noqa: E402
from attribution.training import recipes  # noqa: E402
from attribution.training.edits import remove  # noqa: E402
from attribution.training.recipes import Recipe  # noqa: E402
from attribution.training.trainer import Trainer  # noqa: E402

LEAST = {"resnet9": 11, "resnet9-datamodels": 11, "fast94": 9, "resnet18": 64}


def data(side=16, n=24, channels=3, classes=3):
    rng = np.random.default_rng(0)
    labels = np.arange(n) % classes
    pixels = rng.integers(0, 120, (n, side, side, channels)).astype(np.uint8)
    pixels += (labels * 40 % 120).astype(np.uint8)[:, None, None, None]
    pixels = pixels if channels > 1 else pixels[..., 0]
    return SimpleNamespace(
        train_images=pixels,
        train_labels=labels,
        val_images=pixels[:4],
        val_labels=labels[:4],
        classes=[str(label) for label in range(classes)],
    )


def short(name, batch=8):
    return replace(recipes.get_recipe(name), epochs=1, batch_size=batch, learning_rate=0.01)


@pytest.mark.parametrize("name", recipes.NAMES)
def test_a_few_steps_the_same_bits_again_and_others_under_another_seed(name):
    trainer = Trainer(data(64 if name == "resnet18" else 16), short(name), "cpu")
    outcomes = [trainer.run(remove([3]), seed) for seed in (1, 1, 2)]
    assert np.isfinite(outcomes[0].margins).all() and np.allclose(outcomes[0].probabilities.sum(1), 1, atol=1e-4)
    first, again, other = (outcome.probabilities.tobytes() for outcome in outcomes)
    assert first == again != other
    before, after = trainer.untrained(1), outcomes[0].network
    moved = [
        not torch.equal(old, new) for old, new in zip(before.parameters(), after.parameters()) if new.requires_grad
    ]
    assert all(moved)


@pytest.mark.parametrize("name", recipes.NAMES)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 64, 72)])
def test_grey_and_coloured_images_and_a_thousand_classes(name, shape):
    if min(shape[1:]) < LEAST.get(name, 1):
        return
    network = recipes.get_recipe(name).network(shape, 1000).eval()
    assert network(torch.zeros(2, *shape)).shape == (2, 1000)


@pytest.mark.parametrize("name", ["resnet9", "fast94", "mobilenetv2"])
def test_fewer_images_than_a_batch(name):
    outcome = Trainer(data(n=5), short(name, batch=512), "cpu").run()
    assert np.isfinite(outcome.probabilities).all()


@pytest.mark.parametrize("name", LEAST)
def test_images_too_small_are_refused_in_one_sentence(name):
    least = LEAST[name]
    recipes.get_recipe(name).network((3, least, least), 10).eval()(torch.zeros(1, 3, least, least))
    with pytest.raises(UserError, match=f"needs images of at least {least} x {least} pixels, and these have 8 x 8"):
        Trainer(data(8), short(name), "cpu").run()


def test_the_network_of_the_paper_has_its_number_of_parameters():
    network = recipes.get_recipe("resnet9").network((3, 32, 32), 10)
    assert sum(weight.numel() for weight in network.parameters()) == 2_274_880
    paper, datamodels = recipes.get_recipe("resnet9"), recipes.get_recipe("resnet9-datamodels")
    assert datamodels == replace(paper, name="resnet9-datamodels", cutout=4, test="flip") and paper.cutout == 8


def test_only_fields_that_came_later_are_left_out_at_their_defaults():
    recipe = recipes.get_recipe("demo-cnn")
    other = {"nesterov": False, "flip": "alternate", "translate": 1, "cutout": 3, "test": "none", "measure": data}
    other["norms"] = "shuffled"
    assert set(other) == set(recipes.LATER_FIELDS) and set(recipes.LATER_FIELDS) < {
        field.name for field in fields(Recipe)
    }
    hashes = {replace(recipe, **{name: value}).hash for name, value in other.items()}
    assert len(hashes | {recipe.hash}) == len(other) + 1


def test_recipes_have_names_and_hashes_of_their_own_and_load_no_torch(run_python):
    known = [recipes.get_recipe(name) for name in recipes.NAMES]
    assert [recipe.name for recipe in known] == [*recipes.NAMES]
    assert len({recipe.hash for recipe in known}) == len(known)
    done = run_python(
        "-c",
        "import sys\nfrom attribution.training import recipes\nfor name in recipes.NAMES:\n"
        "    recipes.get_recipe(name)\nprint('torch' in sys.modules)",
    )
    assert done.out.strip() == "False", done.err


def test_images_that_stand_class_by_class_have_a_recipe_of_their_own():
    """Batch norm's statistics would be of the first classes alone. Hash and numbers are kept: results hang on them."""
    assert (recipes.NORM_IMAGES, recipes.IN_ORDER) == (2048, 0.1)
    in_order = np.repeat(np.arange(10), 300)
    cnn, resnet = recipes.get_recipe("demo-cnn"), recipes.get_recipe("resnet9")
    assert recipes.suited_to(in_order, cnn) == replace(cnn, norms="shuffled")
    assert recipes.suited_to(in_order, cnn).hash == "a516a3683030"
    assert recipes.suited_to(in_order, recipes.suited_to(in_order, cnn)) == recipes.suited_to(in_order, cnn)
    assert recipes.suited_to(in_order[::-1], cnn) != cnn
    assert recipes.suited_to(in_order, resnet) == resnet, "its weights are not averaged"
    mlp = recipes.get_recipe("demo-mlp")
    assert recipes.suited_to(in_order, mlp) == mlp, "it has no batch norm"


@pytest.mark.parametrize("name", recipes.NAMES)
def test_a_recipe_says_whether_its_network_has_batch_norm(name):
    network = recipes.get_recipe(name).network((3, 64, 64), 10)
    found = any(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())
    assert recipes.get_recipe(name).has_norms == found


@pytest.mark.parametrize("n", [1, 24, 2048, 2049, 3000, 50_000])
@pytest.mark.parametrize("shares", [(1,), (1, 1, 1), (1, 99), (1,) * 1000, range(1, 101)])
def test_images_in_a_random_order_keep_the_recipe_they_had(n, shares):
    rng, weights = np.random.default_rng(0), np.array(shares) / sum(shares)
    for _ in range(20):
        assert not recipes.is_in_class_order(rng.choice(len(weights), n, p=weights))


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_sorted_images_are_seen_to_be(classes):
    rng = np.random.default_rng(0)
    for n in (3000, 5000, 50_000):
        labels = np.sort(rng.integers(0, classes, n))
        assert recipes.is_in_class_order(labels) and recipes.is_in_class_order(labels[::-1])
