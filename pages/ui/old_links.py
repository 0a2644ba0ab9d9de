"""Where addresses of earlier versions lead: the one map from the old pages, tabs and views to the rooms of today.

Links stand in papers, notes and mails; each keeps opening what it opened. Pure functions, and the server's routes.
"""

from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Route

from pages.ui import state

Pairs = list[tuple[str, str]]

#: value of Clean labels' parameter `audit` -> the step that `step` names today
STEPS = {
    "queue": state.REVIEW_STEP,
    "take home": state.EXPORT_STEP,
    "was it worth it": state.BENEFIT,
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


def compare_parameters(pairs: Pairs) -> Pairs:
    """The parameters of Compare that show what these showed: the ten tabs of Methods are in four, and in topics of the
    last."""
    return [new for name, value in pairs for new in _tab(name, value)]


def new_address(path: str, query: str) -> str | None:
    """The address, relative to the old one's folder, that shows what an old one showed; None where it is no old one.

    path: without slashes, such as "methods"; query: without the question mark."""
    if path not in ROOMS:
        return None
    room, pairs = ROOMS[path](parse_qsl(query, keep_blank_values=True))
    return f"./{room}" + (f"?{urlencode(pairs)}" if pairs else "")


def old_link_routes() -> list[Route]:
    """Routes that send a browser from each old path to the new one. The address stays relative, so that it holds where
    the server is a folder of another one, too."""

    async def move(request: Request) -> RedirectResponse:
        path = request.url.path.rstrip("/").rpartition("/")[2]
        return RedirectResponse(new_address(path, request.url.query), status_code=308)

    return [Route(f"/{path}", move) for path in ROOMS]


# -- what became of each page: (path of its room, "" for the front page; its parameters)


def _explore(pairs: Pairs) -> tuple[str, Pairs]:
    return "", pairs


def _brittleness(pairs: Pairs) -> tuple[str, Pairs]:
    """Its question is in the drawer of Debug, under the same parameters; its studies are a part of Data & jobs."""
    rest = [pair for pair in pairs if pair[0] != "view"]
    if ("view", "studies") in pairs:
        return "data", [("part", "studies"), *rest]
    return "", [*rest, ("panel", "verdict")]


def _methods(pairs: Pairs) -> tuple[str, Pairs]:
    return "compare", compare_parameters(pairs)


def _tab(name: str, value: str) -> Pairs:
    return list(COMPARE_TABS[value].items()) if name == state.TAB and value in COMPARE_TABS else [(name, value)]


def _audit(pairs: Pairs) -> tuple[str, Pairs]:
    """Its views are steps."""
    return "labels", [
        (state.STEP, STEPS[value]) if name == state.OLD_STEP and value in STEPS else (name, value)
        for name, value in pairs
    ]


def _workspace(pairs: Pairs) -> tuple[str, Pairs]:
    return "data", pairs


def _map(pairs: Pairs) -> tuple[str, Pairs]:
    """It is a view of Debug's picker, under the same parameters."""
    return "", [(state.PICKER, "map"), *pairs]


ROOMS = {
    "explore": _explore,
    "brittleness": _brittleness,
    "methods": _methods,
    "audit": _audit,
    "workspace": _workspace,
    "map": _map,
}
