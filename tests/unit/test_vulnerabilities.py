"""`make audit` tells what it looked up from what it could not."""

import json

from tests.vulnerabilities import summary

SAFE = {"name": "numpy", "version": "2.1", "vulns": []}
OPEN = {"name": "pillow", "version": "11", "vulns": [{"id": "PYSEC-1", "fix_versions": ["12"]}]}
UNKNOWN = {"name": "torch", "skip_reason": "Dependency not found on PyPI"}


def test_what_was_found_is_said():
    assert summary(json.dumps({"dependencies": [SAFE, UNKNOWN]}), "") == (
        "1 of 2 packages were looked up, 0 vulnerabilities found",
        0,
    )
    text, status = summary(json.dumps({"dependencies": [SAFE, OPEN]}), "")
    assert "pillow 11: PYSEC-1, mended in 12\n2 of 2 packages were looked up, 1 vulnerabilities found" == text
    assert status == 1


def test_without_a_network_a_line_says_so():
    assert summary("", "Traceback\nConnectionError: no route") == (
        "skipped: pip-audit could not look anything up (ConnectionError: no route)",
        0,
    )
    text, status = summary(json.dumps({"dependencies": [UNKNOWN] * 3}), "")
    assert text.startswith("skipped: ") and status == 0
