"""Lets in who has the token: ASGI middleware, so that the websocket is covered, with nothing of a framework's."""

import hmac
from collections.abc import Callable
from hashlib import sha256
from urllib.parse import quote

from attribution.files import APP

HEALTH = "/_stcore/health"
COOKIE_LASTS = 30 * 24 * 3600  # seconds
PAGE = APP / "assets" / "refused.html"
#: Of what this middleware answers itself. The link with the token goes into no cache and to no other site.
PRIVATE = [(b"cache-control", b"no-store"), (b"referrer-policy", b"no-referrer")]
#: Of every answer: a page of another port shares the cookie, and may not show ours in a frame to have it clicked on.
UNFRAMED = (b"content-security-policy", b"frame-ancestors 'self'")


class TokenCheck:
    """An ASGI application around `app` that answers 403 unless the request brings the cookie; its health is open.

    `?token=` with the token, or `?once=` with a code that `spend` takes, sets the cookie and leads to the same address
    without it. Requests that pages of another origin make are refused, whatever they bring.
    """

    def __init__(self, app, token: str, spend: Callable[[bytes], bool]):
        self.app = app
        self.token = token.encode()
        self.spend = spend
        # Cookies are not separated by port: two Lineups on one host do not log each other out.
        self.cookie = f"lineup-{sha256(self.token).hexdigest()[:12]}".encode()
        self.page = PAGE.read_bytes()

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
                await _redirect(scope, send, [(b"set-cookie", self._new_cookie())])
                return
            if known:  # an old link
                await _redirect(scope, send, [])
                return
        if known:
            await self.app(scope, receive, _unframed(send) if kind == "http" else send)
        elif kind == "http":
            headers = [(b"content-type", b"text/html; charset=utf-8"), UNFRAMED]
            await _answer(send, 403, headers, self.page)
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _is_token(self, given: bytes) -> bool:
        return hmac.compare_digest(given, self.token)

    def _has_cookie(self, scope) -> bool:
        """Any of that name: another port's page may have set one for a narrower path, which comes first."""
        pairs = (one.strip().partition(b"=") for one in b";".join(_headers(scope, b"cookie")).split(b";"))
        return any(name == self.cookie and self._is_token(value) for name, _, value in pairs)

    def _new_cookie(self) -> bytes:
        # Lax, not Strict: a link from a wiki page to an image still opens. Other sites' requests do not bring it.
        return b"%s=%s; Path=/; Max-Age=%d; HttpOnly; SameSite=Lax" % (self.cookie, self.token, COOKIE_LASTS)


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


async def _redirect(scope, send, headers) -> None:
    # One slash in front: "//name" would lead to another host.
    place = "/" + quote(scope["path"]).lstrip("/")
    query = scope["query_string"]
    await _answer(send, 303, [(b"location", place.encode() + (b"?" + query if query else b"")), *headers], b"")


async def _answer(send, status: int, headers, body: bytes) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [length, *PRIVATE, *headers]})
    await send({"type": "http.response.body", "body": body})


def _unframed(send):
    async def send_unframed(message):
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), UNFRAMED]}
        await send(message)

    return send_unframed
