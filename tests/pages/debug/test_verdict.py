"""The drawer's verdict, run without a browser and without a runner; tests/browser/test_story.py trains."""

import re
from html import unescape

import pytest

from attribution.experiments import registry, retrain, support
from attribution.features import near_duplicates
from attribution.training import recipes
from pages.ui import state
from tests import tiny
from tests.pages.answers import answered, retrained
from tests.pages.page import commands, html, open_page, texts


def opened(**link):
    return open_page(**{"panel": "verdict", **link})


def said(app) -> str:
    return unescape(html(app))


def test_it_opens_on_the_target_worth_telling_with_its_cost(ws):
    app = opened()
    assert not app.exception and not app.warning and not app.error
    assert "Is it still Bar without trak-10's top 4 images?" in said(app)
    assert "Not tested yet. 15 trainings" in texts(app).replace("**", "") and "5.0 s each" in texts(app)
    prices = {button.key: button.label for button in app.button if button.key in ("retrain", "run")}
    assert prices["retrain"] == prices["run"].replace("Retrain", "Remove top 4 and retrain")
    command = "python -m attribution retrain --target 0 --ranking trak-10 --remove-top 4 --seeds 5"
    assert f"{command} --workspace {ws.path}" in commands(app)
    assert "support 4 · 5 trainings · bundled study" in texts(opened(panel="history"))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("target", "99", "Target 99 is out of range"),
        ("k", "0", "k = 0"),
        ("k", "-3", "k = -3"),
        ("k", "many", "k = many"),
        ("k", "129", "from 1 to 128"),
        ("ranking", "nope", "No ranking 'nope'"),
        ("kind", "burn", "Kind 'burn'"),
        ("job", "7", "There is no job 7"),
        ("job", "x", "There is no job x"),
    ],
)
def test_what_a_link_cannot_have_is_said_in_one_sentence(ws, name, value, said):
    app = opened(**{name: value})
    assert not app.exception and len(app.warning) == 1 and said in app.warning[0].value.replace("\\", "")


def test_a_k_beyond_the_class_is_refused_before_anything_is_asked(ws, store):
    app = opened(target="0", k="21", ranking="l2-moco")
    assert app.button(key="retrain").disabled
    assert not app.exception and [error.value.replace("\\", "") for error in app.error] == [
        "k = 21 is larger than the 19 images l2-moco ranks for this target; give at most 19."
    ]
    assert not [button for button in app.button if button.key == "run"] and store.jobs() == []


def test_asking_queues_one_job_and_shows_it(ws, store):
    app = opened(target="3", k="2", ranking="trak-10")
    app.button(key="run").click().run()
    (job,) = store.jobs()
    assert not app.exception and job.spec["ids"] == [0, 6] and app.query_params["job"] == str(job.id)
    assert "waiting" in html(app) and f"Job {job.id}: Waiting for the runner" in texts(app)
    app.button(key="cancel").click().run()
    assert store.job(job.id).state == "cancelling"


def test_what_is_known_is_answered_at_once(ws, store):
    spec = retrain.retrain_spec(ws, 3, "trak-10", "remove", 2)
    retrained(ws, store, spec, right=0, wrong=2, parts=["edit"])
    app = opened(target="3", k="2", ranking="trak-10")
    assert "Known since" in texts(app) and "nothing was trained" in texts(app)
    assert "Flipped. Without trak-10's top 2 images, 5 of 5 predict Dot." in re.sub("<.?b>", "", said(app))
    assert "Without 2 random images of the same classes: Bar in 5 of 5. With all images: Bar in 5 of 5." in said(app)
    assert app.button(key="retrain").label == "Show the verdict (known)"
    app.button(key="retrain").click().run()
    assert not app.exception and store.jobs() == [] and "Known since" in texts(app)


def test_the_command_line_s_answer_is_the_one_shown(ws, store):
    spec = retrain.retrain_spec(ws, 3, "trak-10", "remove", 2, draws=3)
    retrained(ws, store, spec, right=0, wrong=2, parts=["edit"])
    app = open_page(target="3", k="2", ranking="trak-10")
    assert "Without trak-10's top 2 images, 5 of 5 predict Dot." in said(app)
    assert "Bar in 5 of 5" in said(app) and app.button(key="retrain").label == "Show the verdict (known)"


