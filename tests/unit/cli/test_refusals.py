"""A store that cannot be used: every verb says so in one sentence, ends with status 2, and touches nothing of it."""

import sys

import pytest

from attribution import __main__ as cli
from attribution.store.database import FILE

VERBS = [
    ["jobs", "list"],
    ["jobs", "show", "1"],
    ["jobs", "cancel", "1"],
    ["runner", "--idle", "1"],
    ["study", "--targets", "1"],
    ["evaluate", "supports"],
    ["retrain", "--target", "0", "--ranking", "trak-10", "--remove-top", "4"],
    ["support", "--target", "0", "--ranking", "trak-10"],
]


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
@pytest.mark.parametrize("how", ["another version", "damaged", "damaged inside"])
def test_a_verb_says_so_in_one_sentence(store, monkeypatch, capfd, verb, how):
    file = store.folder / FILE
    if how == "another version":
        store.db.execute("PRAGMA user_version = 99")
    store.close()
    if how == "damaged":
        file.write_bytes(b"not a database" * 1000)
    elif how == "damaged inside":  # its first page is whole, so that it can be opened
        file.write_bytes(file.read_bytes()[:4096] + b"\x77" * (file.stat().st_size - 4096))
    before = file.read_bytes()
    monkeypatch.setattr(sys, "argv", ["attribution", *verb])
    with pytest.raises(SystemExit) as end:
        cli.main()
    out, err = capfd.readouterr()
    assert (end.value.code, out) == (2, "") and len(err.strip().splitlines()) == 1, err
    assert ("schema version 99" if how == "another version" else "are damaged") in err
    assert file.read_bytes() == before
