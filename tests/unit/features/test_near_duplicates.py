"""Near-duplicates: what belongs together, and what a search or a retraining then removes."""

import numpy as np
import pytest

from attribution import UserError, Workspace
from attribution.experiments.replay import replay_search
from attribution.experiments.retrain import retrain_spec
from attribution.experiments.support import support_spec
from attribution.features import near_duplicates
from attribution.store.results import ResultStore
from tests.unit.experiments.test_jobs import drive
from tests.unit.features.far_from_zero import far_from_zero

#: image -> its angle in degrees; the others are far away from these and from each other
ANGLES = {0: 0, 6: 5, 9: 10, 20: 90, 21: 91}


@pytest.fixture(autouse=True)
def alike(ws):
    """Images 0, 6 and 9 are a chain whose ends are not alike themselves, 20 and 21 are a pair of two labels."""
    features = np.zeros((60, 62), np.float32)
    features[np.arange(60), 2 + np.arange(60)] = 1
    for image, angle in ANGLES.items():
        features[image] = 0
        features[image, :2] = 3 * np.cos(np.radians(angle)), 3 * np.sin(np.radians(angle))  # lengths do not count
    np.save(ws.path / "features" / "moco" / "train.npy", features)
    np.save(ws.path / "features" / "moco" / "val.npy", np.ones((12, 62), np.float32))


@pytest.fixture
def grouped(ws):
    return near_duplicates.grouping_spec(ws, "moco", np.cos(np.radians(6)))


def test_groups_hang_together_by_pairs(ws, grouped):
    of = near_duplicates.group_numbers(ws, grouped)
    assert of[0] == of[6] == of[9] and of[20] == of[21] != of[0] and len(np.unique(of)) == 60 - 3
    assert near_duplicates.count_groups(ws, grouped) == {"groups": 2, "images": 5, "largest": 3, "same_label": 0.5}
    strict = near_duplicates.grouping_spec(ws, "moco", np.cos(np.radians(2)))
    assert near_duplicates.count_groups(ws, strict) == {"groups": 1, "images": 2, "largest": 2, "same_label": 0.0}
    assert near_duplicates.count_groups(ws, near_duplicates.grouping_spec(ws, "moco", 1.0))["same_label"] is None


def test_twins_are_found_at_a_cosine_of_one(ws):
    features = np.load(ws.path / "features" / "moco" / "train.npy")
    features[33] = features[34] = np.random.default_rng(0).normal(size=62)
    np.save(ws.path / "features" / "moco" / "train.npy", features)
    ws = Workspace.open(ws.path)
    of = near_duplicates.group_numbers(ws, near_duplicates.grouping_spec(ws, "moco", 1.0))
    assert of[33] == of[34] and len(np.unique(of)) == 59


def test_bundles_come_whole_in_the_order_of_their_first(ws, grouped):
    found = near_duplicates.groups_of_images(ws, [5, 9, 21, 0, 7], grouped)
    assert [one.tolist() for one in found] == [[5], [0, 6, 9], [20, 21], [7]]
    assert near_duplicates.groups_of_images(ws, [], grouped) == []


def test_a_search_counts_groups(ws, grouped):
    spec = support_spec(ws, 0, "trak-10", "remove", k_max=3, groups=grouped)
    first = ws.ranking("trak-10").top(0, 5).ids.tolist()
    assert first[:3] == [0, 6, 9], "of this ranking the group comes first"
    assert [step.tolist() for step in spec.steps(ws)] == [[0, 6, 9], [first[3]], [first[4]]]


def test_a_retraining_says_how_many_came_along(ws, grouped):
    spec = retrain_spec(ws, 0, "trak-10", "remove", 2, range(3), draws=1, groups=grouped)
    assert (spec["k"], spec["groups"]["along"], len(spec["ids"])) == (2, 2, 4)
    edits = spec.edits(ws)
    assert edits["edit"][0].k == edits["random"][0].k == 4, "the control matches all that is removed"
    assert "with near-duplicates" in spec.describe()
    chosen = retrain_spec(ws, 0, None, "remove", 0, range(3), ids=[20, 40], groups=grouped)
    assert (chosen["k"], chosen["groups"]["along"], sorted(chosen["ids"])) == (2, 1, [20, 21, 40])


def test_another_feature_set_another_question(ws, grouped):
    plain = support_spec(ws, 0, "trak-10", "remove")
    assert "groups" not in plain and "groups" in support_spec(ws, 0, "trak-10", "remove", groups=grouped)