def test_a_job_is_opened_by_its_number(ws, store):
    number = store.add_job(
        retrain.retrain_spec(ws, 4, None, "mislabel", 2, seeds=[0, 1], draws=1, ids=[1, 4, 7]), "a job"
    )
    app = opened(job=str(number))
    assert not app.exception and not app.warning
    assert app.number_input(key=state.TARGET).value == 4 and app.text_input(key=state.IDS).value == "1, 4, 7"
    assert f"Job {number}" in texts(app) and "with 3 chosen images relabelled" in said(app)


def test_a_support_that_the_workspace_brings_is_shown_with_its_trace(ws):
    app = opened(target="0", ranking="trak-10", panel="history")
    app.button(key="support trak-10 remove default 20").click().run()
    assert not app.exception and "<b>Support 4.</b>" in html(app) and "Dot in 4 of 5" in html(app)
    assert "From the bundled study" in texts(app)
    words = "python -m attribution support --target 0 --ranking trak-10 --kind remove --protocol default --k-max 20"
    assert any(words in command for command in commands(app))
    app.button(key="at support").click().run()
    assert app.number_input(key=state.K).value == 4 and "Is it still Bar without trak-10's top 4" in said(app)


def test_an_adaptive_support_says_how_sure_it_is_and_what_other_seeds_would_give(ws, store):
    trace = [
        {"k": 20, "seeds": [0, 1], "predictions": [2, 2], "wrong": 2, "flipped": True, "margin": -1.0, "p": 0.997},
        {"k": 4, "seeds": [0, 1, 2], "predictions": [2, 2, 2], "wrong": 3, "flipped": True, "margin": -0.2, "p": 1.0},
        {"k": 3, "seeds": [0], "predictions": [0], "wrong": 0, "flipped": False, "margin": 0.4, "p": 0.04},
    ]
    body = {"status": "flipped", "support": 4, "lo": 3, "hi": 4, "trace": trace, "trainings": 6, "others": [3, None]}
    version = ws.ranking("trak-10").version
    store.put_support(
        recipes.get_recipe(ws.recipe).hash, "trak-10", 0, "remove", "adaptive", 20, body | {"version": version}
    )
    app = opened(target="0", ranking="trak-10", panel="history")
    app.button(key="support trak-10 remove adaptive 20").click().run()
    assert not app.exception and "<b>Support 4.</b>" in html(app)
    assert "Five other seeds would put it at 3 or beyond in 90 % of cases" in html(app)
    assert "flipped, 100 % sure" in html(app) and "survived, 96 % sure" in html(app)
    assert "--protocol adaptive" in " ".join(commands(app))
    app = opened(target="0", protocol="bold")
    assert "Protocol 'bold' is not known; say default, adaptive or paper" in app.warning[0].value


def test_images_named_by_hand_have_a_command_too(ws):
    app = opened(target="0", test="chosen images", ids="0, 1 6")
    assert "Is it still Bar without 3 chosen images?" in said(app)
    assert "python -m attribution retrain --target 0 --remove 0,1,6 --seeds 5" in " ".join(commands(app))
    app = opened(target="0", test="chosen images", ids="1 4", kind="mislabel")
    assert "All these images carry the new label already" in app.error[0].value


def test_without_base_models_there_is_no_verdict(tmp_path, monkeypatch):
    tiny.write(tmp_path / "w", base=False)
    monkeypatch.setenv("LINEUP_WORKSPACE", str(tmp_path / "w"))
    app = opened(target="3")
    assert not app.exception and not app.error and "close drawer" not in [button.key for button in app.button]
    assert f"python -m attribution base train --workspace {tmp_path / 'w'}" in commands(app)


