"""The report's HTML: its template, and pictures and charts as parts of the page, with no link that leads out."""

import base64
import re
from io import BytesIO
from xml.etree import ElementTree

import numpy as np
from markupsafe import Markup
from PIL import Image

from attribution.export.charts import Chart
from attribution.export.charts.drawing import encode
from attribution.export.tables import TEMPLATES
from attribution.files import APP
from attribution.inputs import names
from attribution.workspace.workspace import Workspace

PLACEHOLDER = "#010203"  # drawn instead of the reader's own text colour, and replaced by it
SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
CSS = APP / "assets" / "report.css"


def render(**parts) -> bytes:
    """The page that templates/report.html.j2 makes of these parts, as the content of a file; all text is escaped."""
    page = TEMPLATES.get_template("report.html.j2").render(css=Markup(CSS.read_text()), **parts)
    return names.visible_lines(page).encode()


def picture(workspace: Workspace, image: np.ndarray, side: int, alt: str) -> Markup:
    """An image, uint8 [height, width] or [height, width, 3], as an <img>: greyscale dark on light as on the pages,
    enlarged or reduced by a whole number to about `side` pixels."""
    pixels = 255 - image if image.ndim == 2 and workspace.greyscale_inverted else image
    drawn, largest = Image.fromarray(np.asarray(pixels)), max(image.shape[:2])
    if largest >= 2 * side:
        drawn = drawn.reduce(largest // side)
    scale, content = max(1, round(side / max(drawn.size))), BytesIO()
    drawn.save(content, "PNG", optimize=True)
    return Markup('<img src="data:image/png;base64,{}" width="{}" height="{}" alt="{}">').format(
        base64.b64encode(content.getvalue()).decode(), drawn.width * scale, drawn.height * scale, alt
    )


def chart_figure(chart: Chart, name: str) -> Markup:
    """A chart as a <figure> with SVG: text stays text, in the reader's colour. name: begins every id in it, so that no
    two charts of a page share one."""
    for prefix, uri in (("", SVG), ("xlink", XLINK)):
        ElementTree.register_namespace(prefix, uri)
    root = ElementTree.fromstring(encode(chart, ".svg", ink=PLACEHOLDER, text_as_paths=False, salt=name))
    for metadata in root.findall(f"{{{SVG}}}metadata"):
        root.remove(metadata)
    for element in root.iter():
        for key, value in list(element.attrib.items()):
            if key == "id":
                value = f"{name}-{value}"
            value = re.sub(r"url\(#", f"url(#{name}-", value)
            if key == f"{{{XLINK}}}href":
                value = value.replace("#", f"#{name}-", 1)
            value = value.replace(PLACEHOLDER, "currentColor")
            element.set(key, value.replace("'DejaVu Sans'", "'DejaVu Sans', sans-serif"))
    for key in ("height", "width"):
        root.attrib.pop(key, None)
    root.attrib |= {"role": "img", "aria-label": f"{chart.title}; the table has the numbers"}
    svg = Markup(ElementTree.tostring(root, encoding="unicode"))
    caption = chart.caption[:1].upper() + chart.caption[1:] + "."
    return Markup("<figure>{}<figcaption>{}</figcaption></figure>").format(svg, caption)