def test_the_first_feature_set_if_none_is_named(ws):
    assert near_duplicates.grouping_spec(ws) == {
        "features": "moco",
        "cosine": near_duplicates.DEFAULT_COSINE,
        "version": None,
    }


@pytest.mark.parametrize(
    ("features", "cosine", "match"),
    [
        ("vgg", 0.9, "no feature set 'vgg'"),
        ("moco", 0.0, "is no threshold"),
        ("moco", 1.01, "is no threshold"),
        ("moco", float("nan"), "is no threshold"),
    ],
)
def test_what_is_refused(ws, features, cosine, match):
    with pytest.raises(UserError, match=match):
        near_duplicates.grouping_spec(ws, features, cosine)


def test_nothing_is_relabelled_together(ws, grouped):
    for ask in (
        lambda: support_spec(ws, 0, "trak-10", "mislabel", groups=grouped),
        lambda: retrain_spec(ws, 0, "trak-10", "mislabel", 3, groups=grouped),
    ):
        with pytest.raises(UserError, match="removed together, not relabelled"):
            ask()


def test_too_many_images_and_no_features(ws, monkeypatch):
    monkeypatch.setattr(near_duplicates, "MAX_IMAGES", 59)
    with pytest.raises(UserError, match="at most 59 training images, and tiny has 60"):
        near_duplicates.grouping_spec(ws, "moco")
    monkeypatch.setattr(ws, "features", list)
    with pytest.raises(UserError, match="has none yet; make some with: python -m attribution features train"):
        near_duplicates.grouping_spec(ws)


def test_a_search_under_way_is_shown_in_groups(ws, grouped, tmp_path):
    """As the runner drives it, k is the number of groups, whatever is in them."""
    store = ResultStore(tmp_path / "store", ws.fingerprint)
    spec = support_spec(ws, 0, "trak-10", "remove", "default", 8, groups=grouped)
    assert [probe["k"] for probe in replay_search(ws, store, spec).probes] == [8]
    drive(ws, store, spec, lambda edit, seed: 2 if edit.k >= 6 else 0)  # 6 images are 4 groups
    played = replay_search(ws, store, spec)
    assert played.answer["support"] == 4 and played.answer["images"] == 6
    assert [probe["k"] for probe in played.probes] == [row["k"] for row in played.answer["trace"]]
    store.close()


def test_around_an_image_is_its_group_and_what_is_nearest(ws, grouped):
    members, near, cosines = near_duplicates.group_and_nearest(ws, 0, grouped, 2)
    assert members.tolist() == [6, 9] and near.tolist() == [6, 9]  # 9 by way of 6 alone
    np.testing.assert_allclose(cosines, np.cos(np.radians([5, 10])), atol=1e-6)
    of = near_duplicates.group_numbers(ws, grouped)
    for image in range(60):
        others = [one for one in np.flatnonzero(of == of[image]) if one != image]
        assert near_duplicates.group_and_nearest(ws, image, grouped, 3)[0].tolist() == others
    assert image not in near_duplicates.group_and_nearest(ws, image, grouped, 100)[1] and len(near) == 2


def test_where_all_are_alike_not_all_are_compared_with_all(ws, grouped, monkeypatch):
    features, compared = np.ones((60, 62), np.float32), []
    np.save(ws.path / "features" / "moco" / "train.npy", features)
    cosines = near_duplicates._cosines
    monkeypatch.setattr(
        near_duplicates, "_cosines", lambda train, ids, *more: compared.append(len(ids)) or cosines(train, ids, *more)
    )
    monkeypatch.setattr(near_duplicates, "MAX_WALKED", 10)
    members, near, _ = near_duplicates.group_and_nearest(Workspace.open(ws.path), 5, grouped, 3)
    assert len(members) == 59 and 5 not in members and len(near) == 3 and compared == [1]


def copies_of(ws, alike):
    """What is found with validation image 5 at 3 degrees, 7 at 90.2, and the others far from all."""
    features = np.zeros((12, 62), np.float32)
    features[np.arange(12), 2] = -1
    for image, angle in {5: 3, 7: 90.2}.items():
        features[image, :3] = np.cos(np.radians(angle)), np.sin(np.radians(angle)), 0
    np.save(ws.path / "features" / "moco" / "val.npy", features)
    return near_duplicates.find_copies(Workspace.open(ws.path), alike)


