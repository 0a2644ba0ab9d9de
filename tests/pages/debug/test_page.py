"""Explore, run without a browser; tests/browser drives the strip."""

import re
import shutil
from html import unescape

import numpy as np
import pytest

from attribution import Workspace
from attribution.files import write_json
from pages.ui import state
from tests import tiny
from tests.pages.page import html, open_page


def heading(app) -> str:
    """The sentence that heads the page."""
    return unescape(re.search("<h1[^>]*>(.*?)</h1>", html(app))[1])


def test_it_opens_on_the_target_worth_telling(app):
    app.run()
    assert not app.exception and not app.warning
    assert heading(app) == "All 10 models predict Bar. Without trak-10's top 4 images, 4 of 5 predict Dot."
    assert app.number_input(key=state.TARGET).value == 0
    assert app.number_input(key=state.K).value == 4
    assert app.selectbox(key=state.CUT_RANKING).value == "trak-10"


def test_a_link_is_followed(app):
    app.query_params.update({"target": "1", "k": "7", "end": "both", "explain": "predicted"})
    app.query_params["rankings"] = ["l2-moco", "trak-10"]
    app.run()
    assert not app.exception and not app.warning
    assert heading(app) == "All 10 models predict Dot. Its label is Box <b>."
    assert app.number_input(key=state.K).value == 7
    assert app.selectbox(key=state.CUT_RANKING).options == ["l2-moco", "trak-10"]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("target", "99", "Target 99 is out of range"),
        ("target", "shirt", "is not a number"),
        ("k", "0", "k = 0"),
        ("k", "-3", "k = -3"),
        ("k", "many", "k = many"),
        ("rankings", "nope", "No ranking 'nope'"),
    ],
)
def test_what_a_link_cannot_have_is_said_in_one_sentence(app, name, value, said):
    app.query_params[name] = value
    app.run()
    assert not app.exception and len(app.warning) == 1
    assert said in app.warning[0].value.replace("\\", "")
    assert app.number_input(key=state.TARGET).value == 0 and app.number_input(key=state.K).value == 4


def test_filters_and_the_way_through_them(app):
    app.run()
    app.selectbox(key=state.LABEL).set_value("Dot").run()
    assert app.caption[0].value == "1–4 of 4 matches (12 images)"
    assert app.number_input(key=state.TARGET).value == 2  # the first match
    assert app.toast[0].value == "Target 0 does not match the filter. This is target 2, the first match."
    app.button(key="next").click().run()
    assert app.number_input(key=state.TARGET).value == 5 and not app.toast
    app.button(key="previous").click().run()
    assert app.number_input(key=state.TARGET).value == 2
    assert app.session_state[state.TRAIL] == [0, 5, 2]
    app.button(key="clear filters").click().run()
    assert app.caption[0].value == "1–12 of 12 images" and app.number_input(key=state.TARGET).value == 2


def test_a_target_that_the_filter_of_a_link_excludes_is_said(app):
    app.query_params.update({"target": "0", "show": "wrong"})
    app.run()
    assert app.number_input(key=state.TARGET).value == 0 and not app.toast
    assert any("Target 0 does not match" in text.value for text in app.markdown)
    app.button(key="first match").click().run()
    assert app.number_input(key=state.TARGET).value == 1
    assert not any("does not match" in text.value for text in app.markdown)


def test_an_earlier_name_of_a_filter_is_followed(app):
    app.query_params.update({"target": "2", "show": "unstable"})
    app.run()
    assert not app.exception and not app.warning
    assert app.button_group(key=state.SHOW).value == "models disagree"
    assert app.caption[0].value == "1–1 of 1 match (12 images)"


def test_the_tested_targets_alone(app):
    app.query_params["show"] = "tested"
    app.run()
    assert not app.exception and app.caption[0].value == "1–1 of 1 match (12 images)"
    assert app.button(key="next").disabled


def test_filters_that_nothing_fits(app):
    app.run()
    app.selectbox(key=state.LABEL).set_value("Bar").run()
    app.selectbox(key=state.PREDICTED).set_value("Dot").run()
    assert not app.exception and "No validation image matches" in app.info[0].value
    assert app.button(key="next").disabled and app.button(key="previous").disabled
    assert heading(app).startswith("All 10 models predict Bar.")  # the target on view stays


def test_no_ranking_chosen(app):
    app.run()
    app.multiselect(key=state.RANKINGS).set_value([]).run()
    assert not app.exception and "No ranking is chosen" in app.info[0].value


def test_retraining_is_for_rows_that_there_are(app):
    app.run()
    assert not app.button(key="retrain").disabled
    app.selectbox(key=state.CUT_RANKING).set_value("l2-moco").run()
    app.button_group(key=state.END).set_value("harmful").run()
    assert not app.exception and app.button(key="retrain").disabled


def test_the_command_names_what_is_on_view(app, ws):
    app.query_params.update({"target": "1", "k": "7", "end": "both"})
    app.query_params["rankings"] = ["trak-10"]
    app.run()
    assert not app.code, "they are sent once they are asked for"
    app.session_state["copy command"] = True
    app.run()
    figure, retrain, report = [code.value for code in app.code]
    assert figure == (
        "python -m attribution export figure --target 1 --rankings trak-10 --top 20 --k 7 --ends both "
        f"--explain predicted --out lineup-1.png --workspace {ws.path}"
    )
    assert retrain == (
        f"python -m attribution retrain --target 1 --ranking trak-10 --remove-harmful 7 --seeds 5 --workspace {ws.path}"
    )
    assert report == (
        "python -m attribution export report --target 1 --rankings trak-10 --top 20 --k 7 --ends both "
        f"--explain predicted --out report-1.html --workspace {ws.path}"
    )


