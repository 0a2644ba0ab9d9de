"""Who is let in, asked of the middleware itself, around an application that tells what reached it."""

import asyncio
import hmac
from http.cookies import SimpleCookie

import pytest

from attribution.access import middleware
from attribution.access.middleware import HEALTH, TokenCheck

TOKEN = "t" * 42 + "Z"
WRONG = [
    b"",
    b"no",
    TOKEN[:-1].encode(),
    TOKEN.encode() + b"t",
    TOKEN.lower().encode(),
    b"t" * 10_000,
    "é".encode(),
    b"\xff\x00",
    b"%00",
]


class Asked:
    """A request to a fresh TokenCheck, and what became of it: what was sent, and whether the application saw it."""

    def __init__(
        self,
        path="/",
        query=b"",
        cookie=None,
        origin=None,
        kind="http",
        codes=(),
        method="GET",
        check=None,
        prefix=None,
    ):
        self.sent, self.codes, self.seen = [], set(codes), None
        check = check or TokenCheck(self.application, TOKEN, self.spend)
        check.app = self.application
        headers = [(b"host", b"localhost:9000")]
        headers += [(b"cookie", cookie)] if cookie is not None else []
        headers += [(b"origin", origin)] if origin is not None else []
        headers += [(b"x-forwarded-prefix", prefix)] if prefix is not None else []
        self.scope = {"type": kind, "path": path, "query_string": query, "headers": headers, "method": method}
        asyncio.run(check(self.scope, None, self.send))

    async def application(self, scope, receive, send):
        self.seen = scope
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"the dashboard"})
        elif scope["type"] == "websocket":
            await send({"type": "websocket.accept"})

    async def send(self, message):
        self.sent.append(message)

    def spend(self, code):
        return code in self.codes and not self.codes.remove(code)

    @property
    def status(self):
        return self.sent[0]["status"]

    @property
    def headers(self):
        return {key.decode(): value.decode("latin-1") for key, value in self.sent[0].get("headers", [])}


def cookie(token=TOKEN) -> bytes:
    return TokenCheck(None, TOKEN, None).cookie + b"=" + (token if isinstance(token, bytes) else token.encode())


def is_refused(asked) -> bool:
    page = b"".join(message.get("body", b"") for message in asked.sent)
    return asked.status == 403 and asked.seen is None and b"Open the link that Lineup printed" in page


@pytest.mark.parametrize(
    "path",
    ["/", "/audit", "/_stcore/host-config", "/media/x.png", "/static/js/x.js", "/component/x", "/_stcore/health/"],
)
def test_without_token_or_cookie_every_path_is_refused(path):
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"):
        asked = Asked(path, method=method)
        assert is_refused(asked)
        assert TOKEN not in str(asked.sent) and "set-cookie" not in asked.headers


def test_the_refusal_is_a_page_that_is_not_kept():
    headers = Asked().headers
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["cache-control"] == "no-store" and headers["referrer-policy"] == "no-referrer"


def test_health_is_open():
    assert Asked(HEALTH).status == 200
    assert Asked(HEALTH, b"token=no").status == 200


def test_the_lifespan_reaches_the_application():
    assert Asked(kind="lifespan").seen is not None


