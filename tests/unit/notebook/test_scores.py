"""What a notebook has of scores, of any library, is read as what it is, or refused in one sentence."""

from collections import namedtuple
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from attribution.errors import UserError
from attribution.importing.formats import DataSetSizes
from attribution.notebook.scores import in_notebook_words, read_scores
from tests import tiny

SIZES = DataSetSizes(np.arange(tiny.TRAIN) % 3, np.arange(tiny.VAL) % 3)
S = np.random.default_rng(0).normal(size=(tiny.VAL, tiny.TRAIN)).astype(np.float32)
Lists = namedtuple("KMostInfluentialResults", "indices influence_scores")  # as captum calls it


def values(read) -> np.ndarray:
    return read.ranking.read_scores(0, tiny.VAL)


@pytest.mark.parametrize(
    ("given", "precision"),
    [
        (S, 0),
        (S.tolist(), 0),
        (S.astype(np.float64), 0),
        (S.T, 0),  # as dattri has it
        (np.asfortranarray(S), 0),
        (torch.tensor(S, requires_grad=True), 0),
        (torch.tensor(S).bfloat16(), 0.05),
        (torch.tensor(S).to_sparse(), 0),
        (torch.tensor(S).half().T, 0.01),
        ({"all_modules": torch.tensor(S)}, 0),  # as kronfluence has it
    ],
)
def test_a_matrix_of_any_library(given, precision):
    (read,) = read_scores(given, SIZES, "helpful")
    assert read.name == "mine" and read.ranking.signed
    assert values(read).dtype == np.float32 and values(read) == pytest.approx(S, abs=precision or 1e-7)
    assert values(read_scores({"mine": given}, SIZES, "harmful")[0]) == pytest.approx(-values(read))


def test_modules_are_added():
    (read,) = read_scores({"mine": {"conv.1": S, "fc": 2 * S}}, SIZES, "helpful")
    assert values(read) == pytest.approx(3 * S, rel=1e-6)


def test_a_sign_for_each_and_what_has_none():
    read = read_scores({"a": S, "b": S, "c": S}, SIZES, {"a": "helpful", "b": "harmful", "c": "unsigned"})
    assert [one.ranking.signed for one in read] == [True, True, False]
    assert values(read[1]) == pytest.approx(-S)
    assert read_scores(None, SIZES) == []


def test_the_first_images_of_captum_say_their_sign():
    order = np.argsort(S, axis=1)[:, ::-1]
    last = order[:, -5:]  # captum's opponents, in any order
    for ids in (order[:, :5], last, last[:, ::-1]):
        given = Lists(torch.tensor(ids.copy()), torch.tensor(np.take_along_axis(S, ids, 1)))
        (read,) = read_scores({"mine": given}, SIZES)
        found, scores = read.ranking.read_lists(0, tiny.VAL)
        assert read.ranking.signed and (np.diff(scores, axis=1) <= 0).all()
        assert (found == np.take_along_axis(ids, np.argsort(-np.take_along_axis(S, ids, 1), 1), 1)).all()


def test_a_traker_is_read_from_its_folder(tmp_path):
    (tmp_path / "scores").mkdir()
    np.save(tmp_path / "scores" / "scores_mine.npy", S.T.astype(np.float16))
    (tmp_path / "scores" / "scores_mine.npy").rename(tmp_path / "scores" / "mine.mmap")
    kind = type("TRAKer", (SimpleNamespace,), {"__module__": "trak.traker"})
    for given in (kind(save_dir=str(tmp_path)), tmp_path, str(tmp_path)):
        (read,) = read_scores({"mine": given}, SIZES)
        assert read.ranking.method == "TRAK" and read.ranking.signed
        assert values(read) == pytest.approx(S, abs=0.01)


def test_a_file_is_read_as_import_reads_it(tmp_path):
    torch.save(torch.tensor(S), tmp_path / "scores.pt")
    (read,) = read_scores({"mine": tmp_path / "scores.pt"}, SIZES, "harmful")
    assert values(read) == pytest.approx(-S)
    with pytest.raises(UserError, match='say sign="helpful" or sign="harmful"'):
        read_scores({"mine": tmp_path / "scores.pt"}, SIZES)


def test_the_digest_is_of_what_they_say():
    """The same scores, however they are kept, have one; whatever changes an order has another."""
    digest = read_scores(S, SIZES, "helpful")[0].digest
    for same in (S.T, torch.tensor(S), S.tolist()):
        assert read_scores(same, SIZES, "helpful")[0].digest == digest
    assert read_scores(-S, SIZES, "harmful")[0].digest == digest
    changed = S.copy()
    changed[-1, -1] += 1
    others = [read_scores(S, SIZES, sign)[0].digest for sign in ("harmful", "unsigned")]
    assert len({digest, read_scores(changed, SIZES, "helpful")[0].digest, *others}) == 4


