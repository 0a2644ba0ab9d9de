"""Was the audit worth it, drawn by a script of its own: empty, asked for, under way, answered and out of date."""

import csv
import io

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from attribution.audit import gain as worth
from attribution.experiments import jobs
from attribution.training import recipes
from pages.labels import gain as view
from pages.labels import gain_text
from pages.ui import format as write
from pages.ui import state
from tests import tiny
from tests.pages.answers import answered
from tests.pages.page import html, texts
from tests.unit.audit.test_gain import STANDING, decided, improved

PAGE = """
import streamlit as st
from pages.labels import gain
from pages.ui import theme

gain.draw(theme.workspace(), st.session_state["standing"], st.session_state["uses_val"])
"""


@pytest.fixture
def found(ws, store):
    """An answer over 4 seeds, as the page would find it if it asked for as many."""
    spec = worth.gain_spec(ws, STANDING, 4)
    answered(ws, store, spec, improved(ws))
    return spec.answer(ws, store)


def opened(standing=STANDING, uses_val=False):
    app = AppTest.from_string(PAGE, default_timeout=30)
    app.session_state["standing"], app.session_state["uses_val"] = standing, uses_val
    return app.run()


def done(ws, store, standing=STANDING, uses_val=False):
    answered(ws, store, worth.gain_spec(ws, standing, uses_val=uses_val), improved(ws))


def test_nothing_is_corrected_yet(ws):
    app = opened({8: decided("keep")})
    assert not app.exception and not app.error and "No label has been corrected yet" in texts(app)
    assert not app.button and not app.code


def test_the_cost_comes_before_the_button_and_a_reload_finds_the_job(ws, store):
    app = opened()
    assert (
        not app.exception
        and "30 decisions: 1 relabelled, 1 removed; 3 unsure or in conflict keep their label" in texts(app)
    )
    spec = worth.gain_spec(ws, STANDING)
    cost = spec.cost(ws, store)
    assert f"{cost.max_trainings} trainings, about" in texts(app) and "5.0 s each" in texts(app)
    assert f"python -m attribution worth --workspace {ws.path}" in [code.value for code in app.code]
    app.button(key="train and compare").click().run()
    (job,) = store.open_jobs()
    assert not app.exception and job.spec == spec and "waiting for the runner" in app.get("progress")[0].proto.text
    app = opened()
    assert [button.key for button in app.button][:2] == ["pause worth", "cancel worth"]
    assert "train and compare" not in [button.key for button in app.button]
    assert "earlier decisions" not in texts(app)
    app.button(key="pause worth").click().run()
    assert store.job(job.id).state == "paused" and "resume worth" in [button.key for button in app.button]
    app = opened(STANDING | {50: decided("remove")})
    assert "This run uses earlier decisions: 30 decisions, 1 relabelled and 1 removed" in texts(app)
    app.button(key="cancel worth").click().run()
    store.finish_job(job.id, "cancelled")
    app = opened()
    assert "was cancelled" in app.warning[0].value and app.button(key="train and compare")


def test_where_all_trainings_are_known_it_says_so(ws, store):
    spec = worth.gain_spec(ws, STANDING)
    for edit, seed in spec.trainings(ws):
        store.put(
            recipes.get_recipe("demo-cnn").hash,
            edit,
            seed,
            seconds=1.0,
            device="cpu",
            library="x",
            threads=1,
            predicted=ws.val_labels,
            margins=np.ones(12),
        )
    app = opened()
    assert "All of its trainings are known: it answers at once." in texts(app)
    assert "Runs in the background" not in texts(app)


def test_under_way_it_says_how_far_and_how_long(ws, store):
    spec = worth.gain_spec(ws, STANDING)
    number = store.add_job(spec, spec.describe())
    store.start_job(number, spec.total)
    store.progress_job(number, 12)
    text = opened().get("progress")[0].proto.text.replace("\\", "")
    assert text.startswith(f"Job {number}: 12 of 61, ") and "left. It continues when this page is closed." in text


def test_the_answer(ws, store):
    done(ws, store)
    app = opened()
    assert not app.exception and not app.error and not app.info
    assert "train and compare" not in [button.key for button in app.button]
    assert "<b>The corrections helped.</b>" in html(app) or "<b>Better, but" in html(app)
    recipe = recipes.get_recipe("demo-cnn")
    assert f"20 paired seeds, 12 validation images, recipe demo-cnn {recipe.hash}" in html(app)
    assert "→ 100.0 %: +" in html(app) and "As many random images re-inspected: +" in html(app)
    assert "Box &lt;b&gt;" in html(app) and "Box <b>" not in html(app), "names are escaped"
    assert "3 targets repaired: wrong in most seeds" in texts(app) and "No target broken" in texts(app)
    assert "an inspector who never errs" in texts(app) and "1 planted errors" in texts(app)
    assert "trained on cpu, x, threads 1" in texts(app)


def test_the_second_half_judges_where_the_first_chose(ws, store):
    done(ws, store, uses_val=True)
    app = opened(uses_val=True)
    assert "6 validation images (the second half; the first may have influenced which images were reviewed)" in html(
        app
    )
    assert f"python -m attribution worth --workspace {ws.path}" in [code.value for code in app.code]


def test_an_answer_of_an_earlier_state_says_so(ws, store):
    done(ws, store)
    app = opened(STANDING | {50: decided("remove")})
    assert "Measured on earlier decisions: 30 decisions, 1 relabelled and 1 removed" in app.info[0].value.replace(
        "\\", ""
    )
    assert app.button(key="train and compare") and "paired seeds" in html(app)
    app = opened({})
    assert not app.exception and "Measured on earlier decisions" in app.info[0].value and not app.button


