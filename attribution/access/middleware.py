"""Lets in who has the token: ASGI middleware, so that the websocket is covered, with nothing of a framework's."""

import hmac
import re
from collections.abc import Callable, Sequence
from hashlib import sha256
from urllib.parse import quote

from attribution.files import APP

HEALTH = "/_stcore/health"
COOKIE_LASTS = 30 * 24 * 3600  # seconds
PAGE = APP / "assets" / "refused.html"
#: Of what this middleware answers itself. The link with the token goes into no cache and to no other site.
PRIVATE = [(b"cache-control", b"no-store"), (b"referrer-policy", b"no-referrer")]
#: A folder of another server, whose proxy leads here: of jupyter-server-proxy "/user/ann/proxy/8501".
PREFIX = re.compile(rb"(/[A-Za-z0-9._~%@+-]+)+")
#: An origin that may be asked to show ours in a frame.
ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?")


class TokenCheck:
    """An ASGI application around `app` that answers 403 unless the request brings the cookie; its health is open.

    `?token=` with the token, or `?once=` with a code that `spend` takes, sets the cookie and leads to the same address
    without it. Requests that pages of another origin make are refused, whatever they bring.

    framed_by: origins such as "http://localhost:8888" whose pages may show ours in a frame: of the Jupyter server that
    a notebook is open in. No other page may: one of another port shares the cookie, and could have ours clicked on.
    Raises ValueError for what is no origin.
    """

    def __init__(self, app, token: str, spend: Callable[[bytes], bool], framed_by: Sequence[str] = ()):
        self.app = app
        self.token = token.encode()
        self.spend = spend
        # Cookies are not separated by port: two Lineups on one host do not log each other out.
        self.cookie = f"lineup-{sha256(self.token).hexdigest()[:12]}".encode()
        self.page = PAGE.read_bytes()
        if wrong := [origin for origin in framed_by if not ORIGIN.fullmatch(origin)]:
            raise ValueError(f"{wrong[0]!r} is no origin")
        ancestors = " ".join(["frame-ancestors 'self'", *framed_by])
        self.unframed = (b"content-security-policy", ancestors.encode())

    async def __call__(self, scope, receive, send) -> None:
        """Answers a request, or hands it on."""
        kind = scope["type"]
        if kind == "lifespan" or (kind == "http" and scope["path"] == HEALTH):
            await self.app(scope, receive, send)
            return
        given, scope["query_string"] = _take(scope["query_string"])  # in place: the server logs a websocket's query
        allowed = not _is_foreign(scope)
        known = allowed and self._has_cookie(scope)
        if allowed and given and kind == "http" and scope["method"] == "GET":
            if self._is_token(given.get(b"token", b"")) or (b"once" in given and self.spend(given[b"once"])):
                await _redirect(scope, send, [(b"set-cookie", self._new_cookie(scope))])
                return
            if known:  # an old link
                await _redirect(scope, send, [])
                return
        if known:
            await self.app(scope, receive, self._unframed(send) if kind == "http" else send)
        elif kind == "http":
            headers = [(b"content-type", b"text/html; charset=utf-8"), self.unframed]
            await _answer(send, 403, headers, self.page)
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _is_token(self, given: bytes) -> bool:
        return hmac.compare_digest(given, self.token)

    def _has_cookie(self, scope) -> bool:
        """Any of that name: another port's page may have set one for a narrower path, which comes first."""
        pairs = (one.strip().partition(b"=") for one in b";".join(_headers(scope, b"cookie")).split(b";"))
        return any(name == self.cookie and self._is_token(value) for name, _, value in pairs)

    def _new_cookie(self, scope) -> bytes:
        # Lax, not Strict: a link from a wiki page to an image still opens. Other sites' requests do not bring it.
        # Behind another server's folder for that folder alone: the others there may be other people's.
        made = (self.cookie, self.token, _prefix(scope), COOKIE_LASTS)
        return b"%s=%s; Path=%s/; Max-Age=%d; HttpOnly; SameSite=Lax" % made

    def _unframed(self, send):
        async def send_unframed(message):
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), self.unframed]}
            await send(message)

        return send_unframed


def _take(query: bytes) -> tuple[dict[bytes, bytes], bytes]:
    """The values of `token` and `once` in a query string, and the string without them."""
    given, others = {}, []
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        if name in (b"token", b"once"):
            given[name] = value
        else:
            others.append(part)
    return given, b"&".join(others)


def _headers(scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key.lower() == name]


def _is_foreign(scope) -> bool:
    """Whether a page of another origin asks. Only the two headers are compared: behind a port forward, the port is not
    the one that is listened on."""
    hosts = [host.lower() for host in _headers(scope, b"host")]
    return any(origin.partition(b"://")[2].lower() not in hosts for origin in _headers(scope, b"origin"))


def _prefix(scope) -> bytes:
    """The folder that a proxy says we are in, b"" where it says none."""
    (prefix, *_) = (*_headers(scope, b"x-forwarded-prefix"), b"")
    return prefix.rstrip(b"/") if PREFIX.fullmatch(prefix.rstrip(b"/")) else b""


async def _redirect(scope, send, headers) -> None:
    # One slash in front: "//name" would lead to another host.
    place = "/" + quote(scope["path"]).lstrip("/")
    if _prefix(scope):  # some proxies put their folder in front of an absolute place, and some do not
        place = "./" + place.rpartition("/")[2]
    query = scope["query_string"]
    await _answer(send, 303, [(b"location", place.encode() + (b"?" + query if query else b"")), *headers], b"")


async def _answer(send, status: int, headers, body: bytes) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [length, *PRIVATE, *headers]})
    await send({"type": "http.response.body", "body": body})
