"""One line to show: the same data and scores find the same workspace, and what is not fit leaves nothing behind."""

import numpy as np
import pytest
import torch

import attribution as lineup
from attribution.notebook import frame, server
from attribution.store.results import ResultStore
from tests import tiny


@pytest.fixture
def given(tmp_path, monkeypatch):
    """(train, val, S) of the tiny workspace, results going to a folder of their own."""
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "data"))
    ws = tiny.write(tmp_path / "w")
    train = np.array(ws.train_images), ws.train_labels
    val = np.array(ws.val_images), ws.val_labels
    ranking = ws.ranking("trak-10")
    return train, val, np.stack([ranking.values(target, np.arange(tiny.TRAIN)) for target in range(tiny.VAL)])


def shown(tmp_path) -> list[str]:
    """The workspaces that are kept."""
    return sorted(path.name for path in (tmp_path / "data" / "shown").glob("*"))


def test_the_same_data_and_scores_find_the_same_workspace(given, tmp_path, capsys):
    train, val, S = given
    first = lineup.show(train, val, scores={"mine": S}, sign="helpful", serve=False)
    assert first.rankings()[-2:] == ["mine", "random"] and first.workspace.n_train == tiny.TRAIN
    assert first.top(1, "mine", k=3).scores == pytest.approx(S[1][first.top(1, "mine", k=3).ids])
    said = capsys.readouterr().out
    assert "mine: its first training image has the target's class for 100.0 % of 12 targets" in said
    assert "No server is started: none was asked for" in said
    files = {path: path.stat().st_mtime_ns for path in first.path.rglob("*") if path.is_file()}
    dataset = torch.utils.data.TensorDataset(torch.tensor(train[0]), torch.tensor(train[1]))
    for same in (
        {"train": train, "val": val, "scores": {"mine": S}},
        {"train": dataset, "val": val, "scores": {"mine": torch.tensor(S)}},
        {"train": ([*train[0]], train[1].tolist()), "val": val, "scores": S.T},
    ):
        assert lineup.show(**same, sign="helpful", serve=False).path == first.path
    assert files == {path: path.stat().st_mtime_ns for path in first.path.rglob("*") if path.is_file()}
    assert shown(tmp_path) == [first.path.name]


def test_whatever_differs_has_a_workspace_of_its_own(given, tmp_path):
    train, val, S = given
    other, pixels = S.copy(), train[0].copy()
    other[3, 3] += 1
    pixels[-1, 0, 0] += 1
    logits = np.eye(3)[val[1]]
    asked = [
        {},
        {"scores": {"mine": other}},
        {"scores": {"theirs": S}},
        {"scores": {"mine": S, "theirs": S}},
        {"sign": "unsigned"},
        {"train": (pixels, train[1])},
        {"classes": ["a", "b", "c"]},
        {"name": "other"},
        {"scores": None},
        {"logits": 5 * logits},
        {"logits": {"resnet": 5 * logits}},
    ]
    base = {"train": train, "val": val, "scores": {"mine": S}, "sign": "helpful", "serve": False}
    paths = [lineup.show(**{**base, **change}).path for change in asked]
    assert len(set(paths)) == len(asked) and paths[0].name.startswith("data-") and paths[7].name.startswith("other-")
    assert [lineup.show(**{**base, **change}).path for change in asked] == paths


def test_logits_say_what_the_model_predicts(given):
    train, val, S = given
    logits = 5.0 * np.eye(3)[val[1]]
    logits[4] = [5, 0, 0]  # a Box that is read as a Bar
    several = lineup.show(train, val, logits=np.stack([logits, logits]), serve=False)
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    of_shares = lineup.show(train, val, logits={"resnet": torch.tensor(shares)}, serve=False)
    for ws, name, models in ((several.workspace, "my-model", 2), (of_shares.workspace, "resnet", 1)):
        assert ws.model == name and ws.base.n_models == models
        assert ws.base.prediction.tolist() == [*val[1][:4], 0, *val[1][5:]]
        assert ws.base.probabilities[0] == pytest.approx(shares, abs=1e-6)


