"""The server's route that shows one image: /tile/<data set>/<train or val>/<number>.png, for what a person points at.

The address names the data set by its fingerprint, so that a browser may keep the picture for good, and never shows one
of another workspace."""

import os
from functools import lru_cache
from io import BytesIO
from pathlib import Path

from PIL import Image
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from attribution.errors import UserError
from attribution.inputs.limits import read_whole
from attribution.workspace.workspace import DEMO, Workspace

#: pixels of a side, beyond which a picture is reduced
MAX_SIDE = 256
KEEP = {"cache-control": "private, max-age=31536000, immutable", "x-content-type-options": "nosniff"}


def tile_folder(ws: Workspace) -> str:
    """Where a page finds a workspace's tiles, relative to its own address: "<split>/<number>.png" follows."""
    return f"tile/{ws.fingerprint[:16]}"


def tile_routes() -> list[Route]:
    """The route."""

    async def answer(request: Request) -> Response:
        given = request.path_params
        try:
            png = await run_in_threadpool(_tile, given["data"], given["split"], read_whole(given["image"]))
        except (UserError, OSError):
            png = None
        return Response(png, media_type="image/png", headers=KEEP) if png else Response(status_code=404)

    return [Route("/tile/{data}/{split}/{image}.png", answer)]


def _tile(data: str, split: str, image: int | None) -> bytes | None:
    """A picture as PNG; None where there is none."""
    path = Path(os.environ.get("LINEUP_WORKSPACE") or DEMO)
    ws = _open(path, (path / "workspace.json").stat().st_mtime)
    count = {"train": ws.n_train, "val": ws.n_val}.get(split, 0)
    if data != ws.fingerprint[:16] or image is None or not 0 <= image < count:
        return None
    pixels = (ws.train_images if split == "train" else ws.val_images)[[image]][0]
    if ws.greyscale_inverted and pixels.ndim == 2:  # colours are left as they are
        pixels = 255 - pixels
    picture = Image.fromarray(pixels)
    if max(picture.size) > MAX_SIDE:
        picture = picture.reduce(-(-max(picture.size) // MAX_SIDE))
    content = BytesIO()
    picture.save(content, "PNG", compress_level=1)
    return content.getvalue()


@lru_cache(maxsize=2)
def _open(path: Path, changed: float) -> Workspace:
    return Workspace.open(path)
