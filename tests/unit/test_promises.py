"""The documents that promise something name the tests that hold it, and those exist."""

import re

import pytest

from tests.unit.test_architecture import ROOT, definitions

DOCUMENTS = [path for name in ("security", "reliability") if (path := ROOT / "docs" / f"{name}.md").exists()]


def named_tests() -> list[tuple[str, str]]:
    """(file, test) of each `file: test`; of each bare `test_...` after it in the same line, with that file."""
    pairs = []
    for line in "\n".join(path.read_text() for path in DOCUMENTS).splitlines():
        file = None
        for text in re.findall(r"`([^`]+)`", line):
            if match := re.fullmatch(r"(tests/\S+\.py): (test_\w+)", text):
                file = match[1]
                pairs.append((file, match[2]))
            elif re.fullmatch(r"test_\w+", text):
                pairs.append((file, text))
    return sorted(set(pairs))


@pytest.mark.parametrize(("file", "name"), named_tests())
def test_the_test_is_there(file, name):
    assert file and name in definitions(ROOT / file)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_every_promise_names_its_test_or_says_that_there_is_none(path):
    rows = re.findall(r"^\| Promise \|.*\n\|[-|]+\n((?:\|.*\n)+)", path.read_text(), re.M)
    assert rows
    lines = [line for table in rows for line in table.splitlines()]
    assert [line for line in lines if ".py: test_" not in line and "not tested" not in line] == []
