"""The formats as a whole: each is named, described, sniffed, and refuses what is none of its kind."""

import pytest

from attribution import UserError
from attribution.importing.formats import NAMES, Declaration, detect_format, get_format
from tests import golden


@pytest.mark.parametrize("name", NAMES)
def test_each_describes_itself(name):
    assert 20 < len(get_format(name).DESCRIPTION) <= 120 and "\n" not in get_format(name).DESCRIPTION


def test_unknown_ones(tmp_path):
    with pytest.raises(UserError, match="no format 'tsv'; there is traker, "):
        get_format("tsv")
    with pytest.raises(UserError, match="there is nothing at"):
        detect_format(tmp_path / "none")
    (tmp_path / "scores.tsv").write_text("1,2")
    with pytest.raises(UserError, match="looks like none of traker"):
        detect_format(tmp_path / "scores.tsv")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("there", ["nothing", "folder", "text", "folder.npy"])
def test_what_is_none_of_its_kind(tmp_path, name, there):
    path = tmp_path / there
    path.write_text("1,2") if there == "text" else path.mkdir() if there != "nothing" else None
    assert not get_format(name).sniff(path) or there == "folder.npy"
    with pytest.raises(UserError) as error:
        get_format(name).load(
            path,
            Declaration(sign="helpful") if name in ("tensor", "kronfluence", "csv") else Declaration(),
            golden.sizes(),
        )
    assert ";" in str(error.value) and "\n" not in str(error.value)


def test_a_folder_that_cannot_be_read(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    for name in NAMES:
        monkeypatch.setattr(get_format(name), "sniff", refuse)
    with pytest.raises(UserError, match="looks like none of"):
        detect_format(tmp_path)
