"""The terms on the pages are those of docs/glossary.md."""

import re

import pytest

from pages.ui import glossary
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def documented() -> dict[str, str]:
    """Term -> what docs/glossary.md says of it first, without its code marks."""
    rows = [line.split("|")[1:-1] for line in (ROOT / "docs/glossary.md").read_text().splitlines() if line[:1] == "|"]
    found = {}
    for cells in rows:
        found.setdefault(cells[0].strip(), re.sub("[`*]", "", cells[1].strip()))
    return found


@pytest.mark.parametrize("term", glossary.TERMS)
def test_a_term_means_what_the_glossary_says(documented, term):
    assert glossary.TERMS[term] == documented[term]


def test_every_room_has_terms_and_each_term_a_room():
    assert {term for terms in glossary.ROOMS.values() for term in terms} == set(glossary.TERMS)
    assert set(glossary.ROOMS) == {"debug", "labels", "compare", "data"}
    assert glossary.meaning("flip").startswith("The prediction changes") and glossary.meaning("flip").endswith(".")
