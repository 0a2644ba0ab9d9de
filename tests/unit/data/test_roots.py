import pytest

from attribution.data import roots


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "results"))


def test_a_folder_is_found_as_long_as_it_is_there(tmp_path):
    (tmp_path / "a").mkdir()
    assert roots.find("1" * 64) is None
    roots.remember("1" * 64, tmp_path / "a")
    roots.remember("2" * 64, tmp_path / "b")
    assert roots.find("1" * 64) == tmp_path / "a" and roots.find("2" * 64) is None
    (tmp_path / "b").mkdir()
    assert roots.find("2" * 64) == tmp_path / "b"


def test_a_damaged_list_is_begun_anew(tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "roots.json").write_text("{")
    assert roots.find("1" * 64) is None
    roots.remember("1" * 64, tmp_path)
    assert roots.find("1" * 64) == tmp_path
