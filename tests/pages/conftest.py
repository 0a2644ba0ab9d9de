"""No page test starts a runner; `ws`, `store` and `app` are in tests/conftest.py."""

import pytest

from attribution.experiments import jobs


@pytest.fixture(autouse=True)
def no_runner(monkeypatch):
    monkeypatch.setattr(jobs, "ensure_runner", lambda workspace: None)
