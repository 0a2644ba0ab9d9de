"""How far a row can be trusted: the numbers by hand, the thresholds at their edges, and what is not known."""

import numpy as np
import pytest

from attribution import UserError, Workspace
from attribution.builds import firsts
from attribution.evaluation import calibration, trust
from attribution.evaluation.calibration import Removals
from attribution.evaluation.trust import Change, Overlap, RowTrust, SeedAgreement, TrustMeter
from attribution.workspace.parts import save_part


def overlap(shared, of=20, chance=0.8, chance_range=(0, 3)):
    return Overlap(shared, of, chance, chance_range)


def seeds(shared, models=10):
    return SeedAgreement(models, models // 2, 10, overlap(shared), overlap(shared / 2))


def change(predicted, measured, k=16, outcome=None, removed="trak-10"):
    return Change(removed, k, 5, predicted, measured, 0.2, outcome or trust.judge_change(predicted, measured, 0.2))


def row(seeds=None, norm=None, changes=(), unknown=None):
    return RowTrust(3, "trak-10", "helpful", None, np.arange(20), seeds, norm, {}, tuple(changes), unknown or {})


# -- the verdict


@pytest.mark.parametrize(
    ("shared", "verdict"), [(20, "stable"), (10, "stable"), (9.9, "partly"), (5, "partly"), (4.9, "do_not_rely")]
)
def test_halves_of_the_models_decide(shared, verdict):
    assert row(seeds(shared)).verdict == verdict


def test_what_chance_gives_is_no_agreement():
    """Of a small class everything is shared by chance."""
    by_chance = SeedAgreement(2, 1, 1, overlap(19, chance=19, chance_range=(19, 20)), overlap(19))
    assert row(by_chance).verdict == "do_not_rely"


@pytest.mark.parametrize(("shared", "verdict"), [(10, "do_not_rely"), (9, "stable")])
def test_a_control_by_norm_that_is_the_row_condemns_it(shared, verdict):
    said = row(seeds(17), overlap(shared))
    assert said.verdict == verdict
    if verdict == "do_not_rely":
        assert said.short == "do not rely: norm alone has 10 of 20"
        assert said.sentence.startswith(
            "do not rely on this row: its first 20 are those of a norm-only control (10 of 20)"
        )


def test_a_control_by_norm_within_chance_condemns_nothing():
    assert row(seeds(17), overlap(20, chance=19, chance_range=(19, 20))).verdict == "stable"


@pytest.mark.parametrize(
    ("predicted", "measured", "outcome"),
    [
        (-1.9, -2.1, "held"),
        (-2.0, -1.0, "held"),  # half of it, to the point
        (-2.0, -0.9, "less"),
        (-2.0, 1.0, "less"),
        (-1.0, -2.0, "held"),
        (-1.0, -2.1, "more"),
        (-0.5, -0.85, "held"),  # within two standard errors
        (0.0, -1.0, "more"),
        (-0.3, 0.4, "too small"),
    ],
)
def test_whether_a_change_held(predicted, measured, outcome):
    assert trust.judge_change(predicted, measured, 0.2) == outcome


def test_a_change_that_did_not_come_condemns_the_row():
    said = row(seeds(17), changes=[change(-1.9, -0.3), change(-1.8, -0.2, 32), change(-2, -2, 64)])
    assert said.verdict == "do_not_rely" and said.held == (1, 3)
    assert said.short == "do not rely: −1.9 was −0.3"
    assert (
        "predicted −1.9, measured −0.3 without its top 16, less than predicted (held in 1 of 3 tests)" in said.sentence
    )


def test_what_came_true_is_no_accident_of_the_seeds():
    said = row(seeds(4), overlap(2), [change(-1.9, -2.1)])
    assert said.verdict == "partly" and said.short == "4 of 20 between seeds"
    assert row(seeds(4), changes=[change(-1, -3)]).verdict == "do_not_rely"
    assert row(seeds(4), changes=[change(-1, -1, removed="esvm-moco")]).verdict == "do_not_rely", "of other images"


def test_more_than_predicted_only_spoils_stable():
    assert row(seeds(17), changes=[change(-1, -3)]).verdict == "partly"
    assert row(seeds(17), changes=[change(-1, -3), change(-2, -2, 32)]).verdict == "stable"


def test_the_sentence_of_a_row_that_holds():
    said = row(seeds(17), overlap(2), [change(-1.9, -2.1)])
    assert said.short == "stable: 17 of 20 between seeds"
    assert said.sentence == (
        "stable: 17 of 20 between halves of its 10 models; predicted −1.9, measured −2.1 without its top 16 (held in 1 "
        "of 1 tests); a norm-only control has 2 of 20"
    )


def test_two_fits_are_called_so():
    agreed = SeedAgreement(2, 1, 1, overlap(4), overlap(4), fits=True)
    assert row(agreed).short == "do not rely: two fits share 4 of 20"
    assert "only 4 of 20 between two fits, each on half of its models" in row(agreed).sentence


def test_what_is_not_known_is_said():
    why = {"seeds": "not kept", "norm": "none", "change": "none"}
    nothing = row(unknown=why)
    assert (nothing.verdict, nothing.short, nothing.sentence) == ("not_tested", *["not tested here"] * 2)
    one = row(seeds(7, models=2), unknown={"change": "none"})
    assert one.short == "7 of 20 between seeds"
    assert one.sentence == "rely on it in part: 7 of 20 between two of its models; not tested by removal"
    held = row(changes=[change(-1.9, -2.1)], unknown={"seeds": "not kept"})
    assert (held.verdict, held.short) == ("partly", "predicted −1.9, measured −2.1")


def test_the_change_nearest_to_the_images_compared_is_shown():
    said = row(changes=[change(-1, -1, 128), change(-3, -3, 32), change(-0.1, -0.1, 16), change(-2, -2, 8)])
    assert said.shown.k == 8, "of two that are as near the smaller; what is too small to tell is not shown"
    odd = row(changes=[change(-2, -0.3, 20), change(-2, -2, 60), change(-2, -2, 90)])
    assert odd.shown.k == 60, "an outcome that most have"


def test_whose_images_were_removed_is_said():
    said = row(changes=[change(-1, -1, 32, removed="esvm-moco")])
    assert "without 32 images, esvm-moco (held" in said.sentence


# -- the meter


@pytest.fixture
def kept(ws):
    """Two models of trak-10 that differ by 5 of their first 20, and norms that grow with the image's number."""
    one = -np.tile(np.arange(60, dtype=np.float32), (12, 1))
    other = np.roll(one, 5, axis=1)
    models = [lambda start, stop, scores=scores: scores[start:stop] for scores in (one, other)]
    firsts.save(ws, firsts.compute("trak-10", 60, np.arange(12), models), {})
    made = {"family": "self-influence", "about": "", "uses_val": False, "suggests": False}
    save_part(ws, "detectors/self-influence", {"scores": np.arange(60, dtype=np.float32)}, made)
    return Workspace.open(ws.path)


def test_the_numbers_of_a_row_by_hand(kept):
    """The first 20 of target 0 are its class, which 19 images carry, and image 59, a Dot: of 21 Dots one is drawn. So
    chance has 19 and 1/21, and the largest norms of these classes are the row itself."""
    said = TrustMeter(kept).row(0, "trak-10")
    assert sorted(said.ids.tolist()) == [0, *range(6, 60, 3), 59]
    assert said.norm.shared == 20 and said.norm.of == 20
    assert said.norm.chance == pytest.approx(19 + 1 / 21) and said.norm.chance_range == (19, 20)
    assert not said.norm.is_above_chance
    assert said.seeds.halves.shared == said.seeds.single.shared == 15 and said.seeds.models == 2
    assert "change" in said.unknown


def test_the_control_by_norm_keeps_to_the_candidates(kept):
    said = TrustMeter(kept).row(0, "trak-10", candidates="true")
    assert len(said.ids) == 19 and said.norm.shared == 19
    assert "as published" in said.unknown["seeds"] and said.seeds is None


def test_rows_say_what_they_share(kept):
    asked = [("trak-10", "helpful", None), ("l2-moco", "helpful", None), ("random", "helpful", None)]
    rows = TrustMeter(kept).rows(0, asked)
    assert [said.ranking for said in rows] == ["trak-10", "l2-moco"]
    trak, l2 = rows
    assert trak.others["l2-moco"].shared == l2.others["trak-10"].shared == len({*trak.ids} & {*l2.ids})
    assert "random" not in trak.others and "no seeds of its own" in l2.unknown["seeds"]
    assert "predict no change" in l2.unknown["change"]
    known = {("trak-10", "helpful", None): np.arange(30)}
    assert TrustMeter(kept).rows(0, asked[:1], known=known)[0].ids.tolist() == list(range(20))


def test_missing_pieces_have_a_reason(ws):
    said = TrustMeter(ws).row(0, "trak-10")
    assert said.verdict == "not_tested" and {*said.unknown} == {"seeds", "norm", "change"}
    assert "were not kept" in said.unknown["seeds"] and "detectors build" in said.unknown["norm"]
    ws.manifest["parts"]["rankings/trak-10"]["models"] = 1
    assert "one model alone" in TrustMeter(ws).row(0, "trak-10").unknown["seeds"]
    with pytest.raises(UserError, match="no harmful scores"):
        TrustMeter(ws).row(0, "l2-moco", "harmful")


def removals_of(targets, predicted, measured, source=0):
    n = len(targets)
    count = np.full(n, 5)
    return Removals(
        ("trak-10",), ("trak-10", "random", "esvm-moco"), np.array(targets), np.full(n, 16), np.full(n, source), count,
        np.ones(n, bool), np.array(measured), np.array([predicted]),
    )  # fmt: skip


def test_the_scale_is_that_of_other_targets(ws, monkeypatch):
    """Four others have a slope of 2; the target itself, where it measured 10 times less, has no say."""
    removals = removals_of([0, 3, 4, 5, 6], [-1.0] * 5, [-0.2, -2.0, -2.0, -2.0, -2.0])
    monkeypatch.setattr(calibration, "load", lambda ws, of_all: removals)
    said = TrustMeter(ws).row(0, "trak-10")
    assert [(made.predicted, made.measured) for made in said.changes] == [(-2.0, -0.2)]
    error = ws.base.noise * np.sqrt(2 / 5)
    assert said.changes[0].error == pytest.approx(error) and said.changes[0].outcome == trust.judge_change(
        -2, -0.2, error
    )
    assert TrustMeter(ws).row(7, "trak-10").unknown["change"] == "nothing was removed for this target yet"


def test_sets_of_other_rankings_stand_in_and_random_ones_do_not(ws, monkeypatch):
    numbers = [0, 3, 4, 5, 6], [-1.0] * 5, [-0.2, -2.0, -2.0, -2.0, -2.0]
    for source, changes in ((2, [(-2.0, "esvm-moco")]), (1, [])):
        monkeypatch.setattr(calibration, "load", lambda ws, of_all, source=source: removals_of(*numbers, source))
        said = TrustMeter(ws).row(0, "trak-10")
        assert [(made.predicted, made.removed) for made in said.changes] == changes


def test_few_other_targets_give_no_scale(ws, monkeypatch):
    monkeypatch.setattr(calibration, "load", lambda ws, of_all: removals_of([0, 3, 4, 5], [-1.0] * 4, [-2.0] * 4))
    assert "too few other targets" in TrustMeter(ws).row(0, "trak-10").unknown["change"]


def test_removals_of_one_target(ws):
    assert {*trust.removals_of_target(ws, None, 0).target} == {0}
    assert trust.removals_of_target(ws, None, 5) is None


# -- the command


def test_one_target_by_the_command_line(kept, run, answer):
    said = answer("evaluate", "trust", "--target", "0", "--rankings", "trak-10,l2-moco")
    trak, l2 = said["rows"]
    assert said["target"] == 0 and said["thresholds"]["first"] == 20
    assert (trak["seeds"]["halves"]["shared"], trak["seeds"]["halves"]["of"], trak["seeds"]["models"]) == (15, 20, 2)
    assert trak["train"][0] == 0 and "l2-moco" in trak["others"] and "seeds" in l2["unknown"]
    code, out, _ = run("evaluate", "trust", "--target", "0", "--rankings", "trak-10")
    assert code == 0 and "15 of 20 between two of its models" in out.replace("\n", " ")
    for wrong, word in ((["--target", "99"], "0 to 11"), (["--target", "0", "--end", "up"], "helpful or harmful")):
        code, _, err = run("evaluate", "trust", *wrong)
        assert code == 2 and word in err


def test_many_targets_by_the_command_line(kept, run, answer):
    summary = answer("evaluate", "trust", "--rankings", "trak-10", "--targets", "0-3")
    said = summary["rankings"]["trak-10"]
    assert summary["targets"] == 4 and said["seeds"] == {"mean": 15.0, "ci": [15.0, 15.0], "n": 4}
    assert sum(share["count"] for share in said["verdicts"].values()) == 4
    code, out, _ = run("evaluate", "trust", "--rankings", "trak-10", "--targets", "0-3")
    assert code == 0 and "trak-10" in out
