"""What is no file, and files that unpack to far more than they are: a sentence each, at once, in little memory.

`tests.hostile` makes them and reads them by everything that reads a file of others.
"""

import json
import re
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from attribution.data import foreign
from attribution.errors import UserError
from tests import hostile
from tests.conftest import ROOT

SECONDS, BYTES = 10, 1 << 30


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What became of each hostile file, see `tests.hostile`; read in a process of its own, for its memory."""
    folder = tmp_path_factory.mktemp("hostile")
    done = subprocess.run(
        [sys.executable, "-m", "tests.hostile", str(folder / "files")], cwd=ROOT, capture_output=True, timeout=600
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", hostile.FILES)
def test_hostile(outcomes, name):
    one = outcomes[name]
    if name in hostile.HARMLESS:
        assert one["said"] == hostile.READ
    else:
        assert re.fullmatch(r"[^\n]{20,600}; [^\n]*[^.\n]", one["said"]), one["said"]
        assert hostile.WORDS.get(name, "") in one["said"]
    assert one["seconds"] < SECONDS and one["memory"] < BYTES


def test_a_link_to_a_file_is_one(tmp_path):
    (tmp_path / "file").write_bytes(b"four")
    (tmp_path / "link").symlink_to("file")
    assert foreign.check_file(tmp_path / "link", 4) == 4
    with foreign.open_file(tmp_path / "link") as stream:
        assert stream.read() == b"four"
    with pytest.raises(UserError, match="has 4 bytes, more than the 3 that such a file may have"):
        foreign.check_file(tmp_path / "link", 3)
    with pytest.raises(UserError, match="is a folder"):
        foreign.check_file(tmp_path)
    with pytest.raises(UserError, match="cannot be opened .*; check the path"):
        foreign.check_file(tmp_path / "none")


def test_a_footer_that_is_too_long(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"PAR1" + b"\xff\xff\xff\x7fPAR1")
    with pytest.raises(UserError, match="its description is too long"):
        foreign.open_parquet(tmp_path / "x.parquet")


def test_pictures_that_are_repeated_a_little_are_read(tmp_path):
    """As where a data set has doubles: within reason they may unpack to more than the file."""
    picture = np.random.default_rng(0).bytes(2**20)
    file = tmp_path / "x.parquet"
    pq.write_table(pa.table({"image": [picture] * 100}), file)
    with foreign.open_parquet(file) as opened:
        foreign.check_unpacked(opened, file)
        table = foreign.read_group(opened, file, 0, "image")
    assert file.stat().st_size < 2 * 2**20 and len(table) == 100 and table["image"][99].as_py() == picture
