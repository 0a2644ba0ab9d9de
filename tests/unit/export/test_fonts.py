"""Fonts by the signs that they have: of a machine with a font of Chinese and one of bees, and of one without."""

from io import BytesIO

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager
from PIL import Image

from attribution.explore.lineup import lineup_rows
from attribution.export import charts, fonts, lineup_figure
from attribution.export.charts.base import Chart, Panel, Series

CAT, BEE = "\u732b", "\U0001f41d"


def write_font(file, signs: str) -> str:
    """A font in which each of `signs` is a black square, and what it has not is nothing."""
    square = TTGlyphPen(None)
    square.moveTo((0, 0))
    for corner in ((0, 800), (800, 800), (800, 0)):
        square.lineTo(corner)
    square.closePath()
    names = {ord(sign): f"u{ord(sign):x}" for sign in signs}
    order = [".notdef", *names.values()]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(order)
    builder.setupCharacterMap(names)
    builder.setupGlyf({name: TTGlyphPen(None).glyph() if name == ".notdef" else square.glyph() for name in order})
    builder.setupHorizontalMetrics(dict.fromkeys(order, (900, 0)))
    builder.setupHorizontalHeader(ascent=900, descent=-100)
    builder.setupNameTable({"familyName": f"Drawn {file.stem}", "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=900, usWinAscent=900, usWinDescent=100)
    builder.setupPost()
    builder.save(file)
    return str(file)


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """machine("猫", "🐝"): a machine that has, beside DejaVu, a font for each of these texts, and a damaged one."""

    def machine(*texts):
        (tmp_path / "damaged.ttf").write_bytes(b"no font")
        files = [write_font(tmp_path / f"{i}.ttf", text) for i, text in enumerate(texts)]
        monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(tmp_path / "damaged.ttf"), *files])
        for cached in (fonts._files, fonts._signs, fonts.font_file):
            cached.cache_clear()
        return files

    yield machine
    for cached in (fonts._files, fonts._signs, fonts.font_file):
        cached.cache_clear()


def test_each_sign_has_a_font_that_has_it(machine):
    files = machine(CAT, BEE)
    assert [fonts.font_file(sign) for sign in (CAT, BEE, "\u3048")] == [*files, None]
    pieces = fonts.runs(f"a {CAT}{CAT}{BEE} ≠", 20, False)
    assert [piece for piece, _ in pieces] == ["a ", CAT * 2, BEE, " ≠"]
    assert [font.path for _, font in pieces[1:3]] == files
    assert fonts.missing_signs(f"ä{CAT}{BEE}\u3048≠") == "\u3048"


def test_what_no_font_has_is_told(machine):
    machine()
    assert fonts.missing_signs(f"{CAT} a {BEE}") == CAT + BEE
    assert len(fonts.runs(f"a{CAT}", 20, True)) == 1


@pytest.mark.parametrize("ending", [".png", ".pdf"])
def test_the_lineup_shows_them(machine, ws, monkeypatch, ending):
    rows = lineup_rows(ws, 0, ["trak-10"], 3)
    monkeypatch.setattr(ws, "classes", [f"{CAT} a", BEE, "b"])
    machine()
    boxes = lineup_figure.encode(ws, 0, rows, ending)
    assert lineup_figure.missing_signs(ws) == CAT + BEE
    machine(CAT, BEE)
    assert lineup_figure.missing_signs(ws) == "" and lineup_figure.encode(ws, 0, rows, ending) != boxes


def test_a_chart_shows_them(machine):
    def dark(chart):
        return (np.asarray(Image.open(BytesIO(charts.to_bytes(chart, ".png"))).convert("L")) < 128).sum()

    def chart(title):
        return Chart(title, "", [Panel(title, series=[Series(title, [1, 2], [1, 2], "#000000")])])

    machine()
    assert charts.missing_signs(chart(f"a {CAT}")) == CAT
    boxes = dark(chart(f"a {CAT}"))
    machine(CAT)
    assert charts.missing_signs(chart(f"a {CAT}")) == "" and dark(chart(f"a {CAT}")) > boxes
    for ending in (".pdf", ".svg"):
        assert charts.to_bytes(chart(f"a {CAT}"), ending)


def test_the_command_line_warns_in_a_sentence(machine, ws, run, monkeypatch, tmp_path):
    machine()
    monkeypatch.setattr(lineup_figure, "missing_signs", lambda ws: CAT + BEE)
    for ending, warned in ((".png", True), (".pdf", True), (".svg", False), (".csv", False)):
        done = run("export", "figure", "--target", "0", "--rankings", "trak-10", "--out", tmp_path / f"x{ending}")
        assert done.code == 0, done.err
        assert (
            f"warning: no font here has {CAT}{BEE}; boxes stand for them, and .svg keeps them" in done.err
        ) is warned
