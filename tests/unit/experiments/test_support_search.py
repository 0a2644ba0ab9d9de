"""The support search against fake trainers whose true support is known."""

import json
from dataclasses import asdict
from itertools import product

import pytest

from attribution.errors import UserError
from attribution.experiments.support_search import (
    CONFIRM_SEEDS,
    Support,
    TargetOutcome,
    probe_verdict,
    run_search,
    search,
    seeds_text,
)

LABEL, OTHER = 3, 7


class Fake:
    """A trainer in which `flips(k, seed)` says whether the target is wrong; it logs what it was asked."""

    def __init__(self, flips):
        self.flips, self.asked = flips, []

    def __call__(self, k, seeds):
        self.asked += [(k, seed) for seed in seeds]
        wrong = [self.flips(k, seed) for seed in seeds]
        return [TargetOutcome(s, OTHER if w else LABEL, -1.0 if w else 1.0) for s, w in zip(seeds, wrong, strict=True)]


def at(support):
    return Fake(lambda k, seed: k >= support)


def outcomes(votes):
    return [TargetOutcome(seed, OTHER if wrong else LABEL, 0.0) for seed, wrong in enumerate(votes)]


def said(votes):
    return [outcome.predicted for outcome in outcomes(votes)]


@pytest.mark.parametrize("protocol", ["default", "paper"])
@pytest.mark.parametrize("k_max", [1, 2, 5, 100, 128])
def test_finds_every_support_exactly_up_to_128(protocol, k_max):
    for support in range(1, k_max + 1):
        found = run_search(search(LABEL, k_max, protocol=protocol), at(support))
        assert (found.status, found.support, found.lo, found.hi) == ("flipped", support, support - 1, support)


def test_order_of_probes_and_their_trace():
    # 3 of the 5 seeds flip from k = 40 on. Bisection: 128 yes, 64 yes, 32 no, 48 yes, 40 yes, 36 no, 38 no, 39 no.
    train = Fake(lambda k, seed: k >= 40 and seed % 5 in (0, 2, 4))
    found = run_search(search(LABEL), train)
    assert [row["k"] for row in found.trace] == [128, 64, 32, 48, 40, 36, 38, 39, 40, 39]
    assert [row["flipped"] for row in found.trace] == [1, 1, 0, 1, 1, 0, 0, 0, 1, 0]
    # The votes come W R W R W: a flip is decided by the fifth only, (2 wrong, 1 right), (2, 2), (3, 2).
    first = found.trace[0]
    assert first == {"k": 128, "seeds": [0, 1, 2, 3, 4], "predictions": [7, 3, 7, 3, 7], "wrong": 3, "flipped": True,
                     "margin": pytest.approx(-0.2)}  # fmt: skip
    assert found.trace[2]["seeds"] == [0, 1, 2]  # all right: three are enough
    assert [row.get("confirm", False) for row in found.trace] == [False] * 8 + [True] * 2
    assert found.trace[-1]["seeds"] == [5, 6, 7]
    assert found.trainings == len(train.asked) == len(set(train.asked)) == 4 * 5 + 4 * 3 + 5 + 3
    assert found.status == "flipped"


def test_trace_is_json_and_comes_back():
    import numpy as np

    def train(k, seeds):
        return [TargetOutcome(seed, np.uint8(OTHER), np.float16("nan")) for seed in seeds]

    found = run_search(search(np.int64(LABEL), np.int64(4), seeds=np.arange(5), confirm_seeds=np.arange(5, 10)), train)
    text = json.dumps(asdict(found), allow_nan=False)
    assert Support(**json.loads(text)) == found
    assert found.trace[0]["margin"] is None


@pytest.mark.parametrize(("protocol", "trainings"), [("default", 3), ("paper", 5)])
def test_censored(protocol, trainings):
    found = run_search(search(LABEL, protocol=protocol), at(129))
    assert (found.status, found.support, found.lo, found.hi) == ("censored", None, 128, None)
    assert found.trainings == trainings
    assert [row["k"] for row in found.trace] == [128]


