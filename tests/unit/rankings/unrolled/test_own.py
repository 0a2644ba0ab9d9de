"""A user's training, by what its `trajectory` yields: what retraining shows, in float64; the same as a built-in one;
and a sentence for each step that is none of stochastic gradient descent with momentum."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from attribution import UserError  # noqa: E402
from attribution.rankings.unrolled import final, own, reverse, trajectory  # noqa: E402
from attribution.training import augmentation, recipes  # noqa: E402
from attribution.training.edits import no_edit  # noqa: E402
from attribution.training.own.trainer import OwnTrainer, RecipeData  # noqa: E402
from attribution.training.trainer import Trainer, margins, triangular_schedule  # noqa: E402
from tests.unit.rankings.unrolled import small  # noqa: E402
from tests.unit.training.test_trainer import data  # noqa: E402

TARGETS = torch.tensor([0, 4, 7, 20])
SEED = 5
LIMIT = 1 << 30


class Mine:
    """A user's recipe with every option, in which each image has a weight."""

    def __init__(self, network=small.without_norms, **options):
        self.make, self.dtype, self.shares = network, torch.float64, torch.ones(200, dtype=torch.float64)
        self.options = {
            "epochs": 3, "batch": 8, "momentum": 0.9, "nesterov": False, "weight_decay": 0.0, "label_smoothing": 0.0,
            "loss": None, "mirror": False, "averaged": 0, "change": None, "optimizer": torch.optim.SGD,
        } | options  # fmt: skip

    def setup(self, data, device):
        self.images = {split: self.prepare(data.images(split)) for split in ("train", "val")}

    def prepare(self, images):
        return ((torch.as_tensor(np.asarray(images)).to(self.dtype) / 255 - 0.3) / 0.2)[:, None]

    def network(self):
        return self.make((1, 8, 8), 3).to(self.dtype)

    def trajectory(self, keep, labels, seed):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = self.network().train()
            draw = torch.Generator().manual_seed(seed)
        options, labels = self.options, torch.as_tensor(labels)
        kind, more = options["optimizer"], {}
        if issubclass(kind, torch.optim.SGD):
            more = {"momentum": options["momentum"], "nesterov": options["nesterov"]}
        optimiser = kind(model.parameters(), lr=0.05, weight_decay=options["weight_decay"], **more)
        per_epoch = len(keep) // options["batch"]
        steps, mean, step = options["epochs"] * per_epoch, [], 0
        for epoch in range(options["epochs"]):
            order = torch.as_tensor(keep)[torch.randperm(len(keep), generator=draw)]
            for rows in order[: per_epoch * options["batch"]].split(options["batch"]):
                rate = optimiser.param_groups[0]["lr"] = 0.05 * triangular_schedule((step + 0.5) / steps, 0.3)
                shown, averaged = self.images["train"][rows], step + 1 > steps * (1 - options["averaged"])
                if options["mirror"]:
                    shown = torch.where(
                        torch.rand(len(rows), generator=draw)[:, None, None, None] < 0.5, shown.flip(3), shown
                    )
                given = {
                    "epoch": epoch, "model": model, "learning_rate": rate, "images": rows, "averaged": averaged,
                    "weight_decay": options["weight_decay"], "momentum": options["momentum"],
                    "nesterov": options["nesterov"],
                }  # fmt: skip
                if options["mirror"]:
                    given["inputs"] = shown
                if options["loss"]:
                    given["loss"] = options["loss"]
                elif options["label_smoothing"]:
                    given["label_smoothing"] = options["label_smoothing"]
                yield options["change"](step, given) if options["change"] else given
                self.losses = options["loss"] or (
                    lambda logits, labels: functional.cross_entropy(
                        logits, labels, reduction="none", label_smoothing=options["label_smoothing"]
                    )
                )
                loss = (self.losses(model(shown), labels[rows]) * self.shares[rows]).mean()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                step += 1
                mean += [[weight.detach().clone() for weight in model.parameters()]] * averaged
        if mean:
            for weight, *parts in zip(model.parameters(), *mean):
                weight.data = torch.stack(parts).mean(0)
        return model

    def module(self, model):
        return model.eval()  # as many a user's is: the training goes on in the mode in which it was

    def inputs(self, split, ids):
        return self.images[split][ids]

    def logits(self, model, split, ids):
        return model(self.images[split][ids])


