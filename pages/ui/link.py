"""What a link asks for: the one reader of the address's parameters.

Anybody may write anything into an address: digits of other scripts, numbers without an end, thousands of signs. A page
asks here, gets a value that can be, and says in a sentence what cannot.
"""

import math
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

import streamlit as st

from attribution.errors import UserError
from attribution.inputs.limits import read_whole, shortened

if TYPE_CHECKING:
    from attribution import Workspace

MAX_SIGNS = 200  # of a value; images that are named by hand may need more
MAX_SIGNS_OF_IDS = 20_000


def text(name: str) -> str:
    """The value of a parameter, "" where the address has none; of several the last."""
    return st.query_params.get(name, "")


def number(name: str) -> int | None:
    """The value of a parameter as a whole number, None where it is none."""
    return read_whole(text(name))


def check(name: str, checker: Callable[[str], object], most: int = MAX_SIGNS) -> UserError | None:
    """What is wrong with a parameter, or None. checker: raises UserError where a text is no value for it; most: how
    many signs it may have."""
    value = text(name)
    try:
        if len(value) > most:
            raise UserError(f"{name} has {len(value):,} signs in this link; give at most {most:,}")
        checker(value)
    except UserError as error:
        return error
    return None


def check_k(most: int) -> Callable[[str], None]:
    """A checker: raises UserError where a text is no whole number from 1 to `most`."""

    def checker(k: str) -> None:
        if not 1 <= (read_whole(k) or 0) <= most:
            raise UserError(
                f"k = {shortened(k)} is not a number of training images; give a whole number from 1 to {most}"
            )

    return checker


def check_choice(name: str, choices: Collection[str]) -> Callable[[str], None]:
    """A checker: raises UserError where a text is none of `choices`."""

    def checker(value: str) -> None:
        if value not in choices:
            raise UserError(f"{name} {shortened(value)!r} is not known; say one of {', '.join(choices)}")

    return checker


def clean(numbers: Collection[str], may_be_empty: Collection[str]) -> list[str]:
    """Takes out of the address what a widget that is bound to it cannot hold: a number without an end, and an empty
    choice where one is needed. Returns sentences about the numbers; where anything was taken out, the caller runs the
    page again, for Streamlit reads the address as it was when the run began.

    numbers: parameters that are numbers; may_be_empty: those that may be empty."""
    said = []
    for name in list(st.query_params):
        value = text(name)
        if name in numbers and value and not _is_finite(value):
            said.append(f"{name} {shortened(value)} in this link is not a number; give a whole number")
        elif name in may_be_empty or any(st.query_params.get_all(name)):
            continue
        del st.query_params[name]
    return said


def combinations(ws: "Workspace", rankings: Collection[str]) -> tuple[list[str], list[UserError]]:
    """Those of `rankings` that are combinations ("A+B") which the workspace does not list: the ones that can be had,
    and what is wrong with the others."""
    from attribution.rankings.combination import MARK  # with it comes SciPy, which the server starts without

    listed, found, errors = ws.rankings(), {}, []
    for name in rankings:
        if MARK not in name or name in listed or name in found:
            continue
        try:
            if len(name) > MAX_SIGNS:
                raise UserError(f"a ranking has {len(name):,} signs in this link; give at most {MAX_SIGNS:,}")
            ws.ranking(name)
            found[name] = True
        except UserError as error:
            errors.append(error)
    return list(found), errors


def rename_values(renamed: Mapping[str, Mapping[str, str]]) -> None:
    """Puts what a widget calls its options now in the place of what links said before; as of `clean`, the caller runs
    the page again where that changed the address. renamed: parameter -> old value -> new one."""
    for name, values in renamed.items():
        if text(name) in values:
            st.query_params[name] = values[text(name)]


def _is_finite(value: str) -> bool:
    try:
        return math.isfinite(float(value))
    except ValueError:  # no number at all, which a page says
        return True
