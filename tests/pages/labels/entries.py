"""Queues and decisions of the audit's tests, and its page."""

from streamlit.testing.v1 import AppTest

from attribution.audit import review_queue
from tests.conftest import ROOT

PAGE = str(ROOT / "pages" / "labels" / "page.py")


def add(log, ws, **asked) -> int:
    spec = review_queue.queue_spec(ws, **({"random": False} | asked))
    found = review_queue.build_items(ws, spec)
    return log.add_queue(
        spec, found.images.tolist(), found.controls.tolist(), found.scores.tolist(), found.suggestions.tolist(), "me"
    )


def entry(item, action="keep", **more):
    entry.count = getattr(entry, "count", 0) + 1
    return {"uid": f"u{entry.count}", "item": int(item), "action": action, "seen": 0, "reason": "", "queue": 1, **more}


def run():
    page = AppTest.from_file(PAGE, default_timeout=60).run()
    assert not page.exception, page.exception
    return page


def words(page) -> str:
    return " ".join(
        one.value
        for kind in ("header", "markdown", "caption", "info", "warning", "error", "success")
        for one in getattr(page, kind)
    )