def own_trainer(recipe, n=40):
    """A trainer of a recipe object, without its registry."""
    trainer = OwnTrainer.__new__(OwnTrainer)
    images = data(n)
    trainer.recipe, trainer.data, trainer.device, trainer.own = (
        SimpleNamespace(name="mine"),
        RecipeData(images),
        "cpu",
        recipe,
    )
    trainer.train_labels, trainer.val_labels = np.array(images.train_labels), np.array(images.val_labels)
    recipe.setup(trainer.data, "cpu")
    return trainer


def record(recipe, folder, epochs=3, n=40, limit=LIMIT):
    return own.record(own_trainer(recipe, n), SEED, epochs, folder / "kept", limit)


def retrained(recipe, image, share):
    """All targets' margins, float64, after a training in which an image has this weight."""
    recipe.shares[image] = share
    trainer = own_trainer(recipe)
    steps = recipe.trajectory(np.arange(40), trainer.train_labels, SEED)
    try:
        while True:
            next(steps)
    except StopIteration as end:
        network = end.value
    recipe.shares[image] = 1
    own.OwnTraining.refresh_norms(SimpleNamespace(norm_batches=lambda: [recipe.images["train"]]), network)
    with torch.no_grad():
        return margins(network(recipe.images["val"]), torch.as_tensor(trainer.val_labels))[TARGETS].numpy()


def slopes(recipe, image, step=1e-3):
    far, near = (retrained(recipe, image, 1 + s) - retrained(recipe, image, 1 - s) for s in (2 * step, step))
    return (8 * near - far) / (12 * step)


def squares(logits, labels):
    return (logits - functional.one_hot(labels, 3)).square().sum(1) + 0.1 * logits.pow(4).mean(1)


TRAININGS = {
    "momentum 0": {"momentum": 0.0},
    "momentum": {},
    "Nesterov": {"nesterov": True},
    "weight decay, labels smoothed": {"weight_decay": 0.05, "label_smoothing": 0.2},
    "augmented and averaged": {"nesterov": True, "mirror": True, "averaged": 0.5},
    "another loss": {"loss": squares, "nesterov": True},
    "batch norm": {"network": small.with_norms, "weight_decay": 0.05},
    "batch norm, Nesterov": {"network": small.with_norms, "nesterov": True, "averaged": 0.3},
}


@pytest.mark.parametrize("what", TRAININGS)
def test_the_exact_influence_is_what_retraining_shows(tmp_path, what):
    recipe = Mine(**TRAININGS[what])
    training, kept = record(recipe, tmp_path)
    assert training.apart < 1e-6 and (training.n_steps, training.n_epochs) == (15, 3)
    kept.network.eval()
    training.refresh_norms(kept.network)  # retraining, too, takes statistics anew
    found = small.shown_influence(training, kept, final.margin_gradients(training, kept.network, TARGETS))
    for image in (3, 30):
        expected = slopes(recipe, image)
        assert np.abs(expected).max() > 1e-4
        assert small.relative_error(found[:, image], expected) < 1e-7


@pytest.mark.parametrize("network", [small.with_norms, small.without_norms])
def test_other_losses_have_their_gauss_newton_matrix(tmp_path, network):
    training, kept = record(Mine(network, loss=squares), tmp_path, epochs=1)
    step, net = kept.steps[-1], training.network()
    images = training.images(step.shown)
    reverse.hold_norms(net, images)
    rows = torch.cat(
        list(reverse.curvature_rows(net, images, curvature=lambda out: training.curvature(out, step.shown, step)))
    )
    weights = {name: weight.detach() for name, weight in net.named_parameters()}
    jacobian = torch.func.jacrev(lambda w: torch.func.functional_call(net, w, images))(weights)
    matrix = torch.cat([part.flatten(2) for part in jacobian.values()], 2)
    with torch.no_grad():
        logits = net(images)
    labels = training.labels[step.shown[:, 0]]
    second = [
        torch.func.hessian(lambda out, label=label: squares(out[None], label[None])[0])(row)
        for row, label in zip(logits, labels)
    ]
    expected = sum(part.T @ curved @ part for part, curved in zip(matrix, second)) / len(images)
    assert small.relative_error((rows.T @ rows).numpy(), expected.numpy()) < 1e-10