def test_censored_at_a_shorter_candidate_list():
    found = run_search(search(LABEL, 17), at(18))
    assert (found.status, found.lo) == ("censored", 17)


def test_already_wrong_has_no_support_and_costs_nothing():
    train = at(0)
    assert run_search(search(LABEL, already_wrong=True), train) == Support("already_wrong", None, None, None, [], 0)
    assert train.asked == []


def test_paper_protocol_gives_an_already_wrong_target_a_false_small_support():
    found = run_search(search(LABEL, 1280, protocol="paper", already_wrong=True), at(0))
    assert (found.status, found.support) == ("flipped", 10)  # 1280 / 2**7, as the paper's code reports


def test_paper_protocol_takes_forty_trainings_and_no_confirmation():
    train = Fake(lambda k, seed: k >= 500 and seed < 3)
    found = run_search(search(LABEL, 1280, protocol="paper"), train)
    assert found.trainings == len(train.asked) == 40
    assert not any("confirm" in row for row in found.trace)
    assert all(row["seeds"] == [0, 1, 2, 3, 4] for row in found.trace)
    # 640 yes, 320 no, 480 no, 560 yes, 520 yes, 500 yes, 490 no
    assert (found.lo, found.hi, found.support) == (490, 500, 500)


@pytest.mark.parametrize("protocol", ["default", "paper"])
def test_non_monotone_ends_at_a_tested_flip_above_a_tested_survivor(protocol):
    flips = set(range(10, 14)) | set(range(70, 80)) | set(range(120, 129))
    found = run_search(search(LABEL, protocol=protocol), Fake(lambda k, seed: k in flips))
    # 128 yes, 64 no, 96 no, 112 no, 120 yes, 116 no, 118 no, 119 no: the islands at 10 and 70 are never met
    assert (found.lo, found.hi, found.status) == (119, 120, "flipped")
    tested = {row["k"]: row["flipped"] for row in found.trace}
    assert tested[found.hi] and not tested[found.lo]


def test_unstable_when_the_upper_end_survives_fresh_seeds():
    found = run_search(search(LABEL), Fake(lambda k, seed: k >= (30 if seed in CONFIRM_SEEDS else 20)))
    assert (found.status, found.support, found.lo, found.hi) == ("unstable", 20, 19, 20)
    assert [(row["k"], row["flipped"]) for row in found.trace if "confirm" in row] == [(20, False), (19, False)]


def test_unstable_when_the_lower_end_flips_with_fresh_seeds():
    found = run_search(search(LABEL), Fake(lambda k, seed: k >= (10 if seed in CONFIRM_SEEDS else 20)))
    assert (found.status, found.support) == ("unstable", 20)


def test_the_unedited_training_set_is_not_confirmed():
    train = at(1)
    assert run_search(search(LABEL), train).support == 1
    assert 0 not in {k for k, _ in train.asked}


@pytest.mark.parametrize("votes", list(product([True, False], repeat=5)))
def test_early_majority_gives_the_verdict_of_all_five(votes):
    train = Fake(lambda k, seed: votes[seed])
    paper = run_search(search(LABEL, 1, protocol="paper"), train)
    early = run_search(search(LABEL, 1, confirm_seeds=()), train)
    assert paper.status == early.status == ("flipped" if sum(votes) >= 3 else "censored")
    assert early.trainings == next(n for n in range(3, 6) if max(sum(votes[:n]), n - sum(votes[:n])) == 3)


def test_early_majority_never_asks_for_more_than_can_be_needed():
    requests = []

    def train(k, seeds):
        requests.append(seeds)
        return outcomes([True, False, True, False, True])[seeds[0] : seeds[-1] + 1]

    run_search(search(LABEL, 1, confirm_seeds=()), train)
    assert requests == [(0, 1, 2), (3,), (4,)]


def test_an_even_number_of_seeds_ties_towards_flipped():
    # "at most half still predict the true label": 2 of 4 is a flip
    assert probe_verdict(said([True, True, False, False]), LABEL, 4) is True
    tied = Fake(lambda k, seed: seed in (0, 1))
    assert run_search(search(LABEL, 1, seeds=range(4), confirm_seeds=()), tied).status == "flipped"
    assert run_search(search(LABEL, 1, protocol="paper", seeds=range(4)), tied).status == "flipped"


