"""A target's lineup as a figure for a paper or a bug report: PNG and PDF drawn with pillow, SVG, and CSV as a table."""

import base64
import html
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from attribution.errors import UserError
from attribution.evaluation.trust import RowTrust, TrustMeter, of_lineup
from attribution.explore.lineup import LineupRow
from attribution.export import fonts
from attribution.export.numbers import share
from attribution.export.palette import HARMFUL, HELPFUL, ranking_style
from attribution.export.saving import save_file
from attribution.export.tables import to_csv
from attribution.inputs import names
from attribution.workspace.workspace import Workspace

INK, FAINT, HAIRLINE = "#1a1a1a", "#666666", "#cccccc"
FORMATS = (".png", ".svg", ".pdf", ".csv")
COLUMNS = ["target", "ranking", "end", "rank", "train", "source_index", "label", "same_class", "score", "trust"]
TILE = 96  # about as many pixels a tile's side; tiles are drawn at an integer multiple of the image
MOST_SIGNS = 500  # of a text: to measure a longer one takes seconds
HEADER_WIDTH, GAP, MARGIN = 330, 14, 40  # width of a row's header, space between tiles, margin of the page


def save(ws: Workspace, target: int, rows: list[LineupRow], path: str | Path, k: int | None = None) -> Path:
    """Writes the figure, or the table behind it, to `path`; its ending says which. Returns the path.

    Raises UserError for another ending than FORMATS, and where the file cannot be written.
    """
    return save_file(path, FORMATS, lambda ending: encode(ws, target, rows, ending, k))


def encode(ws: Workspace, target: int, rows: list[LineupRow], ending: str, k: int | None = None) -> bytes:
    """The figure (".png", ".svg", ".pdf") or the table (".csv") as the content of a file."""
    if ending == ".csv":
        return to_csv(table(ws, target, rows))
    if ending == ".svg":
        page = _Svg(*_page_size(ws, rows))
        _draw_page(page, page, ws, target, rows, k)
        return page.content(f"Training images for validation image {target} of {ws.name}")
    content = BytesIO()
    draw(ws, target, rows, k).save(content, format=ending[1:].upper(), dpi=(200, 200), resolution=200)
    return content.getvalue()


def table(ws: Workspace, target: int, rows: list[LineupRow]) -> pd.DataFrame:
    """One line for each tile, columns COLUMNS: rank counts from 1, train is the training image, trust says how far the
    row can be trusted.

    Labels are the given ones. Scores of different rankings are in different units.
    """
    trusts = _trusts(ws, target, rows)
    parts = [
        pd.DataFrame(
            {
                "target": target,
                "ranking": row.ranking,
                "end": row.end,
                "rank": np.arange(1, len(row.ids) + 1),
                "train": row.ids,
                "source_index": ws.train_index[row.ids],
                "label": pd.Series([ws.classes[c] for c in row.labels], dtype=object),  # a lone surrogate in a name
                "same_class": row.labels == ws.val_labels[target],
                "score": np.nan if row.scores is None else row.scores,
                "trust": trusts[row.id].sentence if row.id in trusts else "",
            }
        )
        for row in rows
        if len(row.ids)
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)


def draw(ws: Workspace, target: int, rows: list[LineupRow], k: int | None = None) -> Image.Image:
    """The target, a row of tiles for each row, ranks in columns, and a line after rank k (RGB, on white)."""
    page = Image.new("RGB", _page_size(ws, rows), "white")
    _draw_page(page, ImageDraw.Draw(page), ws, target, rows, k)
    return page


# -- layout