def test_a_repair_is_asked_for_shown_and_tried_beside_its_controls(ws, store):
    app = opened(target="1", kind="repair", test="find the support", ranking="trak-10")
    assert (
        not app.exception
        and not app.warning
        and "How few of trak-10's harmful images, removed, make it Box <b>?" in said(app)
    )
    assert "Not searched yet" in texts(app) and "most harmful first" in texts(app)
    assert "python -m attribution support --target 1 --ranking trak-10 --kind repair" in " ".join(commands(app))
    answered(ws, store, support.support_spec(ws, 1, "trak-10", "repair"), lambda edit, seed: 1 if edit.k >= 3 else 2)
    app = opened(target="1", kind="repair", test="find the support", ranking="trak-10")
    assert "<b>Repair 3.</b>" in html(app) and "without 2 they are still wrong" in html(app)
    assert ">repaired</td>" in html(app) and ">still wrong</td>" in html(app) and ">flipped</td>" not in html(app)
    app.button(key="at support").click().run()
    assert not app.exception and "Is it Box <b> without trak-10's 3 most harmful images?" in said(app)
    assert "retrain --target 1 --ranking trak-10 --remove-harmful 3 --seeds 5" in " ".join(commands(app))
    spec = retrain.retrain_spec(ws, 1, "trak-10", "remove", 3, end="harmful")
    assert "still Box" not in said(app) and "Remove 3 most harmful and retrain" in app.button(key="retrain").label
    app.button(key="retrain").click().run()
    assert store.jobs()[0].spec == spec


def test_an_unsigned_ranking_says_what_stands_in_for_its_harmful_end(ws):
    app = opened(target="1", kind="repair", k="3", ranking="l2-moco")
    assert not app.exception and "so no harmful end: its first images of Dot" in texts(app)
    app = opened(target="0", kind="repair", test="find the support", ranking="trak-10")
    assert "heuristic" not in texts(app)


@pytest.mark.parametrize(("target", "kinds"), [("0", ["Remove", "Mislabel"]), ("1", ["Repair"])])
def test_what_makes_no_sense_for_a_target_is_not_offered(ws, target, kinds):
    app = opened(target=target)
    assert not app.exception and app.button_group(key=state.KIND).options == kinds
    assert "still Box" not in said(app)


def test_no_image_chosen_is_no_error(ws):
    app = opened(target="0", test="chosen images")
    assert not app.exception and not app.error and "Click training images" in app.info[0].value


def test_supports_that_share_no_image_stand_below_one_another(ws, store):
    app = opened(target="3", test="find the support", ranking="trak-10")
    app.number_input(key=state.DISJOINT).set_value(2)
    app.number_input(key=state.K_MAX).set_value(6).run()
    assert "Not searched yet" in texts(app) and "--k-max 6 --disjoint 2" in " ".join(commands(app))
    app.button(key="run").click().run()
    spec = registry.from_json(store.jobs()[0].spec)
    assert not app.exception and (spec.verb, spec.count) == ("disjoint", 2)
    first = set(ws.ranking("trak-10").top(3, 2).ids.tolist())
    answered(ws, store, spec, lambda edit, seed: 2 if first <= set(edit.indices) else 0)
    store.finish_job(1, "done")
    app = opened(job="1")
    assert not app.exception and app.number_input(key=state.DISJOINT).value == 2
    assert "<b>1: Support 2.</b>" in html(app) and "<b>2: None up to 6.</b>" in html(app)
    assert "Passed over: the 2 images before" in html(app)


def test_near_duplicates_come_along(ws, store, monkeypatch):
    monkeypatch.setattr(near_duplicates, "DEFAULT_COSINE", 0.9)
    app = opened(target="0", k="1", ranking="trak-10")
    app.toggle(key=state.WITH_NEAR_DUPLICATES).set_value(True).run()
    assert not app.exception and "came along as near-duplicates" in texts(app)
    assert "--remove-top 1 --with-duplicates --seeds 5" in " ".join(commands(app))
    assert "without trak-10's top image and near-duplicates" in said(app)


def test_the_drawer_is_turned_and_closed(ws):
    app = opened(target="0")
    app.button_group(key="tab of the drawer").set_value("history").run()
    assert not app.exception and app.query_params["panel"] == "history"
    app.button(key="close drawer").click().run()
    assert not app.exception and "panel" not in app.query_params
    assert "close drawer" not in [button.key for button in app.button]


def test_an_image_is_left_behind_where_the_target_changes(ws):
    app = opened(target="0", panel="image", image="7")
    assert "training image 7" in html(app)
    app.number_input(key=state.TARGET).set_value(3).run()
    assert not app.exception and not {"panel", "image"} & set(app.query_params)


@pytest.mark.parametrize(("name", "odd"), [("image", "60"), ("image", "x"), ("panel", "attic")])
def test_a_panel_that_there_is_not_is_said(ws, name, odd):
    app = opened(**({"panel": "image"} | {name: odd}))
    assert not app.exception and len(app.warning) == 1 and "there is not" in app.warning[0].value
