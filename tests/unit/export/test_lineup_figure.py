import base64
from io import BytesIO
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from attribution import UserError, Workspace
from attribution.builds import firsts
from attribution.explore.lineup import lineup_rows
from attribution.export import fonts
from attribution.export import lineup_figure as figure
from tests import tiny


@pytest.fixture
def rows(ws):
    return lineup_rows(ws, 0, ["esvm-moco", "trak-10"], 6, "both")


def test_png_pdf_and_csv(ws, rows, tmp_path):
    png = figure.save(ws, 0, rows, tmp_path / "a.png", k=4)
    with Image.open(png) as image:
        assert image.width > 600 and image.height > 300
    assert figure.save(ws, 0, rows, tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    table = pd.read_csv(figure.save(ws, 0, rows, tmp_path / "a.csv"))
    assert table.columns.tolist() == [
        "target",
        "ranking",
        "end",
        "rank",
        "train",
        "source_index",
        "label",
        "same_class",
        "score",
        "trust",
    ]
    assert set(table.trust) == {"not tested here"}
    assert len(table) == 3 * 6  # the undefined row has none
    first = table[(table.ranking == "trak-10") & (table.end == "harmful")].iloc[0]
    assert (first["rank"], first.train, first.source_index, first.label, bool(first.same_class)) == (
        1,
        1,
        1001,
        "Box <b>",
        False,
    )


def test_svg_is_the_same_picture_with_names_escaped(ws, rows, tmp_path):
    root = ElementTree.parse(figure.save(ws, 0, rows, tmp_path / "a.svg", k=4)).getroot()
    pictures, texts = (list(root.iter(f"{{http://www.w3.org/2000/svg}}{tag}")) for tag in ("image", "text"))
    assert len(pictures) == 1 + 3 * 6 and all(one.get("href").startswith("data:image/png") for one in pictures)
    said = [one.text for one in texts]
    assert "k = 4" in said and any(text.startswith("label: B") for text in said)
    assert [int(root.get(side)) for side in ("width", "height")] == list(figure.draw(ws, 0, rows).size)
    content = base64.b64decode(pictures[0].get("href").partition(",")[2])
    assert (np.asarray(Image.open(BytesIO(content)))[::36, ::36, 0] == 255 - ws.val_images[0]).all()


def test_the_cut_is_drawn_where_it_is_on_view(ws, rows):
    plain = np.asarray(figure.draw(ws, 0, rows))
    assert (np.asarray(figure.draw(ws, 0, rows, k=3)) != plain).any()
    assert (np.asarray(figure.draw(ws, 0, rows, k=50)) == plain).all()


def test_tiles_are_integer_multiples_dark_on_light(ws, rows):
    page = np.asarray(figure.draw(ws, 0, rows))[..., 0]
    scale = 3 * (figure.TILE // 8)
    drawn = page[figure.MARGIN : figure.MARGIN + 8 * scale : scale, figure.MARGIN : figure.MARGIN + 8 * scale : scale]
    assert (drawn == 255 - ws.val_images[0]).all()


def test_colours_tell_the_ends_apart(ws):
    def has(page, colour):
        rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        return (np.asarray(page) == rgb).all(-1).any()

    helpful = figure.draw(ws, 0, lineup_rows(ws, 0, ["trak-10"], 6, "helpful"))
    harmful = figure.draw(ws, 0, lineup_rows(ws, 0, ["trak-10"], 6, "harmful"))
    assert has(helpful, figure.HELPFUL) and not has(helpful, figure.HARMFUL)
    assert has(harmful, figure.HARMFUL) and not has(harmful, figure.HELPFUL)


def test_a_label_is_named_where_it_is_not_the_class_explained(ws, monkeypatch):
    said = []
    monkeypatch.setattr(figure, "_draw_text", lambda pen, at, text, *more, **options: said.append(text))
    for explain, explained in (("true", "Box <b>"), ("predicted", "Dot")):
        rows = lineup_rows(ws, 1, ["trak-10"], 20, explain=explain)
        said.clear()
        figure.draw(ws, 1, rows)
        labels = [ws.classes[given] for given in rows[0].labels]
        assert [text for text in said if text.startswith("label: ")] == [
            f"label: {label}" for label in labels if label != explained
        ]
    assert len(set(labels)) > 1


def test_the_control_has_no_sign(ws, monkeypatch):
    said = []
    monkeypatch.setattr(figure, "_draw_text", lambda pen, at, text, *more, **options: said.append(text))
    page = figure.draw(ws, 0, lineup_rows(ws, 0, ["random"], 6))
    assert "control" in said and not any(text.startswith("+") for text in said)
    blue = [int(figure.HELPFUL[i : i + 2], 16) for i in (1, 3, 5)]
    assert not (np.asarray(page) == blue).all(-1).any()


def test_colours_are_left_as_they_are(tmp_path):
    ws = tiny.write(tmp_path / "colour", colour=True)
    page = np.asarray(figure.draw(ws, 0, lineup_rows(ws, 0, ["trak-10"], 3)))
    scale = 3 * (figure.TILE // 8)
    drawn = page[figure.MARGIN : figure.MARGIN + 8 * scale : scale, figure.MARGIN : figure.MARGIN + 8 * scale : scale]
    assert (drawn == ws.val_images[0]).all()


def test_without_base_models_the_figure_says_so(tmp_path, monkeypatch):
    ws, said = tiny.write(tmp_path / "tiny", base=False), []
    monkeypatch.setattr(figure, "_draw_text", lambda pen, at, text, *more, **options: said.append(text))
    figure.draw(ws, 0, lineup_rows(ws, 0, ["trak-10"], 3))
    assert "no model here yet" in said and not any("predicted" in text for text in said)


def test_no_rows(ws):
    assert figure.table(ws, 0, []).empty
    assert Image.open(BytesIO(figure.encode(ws, 0, [], ".png"))).width > 0


def test_signs_that_no_font_has_are_told(ws, monkeypatch):
    monkeypatch.setattr(fonts, "_files", list)
    monkeypatch.setattr(ws, "classes", ["Bär", "≠ −", "\U000f0000a\n"])  # of private use
    assert figure.missing_signs(ws) == "\U000f0000"


def test_mistakes_are_said(ws, rows, tmp_path):
    with pytest.raises(UserError, match="a.tiff"):
        figure.save(ws, 0, rows, tmp_path / "a.tiff")
    with pytest.raises(UserError, match="cannot be written"):
        figure.save(ws, 0, rows, tmp_path / "missing" / "a.png")


def test_any_class_name_can_stand_in_the_table(ws, rows, monkeypatch):
    monkeypatch.setattr(ws, "classes", ["\ud800 Dot"] * len(ws.classes))  # from a file name that is no UTF-8
    assert pd.read_csv(BytesIO(figure.encode(ws, 0, rows, ".csv"))).label.unique().tolist() == ["\\ud800 Dot"]


def test_how_far_a_row_can_be_trusted_stands_in_it(ws, rows, tmp_path):
    by_model = [
        lambda start, stop, by=by: np.roll(-np.tile(np.arange(60.0), (12, 1)), by, 1)[start:stop] for by in (0, 5)
    ]
    firsts.save(ws, firsts.compute("trak-10", 60, np.arange(12), by_model), {})
    again = Workspace.open(ws.path)
    table = pd.read_csv(BytesIO(figure.encode(again, 0, rows, ".csv")))
    assert table[table.ranking == "trak-10"].trust.str.contains("15 of 20 between two of its models").all()
    assert "15 of 20" in figure.encode(again, 0, rows, ".svg").decode()
    file = again.folder("firsts/trak-10") / "ids.npy"
    file.write_bytes(b"x" * file.stat().st_size)
    assert b"15 of 20" not in figure.encode(Workspace.open(ws.path), 0, rows, ".svg")