def _tile_scale(ws: Workspace) -> int:
    """Pixels of a tile for each pixel of an image; the target is drawn three times as large."""
    return max(1, TILE // max(ws.val_images.shape[1:3]))


def _row_heights(ws: Workspace, rows: list[LineupRow]) -> list[int]:
    height = ws.val_images.shape[1] * _tile_scale(ws)
    return [66 if row.undefined else max(height + 44, 140) for row in rows]


def _columns(rows: list[LineupRow]) -> int:
    return max([len(row.ids) for row in rows], default=0)


def _page_size(ws: Workspace, rows: list[LineupRow]) -> tuple[int, int]:
    """Width and height of the page in pixels."""
    height, width = (side * _tile_scale(ws) for side in ws.val_images.shape[1:3])
    page_width = MARGIN + 3 * width + 50 + HEADER_WIDTH + max(_columns(rows), 8) * (width + GAP) + MARGIN
    return page_width, max(MARGIN + 50 + sum(_row_heights(ws, rows)) + 60, MARGIN + 3 * height + 190)


# -- drawing: `page` takes the pictures and `pen` draws the rest; they are pillow's, or both one `_Svg`


def _draw_page(page, pen, ws: Workspace, target: int, rows: list[LineupRow], k: int | None) -> None:
    scale, heights, columns = _tile_scale(ws), _row_heights(ws, rows), _columns(rows)
    height, width = (3 * scale * side for side in ws.val_images.shape[1:3])  # of the target's picture
    pitch = ws.val_images.shape[2] * scale + GAP
    left, top = MARGIN + width + 50, MARGIN + 50
    page.paste(_picture(ws, ws.val_images[target], 3 * scale), (MARGIN, MARGIN))
    pen.rectangle([MARGIN - 1, MARGIN - 1, MARGIN + width, MARGIN + height], outline=HAIRLINE)
    y = MARGIN + height + 14
    _draw_text(pen, (MARGIN, y), ws.classes[ws.val_labels[target]], 30, width=width, bold=True)
    for i, line in enumerate((f"validation image {target}", *_prediction_lines(ws, target))):
        _draw_text(pen, (MARGIN, y + 42 + 28 * i), line, 21, FAINT, width=width + 40)

    for rank in range(columns):
        x = left + HEADER_WIDTH + rank * pitch + (pitch - GAP) / 2
        _draw_text(pen, (x, top - 26), str(rank + 1), 18, FAINT, anchor="mt")
    trusts = _trusts(ws, target, rows)
    for i, row in enumerate(rows):
        corner = left, top + sum(heights[:i])
        _draw_row(page, pen, ws, target, row, corner)
        if row.id in trusts and trusts[row.id].verdict != "not_tested":
            _draw_text(pen, (left, corner[1] + 121), trusts[row.id].short, 18, width=HEADER_WIDTH - 20)
    if k is not None and 1 <= k <= columns:
        x = left + HEADER_WIDTH + k * pitch - GAP / 2
        pen.line([x, top - 34, x, top + sum(heights) - 8], fill=INK, width=4)
        _draw_text(pen, (x, top - 40), f"k = {k}", 20, anchor="mb", bold=True)
    notes = [
        f"{ws.name}: {ws.n_train:,} training images",
        "ranks align in columns",
        "scores of different rows are not comparable",
    ]
    if ws.planted:
        notes.append(f"labels as given, {ws.planted} planted errors among them")
    _draw_text(pen, (left, _page_size(ws, rows)[1] - MARGIN - 12), " · ".join(notes), 18, FAINT)


def _trusts(ws: Workspace, target: int, rows: list[LineupRow]) -> dict[str, RowTrust]:
    """Row id -> how far the row can be trusted; none where what is stored for that cannot be read."""
    try:
        return of_lineup(TrustMeter(ws), target, rows)
    except UserError:
        return {}


def _prediction_lines(ws: Workspace, target: int) -> tuple[str, ...]:
    if not ws.has_base:
        return ("no model here yet",)
    predicted = ws.base.prediction[target]
    votes = int((ws.base.predicted[:, target] == predicted).sum())
    return f"predicted {ws.classes[predicted]}", f"in {votes} of {ws.base.n_models} models"


def _draw_row(page, pen, ws: Workspace, target: int, row: LineupRow, corner: tuple[int, int]) -> None:
    """A row's header, with a bar of the classes of its images, and its tiles. corner: x and y of its upper left."""
    x, y = corner
    label, scale = ws.val_labels[target], _tile_scale(ws)
    pen.rectangle([x, y + 3, x + 15, y + 18], fill=ranking_style(row.ranking)[0])
    _draw_text(pen, (x + 24, y), row.method, 26, width=HEADER_WIDTH - 174, bold=True)
    sign = f"{'+ for' if row.sign > 0 else '− against'} {ws.classes[row.for_class]}"
    colour = HELPFUL if row.sign > 0 else HARMFUL
    if row.is_control:
        sign, colour = "control", FAINT
    _draw_text(pen, (x + HEADER_WIDTH - 20, y + 6), sign, 18, colour, width=170, anchor="rt")
    _draw_text(pen, (x, y + 32), row.description or row.ranking, 18, FAINT, width=HEADER_WIDTH - 20)
    if row.undefined:
        return _draw_text(pen, (x + HEADER_WIDTH, y + 10), row.undefined, 20, FAINT)
    bar_width, start = HEADER_WIDTH - 24, 0
    for class_, count in row.class_counts:
        end = start + count / len(row.ids) * bar_width
        pen.rectangle([x + start, y + 58, x + end - 2, y + 65], fill=FAINT if class_ == label else HAIRLINE)
        start = end
    _draw_text(
        pen, (x, y + 74), f"{share(row.n_same_class, len(row.ids))} same class", 18, FAINT, width=HEADER_WIDTH - 20
    )
    if row.most_alike:
        shared = f"{row.most_alike[1]} of {len(row.ids)} shared with {row.most_alike[0]}"
        _draw_text(pen, (x, y + 98), shared, 18, FAINT, width=HEADER_WIDTH - 20)
    height, width = (side * scale for side in ws.train_images.shape[1:3])
    for rank, (image, given) in enumerate(zip(row.ids, row.labels)):
        left = x + HEADER_WIDTH + rank * (width + GAP)
        page.paste(_picture(ws, ws.train_images[image], scale), (left, y))
        _draw_frame(pen, [left - 4, y - 4, left + width + 3, y + height + 3], colour, dashed=row.sign < 0)
        if given != row.explained:
            place = (left + width / 2, y + height + 8)
            _draw_text(pen, place, f"label: {ws.classes[given]}", 17, width=width + GAP - 2, anchor="mt")


def _picture(ws: Workspace, image: np.ndarray, scale: int) -> Image.Image:
    """An image enlarged `scale` times; greyscale dark on light, as on the pages."""
    pixels = 255 - image if image.ndim == 2 and ws.greyscale_inverted else image
    size = (image.shape[1] * scale, image.shape[0] * scale)
    return Image.fromarray(np.asarray(pixels)).convert("RGB").resize(size, Image.Resampling.NEAREST)


def _draw_frame(pen, box: list[int], colour: str, dashed: bool) -> None:
    x0, y0, x1, y1 = box
    if not dashed:
        return pen.rectangle(box, outline=colour, width=3)
    for y in (y0, y1 - 2):
        for begin in range(x0, x1, 14):
            pen.rectangle([begin, y, min(begin + 8, x1), y + 2], fill=colour)
    for x in (x0, x1 - 2):
        for begin in range(y0, y1, 14):
            pen.rectangle([x, begin, x + 2, min(begin + 8, y1)], fill=colour)


def missing_signs(ws: Workspace) -> str:
    """The signs of the names of classes and workspace that no font here has: PNG and PDF show boxes for them."""
    return fonts.missing_signs(names.visible("".join([ws.name, *ws.classes])))


def _draw_text(pen, place, text: str, size: int, colour=INK, width: int | None = None, anchor="lt", bold=False) -> None:
    """Text at `place`, (x, y), in one line; what is wider than `width` pixels ends in an ellipsis."""
    text = names.visible(text)[:MOST_SIGNS]
    size = round(size * 0.9)
    if fonts.usual_font(size, bold).getname()[0] == "Aileron":  # pillow's own has no such signs
        text = text.replace("≠", "not").replace("−", "-").replace("⚠", "!")

    def length(text: str) -> float:
        return sum(font.getlength(piece) for piece, font in fonts.runs(text, size, bold))

    if width and length(text) > width:
        while text and length(text + "…") > width:
            text = text[:-1]
        text = text.rstrip() + "…"
    pieces = fonts.runs(text, size, bold)
    if isinstance(pen, _Svg) or len(pieces) < 2:
        font = fonts.usual_font(size, bold) if isinstance(pen, _Svg) or not pieces else pieces[0][1]
        return pen.text(place, text, fill=colour, font=font, anchor=anchor)
    boxes = [font.getbbox(piece, anchor="ls") for piece, font in pieces]
    base = place[1] - (min(box[1] for box in boxes) if anchor[1] == "t" else max(box[3] for box in boxes))
    x = place[0] - {"l": 0, "m": 0.5, "r": 1}[anchor[0]] * length(text)
    for piece, font in pieces:
        pen.text((x, base), piece, fill=colour, font=font, anchor="ls")
        x += font.getlength(piece)


class _Svg:
    """The methods of pillow's image and pen that `_draw_page` calls, as SVG: pictures embedded, shapes, and text."""

    def __init__(self, width: int, height: int):
        self.width, self.height, self.parts = width, height, []

    def _add(self, tag: str, text: str = "", **attributes) -> None:
        values = {name.replace("_", "-"): v if isinstance(v, str) else f"{v:g}" for name, v in attributes.items()}
        opening = " ".join([f"<{tag}", *(f'{name}="{value}"' for name, value in values.items())])
        self.parts.append(f"{opening}>{html.escape(text)}</{tag}>" if text else f"{opening}/>")

    def paste(self, image: Image.Image, place) -> None:
        content = BytesIO()
        image.save(content, "PNG")
        url = "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
        size = {"width": image.width, "height": image.height}
        self._add("image", x=place[0], y=place[1], **size, href=url, style="image-rendering:pixelated")

    def rectangle(self, box, fill=None, outline=None, width=1) -> None:
        x0, y0, x1, y1 = box
        inset = width / 2 if outline else 0  # pillow draws an outline inside, its last pixel included
        size = {"width": max(0, x1 - x0 + 1 - 2 * inset), "height": max(0, y1 - y0 + 1 - 2 * inset)}
        colours = {"fill": fill or "none", "stroke": outline or "none", "stroke_width": width}
        self._add("rect", x=x0 + inset, y=y0 + inset, **size, **colours)

    def line(self, points, fill, width) -> None:
        x1, y1, x2, y2 = points
        self._add("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=fill, stroke_width=width)

    def text(self, place, text, fill, font, anchor) -> None:
        y = place[1] + 0.76 * font.size if anchor[1] == "t" else place[1] - 0.2 * font.size
        weight = "bold" if "Bold" in font.getname()[1] else "normal"
        style = {"font_size": font.size, "font_weight": weight}
        end = {"l": "start", "m": "middle", "r": "end"}[anchor[0]]
        self._add("text", text, x=place[0], y=y, **style, text_anchor=end, fill=fill)

    def content(self, title: str) -> bytes:
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{self.height}" '
            f'viewBox="0 0 {self.width} {self.height}" font-family="DejaVu Sans, Arial, sans-serif">'
            f"<title>{html.escape(names.visible(title))}</title>"
            f'<rect width="{self.width}" height="{self.height}" fill="white"/>' + "".join(self.parts) + "</svg>\n"
        ).encode("utf-8", "xmlcharrefreplace")