@pytest.mark.parametrize("averaged", [0, 0.5])
def test_it_is_the_built_in_ranking_where_a_recipe_mirrors_one(tmp_path, averaged):
    """demo-cnn, float32, with its augmentation; 200 images in batches of 50, so that each is shown in every epoch."""
    built_in = replace(recipes.get_recipe("demo-cnn"), epochs=3, batch_size=50, average=averaged, test="none")
    trainer = Trainer(data(200), built_in, "cpu", torch.float32)
    theirs = trajectory.record(trainer, SEED, 2, tmp_path / "theirs.npy")

    class Mirror(Mine):
        def setup(self, data, device):
            self.images = {"train": trainer.train_images, "val": trainer.val_images}

        def trajectory(self, keep, labels, seed):
            steps = []
            network = trainer.train(
                no_edit(), seed, on_step=lambda step, weights: steps.append((step, [w.clone() for w in weights]))
            )
            model = trainer.untrained(seed)
            for step, weights in steps:
                trajectory.load(model, trajectory.flatten(weights))
                yield {
                    "epoch": step.epoch, "model": model, "learning_rate": step.rate, "momentum": built_in.momentum,
                    "nesterov": built_in.nesterov, "weight_decay": built_in.weight_decay, "images": step.shown[:, 0],
                    "inputs": augmentation.augmented_batch(trainer.train_images, step.shown, built_in),
                    "label_smoothing": built_in.label_smoothing, "averaged": step.averaged,
                }  # fmt: skip
            return network

    training, ours = record(Mirror(), tmp_path, epochs=2, n=200)
    for one, other in zip(ours.parameters, theirs.parameters):
        assert np.array_equal(one, other)
    assert ours.n_averaged == theirs.n_averaged and [s.number for s in ours.steps] == [s.number for s in theirs.steps]
    assert all(
        torch.equal(a, b) for a, b in zip(ours.network.state_dict().values(), theirs.network.state_dict().values())
    )
    for exact in (False, True):
        found, expected = (
            reverse.expected_influence(
                source, kept, final.margin_gradients(source, kept.network, TARGETS), (1, 3), exact=exact
            )
            for source, kept in ((training, ours), (trainer, theirs))
        )
        assert found.shape == expected.shape and small.relative_error(found, expected) < 1e-4


def test_images_that_an_epoch_leaves_out_are_as_inputs_has_them(tmp_path):
    """43 images, five steps of eight: three are not shown, and each has a score."""
    training, kept = record(Mine(mirror=True), tmp_path, epochs=1, n=43)
    views = kept.steps[0].views
    assert sorted(training.ids(views).tolist()) == list(range(43)) and int((views[:, own.PLACE] < 0).sum()) == 3
    images, plain = training.images(views), training.own.train_images[training.ids(views)]
    same = (images == plain).flatten(1).all(1)
    assert same[views[:, own.PLACE] < 0].all() and 5 < int(same.sum()) < 38, "others were mirrored"
    scores = reverse.expected_influence(training, kept, final.margin_gradients(training, kept.network, TARGETS), (2,))
    assert scores.shape == (1, 1, 4, 43) and (np.abs(scores[0, 0]).max(0) > 0).all()


def test_no_more_than_the_last_epochs_is_kept(tmp_path):
    training, kept = record(Mine(epochs=4, mirror=True), tmp_path, epochs=2)
    assert [step.epoch for step in kept.steps] == [2] * 5 + [3] * 5 and [step.at for step in kept.steps][4:7] == [
        4,
        0,
        1,
    ]
    assert [step.number for step in kept.steps] == list(range(10, 20)) and training.place(kept.steps[3]) == (3, 5)
    files = sorted(file.name for file in (tmp_path / "kept").iterdir())
    assert files == ["inputs-2.bin", "inputs-3.bin", "weights-2.bin", "weights-3.bin"]
    assert training.bytes == sum(file.stat().st_size for file in (tmp_path / "kept").iterdir())


