"""Texts of components under addresses of their own."""

from starlette.applications import Starlette
from starlette.testclient import TestClient

from attribution.live.scripts import Scripts, script_routes


def test_a_script_is_served_for_good_and_no_other_is():
    scripts = Scripts()
    assert not scripts.is_served
    address = scripts.publish("export default 'ä';")
    assert scripts.publish("export default 'ä';") == address != scripts.publish("export default 'b';")
    with TestClient(Starlette(routes=script_routes(scripts))) as browser:
        answer = browser.get(address)
        assert (answer.status_code, answer.text) == (200, "export default 'ä';")
        assert answer.headers["content-type"].startswith("text/javascript")
        assert "immutable" in answer.headers["cache-control"]
        assert browser.get("scripts/asgi.js").status_code == 404
    assert scripts.is_served
