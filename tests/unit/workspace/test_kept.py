"""Answers that are kept while a report is made: of the same question alone, and no longer."""

from attribution.workspace.kept import keep_answers, once


def test_they_are_computed_once_and_forgotten():
    made = []

    def ask(key):
        return once(key, lambda: made.append(key) or len(made))

    assert (ask("a"), ask("a")) == (1, 2), "nothing is kept outside"
    with keep_answers():
        assert (ask("a"), ask("b"), ask("a")) == (3, 4, 3)
    with keep_answers():
        assert ask("a") == 5
    assert made == ["a", "a", "a", "b", "a"]


def test_what_failed_is_asked_again():
    def fail():
        raise ValueError

    with keep_answers():
        for _ in range(2):
            try:
                once("a", fail)
            except ValueError:
                continue
        assert once("a", lambda: 1) == 1