def test_majority_waits_until_it_is_decided():
    assert probe_verdict([], LABEL) is None
    assert probe_verdict(said([True, True]), LABEL) is None
    assert probe_verdict(said([True, True, False, False]), LABEL) is None
    assert probe_verdict(said([False, False]), LABEL, 4) is None  # two wrong to come would make it half
    assert probe_verdict(said([True, True, True]), LABEL) is True
    assert probe_verdict(said([False, False, False]), LABEL) is False


def test_mistakes_are_named_at_once():
    with pytest.raises(UserError, match="other candidates"):
        search(LABEL, 0)
    with pytest.raises(ValueError, match="protocol"):
        search(LABEL, protocol="papr")
    with pytest.raises(ValueError, match="distinct"):
        search(LABEL, confirm_seeds=(4, 5, 6))
    with pytest.raises(ValueError, match="not those of"):
        run_search(search(LABEL), lambda k, seeds: outcomes([True] * 5))


# -- repair


def until(repair):
    """Wrong until `repair` images are gone."""
    return Fake(lambda k, seed: k < repair)


@pytest.mark.parametrize("protocol", ["default", "paper"])
@pytest.mark.parametrize("k_max", [1, 2, 5, 100, 128])
def test_finds_every_repair_exactly_up_to_128(protocol, k_max):
    for size in range(1, k_max + 1):
        found = run_search(search(LABEL, k_max, protocol=protocol, already_wrong=True, repair=True), until(size))
        assert (found.status, found.support, found.lo, found.hi) == ("repaired", size, size - 1, size)


def test_a_repair_that_is_not_found_is_censored():
    found = run_search(search(LABEL, already_wrong=True, repair=True), until(129))
    assert (found.status, found.support, found.lo, found.trainings) == ("censored", None, 128, 3)
    assert found.trace[0]["flipped"] is True, "the trace says what the models do, whatever is searched"


@pytest.mark.parametrize("protocol", ["default", "paper"])
def test_what_is_right_has_nothing_to_repair_and_costs_nothing(protocol):
    train = until(5)
    found = run_search(search(LABEL, protocol=protocol, already_wrong=False, repair=True), train)
    assert found == Support("already_right", None, None, None, [], 0) and train.asked == []


def test_a_tie_repairs_nothing():
    # half of four right: at most half is flipped by the paper's rule, and so not repaired
    tied = Fake(lambda k, seed: seed in (0, 1))
    found = run_search(search(LABEL, 1, seeds=range(4), confirm_seeds=(), already_wrong=True, repair=True), tied)
    assert found.status == "censored"
    three = Fake(lambda k, seed: seed == 0)
    found = run_search(search(LABEL, 1, seeds=range(4), confirm_seeds=(), already_wrong=True, repair=True), three)
    assert found.status == "repaired"


@pytest.mark.parametrize("threshold", [10, 30])
def test_a_repair_that_fresh_seeds_do_not_confirm_is_unstable(threshold):
    found = run_search(
        search(LABEL, already_wrong=True, repair=True),
        Fake(lambda k, seed: k < (threshold if seed in CONFIRM_SEEDS else 20)),
    )
    assert (found.status, found.support) == ("unstable", 20)


def test_a_repair_asks_for_what_the_mirrored_search_asks_for():
    train, mirrored = until(37), at(37)
    repaired, flipped = (
        run_search(search(LABEL, already_wrong=True, repair=True), train),
        run_search(search(LABEL), mirrored),
    )
    assert repaired.trainings == flipped.trainings and train.asked == mirrored.asked


def test_the_seeds_in_words():
    assert seeds_text("default", False) == "seeds 0 to 4, confirmed with 5 to 9"
    assert seeds_text("adaptive", False) == "seeds 0 to 4"
    assert seeds_text("default", True) == "one training a probe, which has no seed"
