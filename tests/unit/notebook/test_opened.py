"""What `attribution.open` and `create` return does what the command line does, and shows itself."""

import base64
import json
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

import attribution as lineup
from attribution.export import lineup_figure
from attribution.notebook import progress
from attribution.notebook.answers import Answer
from tests import tiny


@pytest.fixture
def opened(ws):
    """The tiny workspace as a notebook has it."""
    return lineup.open(ws.path)


def drawn(html: str) -> Image.Image:
    """The picture in an element."""
    return Image.open(BytesIO(base64.b64decode(html.partition("base64,")[2].partition('"')[0])))


def test_importing_it_is_light(run_python):
    done = run_python(
        "-c",
        "import sys\nbefore = set(sys.modules)\nimport attribution as lineup\nprint(len(set(sys.modules) - before))\n"
        "heavy = ('numpy', 'pandas', 'scipy', 'torch', 'streamlit', 'matplotlib', 'IPython')\n"
        "print([name for name in heavy if name in sys.modules])\n"
        "lineup.show, lineup.open, lineup.create, lineup.Workspace, lineup.metrics.lds\n"
        "print([name for name in ('torch', 'streamlit', 'matplotlib', 'IPython') if name in sys.modules])\n",
    )
    assert done.code == 0, done.err
    modules, at_first, later = done.out.splitlines()
    assert int(modules) < 60 and (at_first, later) == ("[]", "[]")