def test_nothing_is_trained(given, tmp_path):
    train, val, S = given
    opened = lineup.show(train, val, scores=S, sign="helpful", serve=False)
    assert not (tmp_path / "data" / ResultStore.folder_of(opened.workspace).name).exists()
    assert opened.workspace.models() == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sign": None}, "mine does not say what a positive score means; add sign="),
        ({"sign": "harmful"}, "so the sign looks turned round"),
        ({"scores": {"My scores": "S"}}, "'My scores' cannot be a name"),
        ({"scores": {"random": "S"}}, "random is the name of a ranking that is computed when asked"),
        ({"scores": {"mine": "S", "b": "cut"}}, "b is 12 x 59"),
        ({"train": "no labels"}, "have no labels"),
        ({"classes": ["a"]}, "class"),
        ({"logits": np.zeros((3, 3))}, "logits is 3 x 3, and 12 validation images x 3 classes are expected"),
        ({"logits": np.full((12, 3), np.nan)}, "NaN"),
        ({"logits": {"a": np.zeros((12, 3)), "b": np.zeros((12, 3))}}, "logits are of one model"),
        ({"logits": {"a/b": np.eye(3)[np.arange(12) % 3] * 5}}, "'a/b' cannot be the name of a recipe"),
        ({"logits": np.eye(3)[(np.arange(12) + 1) % 3] * 5}, "is right on 0.0%"),
        ({"port": 0, "serve": True}, "give a number from 1 to 65535, such as port=8501"),
    ],
)
def test_what_is_not_fit_is_one_sentence_and_leaves_nothing(given, tmp_path, change, said):
    train, val, S = given
    change = {**change}
    if "scores" in change:
        change["scores"] = {name: S[:, :-1] if value == "cut" else S for name, value in change["scores"].items()}
    if change.get("train"):
        change["train"] = train[0]
    with pytest.raises(lineup.UserError) as error:
        lineup.show(**{"train": train, "val": val, "scores": S, "sign": "helpful", "serve": False, **change})
    assert said in str(error.value) and "--" not in str(error.value)
    assert shown(tmp_path) == [] or "port" in change


def test_what_is_not_fit_can_be_kept(given):
    train, val, S = given
    opened = lineup.show(train, val, S, sign="harmful", force=True, serve=False)
    assert opened.top(1, "mine", k=3, end="harmful").ids.tolist() == np.argsort(-S[1], kind="stable")[:3].tolist()


def test_a_broken_off_show_is_taken_up(given, monkeypatch):
    train, val, S = given
    scores = {"mine": S, "theirs": -S}
    signs = {"mine": "helpful", "theirs": "harmful"}
    whole = lineup.show(train, val, scores, sign=signs, serve=False)
    whole.workspace.remove_part("rankings/theirs")
    again = lineup.show(train, val, scores, sign=signs, serve=False)
    assert again.path == whole.path and {"mine", "theirs"} <= set(again.rankings())


def test_outside_a_notebook_its_address_is_said(given, capsys):
    train, val, S = given
    opened = lineup.show(train, val, S, sign="helpful", target=5)
    try:
        said = capsys.readouterr().out
        assert f"Lineup is at {opened.server.address}?target=5&rankings=mine&" in said and "&once=" in said
        assert opened.server.address in repr(opened) and opened.link().startswith(opened.server.address)
        assert lineup.show(train, val, S, sign="helpful").server is opened.server
    finally:
        opened.stop()
    assert opened.server is None


@pytest.mark.parametrize("why", ["Kaggle", "no room"])
def test_where_no_server_may_run(given, capsys, monkeypatch, why):
    def fail(*_):
        raise lineup.UserError("no room")

    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive") if why == "Kaggle" else None
    monkeypatch.setattr("attribution.notebook.opened.start_server", fail)
    train, val, S = given
    assert lineup.show(train, val, S, sign="helpful").server is None
    assert why in capsys.readouterr().out


# -- what a notebook is shown


def test_the_frame_ends_no_script_and_has_no_token(given, monkeypatch, data_folder):
    train, val, S = given
    opened = lineup.show(train, val, S, sign="helpful", serve=False)

    class Running(server.Server):
        def new_code(self):
            return "CODE"

    html = frame.frame_html(
        Running(opened.path, 8501, None), {"rankings": ["</script><b>"]}, b"\x89PNG", 'a "<i>" text', 700
    )
    assert html.count("</script>") == 1 and "<b>" not in html and "<i>" not in html
    assert "once=CODE" in html and "token" not in html and 'height="700"' in html
    assert 'alt="a &quot;&lt;i&gt;&quot; text"' in html and "port = 8501" in html
    assert not frame.in_notebook()