def tied(shape, classes):
    """Two layers of one weight, which are called once each."""
    one, other = nn.Linear(64, 64), nn.Linear(64, 64)
    other.weight = one.weight
    return nn.Sequential(nn.Flatten(), one, nn.Tanh(), other, nn.Tanh(), nn.Linear(64, classes))


def centred(shape, classes):
    class Centred(nn.Linear):
        def forward(self, images):
            return functional.linear(images, self.weight - self.weight.mean(1, keepdim=True), self.bias)

    return nn.Sequential(nn.Flatten(), Centred(64, classes))


@pytest.mark.parametrize(
    ("network", "fast"), [(small.with_norms, True), (small.without_norms, True), (tied, False), (centred, False)]
)
def test_layers_that_do_otherwise_than_they_say_are_left_to_torch_func(tmp_path, network, fast):
    recipe = Mine(network, epochs=2)
    training, kept = record(recipe, tmp_path)
    assert training.fast == fast
    found = final.margin_gradients(training, kept.network, TARGETS, training.fast)
    slow = final.margin_gradients(training, kept.network, TARGETS, False)
    assert small.relative_error(found.numpy(), slow.numpy()) < 1e-10
    wrong = small.relative_error(final.margin_gradients(training, kept.network, TARGETS).numpy(), slow.numpy())
    assert (wrong < 1e-10) == fast


def change(number, **fields):
    """Has one step be yielded with other fields; None takes one out."""

    def changed(step, given):
        given = given | (fields if step == number else {})
        return {name: value for name, value in given.items() if value is not None}

    return {"change": changed}


class Clipped(torch.optim.SGD):
    def step(self):
        nn.utils.clip_grad_norm_(self.param_groups[0]["params"], 0.05)
        super().step()


class LastStepUp(torch.optim.SGD):
    """Its last step goes up."""

    count = 0

    def step(self):
        self.count += 1
        self.param_groups[0]["lr"] *= -1 if self.count == 15 else 1
        super().step()


def with_dropout(shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(64, classes))


def with_a_draw(shape, classes):
    class Noisy(nn.Linear):
        def forward(self, images):
            return super().forward(images + 0.1 * self.training)

    return nn.Sequential(nn.Flatten(), Noisy(64, classes))


def with_flat_norm(shape, classes):
    return nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, classes))