def test_the_token_is_exchanged_for_the_cookie():
    asked = Asked(query=b"token=" + TOKEN.encode())
    assert (asked.status, asked.headers["location"]) == (303, "/")
    assert asked.seen is None
    (one,) = SimpleCookie(asked.headers["set-cookie"]).values()
    assert one.value == TOKEN and one.key.encode() + b"=" + one.value.encode() == cookie()
    assert one["httponly"] and one["samesite"] == "Lax" and one["path"] == "/" and int(one["max-age"]) > 0
    assert asked.headers["cache-control"] == "no-store" and asked.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("path", "query", "place"),
    [
        ("/audit", b"image=3&token=T&who=Ann%20B", "/audit?image=3&who=Ann%20B"),
        ("/", b"token=T&rankings=a&rankings=b", "/?rankings=a&rankings=b"),
        ("/", b"tokens=1&token=T&mytoken=2&a=token", "/?tokens=1&mytoken=2&a=token"),
        ("/", b"token=no&token=T", "/"),
        ("/méthodes", b"token=T", "/m%C3%A9thodes"),
        ("//elsewhere.org/x", b"token=T", "/elsewhere.org/x"),
        ("/\\elsewhere.org", b"token=T", "/%5Celsewhere.org"),
        ("/a\r\nset-cookie: x=y", b"token=T", "/a%0D%0Aset-cookie%3A%20x%3Dy"),
    ],
)
def test_the_redirect_takes_out_the_token_alone(path, query, place):
    asked = Asked(path, query.replace(b"=T", b"=" + TOKEN.encode()))
    assert (asked.status, asked.headers["location"]) == (303, place)


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_token_is_refused(wrong):
    for query in (b"token=" + wrong, b"once=" + wrong, b"token=&once=" + wrong):
        assert is_refused(Asked(query=query))
    assert is_refused(Asked(query=b"token"))


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_cookie_is_refused(wrong):
    assert is_refused(Asked(cookie=cookie(wrong)))
    assert is_refused(Asked(cookie=b"token=" + TOKEN.encode()))
    assert is_refused(Asked(cookie=wrong))


def test_with_the_cookie_the_request_goes_through():
    asked = Asked("/audit", b"image=3", cookie())
    assert asked.status == 200 and asked.seen["query_string"] == b"image=3"
    assert Asked(cookie=b"a=b; " + cookie() + b"; c=d").status == 200


def test_a_cookie_that_another_port_set_does_not_lock_out():
    assert Asked(cookie=cookie(b"theirs") + b"; " + cookie()).status == 200


def test_another_lineup_has_another_cookie():
    other = TokenCheck(None, "u" * 43, None)
    assert other.cookie != TokenCheck(None, TOKEN, None).cookie
    assert Asked(cookie=other.cookie + b"=" + b"u" * 43 + b"; " + cookie()).status == 200
    assert is_refused(Asked(cookie=other.cookie + b"=" + TOKEN.encode()))


def test_an_old_link_still_opens_with_the_cookie():
    asked = Asked("/audit", b"image=3&token=old", cookie())
    assert (asked.status, asked.headers["location"]) == (303, "/audit?image=3")
    assert "set-cookie" not in asked.headers


def test_a_token_in_what_is_no_visit_is_not_exchanged():
    assert is_refused(Asked(query=b"token=" + TOKEN.encode(), method="POST"))


def test_a_one_time_link_works_once():
    asked = Asked("/", b"target=3&once=code", codes=[b"code"])
    assert (asked.status, asked.headers["location"]) == (303, "/?target=3")
    assert SimpleCookie(asked.headers["set-cookie"]).popitem()[1].value == TOKEN
    assert asked.codes == set()
    assert is_refused(Asked("/", b"target=3&once=code", codes=asked.codes))


def test_a_one_time_link_is_spent_by_who_has_the_cookie_too():
    assert Asked(query=b"once=code", cookie=cookie(), codes=[b"code"]).codes == set()


@pytest.mark.parametrize(
    ("path", "place"), [("/", "./?target=3"), ("/audit", "./audit?target=3"), ("//evil.org/a:b", "./a%3Ab?target=3")]
)
def test_behind_a_folder_of_another_server_its_place_and_cookie_are_in_it(path, place):
    """As jupyter-server-proxy says it, of which some versions put the folder in front of an absolute place."""
    asked = Asked(path, b"target=3&token=" + TOKEN.encode(), prefix=b"/user/ann@b.org/proxy/8501/")
    assert (asked.status, asked.headers["location"]) == (303, place)
    assert SimpleCookie(asked.headers["set-cookie"]).popitem()[1]["path"] == "/user/ann@b.org/proxy/8501/"


