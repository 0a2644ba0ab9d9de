"""The terms on the pages are those of docs/glossary.md."""

import re

import pytest

from pages.compare import advanced
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
    shown = [*glossary.ROOMS.values(), *glossary.TABS.values()]
    assert {term for terms in shown for term in terms} == set(glossary.TERMS)
    assert set(glossary.ROOMS) == {"debug", "labels", "compare", "data"}
    assert glossary.meaning("flip").startswith("The prediction changes") and glossary.meaning("flip").endswith(".")


def test_every_tab_and_topic_of_compare_has_its_terms_first():
    assert set(glossary.TABS) == {*compare_tabs(), *advanced.TOPICS} - {"Advanced"}
    assert glossary.terms_of("compare", "Summary", "Checks")[0] == "support size"
    assert glossary.terms_of("compare", "Advanced", "Checks")[:2] == ("sanity check", "backdoor")
    assert glossary.terms_of("compare", "Advanced", None)[0] == "method", "before a topic is known"
    assert set(glossary.ROOMS["compare"]) <= set(glossary.terms_of("compare", "Cost"))
    assert glossary.terms_of("data", "Summary") == glossary.ROOMS["data"]


def compare_tabs() -> list[str]:
    return re.findall(r'"(\w+)": \w+\.draw', (ROOT / "pages/compare/page.py").read_text())