def raises(step, given):
    if step == 7:
        raise ValueError("no more memory")
    return given


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (change(3, images=None), "step 3 has no field images"),
        (change(2, model=None), "step 2 has no field model"),
        (change(0, lr=0.1), "step 0 has a field 'lr', which is none of"),
        ({"change": lambda step, given: (given, 1)}, "step 0 is of type tuple; yield a dict"),
        (change(3, learning_rate=float("nan")), "step 3 has learning_rate nan; give one number"),
        (change(3, learning_rate="fast"), "step 3 has learning_rate 'fast'"),
        (change(3, momentum=1.0), "step 3 has momentum 1.0; give one number, 0 or more, below 1"),
        (change(3, weight_decay=-1), "step 3 has weight_decay -1"),
        (change(3, nesterov=1), "step 3 has nesterov 1; say True or False"),
        (change(0, nesterov=True, momentum=0), "step 0 has nesterov True; without momentum"),
        (change(3, label_smoothing=1), "step 3 has label_smoothing 1"),
        (change(3, loss="mse"), "step 3 has loss 'mse'; say \"cross_entropy\""),
        (change(3, loss=squares, label_smoothing=0.1), "step 3 has label_smoothing 0.1; it goes with cross_entropy"),
        (change(3, epoch=1.5), "step 3 has epoch 1.5"),
        (change(6, epoch=0), "step 6 has epoch 0; the step before was in epoch 1"),
        (change(3, images=torch.rand(8)), r"step 3 has images Tensor torch.float32"),
        (change(3, images=[[1, 2]]), "step 3 has images"),
        (change(3, images=[]), "step 3 has images"),
        (change(3, images=[0, 40]), "step 3 has images.*numbered 0 to 39"),
        (change(3, inputs=torch.rand(7, 1, 8, 8)), r"step 3 has inputs torch.float32 \[7, 1, 8, 8\]; give"),
        (change(3, inputs=torch.full((8, 1, 8, 8), np.nan)), "step 3 has inputs with NaN"),
        ({"mirror": True} | change(3, inputs=torch.rand(8, 1, 4, 4)), r"step 3 has inputs \[8, 1, 4, 4\], and those"),
        (change(3, model=nn.Linear(2, 2).double()), "step 3 has a network with 6 weights, and step 0 had 293"),
        (change(3, model=nn.Linear(2, 2).bfloat16()), "step 3 has a network with weights of bfloat16; have trajectory"),
        (change(3, model=nn.Flatten()), "step 3 has a network without weights"),
        (change(3, model="a network"), "mine.module raised AttributeError"),
        (change(1, loss=lambda logits, labels: functional.cross_entropy(logits, labels)), "loss of step 1 returned"),
        ({"loss": lambda logits, labels: 1 / 0}, "loss of step 0 raised ZeroDivisionError|raised ZeroDivisionError"),
        ({"change": raises}, "mine.trajectory raised ValueError: no more memory"),
        ({"epochs": 1, "batch": 40}, "yielded 1 step; yield each step"),
        ({"epochs": 0}, "yielded 0 steps"),
        ({"optimizer": torch.optim.Adam}, "step 1, taken anew .*away from where step 2 begins.*with momentum alone"),
        ({"optimizer": torch.optim.RMSprop, "momentum": 0.0}, "step 1, taken anew"),
        ({"optimizer": Clipped}, "step 1, taken anew .*no clipping"),
        ({"optimizer": LastStepUp}, "step 14, taken anew .*away from the model that it returns"),
        (change(1, images=list(range(8))), "step 1, taken anew"),
        ({"change": lambda step, given: given | {"momentum": 0.8}}, "step 1, taken anew"),
        ({"change": lambda step, given: given | {"weight_decay": 0.01}}, "step 1, taken anew"),
        ({"network": with_dropout}, "the network has Dropout, which draws at random"),
        ({"network": with_a_draw}, "gives other logits in training mode"),
        ({"network": with_flat_norm}, "the network has BatchNorm1d"),
    ],
)  # fmt: skip
def test_what_is_yielded_wrong_is_said_in_a_sentence(tmp_path, options, match):
    with pytest.raises(UserError, match=match):
        record(Mine(**options), tmp_path)


def test_a_recipe_that_yields_nothing_or_returns_no_model_is_told_so(tmp_path):
    recipe = Mine()
    recipe.trajectory = lambda keep, labels, seed: [1, 2]
    with pytest.raises(UserError, match="mine.trajectory returned list; have it yield each step"):
        record(recipe, tmp_path)

    class NoModel(Mine):
        def trajectory(self, keep, labels, seed):
            yield from super().trajectory(keep, labels, seed)

    with pytest.raises(UserError, match="mine.trajectory returned no model; end it with: return model"):
        record(NoModel(), tmp_path / "b")


def test_a_training_that_diverges_is_told_so(tmp_path):
    def to_infinity(step, given):
        if step == 4:
            next(iter(given["model"].parameters())).data[0] = torch.inf
        return given

    with pytest.raises(UserError, match="step 4 has a model with weights that are NaN or infinite"):
        record(Mine(change=to_infinity), tmp_path)


def test_more_than_the_disk_may_take_is_refused(tmp_path):
    with pytest.raises(
        UserError, match="the network of mine has 293 weights, and those of 5 steps.*give fewer --epochs"
    ):
        record(Mine(), tmp_path, limit=4 * 293 * 8)


def test_what_it_takes_is_told_by_the_first_step(tmp_path):
    found = own.first_step(own_trainer(Mine(mirror=True)), SEED)
    assert found == {"weights": 293, "batch": 8, "shown_bytes": 64 * 8}
    assert own.first_step(own_trainer(Mine()), SEED)["shown_bytes"] == 0
    with pytest.raises(UserError, match="step 0 has no field images"):
        own.first_step(own_trainer(Mine(**change(0, images=None))), SEED)
    with pytest.raises(UserError, match="yielded 0 steps"):
        own.first_step(own_trainer(Mine(epochs=0)), SEED)