def test_the_names_of_the_package():
    assert set(lineup.__all__) <= set(dir(lineup))
    assert all(getattr(lineup, name) for name in lineup.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'shew'"):
        lineup.shew  # noqa: B018
    with pytest.raises(AttributeError, match="has no attribute 'lsd'"):
        lineup.metrics.lsd  # noqa: B018
    assert set(lineup.metrics.__all__) <= set(dir(lineup.metrics)) | set(lineup.metrics.__all__)


def test_lds_is_a_function_and_a_module():
    masks = np.array([[1, 1, 0], [1, 0, 1], [0, 1, 1]], bool)
    margins, scores = np.array([[3.0], [2.0], [1.0]]), [[2.0, 1.0, 0.0]]
    found = lineup.metrics.lds(masks, margins, scores, resamples=0)  # one seed
    assert found.mean == 1 and found == lineup.metrics.lds.lds(masks, margins[:, None], scores, resamples=0)


def test_a_workspace(opened, ws):
    assert opened.name == "tiny" and opened.path == ws.path and opened.rankings() == ws.rankings()
    for text in (repr(opened), opened._repr_html_()):
        assert "60 training, 12 validation, 3 classes" in text and "trak-10" in text and str(ws.path) in text
    assert "60 training and 12 validation images" in repr(opened.workspace)
    assert opened.server is None
    opened.stop()
    opened.wait()
    with pytest.raises(lineup.UserError, match="no server of tiny runs; show"):
        opened.link()


def test_its_names_are_shown_and_not_obeyed(opened):
    html = opened.lineup(1)._repr_html_() + opened.top(1, "trak-10")._repr_html_() + opened._repr_html_()
    assert "<b>" not in html and "Box" in html


def test_a_ranking(opened, answer):
    top = opened.top(0, "trak-10", k=4)
    assert top.ids.tolist() == list(top) == [0, 6, 9, 12] and len(top) == 4
    said = answer("rank", "--target", 0, "--ranking", "trak-10", "--top", 4)
    assert said["train"] == top.ids.tolist() and said["scores"] == pytest.approx(top.scores, abs=1e-4)
    assert top.labels == ["Bar"] * 4 and top.scores == pytest.approx([1, 1 / 7, 1 / 10, 1 / 13], abs=1e-3)
    assert "trak-10, helpful, for validation image 0" in repr(top) and "image 6  Bar  0.143" in repr(top)
    assert drawn(top._repr_html_()).width > 500
    harmful = opened.top(0, "trak-10", k=2, end="harmful", candidates="all")
    assert harmful.ids.tolist() == [1, 2]
    ranking = opened.ranking("trak-10")
    assert "trak-10 of tiny: TRAK" in repr(ranking) and "signed" in repr(ranking)
    assert "&lt;ranking trak-10" in ranking._repr_html_()


def test_a_lineup_is_the_figure(opened, ws, tmp_path):
    shown = opened.lineup(0, ["trak-10", "l2-moco"], n=5, k=3)
    assert [row.ranking for row in shown.rows] == ["trak-10", "l2-moco"]
    assert "validation image 0 (Bar)" in repr(shown) and "trak-10, helpful: 0, 6, 9, 12, 15" in repr(shown)
    expected = lineup_figure.draw(ws, 0, shown.rows, 3)
    assert (np.asarray(drawn(shown._repr_html_())) == np.asarray(expected)).all()
    assert (np.asarray(opened.figure(0, rankings=["trak-10", "l2-moco"], n=5, k=3)) == np.asarray(expected)).all()
    assert [row.ranking for row in opened.lineup(0, "trak-10").rows] == ["trak-10"]
    for ending in ("png", "svg", "pdf", "csv"):
        assert opened.figure(0, tmp_path / f"f.{ending}") == tmp_path / f"f.{ending}"
        assert shown.save(tmp_path / f"g.{ending}").stat().st_size


def test_a_retraining_and_a_support_are_those_of_the_command_line(opened, answer):
    """Of a head, which needs no network; asked twice, trained once."""
    opened = lineup.open(opened.path, model="head-moco")
    found = opened.retrain(0, "trak-10", k=3, draws=1)
    assert isinstance(found, dict) and not found["cached"] and found["complete"]
    asked = ("retrain", "--target", 0, "--ranking", "trak-10", "--remove-top", 3, "--draws", 1, "--model", "head-moco")
    assert answer(*asked)["runs"] == found["runs"]
    assert opened.retrain(0, "trak-10", k=3, draws=1)["cached"]
    for text in (repr(found), found._repr_html_()):
        assert "without the first 3 of trak-10" in text and "nothing removed" in text and "0 of 1" in text
    same = opened.retrain(0, ids=[0, 6, 9], draws=1)
    assert [run["margin"] for run in same["runs"]] == [run["margin"] for run in found["runs"]]
    support = opened.find_support(0, "trak-10", k_max=8)
    said = answer("support", "--target", 0, "--ranking", "trak-10", "--k-max", 8, "--model", "head-moco")
    assert said["status"] == support["status"] and said["trace"] == support["trace"] and said["cached"]
    assert "target 0, trak-10, remove:" in repr(support) and "<table" in support._repr_html_()


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda ws: ws.retrain(0), "say which images"),
        (lambda ws: ws.retrain(0, "trak-10"), "say which images"),
        (lambda ws: ws.retrain(0, "trak-10", k=2, ids=[1]), "say which images"),
        (lambda ws: ws.retrain(0, "trak-10", k=0), "k = 0 is not a number"),
        (lambda ws: ws.retrain(99, "trak-10", k=1), "target 99 is out of range"),
        (lambda ws: ws.find_support(0, "trak-10", "shrink"), "shrink"),
        (lambda ws: ws.top(0, "nope"), "no ranking 'nope' in tiny"),
        (lambda ws: ws.lineup(0, end="left"), "no end 'left'"),
        (lambda ws: ws.figure(0, "x.bmp"), "x.bmp is none of .png"),
        (lambda ws: ws.show(port=0), "is no port; give a number from 1 to 65535, such as port=8501"),
        (lambda ws: ws.show(99), "target 99 is out of range"),
        (lambda ws: lineup.open("/nowhere"), "there is no workspace at /nowhere"),
        (lambda ws: lineup.open(ws.path, model="nope"), "no recipe 'nope'"),
    ],
)
def test_what_is_wrong_is_one_sentence(opened, ask, said):
    with pytest.raises(lineup.UserError) as error:
        ask(opened)
    assert said in str(error.value)
    assert error.value._render_traceback_() == [f"UserError: {error.value}"]


def test_scores_are_added_and_replaced(opened, capsys):
    scores = opened.workspace.ranking("trak-10").values
    S = np.stack([scores(target, np.arange(tiny.TRAIN)) for target in range(tiny.VAL)])
    assert opened.add_scores({"mine": S, "theirs": S}, sign="helpful") == ["mine", "theirs"]
    assert "mine: its first training image has the target's class for 100.0 % of 12 targets" in capsys.readouterr().out
    assert opened.top(1, "mine", k=5).ids.tolist() == opened.top(1, "trak-10", k=5).ids.tolist()
    with pytest.raises(lineup.UserError, match="the sign looks turned round; .* with force=True"):
        opened.add_scores({"mine": S}, sign="harmful")
    assert opened.top(1, "mine", k=5).ids.tolist() == opened.top(1, "trak-10", k=5).ids.tolist()
    opened.add_scores({"mine": S}, sign="harmful", force=True)
    assert "warning:" in capsys.readouterr().out
    assert opened.top(1, "mine", k=5).ids.tolist() == opened.top(1, "trak-10", k=5, end="harmful").ids.tolist()


