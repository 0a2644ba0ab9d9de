"""The drawer's group: which images it is, what is behind it, and what an edit does; trained by nobody here."""

from html import unescape

import pytest

from attribution import UserError, Workspace
from attribution.experiments.group import GroupSpec
from attribution.explore import groups
from attribution.explore.group_edit import edit_spec, first_images
from pages.debug import drawer_group
from pages.ui import state
from tests.pages.page import commands, html, open_page, texts
from tests.unit.experiments.test_jobs import drive


def opened(**link):
    return open_page(**{"panel": "group", **link})


def spec_of(ws, name: str, ranking: str, k: int) -> GroupSpec:
    group = groups.read_group(ws, name)
    ranked = groups.rank_group(ws, ws.ranking(ranking), group.halves()[0], group.end)
    return edit_spec(ws, group, first_images(ws, ranked.ids, k))


def test_without_a_filter_it_says_what_makes_a_group(ws):
    app = opened()
    assert not app.exception and "Set Filters, or click a cell of the confusion matrix" in texts(app).replace("*", "")
    assert "explain together" not in [button.key for button in app.button]


def test_a_filter_makes_a_group_that_can_be_explained(ws):
    app = open_page(**{"class": "Dot"})
    app.button(key="explain together").click().run()
    assert not app.exception and "4 validation images labelled Dot, 0 wrong" in unescape(html(app))
    assert "Fewer than 20 are too few to check" in texts(app) and "trak-10, helpful end, by the sum" in texts(app)
    assert app.selectbox(key=state.GROUP_RANKING).value == "trak-10", "the one that is cut"
    (command,) = [line for line in commands(app) if " group " in line]
    assert command == (
        f"python -m attribution group class:Dot --ranking trak-10 --end helpful --k 40 --workspace {ws.path}"
    )


def test_a_cell_begins_at_the_harmful_end(ws):
    app = opened(**{"class": "Box <b>", "predicted": "Dot"})
    assert not app.exception
    assert "1 validation image labelled Box <b> and predicted Dot, 1 wrong" in unescape(html(app))
    assert "trak-10, harmful end" in texts(app)


def test_what_it_costs_and_how_it_is_asked(ws, monkeypatch):
    asked = []
    monkeypatch.setattr("attribution.experiments.jobs.submit", lambda ws, spec: asked.append(spec))
    app = opened(**{"class": "Dot"})
    app.number_input(key=state.GROUP_K).set_value(3).run()
    button = app.button(key="edit the group demo-cnn")
    assert button.label.startswith("Remove 3 and retrain, about ") and "30 trainings" in texts(app)
    button.click().run()
    assert not app.exception and asked[0].question() == spec_of(ws, "class:Dot", "trak-10", 3).question()
    app.selectbox(key=state.GROUP_EDIT).set_value("Label them Bar").run()
    assert app.button(key="edit the group demo-cnn").label.startswith("Relabel ")
    assert "--relabel Bar" in commands(app)[-1]


def test_a_job_under_way_and_its_answer(ws, store):
    spec = spec_of(ws, "class:Dot", "trak-10", 4)
    number = store.add_job(spec, spec.describe())
    store.start_job(number, spec.total)
    store.progress_job(number, 7)
    app = opened(**{"class": "Dot"}, run=False)
    app.session_state[state.GROUP_K] = 4
    app.run()
    assert not app.exception and "edit the group demo-cnn" not in [button.key for button in app.button]
    assert {"pause group demo-cnn", "cancel group demo-cnn"} <= {button.key for button in app.button}
    drive(ws, store, spec, lambda edit, seed: 2 if edit.k == 0 else 0)
    store.finish_job(number, "done")
    app.run()
    assert not app.exception
    said = unescape(html(app))
    assert "the group rises from 0 to 4 errors" in said and "Without these 4 training images" in said
    assert "Random edits of the same classes (4 draws) leave 4.0 (4 to 4) errors" in texts(app)
    assert "Margins are means over 5 seeds" in texts(app)


@pytest.mark.parametrize(("ci", "word"), [([-0.3, -0.1], "Fewer errors"), ([0.1, 0.2], "More errors"), (
    [-0.1, 0.1], "No clear change"), (None, "No clear change"),
])  # fmt: skip
def test_the_verdict_is_beside_random_edits(ci, word):
    assert drawer_group.word({"judged": {"error_rate_difference": {"mean": 0, "ci": ci}}}) == word


