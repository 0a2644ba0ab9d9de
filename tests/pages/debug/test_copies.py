"""Copies of a target below its card."""

import pytest
import streamlit as st

from attribution.workspace import copies
from tests.pages.data.test_copies import NEAR, NONE
from tests.pages.page import html, open_page, texts


@pytest.fixture(autouse=True)
def nothing_cached():
    st.cache_data.clear()
    st.cache_resource.clear()


def opened(target: int):
    app = open_page(target=str(target))
    assert not app.exception
    return app


def test_a_near_copy_is_shown_with_its_label_and_opens(ws):
    copies.save(ws, NONE, NEAR | {"kept": [*NEAR["kept"], [5, 4, 0.9805], [5, 6, 0.9801]]}, {})
    app = opened(5)
    drawn = html(app)
    assert "A near-copy of this image is in the training set" in drawn and "cosine 0.981 in moco" in drawn
    assert "Dot, the same label" in drawn, "image 3 is a Bar by nature, and is called a Dot"
    assert "<b>Box &lt;b&gt;, another label</b>" in drawn and "Box <b>" not in drawn
    assert "1 more: see Data & jobs" in texts(app)
    app.button(key="open copy 3").click().run()
    assert app.query_params["image"] == "3" and not app.exception


def test_an_exact_copy_is_called_one(ws):
    copies.save(ws, {"images": 1, "pairs": 1, "kept": [[4, 7]]}, None, {})
    drawn = html(opened(4))
    assert "A copy of this image is in the training set" in drawn and "exact copy" in drawn


def test_nothing_where_there_is_none_or_nothing_is_known(ws):
    assert "in the training set" not in html(opened(4))
    copies.save(ws, NONE, NEAR, {})
    assert "in the training set" not in html(opened(0)) and "in the training set" in html(opened(4))


def test_what_cannot_be_read_is_said_elsewhere(ws):
    copies.COPIES.save(ws, {"exact": 1}, {})
    app = opened(4)
    assert "in the training set" not in html(app) and not app.error
