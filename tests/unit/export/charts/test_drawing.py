import zlib
from io import BytesIO
from xml.etree import ElementTree

import pytest
from PIL import Image

from attribution.export.charts.base import Chart, Matrix, Panel, Series
from attribution.export.charts.drawing import DPI, WIDTHS, encode

AWKWARD = "_a $x$ <b>&"
SVG = "{http://www.w3.org/2000/svg}"


def chart(panels=1) -> Chart:
    one = Series(
        AWKWARD,
        [1, 2],
        [0.5, 0.7],
        "#B8478F",
        "dash",
        "diamond",
        y_ci=[(0.4, 0.6), None],
        hollow=[True, False],
        steps=True,
        start=(0, 0),
        end=(3, 0.7),
    )
    two = Series("other", [1.5], [0.3], "#2F8FCB", None, "circle")
    panel = Panel("P", "k", "share", [one, two], percent=True)
    return Chart("A title", "recipe r; n = 2; seeds 0 to 4", [panel] * panels)


def matrix() -> Chart:
    values = [[None, -0.4], [-0.4, float("nan")]]
    return Chart("M", "", [Panel(matrix=Matrix(["a", "b"], values, [[None, (-0.5, -0.3)], [None, None]], (-1, 1)))])


def texts(svg: bytes) -> list[str]:
    return ["".join(one.itertext()).strip() for one in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("ending", [".svg", ".pdf", ".png"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_same_chart_gives_the_same_bytes(ending, width):
    assert encode(chart(2), ending, width) == encode(chart(2), ending, width)


@pytest.mark.parametrize(("width", "inches"), WIDTHS.items())
def test_the_picture_is_as_wide_as_the_column(width, inches):
    image = Image.open(BytesIO(encode(chart(), ".png", width)))
    assert image.width == pytest.approx(inches * DPI, abs=1)
    assert image.text["Description"] == "recipe r; n = 2; seeds 0 to 4" and image.text["Title"] == "A title"


def test_panels_stand_below_each_other_in_one_column():
    beside, below = (Image.open(BytesIO(encode(chart(2), ".png", width))).height for width in ("double", "single"))
    assert below > 1.5 * beside


def test_names_are_shown_as_they_are():
    said = texts(encode(chart(), ".svg", text_as_paths=False))
    assert AWKWARD in said and "other" in said and "60 %" in said


def test_settings_of_the_user_do_not_count(monkeypatch):
    import matplotlib

    plain = encode(chart(), ".svg")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black"}):
        assert encode(chart(), ".svg") == plain
        assert matplotlib.rcParams["font.size"] == 30


def test_pdf_embeds_its_letters_and_says_how_it_was_made():
    pdf = encode(chart(), ".pdf")
    held = pdf + b"".join(inflated(part) for part in pdf.split(b"stream\n")[1:])
    assert b"/FontFile2" in held and b"/Type3" not in held
    assert b"recipe r; n = 2" in held and b"CreationDate" not in held


def inflated(part: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(part)
    except zlib.error:
        return b""


def test_a_matrix_says_values_and_intervals():
    said = " ".join(texts(encode(matrix(), ".svg", text_as_paths=False)))
    assert "−0.40" in said and "−0.50, −0.30" in said and "nan" not in said


def test_empty_panels_are_drawn():
    assert encode(Chart("", "", [Panel("nothing", diagonal=True)]), ".png").startswith(b"\x89PNG")
