"""Links: whatever a parameter holds, a page is drawn, and says in a sentence what it was asked for in vain."""

import json

import pandas as pd
import pytest
import streamlit as st

from attribution import UserError
from attribution.audit import detectors
from pages.ui import link
from tests import tiny
from tests.pages.page import open_page, texts

#: of each page, what its address may carry, at once; a tab or view of its own each
LINKS = {
    "debug": [
        "target rankings k end explain candidates ranking show class predicted confidence picker set",
        "picker=map features target ranking k",
        "panel image job",
        "panel=verdict target kind ranking k test protocol job",
        "panel=verdict test=chosen+images ids",
        "panel=image image",
    ],
    "compare": ["tab topic calibrated studied measure target", "tab=algorithms target", "tab=agreement measure"],
    "labels": ["queue step audit mode who", "step=1+Review image queue=1", "audit=corrections who"],
    "data": ["target k who", "part", "part=studies job", "part=import job"],
}
ODD = {
    "superscript": "²",
    "endless": "1e999",
    "5,000 digits": "5" * 5000,
    "31 digits": "1" + "0" * 30,
    "negative": "-1",
    "nothing": "",
    "NUL": "a\0b",
    "controls": "\x1b]0;x\x07\u202ex",
    "markup": "<b>$x$ [y](https://x.y) :smile:",
    "twice": ["1", "²"],
}
#: those that a page is drawn with, half a second each; a fault in reading the others would be one of these, too
ON_PAGES = ("superscript", "endless", "nothing", "controls", "twice")


@pytest.fixture(scope="module")
def ws(tmp_path_factory):
    """A workspace with a detector, which all links share."""
    folder = tmp_path_factory.mktemp("links")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LINEUP_DATA", str(folder / "data"))
        patch.setenv("LINEUP_WORKSPACE", str(folder / "w"))
        ws = tiny.write(folder / "w")
        detectors.build_detectors(ws, ["knn-moco"])
        yield ws


def parameters(words: str, odd) -> dict:
    """ "view=studies job" -> {"view": "studies", "job": odd}."""
    pairs = (word.partition("=") for word in words.split())
    return {name: value.replace("+", " ") if equals else odd for name, equals, value in pairs}


@pytest.mark.parametrize("odd", [ODD[name] for name in ON_PAGES], ids=ON_PAGES)
@pytest.mark.parametrize(("page", "words"), [(page, words) for page, each in LINKS.items() for words in each])
def test_no_link_is_an_exception(ws, page, words, odd):
    app = open_page(page, **parameters(words, odd))
    assert not app.exception
    said = [box.value for box in [*app.warning, *app.error]]
    assert all(len(text) < 1500 and "\0" not in text and "\x1b" not in text for text in said), said


@pytest.mark.parametrize("page", ["debug"])
@pytest.mark.parametrize(("name", "odd", "said"), [
    ("k", "²", "k = ² is not a number of training images; give a whole number from 1 to"),
    ("k", "5" * 5000, "k 55555555555555555555… (5,000 signs) in this link is not a number; give a whole number"),
    ("target", "1e999", "Target 1e999 in this link is not a number; give a whole number."),
    ("k", "a" * 5000, "k has 5,000 signs in this link; give at most 200"),
    ("target", "²", "Target '²' is not a number"),
    ("ranking", "\u202ex", "No ranking '\\u202ex' in tiny; it has"),
])  # fmt: skip
def test_what_is_wrong_is_said_in_one_sentence(ws, page, name, odd, said):
    app = open_page(page, **{name: odd})
    (warning,) = app.warning
    assert said.replace("\\", "") in warning.value.replace("\\", "") and not app.exception


@pytest.mark.parametrize(("odd", "said"), [("²", "Image ² is not in this queue"), ("9" * 5000, "is not in this queue")])
def test_an_image_of_a_queue(ws, odd, said):
    app = open_page("labels", image=odd)
    assert not app.exception and said in texts(app) and len(texts(app)) < 3000


@pytest.mark.parametrize("odd", ["²", "5" * 5000, "-1", "1" + "0" * 30, "x"])
def test_a_job_that_there_is_not(ws, odd):
    app = open_page(panel="verdict", job=odd)
    assert not app.exception and "There is no job " in app.warning[0].value and len(app.warning[0].value) < 200


def test_a_class_of_few_images_is_no_error(tmp_path, monkeypatch):
    """The cut may ask for more images than the class has: that is said at the button."""
    path = tiny.write(tmp_path / "w").path
    (path / "supports.parquet").unlink()
    manifest = json.loads((path / "workspace.json").read_text())
    del manifest["parts"]["supports"]
    (path / "workspace.json").write_text(json.dumps(manifest))
    labels = pd.read_parquet(path / "train.parquet")
    labels.loc[labels.index[labels.label == 0][5:], "label"] = 1
    labels.to_parquet(path / "train.parquet")
    monkeypatch.setenv("LINEUP_WORKSPACE", str(path))
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "data"))
    app = open_page(ranking="l2-moco", k="10")
    assert not app.exception and not app.error and app.button(key="retrain").disabled
    assert "k = 10 is larger than the" in app.button(key="retrain").help.replace("\\", "")


@pytest.mark.parametrize("odd", [*ODD.values(), "\ud800", "٣", "nan", "1.5"], ids=ascii)
def test_a_number_is_one_or_none(monkeypatch, odd):
    last = odd[-1] if isinstance(odd, list) else odd
    monkeypatch.setattr(st, "query_params", {"k": last})
    assert link.number("k") in (None, -1) and link.number("target") is None
    error = link.check("k", link.check_k(20))
    assert isinstance(error, UserError)
    st.query_params["k"] = "7"
    assert link.number("k") == 7 and link.check("k", link.check_k(20)) is None and st.query_params == {"k": "7"}
    assert isinstance(link.check("k", link.check_choice("k", ("a", "b"))), UserError)
