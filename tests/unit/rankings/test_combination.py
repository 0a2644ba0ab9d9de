"""Combinations: the standardised sum, by hand; which names there can be; what their parts lack."""

import numpy as np
import pytest

from attribution import UserError, Workspace
from attribution.rankings import combination
from attribution.rankings.base import Ranking
from attribution.rankings.combination import Combination


def give_ranking(ws, name, arrays, **about):
    """Stores a ranking of these arrays."""
    folder = ws.path / "rankings" / name
    folder.mkdir()
    for stem, array in arrays.items():
        np.save(folder / f"{stem}.npy", array)
    files = [f"rankings/{name}/{stem}.npy" for stem in arrays]
    ws.record_part(f"rankings/{name}", {"method": "Own", "signed": True, **about}, files)


def test_standardised_by_hand():
    # mean 2, deviations -1, -1, 2, 0, their mean square 1.5
    by_hand = np.array([-1, -1, 2, 0]) / np.sqrt(1.5)
    np.testing.assert_allclose(combination.standardised(np.array([1, 1, 4, 2], np.float16)), by_hand)
    assert combination.standardised(np.full(4, 0.1)).tolist() == [0] * 4, "what prefers nothing adds nothing"


def test_it_adds_up_its_parts_whatever_their_scale(ws):
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(12, 60)).astype(np.float32)
    give_ranking(ws, "mine", {"scores": 1000 * scores})
    found = ws.ranking("mine+trak-10")
    trak = ws.ranking("trak-10").scores(4)
    wanted = (scores[4] - scores[4].mean()) / scores[4].std() + (trak - trak.mean()) / trak.std()
    np.testing.assert_allclose(found.scores(4), wanted, atol=1e-5)
    np.testing.assert_allclose(list(found.all_scores())[4], wanted, atol=1e-5)
    best = np.argsort(-wanted)[:5]
    assert found.top(4, 5).ids.tolist() == best.tolist()
    assert found.top(4, 60, end="harmful").ids[0] == np.argmin(wanted)
    assert found.signed and found.live and found.method == "Combination" and len(found.targets) == 12
    among = ws.ranking("mine+trak-10@true")
    assert set(ws.train_labels[among.top(4, 9).ids]) == {ws.val_labels[4]}


def test_with_a_similarity_it_has_no_harmful_end(ws):
    found = ws.ranking("trak-10+l2-moco")
    assert not found.signed
    with pytest.raises(UserError, match="no harmful scores"):
        found.top(0, 3, end="harmful")
    assert min(found.scores(0)) == 0, "a sum without a zero counts from its least"
    np.testing.assert_allclose(next(iter(found.all_scores())), found.scores(0), atol=1e-4)


def test_of_parts_that_rank_some_targets_it_ranks_what_all_rank(ws):
    scores = np.full((12, 60), np.nan, np.float32)
    scores[[2, 7]] = np.arange(60)
    give_ranking(ws, "some", {"scores": scores, "targets": np.array([2, 7])})
    found = ws.ranking("trak-10+some")
    assert found.targets.tolist() == [2, 7] and "the 2 targets that all of them rank" in found.description
    assert len(found.top(0, 5).ids) == 0 and found.top(7, 1).ids.size == 1
    assert len(list(found.all_scores())) == 2
    scores = np.roll(scores, 1, 0)
    give_ranking(ws, "others", {"scores": scores, "targets": np.array([3, 8])})
    with pytest.raises(UserError, match="no target is ranked by all of some, others"):
        ws.ranking("some+others")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("trak-10+nothing", "trak-10.nothing cannot be had: no ranking 'nothing'"),
        ("trak-10+unrolled-exact", "only once they were asked for"),
        ("trak-10+", "is no combination"),
        ("+", "is no combination"),
        ("trak-10+trak-10", "2 to 8 different rankings"),
        ("+".join(["trak-10"] * 9), "2 to 8 different rankings"),
        ("trak-10@true+random", "candidates inside a combination; name them at its end"),
    ],
)
def test_a_name_that_cannot_be(ws, name, said):
    with pytest.raises(UserError, match=said):
        ws.ranking(name)


def test_a_part_that_keeps_its_first_images_alone_is_refused(ws):
    ids = np.tile(np.arange(5, dtype=np.int32), (12, 2, 1))
    give_ranking(ws, "short", {"ids": ids})
    with pytest.raises(UserError, match="short keeps only the first images .* --dense"):
        ws.ranking("short+trak-10")


def test_it_is_listed_where_somebody_named_it(ws):
    assert not any("+" in name for name in ws.rankings())
    combination.remember(ws, "trak-10+l2-moco", {"command": "x"})
    opened = Workspace.open(ws.path)
    assert opened.rankings()[-2:] == ["trak-10+l2-moco", "random"]
    assert isinstance(opened.ranking("trak-10+l2-moco"), Combination)
    opened.drop_part("rankings/trak-10")
    assert "trak-10+l2-moco" not in opened.rankings(), "without its parts it is no more"
    combination.forget(ws, "trak-10+l2-moco")
    assert "trak-10+l2-moco" not in Workspace.open(ws.path).rankings()
    with pytest.raises(UserError, match="lists no combination"):
        combination.forget(ws, "trak-10+l2-moco")
    with pytest.raises(UserError, match="no ranking"):
        combination.remember(ws, "trak-10+nothing", {})


def test_its_version_is_that_of_its_parts(ws):
    ws.manifest["parts"]["rankings/trak-10"]["digest"] = "a"
    assert ws.ranking("trak-10+random").version == "trak-10:a+random:None"
    assert isinstance(ws.ranking("trak-10+random"), Ranking)
    assert ws.ranking("trak-10+random").made_for == ws.ranking("trak-10").made_for
