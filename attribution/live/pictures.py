"""Pictures of the pages under addresses of their own: /pictures/<workspace>/<content>.png, which a browser keeps.

A page publishes what it draws, and its messages carry the address alone; a picture that the browser has seen is not
sent again. An address names the content and the workspace that it is of, so that it shows the same for good, and never
an image of another workspace. Of a workspace's images, which its fingerprint names, a page may also offer each by its
number: /pictures/<workspace>/train-59.png is made when it is first asked for.
"""

import re
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from threading import Lock

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from attribution.errors import UserError

FOLDER = "pictures"
MOST_BYTES = 24 * 2**20  # of all pictures that are kept
MOST_OFFERS = 4  # workspaces whose images are offered, those drawn last
IMAGE = re.compile("(train|val)-([0-9]{1,9})")
Maker = Callable[[str, int], bytes | None]
#: it never changes; "private": no proxy in between keeps people's images
FOREVER = "private, max-age=31536000, immutable"


class Pictures:
    """The pictures that pages show, those asked for last; shared by all sessions of a server."""

    def __init__(self, most_bytes: int = MOST_BYTES):
        self.most_bytes = most_bytes
        self.is_served = False  # whether a server of this process answers their addresses
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._makers: OrderedDict[str, Maker] = OrderedDict()
        self._size = 0
        self._lock = Lock()

    def publish(self, fingerprint: str, content: bytes) -> str:
        """Keeps a PNG of the workspace with this fingerprint. Returns its address, relative to a page's."""
        of = _folder(fingerprint)
        path = f"{of}/{sha256(of.encode() + content).hexdigest()[:32]}"
        self._keep(path, content)
        return f"{FOLDER}/{path}.png"

    def offer(self, fingerprint: str, make: Maker) -> str:
        """Offers each image of the workspace with this fingerprint. Returns where, relative to a page's address:
        "/<train or val>-<number>.png" follows. make(split, number) returns a PNG, None where there is no such image."""
        of = _folder(fingerprint)
        with self._lock:
            self._makers[of] = make
            self._makers.move_to_end(of)
            while len(self._makers) > MOST_OFFERS:
                self._makers.popitem(last=False)
        return f"{FOLDER}/{of}"

    def read(self, address: str) -> bytes | None:
        """The picture at an address of `publish` or `offer`; None where there is none, or none any more."""
        content = self.kept(address)
        if content is not None:
            return content
        path = _path(address)
        of, _, name = path.partition("/")
        with self._lock:
            make = self._makers.get(of)
        image = IMAGE.fullmatch(name)
        if not make or not image:
            return None
        content = make(image[1], int(image[2]))
        if content is not None:
            self._keep(path, content)
        return content

    def kept(self, address: str) -> bytes | None:
        """The same of what need not be made: at once."""
        path = _path(address)
        with self._lock:
            if path in self._kept:
                self._kept.move_to_end(path)
            return self._kept.get(path)

    def _keep(self, path: str, content: bytes) -> None:
        with self._lock:
            if path not in self._kept:
                self._size += len(content)
            self._kept[path] = content
            self._kept.move_to_end(path)
            while self._size > self.most_bytes and len(self._kept) > 1:
                self._size -= len(self._kept.popitem(last=False)[1])


def _path(address: str) -> str:
    return address.removeprefix(f"{FOLDER}/").removesuffix(".png")


def _folder(fingerprint: str) -> str:
    return sha256(fingerprint.encode()).hexdigest()[:16]


#: of this process
PICTURES = Pictures()


def picture_routes(pictures: Pictures = PICTURES) -> list[Route]:
    """The route of the pictures; from now on pages may use their addresses."""
    pictures.is_served = True

    async def answer(request: Request) -> Response:
        address = "{of}/{name}.png".format(**request.path_params)
        try:
            content = pictures.kept(address) or await run_in_threadpool(pictures.read, address)
        except (UserError, OSError):  # a file of the workspace that cannot be read, as its page says
            content = None
        if content is None:
            return Response("no such picture", 404, {"cache-control": "no-store"}, "text/plain")
        headers = {"cache-control": FOREVER, "x-content-type-options": "nosniff"}
        return Response(content, 200, headers, "image/png")

    return [Route(f"/{FOLDER}/{{of}}/{{name}}.png", answer)]
