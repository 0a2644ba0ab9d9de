"""The first images of each model of a ranking: which they are, how far halves of the models agree, what is kept."""

import numpy as np
import pytest

from attribution import UserError, Workspace
from attribution.builds import firsts
from attribution.builds.firsts import FIRST


def readers(*models):
    return [lambda start, stop, scores=scores: scores[start:stop] for scores in models]


def line(n=60, shift=0):
    """Scores [1, n] whose first images are shift, shift + 1, ..."""
    return -((np.arange(n, dtype=np.float32) - shift) % n)[None]


def test_the_ends_are_the_largest_and_the_smallest():
    ids = firsts.first_ids(line()[0])
    assert ids[0].tolist() == list(range(20)) and ids[1].tolist() == list(range(59, 39, -1))
    few = firsts.first_ids(np.array([1.0, 3.0, 2.0]))
    assert few[0].tolist() == [1, 2, 0] + [-1] * 17


def test_two_models_share_what_their_lists_share():
    kept = firsts.compute("mine", 60, np.array([4]), readers(line(), line(shift=5)))
    assert kept.ids.shape == (2, 1, 2, FIRST) and kept.ids.dtype == np.int8
    assert (kept.half, kept.splits) == (1, 1) and kept.halves.tolist() == [[15, 15]]
    each, shared = kept.of_target(4)
    assert each[1].tolist() == list(range(5, 25)) and shared == 15
    assert kept.of_target(4, "harmful")[0][0, 0] == 59 and kept.of_target(5) is None


def test_halves_are_means_over_disjoint_models():
    """Of four models two are alike, so that one of three ways to cut them agrees whole."""
    kept = firsts.compute("mine", 60, np.array([0]), readers(line(), line(shift=30), line(), line(shift=30)))
    assert (kept.half, kept.splits) == (2, 3)
    together = firsts.count_shared(*(firsts.first_ids(model[0])[0] for model in (line(), line(shift=30))))
    assert together == 0 and kept.halves[0, 0] == pytest.approx((20 + 20 + 0) / 3)


def test_the_ways_to_cut_models():
    for models in (2, 3, 5, 10, 31):
        splits = firsts.split_models(models)
        assert 1 <= len(splits) <= firsts.MAX_SPLITS
        for one, other in splits:
            assert len(one) == len(other) == models // 2 and not {*one} & {*other}
            assert max(one + other) < models
    assert firsts.split_models(1) == []


def test_one_model_has_no_halves(ws):
    kept = firsts.compute("mine", 60, np.array([0]), readers(line()))
    assert np.isnan(kept.halves).all() and kept.models == 1


def test_padding_is_shared_by_nobody():
    assert firsts.count_shared(np.array([1, 2, -1, -1]), np.array([2, 3, -1])) == 1


def test_weights_of_zero_have_no_place_in_a_fit():
    weights = np.zeros((2, 1, 60), np.float32)
    weights[:, 0, :3], weights[1, 0, 5], weights[0, 0, 9] = 1, 2, -1
    kept = firsts.compute("mine", 60, np.array([0]), readers(*weights), fits=True)
    assert kept.fits and kept.halves.tolist() == [[3, 0]]
    assert kept.ids[0, 0].tolist() == [[0, 1, 2] + [-1] * 17, [9] + [-1] * 19]


def write_models(folder, ws, count=2):
    rng = np.random.default_rng(1)
    files = []
    for model in range(count):
        file = folder / f"{model}.npz"
        np.savez(file, scores=rng.normal(size=(ws.n_val, ws.n_train)).astype(np.float32))
        files.append(file)
    return files


def test_they_are_kept_for_a_ranking_and_forgotten_with_it(ws, tmp_path):
    files = write_models(tmp_path, ws)
    kept = firsts.keep(ws, "trak-10", [[file] for file in files])
    again = firsts.load(Workspace.open(ws.path), "trak-10")
    assert np.array_equal(again.ids, kept.ids) and np.allclose(again.halves, kept.halves)
    assert again.targets.tolist() == list(range(12)) and (again.half, again.splits) == (1, 1)
    expected = np.argsort(-np.load(files[1])["scores"][7])[:20]
    assert again.of_target(7)[0][1].tolist() == expected.tolist()
    ws.manifest["parts"]["rankings/trak-10"]["digest"] = "another"
    assert firsts.load(ws, "trak-10") is None and firsts.load(ws, "gone") is None


def test_blocks_of_targets_follow_each_other(ws, tmp_path):
    (whole, other), blocks = write_models(tmp_path, ws), []
    scores = np.load(whole)["scores"]
    for at, rows in enumerate((scores[:7], scores[7:])):
        blocks.append(tmp_path / f"block-{at}.npy")
        np.save(blocks[-1], rows)
    kept = firsts.keep(ws, "trak-10", [blocks, [other]])
    assert np.array_equal(kept.ids, firsts.keep(ws, "trak-10", [[whole], [other]]).ids)


@pytest.mark.parametrize("shape", [(12, 59), (11, 60)])
def test_scores_of_other_images_are_refused(ws, tmp_path, shape):
    files = write_models(tmp_path, ws)
    np.savez(files[1], scores=np.zeros(shape, np.float32))
    with pytest.raises(UserError, match="does not hold a score of each of 60 training images"):
        firsts.keep(ws, "trak-10", [[file] for file in files])


def test_what_holds_no_scores_is_refused(ws, tmp_path):
    files = write_models(tmp_path, ws)
    with pytest.raises(UserError, match="at least two"):
        firsts.keep(ws, "trak-10", [files[:1]])
    np.savez(files[1], other=np.zeros(3))
    for file in (files[1], tmp_path / "none.npz"):
        with pytest.raises(UserError, match="holds no scores"):
            firsts.keep(ws, "trak-10", [[files[0]], [file]])
    with pytest.raises(UserError, match="no ranking"):
        firsts.keep(ws, "gone", [[file] for file in files])


def test_by_the_command_line(ws, run, tmp_path):
    files = [str(file) for file in write_models(tmp_path, ws, 3)]
    code, out, _ = run("rankings", "firsts", "trak-10", *files)
    assert code == 0 and "3 models" in out
    assert firsts.load(Workspace.open(ws.path), "trak-10").models == 3
    code, _, err = run("rankings", "firsts", "trak-10", files[0])
    assert code == 2 and "at least two" in err