@pytest.mark.parametrize(
    "prefix", [b"", b"/", b"x", b"//evil.org", b"/a; Domain=evil.org", b"/a\r\nx: y", b"/a b", b"\xff"]
)
def test_what_is_no_folder_is_none(prefix):
    asked = Asked("/audit", b"token=" + TOKEN.encode(), prefix=prefix)
    assert asked.headers["location"] == "/audit"
    assert SimpleCookie(asked.headers["set-cookie"]).popitem()[1]["path"] == "/"


# -- the websocket, and pages of other origins


def test_a_websocket_needs_the_cookie():
    for asked in (
        Asked("/_stcore/stream", kind="websocket"),
        Asked("/_stcore/stream", kind="websocket", cookie=cookie(b"no")),
        Asked("/_stcore/stream", b"token=" + TOKEN.encode(), kind="websocket"),
        Asked(HEALTH, kind="websocket"),
    ):
        assert asked.sent == [{"type": "websocket.close", "code": 1008}] and asked.seen is None
    for origin in (None, b"http://localhost:9000", b"HTTP://LOCALHOST:9000"):
        assert Asked("/_stcore/stream", kind="websocket", cookie=cookie(), origin=origin).seen is not None


@pytest.mark.parametrize(
    "origin",
    [
        b"http://elsewhere.org",
        b"http://localhost:8000",
        b"http://localhost",
        b"http://127.0.0.1:9000",
        b"http://localhost:9000.elsewhere.org",
        b"http://elsewhere.org/localhost:9000",
        b"null",
        b"",
        b"localhost:9000",
    ],
)
def test_a_page_of_another_origin_is_refused_with_the_cookie(origin):
    asked = Asked("/_stcore/stream", kind="websocket", cookie=cookie(), origin=origin)
    assert asked.sent == [{"type": "websocket.close", "code": 1008}] and asked.seen is None
    assert is_refused(Asked("/_stcore/upload_file/x", cookie=cookie(), origin=origin, method="PUT"))
    asked = Asked(query=b"once=code", origin=origin, codes=[b"code"])
    assert is_refused(asked) and asked.codes == {b"code"}


def test_our_own_pages_requests_go_through_behind_a_port_forward():
    assert Asked(cookie=cookie(), origin=b"http://localhost:9000", method="PUT").status == 200


def test_the_token_in_a_websockets_address_is_not_logged():
    """uvicorn logs a websocket's path and query, as they are in the scope when the answer is sent."""
    asked = Asked("/_stcore/stream", b"a=1&token=" + TOKEN.encode(), kind="websocket")
    assert asked.scope["query_string"] == b"a=1"


def test_no_page_of_another_port_shows_ours_in_a_frame():
    for asked in (Asked(), Asked(cookie=cookie())):
        assert asked.headers["content-security-policy"] == "frame-ancestors 'self'"


def test_tokens_are_compared_in_constant_time(monkeypatch):
    compared = []

    def compare(given, kept):
        compared.append((given, kept))
        return False

    monkeypatch.setattr(middleware.hmac, "compare_digest", compare)
    assert is_refused(Asked(query=b"token=" + TOKEN.encode(), cookie=cookie()))
    assert set(compared) == {(TOKEN.encode(), TOKEN.encode())} and len(compared) == 2
    monkeypatch.undo()
    assert hmac.compare_digest is middleware.hmac.compare_digest


def test_the_page_that_is_named_may_show_ours_in_a_frame():
    check = TokenCheck(None, TOKEN, bool, ["http://localhost:8888", "https://hub.example.org"])
    policy = "frame-ancestors 'self' http://localhost:8888 https://hub.example.org"
    for asked in (Asked(check=check), Asked(check=check, cookie=cookie())):
        assert asked.headers["content-security-policy"] == policy


@pytest.mark.parametrize(
    "origin", ["*", "'none'", "localhost", "http://a b", "http://a;script-src *", "http://a/b", ""]
)
def test_what_is_no_origin_may_not(origin):
    with pytest.raises(ValueError, match="is no origin"):
        TokenCheck(None, TOKEN, bool, [origin])
