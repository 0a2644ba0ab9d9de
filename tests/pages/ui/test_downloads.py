"""The Figure popovers and the report button: there where there is something to draw, and made when pressed alone."""

import pandas as pd
import pytest
import streamlit as st

from attribution.evaluation import agreement
from attribution.export import charts, lineup_figure, report
from pages.ui import downloads, state
from tests.pages.page import open_page


def opened(page, tab=None, **session):
    app = open_page(page, session, **({"tab": tab} if tab else {}))
    assert not app.exception, app.exception
    return app


@pytest.fixture
def offered(monkeypatch):
    """File name -> what its button would be given, as pages offer them."""
    found = {}
    button = st.download_button

    def keep(label, data, file_name, **more):
        found[file_name] = data
        return button(label, data, file_name, **more)

    monkeypatch.setattr(st, "download_button", keep)
    return found


def test_a_chart_in_every_format(ws, offered):
    app = opened("compare", "supports")
    assert {"supports.png", "supports.svg", "supports.pdf"} <= set(offered)
    assert offered["supports.png"]().startswith(b"\x89PNG")
    assert any(
        "export figure --what supports --protocol default --rankings trak-10,random --width double" in one.value
        for one in app.code
    )


def test_the_study_on_view_is_drawn(ws, offered):
    table = pd.read_parquet(ws.path / "supports.parquet")
    more = [table.assign(protocol="adaptive")[table.ranking == "random"]]
    more += [table.assign(ranking=f"{name}@all")[table.ranking == "random"] for name in ws.rankings()]
    pd.concat([table, *more]).to_parquet(ws.path / "supports.parquet")
    app = opened("compare", "supports")
    app.segmented_control(key=state.STUDY_PROTOCOL).set_value("adaptive").run()
    assert not app.exception and b"protocol adaptive" in offered["supports.csv"]()
    app.segmented_control(key=state.STUDY_PROTOCOL).set_value("default").run()
    app.button_group(key=state.STUDIED).set_value(["random@all"]).run()
    drawn = offered["supports.svg"]().decode()
    assert not app.exception and "random@all" in drawn and "trak-10" not in drawn


def test_the_measure_on_view_is_drawn(ws, offered):
    agreement.save(ws, agreement.compute(ws, ["trak-10", "random"], 5), {"command": "a", "made": "b"})
    app = opened("compare", "agreement")
    app.segmented_control(key=state.MEASURE).set_value("rbo").run()
    assert not app.exception and b"rank-biased overlap" in offered["agreement.svg"]()
    assert any("--what agreement --measure rbo" in one.value for one in app.code)


@pytest.mark.parametrize("tab", ["cost", "compute", "calibration"])
def test_no_figure_of_what_was_not_measured(ws, tab, offered):
    opened("compare", tab)
    assert not [name for name in offered if name.startswith(tab)]


@pytest.mark.parametrize("page", ["", "compare"])
def test_nothing_is_made_before_a_button_is_pressed(ws, monkeypatch, page):
    def never(*more, **options):
        raise AssertionError("made too early")

    monkeypatch.setattr(report, "build_report", never)
    monkeypatch.setattr(charts, "to_bytes", never)
    opened(page, **{state.TRAIL: [0]})


def test_the_report_of_what_explore_shows(ws, offered):
    app = opened("", **{state.TARGET: 0, state.K: 3, "copy command": True})
    content = offered["report-0.html"]().decode()
    assert "the top 3, which" in content and "validation image 0" in content
    assert any("export report --target 0" in one.value and "--k 3" in one.value for one in app.code)


def test_the_report_of_methods_is_of_the_target_looked_at_last(ws, offered):
    opened("compare", "supports", **{state.TRAIL: [5, 4]})
    assert "validation image 4" in offered["report-4.html"]().decode()
    offered.clear()
    opened("compare", "supports")
    assert b"validation image 0" in offered["report.html"]()  # the one that the workspace opens with
    assert downloads.WIDTH_LABELS.keys() == charts.WIDTHS.keys()


@pytest.mark.parametrize(("page", "tab", "keeps"), [("debug", None, "SVG"), ("compare", "supports", "CSV")])
def test_signs_that_no_font_has_are_said_beside_the_files(ws, monkeypatch, page, tab, keeps):
    is_open = {"export figure": True} if page == "debug" else {}
    assert not [caption for caption in opened(page, tab, **is_open).caption if "No font" in caption.value]
    monkeypatch.setattr(lineup_figure, "missing_signs", lambda ws: "猫")
    (said,) = {caption.value for caption in opened(page, tab, **is_open).caption if "No font" in caption.value}
    assert "has 猫: boxes stand for them" in said.replace("\\", "") and f"{keeps} keeps them" in said
