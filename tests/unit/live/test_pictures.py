"""Pictures under addresses of their own: what a browser is given, and what it is not."""

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from attribution.live.pictures import Pictures, picture_routes


@pytest.fixture
def pictures():
    return Pictures(most_bytes=10)


@pytest.fixture
def browser(pictures):
    with TestClient(Starlette(routes=picture_routes(pictures))) as opened:
        yield opened


def test_a_picture_is_served_for_good(pictures, browser):
    address = pictures.publish("one", b"abc")
    assert pictures.publish("one", b"abc") == address and not address.startswith("/")
    answer = browser.get(address)
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"abc", "image/png")
    assert "immutable" in answer.headers["cache-control"] and "private" in answer.headers["cache-control"]


def test_the_same_picture_of_another_workspace_has_another_address(pictures, browser):
    address = pictures.publish("one", b"abc")
    other = pictures.publish("other", b"xyz")
    assert pictures.publish("other", b"abc") != address
    mixed = "/".join([*other.split("/")[:2], address.split("/")[2]])  # the folder of one, the name of the other
    for unknown in (mixed, "pictures/../asgi.png", "pictures/a/b.png"):
        answer = browser.get(unknown)
        assert answer.status_code == 404 and b"abc" not in answer.content and b"xyz" not in answer.content
    assert browser.get(mixed).headers["cache-control"] == "no-store"


def test_what_was_asked_for_last_is_kept(pictures):
    first, second = pictures.publish("one", b"12345"), pictures.publish("one", b"67890")
    pictures.read(first)
    third = pictures.publish("one", b"abcde")
    assert [pictures.read(address) for address in (first, second, third)] == [b"12345", None, b"abcde"]
    alone = pictures.publish("one", b"larger than all")
    assert pictures.read(alone) == b"larger than all" and pictures.read(third) is None


def test_pages_use_no_address_that_nobody_serves(pictures):
    assert not pictures.is_served
    picture_routes(pictures)
    assert pictures.is_served
