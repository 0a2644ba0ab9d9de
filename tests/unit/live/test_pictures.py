"""Pictures under addresses of their own: what a browser is given, and what it is not."""

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from attribution.errors import UserError
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


@pytest.fixture
def offered(pictures):
    """Where the two images of a data set are."""
    made = []

    def make(split, number):
        made.append((split, number))
        return {("train", 0): b"zero", ("val", 1): b"one"}.get((split, number))

    return pictures.offer("one", make), made


def test_an_image_is_made_once_it_is_asked_for_and_kept(browser, offered):
    folder, made = offered
    assert not made
    for _ in range(2):
        answer = browser.get(f"/{folder}/val-1.png")
        assert answer.content == b"one" and "immutable" in answer.headers["cache-control"]
    assert made == [("val", 1)] and browser.get(f"/{folder}/train-0.png").content == b"zero"


@pytest.mark.parametrize("name", ["train-60", "val--1", "val-²", "val-" + "9" * 400, "other-0", "val-x", "val"])
def test_what_is_no_image_is_not_found(browser, offered, name):
    answer = browser.get(f"/{offered[0]}/{name}.png")
    assert answer.status_code == 404 and answer.headers["cache-control"] == "no-store"


def test_images_of_another_workspace_are_not_shown_nor_those_of_long_ago(pictures, browser, offered):
    folder, _ = offered
    assert browser.get(f"/pictures/{'1' * 16}/val-1.png").status_code == 404
    for other in range(4):
        pictures.offer(f"other {other}", lambda split, number: b"other")
    assert browser.get(f"/{folder}/val-1.png").status_code == 404


def test_an_image_that_cannot_be_read_is_not_found(pictures, browser):
    def make(split, number):
        raise UserError("the file is gone")

    assert browser.get(f"/{pictures.offer('one', make)}/val-1.png").status_code == 404
