"""The bundled demo is what the README says: whole, small, and computed on what it says it was computed on."""

import numpy as np
import pytest

from attribution import Workspace, demo
from attribution.audit import detectors
from attribution.builds import base_models
from attribution.data import fashion_mnist
from attribution.evaluation import adaptive_supports, candidate_sets, lds_report, lds_vs_compute, support_transfer
from attribution.experiments import support_table
from attribution.experiments.study import load_supports
from attribution.explore import hubs
from attribution.explore.opening_target import opening_target
from attribution.features import projection
from attribution.rankings import default_rankings
from attribution.training import recipes
from attribution.workspace import workspace
from attribution.workspace.parts import save_part
from tests import tiny


@pytest.fixture(scope="module")
def demo_ws():
    return Workspace.open()


def test_the_demo_is_at_most_36_mib(demo_ws):
    assert sum(file.stat().st_size for file in demo_ws.path.rglob("*") if file.is_file()) <= 36 << 20


def test_the_split_is_balanced_and_the_planted_labels_are_recorded(demo_ws):
    truth = demo_ws.truth()
    assert np.bincount(truth["original"]).tolist() == [500] * 10
    assert np.bincount(demo_ws.val_labels).tolist() == [100] * 10
    assert truth["planted"].sum() == demo_ws.planted == demo.N_PLANTED
    assert ((truth["original"] != demo_ws.train_labels) == truth["planted"]).all()


@pytest.mark.skipif(
    not fashion_mnist.DEBIAN_FOLDER.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed"
)
def test_the_images_are_those_of_the_source_at_the_recorded_indices(demo_ws):
    images, labels = fashion_mnist.read("train")
    assert (images[demo_ws.train_index] == demo_ws.train_images).all()
    assert (labels[demo_ws.train_index] == demo_ws.truth()["original"]).all()


def test_every_part_was_made_with_the_recipe_as_it_stands(demo_ws):
    now = recipes.get_recipe(demo_ws.recipe).hash
    for part in ("base", "lds", "out_of_subset", "supports"):
        assert demo_ws.manifest["parts"][part]["hash"] == now, part
    for part, about in demo_ws.manifest["parts"].items():
        if part.startswith("rankings/"):
            assert (about["made_for"]["hash"], about["made_for"]["data"]) == (now, demo_ws.fingerprint), part


def test_probe_seeds_are_behind_no_ranking(demo_ws):
    probes = set(demo_ws.manifest["parts"]["supports"]["seeds"])
    assert not probes & set(base_models.BASE_SEEDS)
    assert all(
        set(part["made_for"]["seeds"]).isdisjoint(probes)
        for name, part in demo_ws.manifest["parts"].items()
        if name.startswith("rankings/") and not isinstance(part["made_for"]["seeds"], str)
    )


def test_supports_agree_with_their_traces(demo_ws):
    found = support_table.load_support_table(demo_ws)
    assert len(found)
    for row in found.itertuples():
        label = int(demo_ws.val_labels[row.target])
        assert demo_ws.base.target_status(row.target) == "stable"
        for probe in row.trace:
            wrong = sum(p != label for p in probe["predictions"])
            assert probe["wrong"] == wrong
            if row.protocol == "default" or len(probe["seeds"]) == 5:  # adaptive goes by a posterior before that
                assert (2 * wrong >= 5) == probe["flipped"]
        assert row.trainings == sum(len(probe["seeds"]) for probe in row.trace)
        if row.status == "censored":
            assert row.trace[0]["k"] == row.lo and not row.trace[0]["flipped"]
            # among fewer classes the lists that a sparse ranking keeps may end before
            assert row.lo == 128 or row.ranking.startswith("datamodels-2k@") and row.lo < 128
        else:
            assert any(probe["k"] == row.support and probe["flipped"] for probe in row.trace)


def test_each_kind_compares_the_same_targets(demo_ws):
    for kind, found in load_supports(demo_ws).items():
        sets = [set(targets) for targets in found.values()]
        assert all(one == sets[0] for one in sets), kind


def test_every_detector_is_of_the_parts_as_they_stand(demo_ws):
    parts = demo_ws.manifest["parts"]
    others = set(detectors.available(demo_ws)) - set(detectors.names(demo_ws))
    assert others == set()
    now = {part: made.get("digest") for part, made in parts.items()} | {
        "out_of_subset": np.load(demo_ws.path / "out_of_subset" / "counts.npy").sum(),
        "recipe": demo_ws.get_recipe().hash,
    }
    for name in detectors.names(demo_ws):
        for part, digest in parts[f"detectors/{name}"]["of"].items():
            assert digest == now[part], name


def test_the_detectors_come_out_the_same_again(demo_ws, tmp_path, monkeypatch):
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path))  # where no fold was kept
    names, found = ["knn-moco", "confident", "out-of-subset", "fold-moco", "harm-trak-10", "combined"], {}
    detectors.build_detectors(
        demo_ws, names, record=lambda part, arrays, provenance: found.update({part.split("/")[1]: arrays})
    )
    for name in names:
        kept = detectors.load(demo_ws, name)
        assert np.allclose(found[name]["scores"], kept.scores, atol=1e-4), name
        assert (found[name]["suggestion"] == kept.suggestion).mean() > 0.999, name


