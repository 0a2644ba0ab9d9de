"""What goes wrong in a part of a page that is drawn alone is one sentence; the rest of the page stays."""

import re
import sqlite3
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from attribution import UserError

PAGES = Path(__file__).resolve().parents[3] / "pages"


def page(error):
    import streamlit as st

    from pages.ui.fragments import errors_shown, fragment

    with errors_shown():

        @fragment("1s")
        def part():
            st.text("before")
            raise error

        part()
        st.text("behind")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (UserError("the disk is full; free some space"), "The disk is full"),
        (sqlite3.OperationalError("x"), "cannot be used"),
    ],
)
def test_its_error_is_a_sentence(error, said):
    app = AppTest.from_function(page, kwargs={"error": error}).run()
    assert [one.value for one in app.text] == ["before", "behind"]
    assert said in app.error[0].value and not app.exception


def test_every_part_is_one_of_these():
    own = {PAGES / "ui" / "fragments.py"}
    texts = [file.read_text() for file in PAGES.rglob("*.py") if file not in own]
    assert texts and not [text for text in texts if re.search(r"st\.fragment\b", text)]
    dialogs = [text for text in texts if "@st.dialog" in text]
    assert dialogs and all(re.search(r"@st\.dialog\(.*\)\n@errors_shown\(\)\n", text) for text in dialogs)