def test_an_answer_over_other_seeds_says_so(ws, found):
    app = opened()
    assert "Measured on the current decisions, with 4 seeds and 12 validation images" in app.info[0].value.replace(
        "\\", ""
    )
    assert app.button(key="train and compare") and "4 paired seeds" in html(app)


def test_without_base_models(ws, store, monkeypatch, tmp_path):
    (tmp_path / "bare").mkdir()
    bare = tiny.write(tmp_path / "bare", base=False)
    monkeypatch.setenv("LINEUP_WORKSPACE", str(bare.path))
    done(bare, store)
    app = opened()
    assert not app.exception and "targets repaired" in texts(app)


def test_what_goes_wrong_when_asked_is_said_once(ws, monkeypatch):
    def refuse(workspace, spec):
        raise view.UserError("the disk is full; make room")

    app = opened()
    monkeypatch.setattr(jobs, "submit", refuse)
    app.button(key="train and compare").click().run()
    assert [error.value.replace("\\", "") for error in app.error] == ["The disk is full; make room."]
    assert not app.run().error


def test_a_target_leads_to_its_lineup(ws, monkeypatch):
    gone = []
    monkeypatch.setattr(st, "switch_page", lambda page, query_params: gone.append((page, query_params)))
    app = AppTest.from_string(PAGE, default_timeout=30)
    app.session_state["standing"], app.session_state["uses_val"], app.session_state[state.GO_TO] = {}, False, 7
    app.run()
    assert gone == [("pages/debug/page.py", {"target": "7"})]


# -- words


def answer(gain, lead, chance=(0, -0.001, 0.001)):
    differences = {"corrected-none": gain, "corrected-random": lead, "random-none": chance}
    made = {name: {"mean": mean, "ci": [low, high]} for name, (mean, low, high) in differences.items()}
    accuracy = {arm: {"mean": 0.8412} for arm in ("none", "corrected")}
    return {
        "differences": made,
        "accuracy": accuracy,
        "uses_val": False,
        "seeds": list(range(20)),
        "n": 1000,
        "recipe": "demo-cnn",
        "recipe_hash": "c5ae",
    }


@pytest.mark.parametrize(
    ("gain", "lead", "word"),
    [
        ((0.01, 0.005, 0.015), (0.01, 0.004, 0.016), "The corrections helped"),
        ((0.01, 0.005, 0.015), (0.01, -0.004, 0.016), "Better, but not clearly better than random images"),
        ((0.01, -0.005, 0.015), (0.01, 0.004, 0.016), "No difference found"),
        ((-0.01, -0.015, -0.005), (-0.01, -0.016, 0.004), "The corrections made the model worse"),
    ],
)
def test_the_verdict_rests_on_the_intervals(gain, lead, word):
    said, sentence = gain_text.verdict(answer(gain, lead))
    assert said == word and "Accuracy 84.1 → 84.1 %" in sentence and "1,000 validation images" in sentence
    assert (
        f"{gain_text.points(gain[0])} points (95 % {gain_text.points(gain[1])} to {gain_text.points(gain[2])};"
        in sentence
    )


def test_points():
    assert [gain_text.points(value) for value in (0.0091, -0.0091, 0.00001, -0.00001, 0)] == [
        "+0.91",
        "−0.91",
        "0.00",
        "0.00",
        "0.00",
    ]


def test_the_chart(found):
    chart = view._chart(found)
    assert list(chart.layout.yaxis.ticktext) == [gain_text.PAIRS[name] for name in list(view.COLOURS)[::-1]]
    dots, mean = chart.data[-2:]  # corrected against as given, on top
    gain = found["differences"]["corrected-none"]
    assert np.allclose(dots.x, 100 * np.array(gain["values"])) and list(dots.customdata) == [0, 1, 2, 3]
    assert np.isclose(mean.x[0] + mean.error_x.array[0], 100 * gain["ci"][1])
    assert np.isclose(mean.x[0] - mean.error_x.arrayminus[0], 100 * gain["ci"][0])


def test_many_classes_are_those_that_change_most(ws, found, monkeypatch):
    monkeypatch.setattr(gain_text, "CLASSES", 1)
    most = max(found["classes"], key=lambda row: abs(row["corrected-none"]["mean"]))
    page = gain_text.classes_html(ws, found)
    assert page.count("<tr>") == 2 and write.escape(ws.classes[most["class"]]) in page
    assert "The 1 of 3 with the largest change" in gain_text.classes_note(found)


def test_as_csv(ws, found):
    rows = list(csv.DictReader(io.StringIO(gain_text.to_csv(ws, found))))
    assert {row["recipe_hash"] for row in rows} == {recipes.get_recipe("demo-cnn").hash}
    gain = [row for row in rows if row["arm"] == "corrected-none" and not row["class"]]
    assert [row["seed"] for row in gain] == ["0", "1", "2", "3", ""] and {row["what"] for row in gain} == {"difference"}
    assert np.isclose(float(gain[-1]["low"]), found["differences"]["corrected-none"]["ci"][0], atol=1e-6)
    assert len([row for row in rows if row["class"]]) == 3 * 6
    repaired = [row for row in rows if row["what"] == "repaired" and row["arm"] == "corrected"]
    assert [int(row["target"]) for row in repaired] == [
        one["target"] for one in found["targets"]["corrected"]["repaired"]
    ]
