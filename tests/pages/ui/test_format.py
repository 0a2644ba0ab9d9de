"""How numbers and names are written."""

import pytest

from pages.ui import format as write


def test_number_ranges():
    assert write.number_ranges([0, 1, 2, 3, 7, 8]) == "0–3, 7, 8" and write.number_ranges([]) == ""


def test_classes_to_choose_by():
    assert list(write.class_numbers(["Box", "Bar"], "any")) == ["Box", "Bar"]
    names = [*(f"class {i}" for i in range(996)), "crane", "maillot", "crane", "any"]
    numbers = write.class_numbers(names, "any")
    assert len(numbers) == 1000 and numbers["crane (996)"] == 996 and numbers["crane (998)"] == 998
    assert (numbers["maillot"], numbers["any (999)"], numbers["class 7"]) == (997, 999, 7) and "any" not in numbers


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


def test_a_command_in_a_sentence_can_be_copied_as_it_is():
    assert write.plain("Made by python -m attribution demo build. Labels are") == (
        "Made by `python -m attribution demo build`\\. Labels are"
    )
    said = write.sentence("too few base models; train more with: python -m attribution base train --models 10")
    assert "`python -m attribution base train --models 10`" in said and write.WORD_JOINER not in said
    both = write.plain("say `x`, or python -m pip install -e '/a-b[train]'; then a -> b")
    assert "`python -m pip install -e '/a-b[train]'`" in both and both.endswith(
        f"a -{write.WORD_JOINER}> b".replace("-", "\\-").replace(">", "\\>")
    )