def test_signs_are_those_of_pages():
    assert drawer_group.for_page("Coat->Shirt: -27.3 (-54.5 to +0.0), T-shirt, 2-3") == (
        "Coat→Shirt: −27.3 (−54.5 to +0.0), T-shirt, 2-3"
    )


def test_many_images_are_not_added_up_while_one_waits(ws, monkeypatch):
    monkeypatch.setattr(drawer_group, "MOST_READ", 1)
    assert "4 images match, and at most 2 are explained together here" in texts(opened(**{"class": "Dot"}))


def test_a_model_that_cannot_train_still_ranks(ws, monkeypatch):
    def refuse(*asked, **more):
        raise UserError("this model came without its training")

    monkeypatch.setattr("attribution.explore.group_edit.edit_spec", refuse)
    app = opened(**{"class": "Dot"})
    assert not app.exception and "This model came without its training" in texts(app)
    assert "trak-10, helpful end" in texts(app)


def test_a_link_says_which_ranking_and_how_many(ws):
    app = opened(**{"class": "Dot", "group_ranking": "l2-moco", "group_k": "3"})
    assert not app.exception and app.selectbox(key=state.GROUP_RANKING).value == "l2-moco"
    assert app.number_input(key=state.GROUP_K).value == 3 and "l2-moco, helpful end" in texts(app)
    assert app.button(key="edit the group demo-cnn").label.startswith("Remove 3 and retrain")


def test_two_models_are_compared_on_what_one_of_them_loses(ws):
    versus = {"versus": "right by head-moco alone"}
    app = opened(**versus)
    assert not app.exception
    assert "1 validation image predicted wrongly, and rightly by head-moco, 1 wrong" in unescape(html(app))
    assert app.selectbox(key=state.GROUP_RANKING).value == "trak-10"
    assert app.selectbox(key=state.GROUP_AGAINST).value == "influence-moco", "the ranking of the second model"
    assert "scores by influence-moco less those by trak-10" in texts(app)
    said = unescape(html(app))
    assert "Under demo-cnn" in said and "Under head-moco" in said
    assert {"edit the group demo-cnn", "edit the group head-moco"} <= {button.key for button in app.button}
    (command,) = [line for line in commands(app) if " group " in line]
    assert "group lost-to:head-moco --ranking trak-10 --end harmful --k 40 --against influence-moco" in command
    assert "--other-model head-moco" in command
    app.selectbox(key=state.GROUP_AGAINST).set_value(drawer_group.ALONE).run()
    assert not app.exception and "Under head-moco" not in html(app) and "trak-10, harmful end" in texts(app)


def test_the_edit_is_asked_for_under_the_second_model(ws, monkeypatch):
    asked = []
    monkeypatch.setattr("attribution.experiments.jobs.submit", lambda ws, spec: asked.append(spec))
    app = opened(versus="right by head-moco alone", group_k="3")
    app.button(key="edit the group head-moco").click().run()
    (spec,) = asked
    assert (spec.recipe, spec.group, spec.against, spec.end) == (
        "head-moco", "lost-to:head-moco", "influence-moco", "harmful")  # fmt: skip
    back = opened(**{name: value for name, value in state.group_link(spec).items() if name != "panel"})
    assert not back.exception and back.button(key="edit the group head-moco").label.startswith("Remove 3 and refit")


def test_a_link_says_which_end_and_which_label(ws):
    app = opened(**{"class": "Dot", "group_end": "harmful", "group_edit": "Label them Bar", "group_k": "2"})
    assert not app.exception and "trak-10, harmful end" in texts(app)
    assert app.selectbox(key=state.GROUP_EDIT).value == "Label them Bar"
    app.selectbox(key=state.LABEL).set_value("Bar").run()
    assert "trak-10, helpful end" in texts(app), "another group begins at its own end"


def test_the_filter_of_a_second_model_follows_the_model(ws):
    app = open_page(versus="predicted otherwise by head-moco", model="head-moco")
    assert not app.exception and app.selectbox(key=state.VERSUS).value == "any"


def test_a_ranking_that_cannot_be_read_is_not_offered(ws, monkeypatch):
    assert drawer_group._compares(ws, "influence-moco") and not drawer_group._compares(ws, "l2-moco")

    def refuse(self, name):
        raise UserError("its file is damaged")

    monkeypatch.setattr(Workspace, "ranking", refuse)
    assert not drawer_group._compares(ws, "influence-moco")