@pytest.mark.parametrize(
    ("given", "options", "said"),
    [
        (S, {}, 'mine does not say what a positive score means; add sign="helpful"'),
        ({"a": S, "b": S}, {"sign": {"a": "helpful"}}, "b does not say what a positive score means"),
        (S, {"sign": {"theirs": "helpful"}}, "sign names 'theirs', which is none of the scores mine"),
        (S, {"sign": "up"}, "'up' is not known; say one of helpful, harmful, unsigned"),
        (S, {"sign": "helpful", "orientation": "train-first"}, 'say orientation="target-first"'),
        (S[:, :-1], {"sign": "helpful"}, "mine is 12 x 59, and there are 12 validation and 60 training images"),
        (S[0], {"sign": "helpful"}, "and no matrix of numbers"),
        (S.astype(str), {"sign": "helpful"}, "and no matrix of numbers"),
        (S.astype(complex), {"sign": "helpful"}, "and no matrix of numbers"),
        ([[1], [2, 3]], {"sign": "helpful"}, "and no matrix of numbers"),
        (SimpleNamespace(), {"sign": "helpful"}, "and no matrix of numbers"),
        (np.where(np.eye(tiny.VAL, tiny.TRAIN), np.nan, S), {"sign": "helpful"}, "target 0 in mine hold NaN"),
        (S.astype(np.float64) * 1e300, {"sign": "helpful"}, "infinite values"),
        (np.ones_like(S), {"sign": "helpful"}, "all scores of target 0 in mine are equal"),
        ({"mine": {"a": S, "b": S.T}}, {"sign": "helpful"}, "different shapes"),
        ({"mine": {}}, {"sign": "helpful"}, "different shapes, or none"),
        ({7: S}, {"sign": "helpful"}, "scores are called by names, and 7 is none"),
        ({"mine": "/nowhere/scores.pt"}, {"sign": "helpful"}, "there is nothing at /nowhere/scores.pt"),
        (Lists(np.full((tiny.VAL, 2), 60), S[:, :2]), {}, "the indices of mine go from 60 to 60"),
        (Lists(np.zeros((tiny.VAL, 2), int), S[:, :2]), {}, "names the same image twice"),
        (Lists(np.zeros((tiny.VAL, 2)), S[:, :2]), {}, "the indices of mine are float64"),
        (Lists(np.zeros((3, 2), int), S[:3, :2]), {}, "give both for each of 12 validation images"),
    ],
)
def test_what_is_refused(given, options, said):
    with pytest.raises(UserError) as error:
        read_scores(given, SIZES, **options)
    assert said in str(error.value) and "--" not in str(error.value)


def test_a_square_matrix_says_which_axis_is_which():
    sizes = DataSetSizes(np.arange(tiny.VAL) % 3, np.arange(tiny.VAL) % 3)
    square = S[:, : tiny.VAL]
    with pytest.raises(UserError, match='say orientation="target-first"'):
        read_scores(square, sizes, "helpful")
    assert values(read_scores(square, sizes, "helpful", "target-first")[0]) == pytest.approx(square)
    assert values(read_scores(square, sizes, "helpful", "train-first")[0]) == pytest.approx(square.T)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("say --sign helpful or --sign harmful", 'say sign="helpful" or sign="harmful"'),
        ("keep it as it is with --force", "keep it as it is with force=True"),
        ("leave out --val-share", "leave out val_share"),
        ("or leave them out with --skip-corrupt", "or leave them out with skip_corrupt=True"),
        ("give another: PORT=8502", "give another: port=8502"),
        ("say --part", "say --part; these options are of the command: python -m attribution import"),
        ("run: python -m attribution base train --force", "run: python -m attribution base train --force"),
    ],
)
def test_options_are_called_as_in_a_notebook(said, meant):
    def fail():
        raise UserError(said)

    with pytest.raises(UserError) as error:
        in_notebook_words(fail)
    assert str(error.value) == meant


def test_no_library_is_imported_to_know_its_results(run_python):
    done = run_python(
        "-c",
        "import sys, numpy as np\n"
        "from attribution.notebook.scores import read_scores\n"
        "from attribution.importing.formats import DataSetSizes\n"
        "read_scores(np.eye(3, 6), DataSetSizes(np.zeros(6, int), np.zeros(3, int)), 'helpful')\n"
        "print([name for name in ('torch', 'trak', 'captum', 'dattri', 'IPython') if name in sys.modules])",
    )
    assert (done.code, done.out.strip()) == (0, "[]"), done.err
