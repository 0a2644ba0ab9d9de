"""How numbers and names are written."""

import pytest

from pages.ui import format as write


@pytest.mark.parametrize(
    "text",
    [
        "scores.npy holds no array of numbers",
        "my scores/a.npy cannot be opened",
        "/data/a.npy cannot be opened",
        "trak-10 keeps its first images",
        "python -m attribution runner stopped",
        "train/a.png cannot be read",
        "workspace.json is not as it should be",
        "k = 0 is not a number",
    ],
)
def test_a_sentence_leaves_paths_commands_and_names_as_they_are(text):
    assert write.sentence(text) == write.plain(text) + "."


def test_a_sentence_has_a_capital_where_it_begins_with_a_word():
    assert write.sentence("there is no queue") == "There is no queue."
    assert write.sentence("target 12 is out of range") == "Target 12 is out of range."
