"""The texts that components run, under addresses of their own: /scripts/<content>.js, which a browser keeps.

Streamlit sends a component's text with every message about it, forty times what changes in it; of a text that is
published here, a message carries the address alone. What is published is Lineup's own, never a user's.
"""

from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from attribution.live.pictures import FOREVER

FOLDER = "scripts"


class Scripts:
    """The texts of a server's components, by the name in their address."""

    def __init__(self):
        self.is_served = False  # whether a server of this process answers their addresses
        self._kept: dict[str, str] = {}

    def publish(self, text: str) -> str:
        """Keeps the text of a JavaScript module. Returns its address, relative to a page's."""
        name = sha256(text.encode()).hexdigest()[:32]
        self._kept[name] = text
        return f"{FOLDER}/{name}.js"

    def read(self, name: str) -> str | None:
        """The text with this name in its address, or None."""
        return self._kept.get(name)


#: of this process
SCRIPTS = Scripts()


def script_routes(scripts: Scripts = SCRIPTS) -> list[Route]:
    """The route of the scripts; from now on pages may use their addresses."""
    scripts.is_served = True

    async def answer(request: Request) -> Response:
        text = scripts.read(request.path_params["name"])
        if text is None:
            return Response("no such script", 404, {"cache-control": "no-store"}, "text/plain")
        headers = {"cache-control": FOREVER, "x-content-type-options": "nosniff"}
        return Response(text, 200, headers, "text/javascript")

    return [Route(f"/{FOLDER}/{{name}}.js", answer)]
