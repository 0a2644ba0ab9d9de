"""Influence rankings: what they promise of removals under their head, and which of them there are."""

import numpy as np
import pytest

from attribution import UserError
from attribution.rankings import influence, load
from attribution.rankings.influence import Influence, SummedInfluence
from attribution.training.head.head import MAX_FACTORED, VERSION


def give_features(ws, monkeypatch, **sets):
    """Adds feature sets: {name: train and val}."""
    for name, (train, val) in sets.items():
        monkeypatch.setitem(ws.manifest["parts"], f"features/{name}", {"dim": train.shape[1], "digest": f"of {name}"})
        ws._features[name] = type(ws.feature("moco"))(name, train, val)


@pytest.fixture
def several(ws, monkeypatch):
    """The tiny workspace with two learned sets and pixels."""
    rng = np.random.default_rng(3)
    noisy = [
        (features + rng.normal(0, 0.3, features.shape)).astype(np.float32)
        for features in (ws.feature("moco").train, ws.feature("moco").val)
    ]
    give_features(ws, monkeypatch, simclr=noisy)
    monkeypatch.setitem(ws.manifest["parts"], "features/pixels", {"dim": 64})
    return ws


def test_scores_foretell_what_a_removal_does_to_the_head(ws):
    ranking = ws.ranking("influence-moco")
    head, val, label = ranking.head, ws.feature("moco").val[:1], ws.val_labels[:1]
    before = head.margins(head.weights, val, label)[0]
    for end, sign in (("helpful", 1), ("harmful", -1)):
        first = ranking.top(0, 3, end=end)
        assert (sign * first.scores > 0).all()
        after = head.margins(head.refit(np.delete(np.arange(60), first.ids)), val, label)[0]
        assert sign * (before - after) > 0
    one = ranking.top(0, 1)
    after = head.margins(head.refit(np.delete(np.arange(60), one.ids)), val, label)[0]
    assert before - after == pytest.approx(one.scores[0], rel=0.3)


def test_the_planted_error_is_what_harms_most(ws):
    ranking = ws.ranking("influence-moco")
    assert ranking.top(3, 1, end="harmful").ids.tolist() == [3], "the Bar that is called a Dot"
    assert ranking.signed and ranking.live and ranking.complete and not ranking.conditioned
    assert set(ws.train_labels[ranking.top(0, 60).ids]) == {0, 1, 2}, "images of all classes are candidates"


def test_all_its_scores_agree(several):
    for name in ("influence-moco", "influence-all"):
        ranking = several.ranking(name)
        every = list(ranking.all_scores())
        assert len(every) == 12 and every[0].dtype == np.float32
        for target in (0, 5, 11):
            assert np.allclose(every[target], ranking.scores(target), atol=1e-6)
            assert np.allclose(ranking.values(target, np.array([4, 9])), every[target][[4, 9]], atol=1e-6)
        among = list(several.ranking(f"{name}@true").all_scores())
        others = several.train_labels != several.val_labels[5]
        assert not among[5][others].any() and np.allclose(among[5][~others], every[5][~others])


def test_a_column_is_an_images_scores(ws):
    ranking = ws.ranking("influence-moco")
    every = np.array(list(ranking.all_scores()))
    for image in (3, 40):
        column = ranking.image_scores(image)
        assert column.dtype == np.float32 and np.allclose(column, every[:, image], atol=1e-5)


def test_the_sum_is_of_learned_sets_in_units_of_their_spread(several):
    total = several.ranking("influence-all").scores(7)
    parts = [several.ranking(f"influence-{name}").scores(7) for name in ("moco", "simclr")]
    assert np.allclose(total, sum(part / part.std() for part in parts), atol=1e-4)
    assert several.ranking("influence-all").description == "sum over moco, simclr · live"


def test_which_there_are(ws, several, monkeypatch):
    names = influence.names(several)
    assert names == ["influence-moco", "influence-simclr", "influence-pixels", "influence-all"]
    assert set(names) < set(several.rankings())
    monkeypatch.setitem(several.manifest["parts"], "features/pixels", {"dim": MAX_FACTORED // 3})
    assert "influence-pixels" not in several.rankings(), "three classes of so many weights"
    with pytest.raises(UserError, match="no ranking 'influence-pixels'"):
        load(several, "influence-pixels")
    monkeypatch.delitem(several.manifest["parts"], "features/simclr")
    assert influence.names(several) == ["influence-moco"], "one set has no sum"


def test_a_set_called_all_is_that_set(several, monkeypatch):
    give_features(several, monkeypatch, all=(several.feature("moco").train, several.feature("moco").val))
    assert influence.names(several).count("influence-all") == 1
    assert isinstance(load(several, "influence-all"), Influence)


def test_versions_follow_the_features_and_the_solver(several, monkeypatch):
    assert several.ranking("influence-simclr").version == f"of simclr+head{VERSION}"
    assert several.ranking("influence-all").version == f"moco:head{VERSION}+simclr:of simclr+head{VERSION}"
    monkeypatch.setitem(several.manifest["parts"], "features/simclr", {"digest": "new"})
    assert load(several, "influence-simclr").version == f"new+head{VERSION}"


def test_an_import_of_that_name_stands_in_for_itself_alone(several, monkeypatch):
    wanted = several.ranking("influence-all").scores(0)
    monkeypatch.setitem(several.manifest["parts"], "rankings/influence-simclr", {"method": "mine"})
    several._rankings.clear()
    found = several.ranking("influence-all")
    assert isinstance(found, SummedInfluence) and np.allclose(found.scores(0), wanted, atol=1e-6)


def test_features_that_are_not_finite_are_refused(ws, monkeypatch):
    broken = ws.feature("moco").train.astype(np.float32)
    broken[4, 1] = np.nan
    give_features(ws, monkeypatch, broken=(broken, ws.feature("moco").val))
    with pytest.raises(UserError, match="1 of 3 columns .* not finite"):
        ws.ranking("influence-broken").top(0, 3)


def test_one_class_alone_has_no_influence(ws, monkeypatch):
    monkeypatch.setattr(ws, "_train_table", ws._train_table.assign(label=1))
    assert np.abs(ws.ranking("influence-moco").scores(0)).max() < 1e-6
