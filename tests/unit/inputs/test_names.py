"""Names that would steer whoever shows them, in every way out but the pages (tests/pages/test_names.py)."""

import csv
import doctest
import io
import time
from xml.etree import ElementTree

import pytest
from PIL import Image

from attribution import cli
from attribution.audit import corrections
from attribution.audit.decision_log import DecisionLog
from attribution.explore.lineup import lineup_rows
from attribution.export import charts, lineup_figure, report
from attribution.export.charts import Chart
from attribution.export.charts.base import Matrix, Panel, Series
from attribution.export.tables import to_csv
from attribution.inputs import names
from attribution.store.results import ResultStore
from tests.names import GROUPS, HOSTILE, steering
from tests.names import write as named

every_name = pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)


def test_examples_hold():
    assert doctest.testmod(names) == (0, 3)


@every_name
def test_what_steers_is_written_as_an_escape(name):
    text = names.visible(name)
    assert not steering(text) and names.visible(text) == text
    assert text == name or "\\" in text
    assert not steering(names.visible_lines(name), "\n\t")
    assert names.visible_all({"a": [name], "b": (name, 1, None)}) == {"a": [text], "b": (text, 1, None)}


@every_name
def test_a_cell_of_a_spreadsheet(name):
    cell = names.to_cell(name)
    assert names.from_cell(cell) == name and not names.is_formula(cell)
    assert names.to_cell(cell) == cell or names.from_cell(names.to_cell(cell)) == cell


@pytest.mark.parametrize("number", ["-0.5", "+1e-3", "-3", ".5", -0.5, 3, None])
def test_a_number_stays_a_number(number):
    assert names.to_cell(number) == number
    assert to_csv([{"x": number}]).decode().splitlines()[1].strip('"') == ("" if number is None else str(number))


@pytest.fixture(params=GROUPS.values(), ids=GROUPS)
def ws(request, tmp_path, monkeypatch):
    """A workspace whose name, classes and ranking are called by hostile names."""
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("LINEUP_WORKSPACE", str(tmp_path / "w"))
    return named(tmp_path / "w", request.param)


def test_the_terminal(ws, run):
    for line in (
        ["rank", "--target", 1, "--ranking", "trak-10", "--top", 3],
        ["info"],
        ["reach", "--image", 3],
        ["workspace", "poison", ws.path / "new", "--class", "nonsense"],
        ["rank", "--target", ws.name.replace("\0", ""), "--ranking", "random"],
        ["workspace", "remove", ws.name.replace("\0", "")],
    ):
        code, out, err = run(*line)
        assert code in (0, 2) and not steering(out + err, "\n"), (line, out, err)
        assert code == 0 or (out, len(err.splitlines())) == ("", 1), err
    shown = names.visible(ws.classes[1])
    assert run("rank", "--target", 1, "--ranking", "trak-10", "--top", 1).out.count(shown) >= 2


@every_name
def test_progress(name, capfd, monkeypatch):
    monkeypatch.setattr(cli, "QUIET_SECONDS", 0.01)
    monkeypatch.setattr(cli, "LINE_SECONDS", 0.01)
    with cli.ProgressBar() as progress:
        progress(name, 1, 2)
        time.sleep(0.1)
    out, err = capfd.readouterr()
    assert out == "" and ": 1 of 2" in err and not steering(err, "\n")


def test_figures_and_the_report(ws, tmp_path):
    rows = lineup_rows(ws, 1, ["trak-10"], 3)
    svg = lineup_figure.encode(ws, 1, rows, ".svg", 2).decode()
    assert not steering(svg, "\n")
    drawn = ElementTree.fromstring(svg)
    texts = "".join(drawn.itertext())
    assert len(drawn.findall(".//{*}image")) == 4 and names.visible(ws.classes[1])[:5] in texts
    size = Image.open(io.BytesIO(lineup_figure.encode(ws, 1, rows, ".png"))).size
    assert size == lineup_figure.draw(ws, 1, rows).size
    assert lineup_figure.encode(ws, 1, rows, ".pdf").startswith(b"%PDF")
    (cells, *_) = csv.DictReader(io.StringIO(lineup_figure.encode(ws, 1, rows, ".csv").decode(), newline=""))
    assert not names.is_formula(cells["label"]) and not steering(cells["label"], "\n\t\r")
    with ResultStore.for_workspace(ws) as store:
        page = report.build_report(ws, store, 1, rows=rows, k=2).decode()
    assert not steering(page, "\n\t") and "<script" not in page and "onerror=alert(1)>" not in page


def test_corrections_come_back(ws, tmp_path):
    with DecisionLog.of(ws) as log:
        words = ws.name.replace("\0", "").encode(errors="replace").decode()  # the log takes no others
        entry = {"uid": "a", "item": 5, "action": "relabel", "label": 1, "reason": words[:200], "seen": 0}
        log.append([entry], words[:50], "here")
        corrections.export_corrections(ws, log, tmp_path / "out")
    (row,) = corrections.read_corrections(ws, tmp_path / "out" / corrections.FILE)
    assert (row.item, row.action, row.label, row.note) == (5, "relabel", 1, words[:200])
    with (tmp_path / "out" / corrections.FILE).open(newline="", encoding="utf-8") as stream:
        assert not any(names.is_formula(cell) for line in csv.reader(stream) for cell in line)


@pytest.mark.parametrize("ending", [".svg", ".png", ".pdf", ".csv"])
def test_charts(ending):
    """All names in one chart."""
    many = [name[:60] for name in HOSTILE.values()]
    marks = Series(many[0], [1.0] * len(many), [0.5] * len(many), "#000000", marker="circle", labels=many)
    lines = [Series(name, [0, 1], [0, 1], "#000000", "solid") for name in many]
    matrix = Matrix(many[:4], [[0.5] * 4] * 4, [[None] * 4] * 4, (0, 1))
    panels = [Panel(many[1], many[2], many[3], [marks, *lines], y_ticks={0.5: many[4]}), Panel(many[5], matrix=matrix)]
    content = charts.to_bytes(Chart(" ".join(many), " ".join(many), panels), ending, "single")
    if ending == ".svg":
        assert ElementTree.fromstring(content) is not None
    if ending in (".svg", ".csv"):
        assert not steering(content.decode(), "\n\t")
