import json

import pytest

from attribution.data import roots

ONE, TWO = "1" * 64, "2" * 64


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "results"))


def test_a_folder_is_found_as_long_as_it_is_there(tmp_path):
    ws = tmp_path / "ws"
    (tmp_path / "a").mkdir()
    assert roots.find_root(ws, ONE) is None
    roots.save_root(ws, ONE, tmp_path / "a")
    roots.save_root(ws, TWO, tmp_path / "b")
    assert roots.find_root(ws, ONE) == tmp_path / "a" and roots.find_root(ws, TWO) is None
    (tmp_path / "b").mkdir()
    assert roots.find_root(ws, TWO) == tmp_path / "b"


def test_each_workspace_of_a_data_set_has_its_own_folder(tmp_path, monkeypatch):
    for name in "ab":
        (tmp_path / name).mkdir()
        roots.save_root(tmp_path / f"ws-{name}", ONE, tmp_path / name)
    assert roots.find_root(tmp_path / "ws-a", ONE) == tmp_path / "a"
    assert roots.find_root(tmp_path / "x" / ".." / "ws-a", ONE) == tmp_path / "a"
    assert roots.find_root(tmp_path / "moved", ONE) == tmp_path / "b", "the one noted last"
    (tmp_path / "a").rename(tmp_path / "c")
    assert roots.find_root(tmp_path / "ws-a", ONE) == tmp_path / "b", "of this data set, too"


def test_what_was_noted_by_the_data_set_alone_still_serves(tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "roots.json").write_text(json.dumps({ONE: str(tmp_path)}))
    assert roots.find_root(tmp_path / "ws", ONE) == tmp_path


def test_a_damaged_list_is_begun_anew(tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "roots.json").write_text("{")
    assert roots.find_root(tmp_path, ONE) is None
    roots.save_root(tmp_path, ONE, tmp_path)
    assert roots.find_root(tmp_path, ONE) == tmp_path
