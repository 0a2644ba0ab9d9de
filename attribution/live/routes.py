"""The server's routes that answer while a person drags: /live/cut and /live/curve, both JSON."""

import json

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from attribution.errors import UserError
from attribution.inputs import names
from attribution.live.client import SolverClient

MAX_ROWS_TEXT = 10_000  # characters


def live_routes(client: SolverClient | None = None) -> list[Route]:
    """The routes. client: of the solver, one for all of them."""
    asked = client or SolverClient()

    def route(what: str) -> Route:
        async def answer(request: Request) -> JSONResponse:
            given = request.query_params
            try:
                rows = json.loads(given.get("rows", "")[:MAX_ROWS_TEXT])
                question = {"what": what, "rows": rows, **{key: given.get(key) for key in ("model", "target", "k")}}
                return JSONResponse({"rows": await asked.ask(question)}, headers={"cache-control": "no-store"})
            except (ValueError, RecursionError):
                return JSONResponse({"error": "rows are no JSON"}, 400)
            except UserError as error:
                return JSONResponse({"error": names.sentence(error)}, 400)

        return Route(f"/live/{what}", answer)

    return [route("cut"), route("curve")]
