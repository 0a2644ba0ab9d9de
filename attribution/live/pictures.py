"""Pictures of the pages under addresses of their own: /pictures/<workspace>/<content>.png, which a browser keeps.

A page publishes what it draws, and its messages carry the address alone; a picture that the browser has seen is not
sent again. An address names the content and the workspace that it is of, so that it shows the same for good, and never
an image of another workspace.
"""

from collections import OrderedDict
from hashlib import sha256
from threading import Lock

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

FOLDER = "pictures"
MOST_BYTES = 48 * 2**20  # of all pictures that are kept
#: it never changes; "private": no proxy in between keeps people's images
FOREVER = "private, max-age=31536000, immutable"


class Pictures:
    """The pictures that pages show, those asked for last; shared by all sessions of a server."""

    def __init__(self, most_bytes: int = MOST_BYTES):
        self.most_bytes = most_bytes
        self.is_served = False  # whether a server of this process answers their addresses
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0
        self._lock = Lock()

    def publish(self, fingerprint: str, content: bytes) -> str:
        """Keeps a PNG of the workspace with this fingerprint. Returns its address, relative to a page's."""
        of = sha256(fingerprint.encode()).hexdigest()[:16]
        path = f"{of}/{sha256(of.encode() + content).hexdigest()[:32]}.png"
        with self._lock:
            if path not in self._kept:
                self._size += len(content)
            self._kept[path] = content
            self._kept.move_to_end(path)
            while self._size > self.most_bytes and len(self._kept) > 1:
                self._size -= len(self._kept.popitem(last=False)[1])
        return f"{FOLDER}/{path}"

    def read(self, address: str) -> bytes | None:
        """The picture at an address of `publish`; None where there is none, or none any more."""
        path = address.removeprefix(f"{FOLDER}/")
        with self._lock:
            if path in self._kept:
                self._kept.move_to_end(path)
            return self._kept.get(path)


#: of this process
PICTURES = Pictures()


def picture_routes(pictures: Pictures = PICTURES) -> list[Route]:
    """The route of the pictures; from now on pages may use their addresses."""
    pictures.is_served = True

    async def answer(request: Request) -> Response:
        content = pictures.read("{of}/{name}.png".format(**request.path_params))
        if content is None:
            return Response("no such picture", 404, {"cache-control": "no-store"}, "text/plain")
        headers = {"cache-control": FOREVER, "x-content-type-options": "nosniff"}
        return Response(content, 200, headers, "image/png")

    return [Route(f"/{FOLDER}/{{of}}/{{name}}.png", answer)]