def test_the_command_of_a_row_that_is_not_as_published_names_its_images(app, ws):
    app.query_params.update({"target": "0", "k": "2", "end": "harmful"})
    app.query_params["rankings"] = ["trak-10"]
    app.session_state["copy command"] = True
    app.run()
    first = ws.ranking("trak-10").top(0, 2, end="harmful").ids
    assert f"retrain --target 0 --remove {first[0]},{first[1]} --seeds 5" in app.code[1].value


@pytest.fixture
def untrained(tmp_path, monkeypatch):
    """Explore on a workspace that has no base models yet."""
    tiny.write(tmp_path / "w", base=False)
    monkeypatch.setenv("LINEUP_WORKSPACE", str(tmp_path / "w"))
    return open_page(run=False)


def keys(app) -> set:
    return {
        widget.key
        for kind in (app.button_group, app.multiselect, app.selectbox, app.slider, app.button)
        for widget in kind
    }


def test_without_base_models_what_needs_them_is_absent(untrained, tmp_path):
    app = untrained
    app.session_state["copy command"] = True
    app.run()
    assert not app.exception and not app.warning and not app.error and not app.info
    assert heading(app) == "Bar. No model has been trained here yet."
    assert {state.LABEL, state.CUT_RANKING, state.END, state.RANKINGS, state.CANDIDATES} <= keys(app)
    assert not {state.SHOW, state.PREDICTED, state.CONFIDENCE, state.EXPLAIN, "retrain"} & keys(app)
    assert app.button_group(key=state.CANDIDATES).options == ["published", "true", "all"]
    train, figure, _ = [code.value for code in app.code]
    assert train == f"python -m attribution base train --workspace {tmp_path / 'w'}"
    assert figure.startswith("python -m attribution export figure --target 0 --rankings esvm-moco,l2-moco,trak-10,")
    app.selectbox(key=state.LABEL).set_value("Dot").run()
    app.button(key="next").click().run()
    assert not app.exception and heading(app) == "Dot. No model has been trained here yet."


def test_a_link_that_asks_for_predictions_which_there_are_not(untrained):
    untrained.query_params.update(
        {
            "target": "4",
            "show": "wrong",
            "predicted": "Dot",
            "explain": "predicted",
            "candidates": "predicted",
            "end": "both",
        }
    )
    app = untrained.run()
    assert not app.exception and not app.error
    assert [warning.value.replace("\\", "") for warning in app.warning] == [
        "This link asks for predictions, and no model has been trained here yet."
    ]
    assert app.number_input(key=state.TARGET).value == 4 and app.button_group(key=state.END).value == "both"
    assert set(app.query_params) & {"show", "predicted", "explain"} == set()


def test_base_models_trained_meanwhile_are_seen(untrained, tmp_path):
    app = untrained.run()
    assert "No model has been trained" in heading(app)
    tiny.write(tmp_path / "trained")
    shutil.copytree(tmp_path / "trained" / "base", tmp_path / "w" / "base")
    shutil.copy(tmp_path / "trained" / "supports.parquet", tmp_path / "w")
    Workspace.open(tmp_path / "w").record_part("base", {}, ["base/probabilities.npy"])
    Workspace.open(tmp_path / "w").record_part("supports", {}, ["supports.parquet"])
    app.run()
    assert not app.exception and heading(app).startswith("All 10 models predict Bar. Without trak-10's top 4 images")


def test_a_failed_alignment_check_is_said_once(untrained, tmp_path):
    Workspace.open(tmp_path / "w").record_part(
        "rankings/trak-10",
        {
            "method": "TRAK",
            "signed": True,
            "alignment": {"top1_same_class": 0.3, "chance": 0.33, "n": 12, "warning": "no *better* than chance"},
        },
        [],
    )
    app = untrained.run()
    said = [caption.value for caption in app.caption if "chance" in caption.value]
    assert said == [":material/warning: trak\\-10\\: no \\*better\\* than chance"]
    app.multiselect(key=state.RANKINGS).set_value(["l2-moco"]).run()
    assert not [caption for caption in app.caption if "chance" in caption.value]


def test_it_opens_on_a_target_that_a_ranking_was_made_for(untrained, tmp_path):
    ws = Workspace.open(tmp_path / "w")
    ids = np.full((ws.n_val, 1, 3), -1, np.int32)
    ids[[5, 7], 0] = [3, 1, 2]
    (ws.path / "rankings" / "mine").mkdir()
    np.save(ws.path / "rankings" / "mine" / "ids.npy", ids)
    ws.record_part("rankings/mine", {"method": "Mine"}, ["rankings/mine/ids.npy"])
    app = untrained.run()
    assert not app.exception and app.number_input(key=state.TARGET).value == 5
    app.button_group(key=state.SHOW).set_value("ranked").run()
    assert app.caption[0].value == "1–2 of 2 matches (12 images)"
    app.button(key="next").click().run()
    assert app.number_input(key=state.TARGET).value == 7


def test_a_half_present_workspace_is_refused(untrained, tmp_path):
    ws = Workspace.open(tmp_path / "w")
    ws.manifest["parts"]["base"] = {"files": {"base/probabilities.npy": 100}}
    write_json(ws.path / "workspace.json", ws.manifest)
    app = untrained.run()
    assert len(app.error) == 1 and "incomplete" in app.error[0].value


def test_a_workspace_that_cannot_be_opened(monkeypatch, tmp_path):
    monkeypatch.setenv("LINEUP_WORKSPACE", str(tmp_path / "none"))
    app = open_page()
    assert not app.exception and len(app.error) == 1
    assert "There is no workspace at" in app.error[0].value
