"""Where addresses of earlier versions lead: the one map from the old pages, tabs and views to the rooms of today.

Links stand in papers, notes and mails; each keeps opening what it opened. Pure functions, and the server's routes.
"""

from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Route

#: old path -> the room it is in now, "" for the front page
ROOMS = {
    "explore": "",
    "methods": "compare",
    "audit": "labels",
    "workspace": "data",
}
#: old tab of Methods -> the parameters that open it in Compare
COMPARE_TABS = {
    "supports": {"tab": "Summary"},
    "lds": {"tab": "Summary"},
    "agreement": {"tab": "Agreement"},
    "cost": {"tab": "Cost"},
    "compute": {"tab": "Cost"},
    "calibration": {"tab": "Advanced", "topic": "Calibration"},
    "features": {"tab": "Advanced", "topic": "Features"},
    "algorithms": {"tab": "Advanced", "topic": "Algorithms"},
    "models": {"tab": "Advanced", "topic": "Two models"},
    "checks": {"tab": "Advanced", "topic": "Checks"},
}


def compare_parameters(parameters: dict[str, str]) -> dict[str, str]:
    """The parameters of Compare that show what these showed, with an old tab's name in its new form."""
    return {**parameters, **COMPARE_TABS.get(parameters.get("tab", ""), {})}


def new_address(path: str, query: str) -> str | None:
    """The address, relative to the old one's folder, that shows what an old one showed; None where it is no old one.

    path: without slashes, such as "methods"; query: without the question mark."""
    if path not in ROOMS:
        return None
    pairs = parse_qsl(query, keep_blank_values=True)
    if ROOMS[path] == "compare":
        pairs = list(compare_parameters(dict(pairs)).items())
    return f"./{ROOMS[path]}" + (f"?{urlencode(pairs)}" if pairs else "")


def old_link_routes() -> list[Route]:
    """Routes that send a browser from each old path to the new one. The address stays relative, so that it holds where
    the server is a folder of another one, too."""

    async def move(request: Request) -> RedirectResponse:
        path = request.url.path.rstrip("/").rpartition("/")[2]
        return RedirectResponse(new_address(path, request.url.query), status_code=308)

    return [Route(f"/{path}", move) for path in ROOMS]
