"""Queues made from other pages."""

from pages.ui import audit_queue


def test_who_decides_where_nobody_says(monkeypatch):
    monkeypatch.setattr(audit_queue.getpass, "getuser", lambda: (_ for _ in ()).throw(KeyError("uid")))
    assert audit_queue.user_name() == "somebody"
