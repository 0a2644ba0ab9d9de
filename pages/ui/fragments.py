"""Parts of a page that are drawn alone, and what goes wrong as a page or a part is drawn: said in a sentence."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import streamlit as st

from attribution import UserError
from attribution.store.database import store_error
from pages.ui import format as write


def show_error(error: UserError) -> None:
    """The sentence of an error, where it went wrong."""
    st.error(write.sentence(error), icon=":material/error:")


@contextmanager
def errors_shown() -> Iterator[None]:
    """Shows what goes wrong within it in a sentence, and goes on behind it. A dialog needs one of its own, as
    a fragment does."""
    try:
        yield
    except UserError as error:  # such as results of another version
        show_error(error)
    except sqlite3.Error as error:
        show_error(store_error(error))


def fragment(run_every: str | float | None = None) -> Callable:
    """As `st.fragment`, with its errors shown: Streamlit hands none of them to who called it."""
    return lambda function: st.fragment(errors_shown()(function), run_every=run_every)