def test_copies_of_validation_images(ws, monkeypatch):
    alike = near_duplicates.comparison_spec(ws, "moco", np.cos(np.radians(4)))
    exact, near = copies_of(ws, alike)
    assert exact == {"images": 0, "pairs": 0, "kept": []}
    assert [row[:2] for row in near["kept"]] == [[5, 6], [5, 0], [7, 20], [7, 21]], "the most alike of each first"
    assert near["kept"][0][2] == pytest.approx(np.cos(np.radians(2)), abs=1e-4)
    assert (near["images"], near["pairs"], near["whole"]) == (2, 4, True)
    assert (near["sample"], near["sample_images"]) == (60, 2), "20 and 21 are alike, 0 and 6 are 5 degrees apart"
    assert {name: near[name] for name in alike} == alike
    monkeypatch.setattr(near_duplicates, "QUERIES", 5)
    monkeypatch.setattr(near_duplicates, "BLOCK", 7)
    assert near_duplicates.find_copies(Workspace.open(ws.path), alike) == (exact, near), "block by block"


def test_more_copies_than_are_kept_are_said_to_be_more(ws, monkeypatch):
    monkeypatch.setattr(near_duplicates.copies, "KEPT", 2)
    loose = near_duplicates.comparison_spec(ws, "moco", np.cos(np.radians(8)))
    _, near = copies_of(ws, loose)
    assert not near["whole"] and near["pairs"] == 4


def test_exact_copies_alone_where_nothing_is_to_be_compared(ws):
    assert near_duplicates.find_copies(ws, None) == ({"images": 0, "pairs": 0, "kept": []}, None)
    near_duplicates.copies.save(ws, {"images": 1, "pairs": 1, "kept": [[2, 4]]}, None, {})
    assert near_duplicates.find_copies(ws, None)[0]["kept"] == [(2, 4)], "what is known is not looked for again"
    (ws.path / "copies" / "copies.json").write_text("{")
    assert near_duplicates.find_copies(ws, None)[0]["kept"] == [], "damaged, it is made anew"


def test_images_without_features_are_like_nothing(ws):
    alike = near_duplicates.comparison_spec(ws, "moco", 0.9)
    np.save(ws.path / "features" / "moco" / "val.npy", np.full((12, 62), np.nan, np.float32))
    assert near_duplicates.find_copies(Workspace.open(ws.path), alike)[1]["pairs"] == 0


def test_copies_are_looked_for_among_any_number_of_images(ws, monkeypatch):
    monkeypatch.setattr(near_duplicates, "MAX_IMAGES", 59)
    assert near_duplicates.comparison_spec(ws, "moco")["features"] == "moco"


def test_features_far_from_zero_are_compared_to_the_last_digit(ws, monkeypatch):
    monkeypatch.setattr(near_duplicates, "GROUPED", 7)
    features, val, labels, _ = far_from_zero(np.float64)
    features[41] = features[2] + 1e-3  # a near-copy
    np.save(ws.path / "features" / "moco" / "train.npy", features)
    np.save(ws.path / "features" / "moco" / "val.npy", val)
    ws = Workspace.open(ws.path)
    classes = near_duplicates.grouping_spec(
        ws, "moco", 1 - 6e-9
    )  # those of a class are 1 - 1e-9 apart, others 1 - 1e-8
    assert near_duplicates.count_groups(ws, classes) == {"groups": 3, "images": 60, "largest": 20, "same_label": 2 / 3}
    twins = near_duplicates.grouping_spec(ws, "moco", 1 - 1e-11)
    assert near_duplicates.count_groups(ws, twins) == {"groups": 1, "images": 2, "largest": 2, "same_label": 1.0}
    members, nearest, cosines = near_duplicates.group_and_nearest(ws, 2, twins, 5)
    assert members.tolist() == [41] and nearest[0] == 41 and (labels[nearest] == 2).all() and cosines[0] > 1 - 1e-11
    assert near_duplicates.find_copies(ws, near_duplicates.comparison_spec(ws, "moco", 1 - 1e-11))[1]["images"] == 0


def test_groups_are_joined_whatever_the_order_of_their_pairs(ws, grouped, monkeypatch):
    whole = near_duplicates.group_numbers(ws, grouped)
    monkeypatch.setattr(near_duplicates, "GROUPED", 2)
    near_duplicates._group_numbers.cache_clear()
    assert (near_duplicates.group_numbers(ws, grouped) == whole).all()
