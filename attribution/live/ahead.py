"""The server's route for rows that are fetched before their target is chosen: /ahead/<what is shown>/<target>, JSON.

A page offers, under an address of its own, what makes the rows of any target as they would be shown there; the browser
asks for the targets that are likely to come next.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from attribution.errors import UserError

FOLDER = "ahead"
KEPT = 500  # offers, the latest ones: a few for each visit

Make = Callable[[int], dict | None]


class Ahead:
    """What the pages of a server offer, by the name in its address."""

    def __init__(self):
        self.is_served = False  # whether a server of this process answers its addresses
        self._kept: OrderedDict[str, Make] = OrderedDict()
        self._lock = threading.Lock()

    def offer(self, about: object, make: Make) -> str:
        """Keeps what makes the rows of a target, None where it has none to show. about: all that they depend on besides
        the target, told apart by its `repr`. Returns the address, relative to a page's; "/<target>" follows."""
        name = sha256(repr(about).encode()).hexdigest()[:32]
        with self._lock:
            self._kept[name] = make
            self._kept.move_to_end(name)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return f"{FOLDER}/{name}"

    def make(self, name: str, target: int) -> dict | None:
        """The rows of a target; None where nothing is offered under this name any more, or there are none."""
        with self._lock:
            make = self._kept.get(name)
        try:
            return make(target) if make else None
        except UserError:  # the page says it where the target is chosen
            return None


#: of this process
AHEAD = Ahead()


def ahead_routes(ahead: Ahead = AHEAD) -> list[Route]:
    """The route; from now on pages may use its addresses."""
    ahead.is_served = True

    async def answer(request: Request) -> JSONResponse:
        rows = await run_in_threadpool(ahead.make, request.path_params["name"], request.path_params["target"])
        return JSONResponse(rows, 404 if rows is None else 200, {"cache-control": "no-store"})

    return [Route(f"/{FOLDER}/{{name}}/{{target:int}}", answer)]