def test_lds_is_said_where_there_are_halves(opened, capsys):
    rng = np.random.default_rng(0)
    masks, S = rng.random((20, tiny.TRAIN)) < 0.5, rng.normal(size=(tiny.VAL, tiny.TRAIN))
    from attribution.importing.importing import import_halves

    import_halves(opened.workspace, masks, (masks @ S.T).astype(np.float16))
    opened.add_scores({"mine": S}, sign="helpful", force=True)
    assert "; LDS 1.000 (1.000 to 1.000) on 20 halves x 1 seeds" in capsys.readouterr().out


# -- create


def pair(n, rng):
    return rng.integers(0, 256, (n, 8, 8), np.uint8), np.arange(n) % 3


def test_a_workspace_of_arrays(tmp_path):
    rng = np.random.default_rng(0)
    train, val = pair(30, rng), pair(9, rng)
    made = lineup.create(tmp_path / "mine", train, val, classes=["a", "b", "c"])
    assert made.name == "mine" and (made.workspace.train_images == train[0]).all()
    assert made.workspace.classes == ["a", "b", "c"] and made.workspace.val_labels.tolist() == val[1].tolist()
    assert lineup.open(tmp_path / "mine").workspace.fingerprint == made.workspace.fingerprint
    with pytest.raises(lineup.UserError, match="is there already"):
        lineup.create(tmp_path / "mine", train, val)
    held_back = lineup.create(tmp_path / "other", train, val_share=0.5, name="share").workspace
    assert (held_back.n_train, held_back.n_val, held_back.name) == (15, 15, "share")


def test_a_workspace_of_a_folder(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(12):
        file = tmp_path / "photos" / "ab"[i % 2] / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8)).save(file)
    made = lineup.create(tmp_path / "w", root=tmp_path / "photos", val_share=0.5)
    assert (made.workspace.n_train, made.workspace.n_val, made.workspace.classes) == (6, 6, ["a", "b"])
    again = lineup.create(tmp_path / "v", "image-folder", root=tmp_path / "photos", val_share=0.5)
    assert again.workspace.fingerprint == made.workspace.fingerprint


@pytest.mark.parametrize(
    ("given", "options", "said"),
    [
        ((), {}, "give train and val, or dataset and root"),
        (([],), {"dataset": "cifar10"}, "give train and val, or dataset and root"),
        (
            ((np.zeros((3, 8, 8)), [0, 1, 2]),),
            {"follow_links": True},
            "root and follow_links are of a data set on the disk",
        ),
        ((), {"root": "/nowhere"}, "there is nothing at /nowhere; check root"),
        ((), {"root": "/nowhere", "classes": ["a"]}, "has its own validation images and classes"),
        (("no-such",), {}, "no data set 'no-such'"),
        (("cifar10",), {"val_share": 0.1}, "cifar10 knows no val_share"),
    ],
)
def test_what_no_workspace_is_made_of(tmp_path, given, options, said):
    with pytest.raises(lineup.UserError) as error:
        lineup.create(tmp_path / "w", *given, **options)
    assert said in str(error.value) and not (tmp_path / "w").exists()


# -- answers and progress


def test_an_answer_is_a_dict_and_escapes_what_it_shows():
    answer = Answer({"a": 1}, "a <b> title", [{"": "an <i>", "wrong": "1 of 2"}], ("and a <u> note",))
    assert json.loads(json.dumps(answer)) == {"a": 1} and answer["a"] == 1
    assert repr(answer) == "a <b> title\nan <i>, wrong 1 of 2\nand a <u> note"
    assert not [tag for tag in ("<b>", "<i>", "<u>") if tag in answer._repr_html_()]


def test_progress_writes_one_line_and_takes_it_away(monkeypatch, capsys):
    clock = iter([0, 1, 3, 3.1, 4])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress.Progress() as say:
        for done in range(4):
            say("read\x1bing", done, 9)
    lines = capsys.readouterr().err.split("\r")
    assert [line.strip() for line in lines] == ["", "read\\x1bing: 1 of 9, 3 s", "read\\x1bing: 3 of 9, 4 s", "", ""]
    monkeypatch.undo()
    with progress.Progress() as say:
        say("quick", 1, 1)
    assert capsys.readouterr().err == ""


def test_how_far_rows_can_be_trusted(opened):
    said = opened.trust(0, "trak-10")
    assert isinstance(said, Answer) and said["rows"][0]["verdict"] == "not_tested"
    assert "trak-10" in repr(said) and "not tested here" in repr(said) and "<table" in said._repr_html_()
    assert [row["ranking"] for row in opened.trust(0, ["trak-10", "l2-moco", "random"])["rows"]] == [
        "trak-10",
        "l2-moco",
    ]
    assert [row["ranking"] for row in opened.trust(0, ["trak-10", "l2-moco"], end="harmful")["rows"]] == ["trak-10"]
    with pytest.raises(lineup.UserError, match="helpful or harmful"):
        opened.trust(0, end="up")
