"""The rows as a figure for a paper or a bug report: PNG and PDF drawn with pillow, SVG, and CSV as a table."""

import base64
import html
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from attribution.errors import UserError
from attribution.lineup import Row
from attribution.workspace import Workspace

HELPFUL, HARMFUL, INK, FAINT, HAIR = "#0072B2", "#D55E00", "#1a1a1a", "#666666", "#cccccc"
FORMATS = (".png", ".svg", ".pdf", ".csv")
TILE = 96  # about as many pixels a tile's side; tiles are drawn at an integer multiple of the image
HEAD, GAP, EDGE = 330, 14, 40  # width of a row's header, space between tiles, margin of the page


def save(ws: Workspace, target: int, rows: list[Row], path: str | Path, k: int | None = None) -> Path:
    """Writes the figure, or the table behind it, to `path`; its ending says which. Returns the path.

    Raises UserError for another ending than FORMATS, and where the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise UserError(f"{path.name} is none of {', '.join(FORMATS)}; end the file's name in one of them")
    try:
        path.write_bytes(encode(ws, target, rows, path.suffix.lower(), k))
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); choose another folder") from None
    return path


def encode(ws: Workspace, target: int, rows: list[Row], ending: str, k: int | None = None) -> bytes:
    """The figure (".png", ".svg", ".pdf") or the table (".csv") as the content of a file."""
    if ending == ".csv":
        return table(ws, target, rows).to_csv(index=False).encode()
    if ending == ".svg":
        page = _Svg(*_size(ws, rows)[0])
        _draw(page, page, ws, target, rows, k)
        return page.content(f"Training images for validation image {target} of {ws.name}")
    content = BytesIO()
    draw(ws, target, rows, k).save(content, format=ending[1:].upper(), dpi=(200, 200), resolution=200)
    return content.getvalue()


def table(ws: Workspace, target: int, rows: list[Row]) -> pd.DataFrame:
    """One line for each tile: target, ranking, end, rank (from 1), train, source_index, label, same_class, score.

    Labels are the given ones. Scores of different rankings are in different units.
    """
    parts = [
        pd.DataFrame(
            {
                "target": target,
                "ranking": row.ranking,
                "end": row.end,
                "rank": np.arange(1, len(row.ids) + 1),
                "train": row.ids,
                "source_index": ws.train_index[row.ids],
                "label": [ws.classes[c] for c in row.labels],
                "same_class": row.labels == ws.val_labels[target],
                "score": np.nan if row.scores is None else row.scores,
            }
        )
        for row in rows
        if len(row.ids)
    ]
    columns = ["target", "ranking", "end", "rank", "train", "source_index", "label", "same_class", "score"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def draw(ws: Workspace, target: int, rows: list[Row], k: int | None = None) -> Image.Image:
    """The target, a row of tiles for each row, ranks in columns, and a line after rank k (RGB, on white)."""
    page = Image.new("RGB", _size(ws, rows)[0], "white")
    _draw(page, ImageDraw.Draw(page), ws, target, rows, k)
    return page


def _size(ws, rows) -> tuple[tuple[int, int], list[int]]:
    """Width and height of the page, and the height of each row."""
    height, width = ws.val_images.shape[1:3]
    scale = max(1, TILE // max(height, width))
    heights = [66 if row.undefined else max(height * scale + 44, 140) for row in rows]
    columns = max([len(row.ids) for row in rows], default=0)
    wide = EDGE + width * 3 * scale + 50 + HEAD + max(columns, 8) * (width * scale + GAP) + EDGE
    return (wide, max(EDGE + 50 + sum(heights) + 60, EDGE + height * 3 * scale + 190)), heights


def _draw(page, pen, ws, target, rows, k) -> None:
    """page takes the pictures, pen draws the rest: pillow's, or a `_Svg` for both."""
    height, width = ws.val_images.shape[1:3]
    scale = max(1, TILE // max(height, width))
    pitch, picture = width * scale + GAP, 3 * scale
    left, top = EDGE + width * picture + 50, EDGE + 50
    columns = max([len(row.ids) for row in rows], default=0)
    size, heights = _size(ws, rows)
    page.paste(_picture(ws, ws.val_images[target], picture), (EDGE, EDGE))
    pen.rectangle([EDGE - 1, EDGE - 1, EDGE + width * picture, EDGE + height * picture], outline=HAIR)
    y = EDGE + height * picture + 14
    _write(pen, (EDGE, y), ws.classes[ws.val_labels[target]], 30, width=width * picture, bold=True)
    for i, line in enumerate((f"validation image {target}", *_prediction(ws, target))):
        _write(pen, (EDGE, y + 42 + 28 * i), line, 21, FAINT, width=width * picture + 40)

    for rank in range(columns):
        x = left + HEAD + rank * pitch + (pitch - GAP) / 2
        _write(pen, (x, top - 26), str(rank + 1), 18, FAINT, anchor="mt")
    for i, row in enumerate(rows):
        _draw_row(page, pen, ws, target, row, (left, top + sum(heights[:i])), scale)
    if k is not None and 1 <= k <= columns:
        x = left + HEAD + k * pitch - GAP / 2
        pen.line([x, top - 34, x, top + sum(heights) - 8], fill=INK, width=4)
        _write(pen, (x, top - 40), f"k = {k}", 20, anchor="mb", bold=True)
    notes = [
        f"{ws.name}: {ws.n_train:,} training images",
        "ranks align in columns",
        "scores of different rows are not comparable",
    ]
    if ws.planted:
        notes.append(f"labels as given, {ws.planted} planted errors among them")
    _write(pen, (left, size[1] - EDGE - 12), " · ".join(notes), 18, FAINT)


def _prediction(ws: Workspace, target: int) -> tuple[str, ...]:
    if not ws.has_base:
        return ("no model here yet",)
    said = ws.base.prediction[target]
    votes = int((ws.base.predicted[:, target] == said).sum())
    return f"predicted {ws.classes[said]}", f"in {votes} of {ws.base.models} models"


def _draw_row(page, pen, ws, target, row, corner, scale):
    x, y = corner
    _write(pen, (x, y), row.method, 26, width=HEAD - 150, bold=True)
    sign = f"{'+ for' if row.sign > 0 else '− against'} {ws.classes[row.for_class]}"
    colour = HELPFUL if row.sign > 0 else HARMFUL
    _write(pen, (x + HEAD - 20, y + 6), sign, 18, colour, width=170, anchor="rt")
    _write(pen, (x, y + 32), row.about or row.ranking, 18, FAINT, width=HEAD - 20)
    if row.undefined:
        return _write(pen, (x + HEAD, y + 10), row.undefined, 20, FAINT)
    wide, start = HEAD - 24, 0
    for class_, count in row.mix:
        end = start + count / len(row.ids) * wide
        pen.rectangle([x + start, y + 58, x + end - 2, y + 65], fill=FAINT if class_ == ws.val_labels[target] else HAIR)
        start = end
    _write(pen, (x, y + 74), f"{100 * row.same / len(row.ids):.0f} % same class", 18, FAINT, width=HEAD - 20)
    if row.shared:
        shared = f"{row.shared[1]} of {len(row.ids)} shared with {row.shared[0]}"
        _write(pen, (x, y + 98), shared, 18, FAINT, width=HEAD - 20)
    height, width = ws.train_images.shape[1:3]
    for rank, (image, label) in enumerate(zip(row.ids, row.labels)):
        left = x + HEAD + rank * (width * scale + GAP)
        page.paste(_picture(ws, ws.train_images[image], scale), (left, y))
        box = [left - 4, y - 4, left + width * scale + 3, y + height * scale + 3]
        _frame(pen, box, colour, dashed=row.sign < 0)
        if label != ws.val_labels[target]:
            _write(
                pen,
                (left + width * scale / 2, y + height * scale + 8),
                f"≠ {ws.classes[label]}",
                17,
                width=width * scale + GAP - 2,
                anchor="mt",
            )


def _picture(ws, image, scale) -> Image.Image:
    grey = image.ndim == 2
    pixels = 255 - image if grey and ws.greyscale_inverted else image
    return (
        Image.fromarray(np.asarray(pixels))
        .convert("RGB")
        .resize((image.shape[1] * scale, image.shape[0] * scale), Image.Resampling.NEAREST)
    )


def _frame(pen, box, colour, dashed):
    x0, y0, x1, y1 = box
    if not dashed:
        return pen.rectangle(box, outline=colour, width=3)
    for a, b, at, across in ((x0, x1, y0, False), (x0, x1, y1 - 2, False), (y0, y1, x0, True), (y0, y1, x1 - 2, True)):
        for start in range(a, b, 14):
            end = min(start + 8, b)
            pen.rectangle([at, start, at + 2, end] if across else [start, at, end, at + 2], fill=colour)


@lru_cache
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    """A font with the signs that are needed, where the machine has one; otherwise the one that pillow brings."""
    for name in ("DejaVuSans-Bold.ttf", "Arial Bold.ttf") if bold else ("DejaVuSans.ttf", "Arial.ttf"):
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


def _write(pen, at, text, size, colour=INK, width=None, anchor="lt", bold=False):
    font = _font(round(size * 0.9), bold)
    if font.getname()[0] == "Aileron":  # pillow's own has no such signs
        text = text.replace("≠", "not").replace("−", "-").replace("⚠", "!")
    if width and font.getlength(text) > width:
        while text and font.getlength(text + "…") > width:
            text = text[:-1]
        text = text.rstrip() + "…"
    pen.text(at, text, fill=colour, font=font, anchor=anchor)


class _Svg:
    """What `_draw` uses of pillow's image and pen, as SVG: pictures embedded, everything else lines and text."""

    def __init__(self, width: int, height: int):
        self.size, self.parts = (width, height), []

    def paste(self, image: Image.Image, at) -> None:
        content = BytesIO()
        image.save(content, "PNG")
        url = "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
        self.parts.append(
            f'<image x="{at[0]}" y="{at[1]}" width="{image.width}" height="{image.height}" href="{url}" '
            'style="image-rendering:pixelated"/>'
        )

    def rectangle(self, box, fill=None, outline=None, width=1) -> None:
        x0, y0, x1, y1 = box
        inset = width / 2 if outline else 0  # pillow draws an outline inside, its last pixel included
        self.parts.append(
            f'<rect x="{x0 + inset:g}" y="{y0 + inset:g}" width="{max(0, x1 - x0 + 1 - 2 * inset):g}" '
            f'height="{max(0, y1 - y0 + 1 - 2 * inset):g}" fill="{fill or "none"}" '
            f'stroke="{outline or "none"}" stroke-width="{width}"/>'
        )

    def line(self, points, fill, width) -> None:
        x0, y0, x1, y1 = points
        self.parts.append(
            f'<line x1="{x0:g}" y1="{y0:g}" x2="{x1:g}" y2="{y1:g}" stroke="{fill}" stroke-width="{width}"/>'
        )

    def text(self, at, text, fill, font, anchor) -> None:
        ends = {"l": "start", "m": "middle", "r": "end"}[anchor[0]]
        y = at[1] + 0.76 * font.size if anchor[1] == "t" else at[1] - 0.2 * font.size
        weight = "bold" if "Bold" in font.getname()[1] else "normal"
        self.parts.append(
            f'<text x="{at[0]:g}" y="{y:g}" font-size="{font.size:g}" font-weight="{weight}" '
            f'text-anchor="{ends}" fill="{fill}">{html.escape(text)}</text>'
        )

    def content(self, title: str) -> bytes:
        width, height = self.size
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-family="DejaVu Sans, Arial, sans-serif">'
            f'<title>{html.escape(title)}</title><rect width="{width}" height="{height}" fill="white"/>'
            + "".join(self.parts)
            + "</svg>\n"
        ).encode("utf-8", "xmlcharrefreplace")
