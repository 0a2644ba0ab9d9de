"""Rows that are fetched before their target is chosen: what is offered, and what the route answers."""

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from attribution.errors import UserError
from attribution.live import ahead
from attribution.live.ahead import Ahead, ahead_routes


@pytest.fixture
def offers():
    return Ahead()


@pytest.fixture
def client(offers):
    return TestClient(Starlette(routes=ahead_routes(offers)))


def test_a_browser_has_the_rows_of_any_target(offers, client):
    assert offers.is_served
    address = offers.offer(("demo", 16), lambda target: {"of": target})
    answer = client.get(f"/{address}/7")
    assert answer.status_code == 200 and answer.json() == {"of": 7}
    assert answer.headers["cache-control"] == "no-store", "they change with what is stored"


def test_the_address_says_what_rows_depend_on(offers):
    one, other = (offers.offer(("demo", k), lambda target: {}) for k in (16, 17))
    assert one != other and one == offers.offer(("demo", 16), lambda target: {})


def test_where_there_is_nothing_the_page_is_waited_for(offers, client):
    def fail(target):
        raise UserError("a ranking cannot be read")

    for make in (fail, lambda target: None):
        assert client.get(f"/{offers.offer(make, make)}/7").status_code == 404
    assert client.get("/ahead/unknown/7").status_code == 404
    assert client.get(f"/{offers.offer('a', lambda target: {})}/x").status_code == 404


def test_the_latest_offers_are_kept(offers, client, monkeypatch):
    monkeypatch.setattr(ahead, "KEPT", 2)
    first, second = (offers.offer(name, lambda target: {}) for name in "ab")
    offers.offer("a", lambda target: {})
    third = offers.offer("c", lambda target: {})
    assert [client.get(f"/{address}/0").status_code for address in (first, second, third)] == [200, 404, 200]
