"""Pages and the user's own code: it never runs in the server's process, and a fault of it breaks no page."""

import os
import sys

import pytest

from attribution.audit import detectors
from attribution.rankings import own
from pages.ui import state
from tests.pages.page import open_page

PAGES = ("debug", "compare", "labels", "data")
CODE = """
import os
with open({log!r}, "a") as log:
    log.write(f"{{os.getpid()}}\\n")
import numpy as np
class Works:
    name = "works"
    def scores(self, target=0):
        return np.arange(60.0)
class Breaks:
    name = "breaks"
    def scores(self, target=0):
        raise ValueError("the dog ate it")
"""


@pytest.fixture
def log(ws, tmp_path):
    file = tmp_path / "code_of_mine.py"
    file.write_text(CODE.format(log=str(tmp_path / "log.txt")))
    for name in ("Works", "Breaks"):
        own.add(ws, f"{file}:{name}")
        detectors.own.add(ws, f"{file}:{name}")
    yield tmp_path / "log.txt"
    for answers in own._kept.values():
        answers.close()
    own._kept.clear()


def test_a_broken_one_breaks_no_page_and_none_runs_in_the_server(log):
    before = len(log.read_text().split())
    for page in PAGES:
        app = open_page(page, rankings=["works", "breaks", "trak-10"], target="4")
        assert not app.exception, page
    after = {int(number) for number in log.read_text().split()[before:]}
    assert after and os.getpid() not in after and "code_of_mine" not in sys.modules


def test_its_row_says_why_and_is_tried_again_once_it_is_mended(log, monkeypatch):
    from pages.debug import lineup_view

    drawn = []
    monkeypatch.setattr(
        lineup_view, "_row", lambda *given, row=lineup_view._row: drawn.append(row(*given)) or drawn[-1]
    )
    app = open_page(rankings=["works", "breaks", "trak-10"], target="4")
    rows = {row["short"]: row for row in drawn}
    assert len(rows["works"]["tiles"]) == len(rows["trak-10"]["tiles"]) == 20
    assert rows["breaks"]["empty"] == "breaks.scores raised ValueError: the dog ate it"
    assert app.multiselect(key=state.RANKINGS).options[-5:-1] == ["breaks", "works", "trak-10", "random"]
    file = log.parent / "code_of_mine.py"
    file.write_text(file.read_text().replace('raise ValueError("the dog ate it")', "return -np.arange(60.0)"))
    drawn.clear()
    app.run()
    rows = {row["short"]: row for row in drawn}
    assert not app.exception and len(rows["breaks"]["tiles"]) == 20