def test_the_opening_target_is_stable_and_its_votes_flipped(demo_ws):
    first = opening_target(demo_ws)
    assert first is not None
    assert demo_ws.base.target_status(first.target) == "stable"
    assert first.wrong_class != demo_ws.val_labels[first.target] and first.votes >= 1


def test_compute_and_candidates_are_of_the_demo_as_it_is(demo_ws):
    found, candidates = lds_vs_compute.load(demo_ws), candidate_sets.load(demo_ws)
    lds = lds_report.load(demo_ws)["rankings"]
    rows = {row["name"]: row for row in found["rows"]}
    assert list(rows) == [
        "trak-1",
        "trak-2",
        "trak-5",
        "trak-10",
        "datamodels-250",
        "datamodels-500",
        "datamodels-1000",
        "datamodels-2k",
        "esvm-moco",
        "random",
    ]
    for name in ("datamodels-2k", "esvm-moco", "random"):
        assert rows[name]["lds"] == pytest.approx(lds[name]["lds"], abs=1e-3)
    for name, one in candidates["rankings"].items():
        assert one["sets"][one["published"]]["lds"] == pytest.approx(lds[name]["lds"], abs=1e-3)


def test_what_was_added_for_oneself_does_not_go_into_the_workspace(ws, monkeypatch):
    monkeypatch.setattr(workspace, "DEMO", ws.path)
    save_part(ws, "rankings/mine", {"scores": np.zeros((tiny.VAL, tiny.TRAIN), np.float32)}, {"method": "TRAK"})
    build = demo.DemoBuild(ws.path, None, print, lambda *at: None)
    for text in ("first", "again"):  # the second time over a part that is there
        build.record_file("cost", "cost.json", {"text": text}, {})
    assert "rankings/mine" in build.workspace.manifest["parts"]
    written = (ws.path / "workspace.json").read_text()
    assert "mine" not in written and "home" not in written


def test_lists_of_hubs_are_of_the_rankings_as_they_are(demo_ws):
    for name in default_rankings(demo_ws):
        lists, ranking = hubs.load(demo_ws, name), demo_ws.ranking(name)
        for target in (0, 147, 999):
            for at, end in enumerate(hubs.ENDS[: 1 + ranking.signed]):
                top = ranking.top(target, hubs.LIST_DEPTH, end=end).ids
                assert lists.ids[at, target, : len(top)].tolist() == top.tolist(), (name, target, end)


def test_every_feature_set_has_a_map_that_keeps_neighbours(demo_ws):
    for name in demo_ws.features():
        found = projection.load(demo_ws, name)
        assert found.provenance["trustworthiness"]["low"] > found.provenance["trustworthiness_pca"]["high"], name
        assert np.abs(found.train).max() <= 1 and found.val.shape == (demo_ws.n_val, 2), name


@pytest.mark.parametrize("name", demo.STUDIED_HEADS)
def test_a_prefix_beside_the_adaptive_order_is_the_studys(demo_ws, name):
    seen = demo_ws.with_model(name)
    found, ranking = adaptive_supports.load(seen), f"influence-{name.removeprefix('head-')}"
    studied = load_supports(seen)["remove"][ranking]
    prefixes = found.supports("prefix")
    assert len(prefixes) == len(studied) > 800
    assert {target: support.support for target, support in prefixes.items()} == {
        target: support.support for target, support in studied.items()
    }


@pytest.mark.parametrize("name", demo.STUDIED_HEADS)
def test_the_supports_that_were_carried_over_are_those_of_the_studies(demo_ws, name):
    seen, ranking = demo_ws.with_model(name), f"influence-{name.removeprefix('head-')}"
    answer = support_transfer.load(seen)
    of_head = [row for row in answer["rows"] if row["of"] == name]
    assert len(of_head) == demo.TRANSFER_TARGETS and answer["seeds"] == [0, 1, 2]
    studied = load_supports(seen)["remove"][ranking]
    assert all(row["k"] == studied[row["target"]].support for row in of_head)
    own = load_supports(demo_ws)["remove"]
    of_own = [row for row in answer["rows"] if row["of"] == demo_ws.recipe]
    assert all(row["k"] == own[row["ranking"]][row["target"]].support for row in of_own)


def test_every_head_has_its_lds(demo_ws):
    for name in demo.HEADS:
        report = lds_report.load(demo_ws.with_model(name))
        own = f"influence-{name.removeprefix('head-')}"
        assert max(report["rankings"], key=lambda ranking: report["rankings"][ranking]["lds"]) == own


def test_every_step_that_was_done_is_a_step(demo_ws):
    assert set(demo_ws.manifest["steps"]) <= set(demo.STEPS)
    parts = {"head-lds": "lds", "adaptive-supports": "adaptive_supports", "support-transfer": "support_transfer"}
    for step, part in parts.items():
        names = demo.HEADS if step == "head-lds" else demo.STUDIED_HEADS
        assert step in demo.STEPS
        assert all(part in demo_ws.with_model(name).manifest["parts"] for name in names), step
