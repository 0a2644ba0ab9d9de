"""The ranking that is computed target by target: what it reads, how stable it says it is, and where it is refused."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from attribution import UserError
from attribution.experiments.retrain import retrain_spec
from attribution.explore.lineup import lineup_rows
from attribution.rankings import names, row_names
from attribution.rankings.unrolled import on_demand
from attribution.rankings.unrolled.on_demand import NAME
from attribution.training import recipes
from attribution.training.own import OwnRecipe


def put(store, ws, target, seed, scores):
    recipe = ws.get_recipe()
    store.put_answer(recipe.hash, on_demand.question(target, seed, 3), on_demand.pack(np.asarray(scores)))


@pytest.fixture
def scored(ws, store, monkeypatch):
    """Target 4 has two seeds, target 5 one; the first two images tell how stable they are."""
    monkeypatch.setattr(on_demand, "N_FIRST", 2)
    first, second = np.zeros(60), np.zeros(60)
    first[[7, 9, 11]], second[[9, 30, 11]] = [3, 2, -5], [4, 3, -1]
    put(store, ws, 4, 300, first)
    put(store, ws, 4, 301, second)
    put(store, ws, 5, 300, first)
    return ws.ranking(NAME)


def test_it_is_the_mean_over_the_seeds_of_a_target(scored):
    top = scored.top(4, 3)
    assert top.ids.tolist() == [9, 7, 30] and top.scores.tolist() == [3, 1.5, 1.5] and top.scores.dtype == np.float32
    harmful = scored.top(4, 1, end="harmful")
    assert harmful.ids.tolist() == [11] and harmful.scores.tolist() == [-3]
    assert scored.top(5, 1).ids.tolist() == [7]
    assert scored.targets.tolist() == [4, 5] and scored.seeds_of(4) == [300, 301]


def test_it_says_how_many_models_there_are_and_how_stable_they_are(scored):
    assert scored.shared(4) == 1.0  # [7, 9] and [9, 30]
    assert scored.shared(5) is None and scored.shared(6) is None
    assert scored.description_of(4) == "2 models, 1 of 2 the same"
    assert scored.description_of(5) == "1 model"


def test_what_a_seed_took_is_known(ws, store, scored):
    answer = {**on_demand.pack(np.ones(60)), "seconds": 12.0, "peak_bytes": 7}
    store.put_answer(ws.get_recipe().hash, on_demand.question(6, 300, 3), answer)
    assert scored.costs(6) == [{"seed": 300, "seconds": 12.0, "peak_bytes": 7}] and scored.costs(7) == []


def test_stability_is_the_mean_over_pairs(ws, store, scored):
    third = np.zeros(60)
    third[[9, 7]] = [2, 1]
    put(store, ws, 4, 302, third)
    assert scored.shared(4) == pytest.approx((1 + 2 + 1) / 3)


def test_a_target_that_nobody_asked_for_has_none(ws, scored):
    with pytest.raises(UserError, match="not yet for target 3; `rank --target 3 --ranking unrolled-exact --models 1`"):
        scored.top(3, 1)
    (row,) = lineup_rows(ws, 3, [NAME])
    assert row.undefined == "unrolled-exact is computed target by target, and not yet for target 3" and not len(row.ids)
    (row,) = lineup_rows(ws, 4, [NAME], n=2)
    assert row.undefined is None and row.ids.tolist() == [9, 7] and row.description == "2 models, 1 of 2 the same"


def test_only_a_new_seed_of_the_target_changes_its_version(ws, store, scored):
    before, other, whole = scored.version_of(4), scored.version_of(5), scored.version
    put(store, ws, 5, 301, np.ones(60))
    assert scored.version_of(4) == before and scored.version_of(5) != other and scored.version != whole
    assert ws.ranking(f"{NAME}@true").version_of(4) == before


def test_what_other_settings_gave_is_left_out(ws, store):
    put(store, ws, 4, 300, np.arange(60))
    body = on_demand.pack(np.zeros(60))
    store.put_answer(ws.get_recipe().hash, on_demand.question(4, 301, 2), body)
    store.put_answer(ws.get_recipe().hash, on_demand.question(4, 302, 3, windows=1), body)
    store.put_answer("0123456789ab", on_demand.question(4, 303, 3), body)  # of another recipe
    assert ws.ranking(NAME).seeds_of(4) == [300]


def test_it_can_be_a_row_and_is_no_part_of_what_is_measured_over_targets(ws, scored):
    assert NAME not in names(ws) and row_names(ws) == [*names(ws), NAME]
    assert retrain_spec(ws, 4, NAME, "remove", 2).ids == [9, 7]


def test_scores_are_kept_to_the_last_bit():
    scores = np.random.default_rng(0).normal(size=60).astype(np.float32)
    assert np.array_equal(on_demand.unpack(on_demand.pack(scores)), scores)


def test_a_damaged_seed_is_put_aside(ws, store, scored):
    store.db.execute("UPDATE answers SET body = '{}' WHERE question LIKE '%\"seed\": 301%'")
    assert ws.ranking(NAME).top(4, 1).ids.tolist() == [7]
    assert ws.ranking(NAME).seeds_of(4) == [300]


def test_under_a_head_it_says_which_row_is_the_same(ws):
    seen = ws.with_model("head-moco")
    assert on_demand.refusal(seen) == "under a head Unrolled is exact and immediate: it is the row influence-moco"
    with pytest.raises(UserError, match="no unrolled-exact here: under a head .* the row influence-moco"):
        seen.ranking(NAME)
    assert NAME not in row_names(seen)


def test_a_recipe_of_ones_own_needs_to_yield_its_steps(ws, monkeypatch):
    mine = OwnRecipe("mine", "0" * 12, "file")
    monkeypatch.setattr(ws, "get_recipe", lambda *_: mine)
    assert on_demand.refusal(ws).startswith("mine has no method trajectory")
    with pytest.raises(UserError, match="there is no unrolled-exact here: mine has no method trajectory"):
        on_demand.load(ws)
    monkeypatch.setattr(ws, "get_recipe", lambda *_: replace(mine, optional=("module", "trajectory")))
    assert on_demand.refusal(ws) == ""
    assert on_demand.load(ws).description == "last 3 epochs · computed target by target"


def test_a_large_network_goes_back_over_fewer_epochs_or_is_refused(ws, monkeypatch):
    recipe = ws.get_recipe()
    assert on_demand.epochs_that_fit(ws, recipe) == 3
    one_epoch = 4 * on_demand.about_weights(ws, recipe)  # in a step
    monkeypatch.setattr(on_demand, "MAX_KEPT_BYTES", 2.5 * one_epoch)
    assert on_demand.epochs_that_fit(ws, recipe) == 2
    assert on_demand.epochs_that_fit(ws, replace(recipe, epochs=1)) == 1
    monkeypatch.setattr(on_demand, "MAX_KEPT_BYTES", one_epoch - 1)
    assert "the weights of demo-cnn in one" in on_demand.refusal(ws)


@pytest.mark.parametrize("name", recipes.NAMES)
@pytest.mark.parametrize(("shape", "classes"), [((1, 28, 28), 10), ((3, 64, 64), 10), ((3, 32, 32), 100)])
def test_the_sizes_of_networks_are_about_right(name, shape, classes):
    pytest.importorskip("torch")
    recipe = recipes.get_recipe(name)
    try:
        network = recipe.network(shape, classes)
    except UserError:
        pytest.skip("too small for it")
    images = SimpleNamespace(train_images=np.empty((0, *shape[1:], shape[0]), np.uint8), classes=list(range(classes)))
    weights = sum(weight.numel() for weight in network.parameters() if weight.requires_grad)
    assert on_demand.about_weights(images, recipe) == pytest.approx(weights, rel=0.1)
