"""Our own Parquet: as its documentation says, in any order, with lists of any length; and ranks that are none."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from attribution import UserError
from attribution.importing.formats import DataSetSizes, Declaration, parquet
from attribution.importing.formats.parquet import load, sniff

SIZES = DataSetSizes(np.arange(8) % 2, np.arange(5) % 2)
#: target 3 ranks 5, 2, 0, and target 1 ranks 7
ROWS = {"target": [3, 1, 3, 3], "train": [2, 7, 5, 0], "rank": [1, 0, 0, 2], "score": [0.5, -2.0, 1.5, -0.5]}


@pytest.fixture
def bring(tmp_path):
    def bring(rows, metadata=None, **declared):
        pq.write_table(pa.table(rows).replace_schema_metadata(metadata), tmp_path / "x.parquet")
        return load(tmp_path / "x.parquet", Declaration(**declared), SIZES)

    return bring


def test_rows_in_any_order(bring):
    incoming = bring(ROWS, {"sign": "helpful", "method": "Mine"})
    assert incoming.targets.tolist() == [1, 3] and (incoming.method, incoming.signed) == ("Mine", True)
    ids, scores = incoming.read_lists(0, 2)
    assert ids.tolist() == [[7, -1, -1], [5, 2, 0]] and scores[1].tolist() == [1.5, 0.5, -0.5] and scores[0, 0] == -2
    assert incoming.read_lists(0, 1)[0].tolist() == [[7, -1, -1]] and incoming.read_lists(1, 2)[0].tolist() == [
        [5, 2, 0]
    ]


def test_its_documentation(tmp_path, monkeypatch):
    code = [line.strip() for line in parquet.__doc__.splitlines() if line.startswith("    ") and "(" in line]
    monkeypatch.chdir(tmp_path)
    exec(
        "\n".join(code),
        {
            "pa": pa,
            "pq": pq,
            "targets": ROWS["target"],
            "train": ROWS["train"],
            "ranks": ROWS["rank"],
            "scores": ROWS["score"],
        },
    )
    assert sniff(tmp_path / "ranking.parquet")
    incoming = load(tmp_path / "ranking.parquet", Declaration(), SIZES)
    assert incoming.method == "Mine" and incoming.read_lists(1, 2)[0].tolist() == [[5, 2, 0]]


@pytest.mark.parametrize("batch", [1, 3])
def test_read_by_batches(bring, monkeypatch, batch):
    monkeypatch.setattr(parquet, "BATCH", batch)
    incoming = bring(ROWS, sign="helpful")
    assert incoming.targets.tolist() == [1, 3] and incoming.read_lists(0, 2)[0].tolist() == [[7, -1, -1], [5, 2, 0]]
    with pytest.raises(UserError, match="names a training image twice"):
        bring({**ROWS, "train": [2, 7, 5, 2]}, sign="helpful")


def test_without_scores(bring):
    incoming = bring({name: ROWS[name] for name in ("target", "train", "rank")})
    assert incoming.read_lists(0, 2)[1] is None and not incoming.signed


def test_counted_from_one(bring):
    one = {**ROWS, **{name: [n + 1 for n in ROWS[name]] for name in ("target", "train", "rank")}}
    for metadata, declared in (({"index_base": "1", "sign": "helpful"}, {}), ({"sign": "helpful"}, {"index_base": 1})):
        incoming = bring(one, metadata, **declared)
        assert incoming.targets.tolist() == [1, 3] and incoming.read_lists(1, 2)[0].tolist() == [[5, 2, 0]]
    with pytest.raises(UserError, match="the number 8 in its column train, which goes from 0 to 7; check --index-base"):
        bring(one, sign="helpful")
    with pytest.raises(UserError, match="the number 0 in its column train, which goes from 1 to 8"):
        bring({**ROWS, "target": one["target"]}, sign="helpful", index_base=1)


def test_sign(bring):
    with pytest.raises(UserError, match="does not say what a positive score means"):
        bring(ROWS)
    with pytest.raises(UserError, match="the scores of target 3 in .* rise with the rank; say --sign harmful"):
        bring({**ROWS, "score": [-s for s in ROWS["score"]]}, sign="helpful")
    turned = bring({**ROWS, "score": [-s for s in ROWS["score"]]}, {"sign": "helpful"}, sign="harmful")
    assert turned.read_lists(1, 2)[1].tolist() == [[1.5, 0.5, -0.5]]
    assert not bring(ROWS, sign="unsigned").signed


@pytest.mark.parametrize(
    "changes, why",
    [
        ({"rank": [1, 0, 0, 3]}, "the ranks of target 3 .* do not go 0, 1, 2"),
        ({"rank": [1, 0, 0, 1]}, "the ranks of"),
        ({"rank": [1, 1, 0, 2]}, "the ranks of target 1"),
        ({"rank": [3, 2, 2, 4]}, "the ranks of target"),
        ({"train": [2, 7, 5, 2]}, "names a training image twice for the same target"),
        ({"target": [3, 5, 3, 3]}, "the number 5 in its column target"),
        ({"train": [2, -1, 5, 0]}, "the number -1"),
        ({"train": [2, 2**32, 5, 0]}, "the number 4294967296 in its column train"),
        ({"train": pa.array([2, 2**64 - 1, 5, 0], pa.uint64())}, "the number 18446744073709551615 in its column train"),
        ({"rank": [1, 2**32, 0, 2]}, "the ranks of target 1"),
        ({"target": [3.0, 1.0, 3.0, 3.0]}, "the column target of .* is float64"),
        ({"train": [2, None, 5, 0]}, "or has gaps"),
        ({"score": ["a", "b", "c", "d"]}, "the column score .* write numbers"),
        ({"score": [0.5, np.nan, 1.5, -0.5]}, "NaN or infinite"),
        ({"score": [0.5, -2.0, None, -0.5]}, "NaN or infinite"),
        ({"score": [0.5, -2.0, np.inf, -0.5]}, "NaN or infinite"),
    ],
)
def test_refused(bring, changes, why):
    with pytest.raises(UserError, match=why):
        bring({**ROWS, **changes}, sign="helpful").read_lists(0, 2)


@pytest.mark.parametrize(
    "rows, metadata, declared, why",
    [
        ({"target": [0], "train": [0]}, None, {}, "has no column rank; its columns are target, train"),
        ({name: pa.array([], pa.int64()) for name in ("target", "train", "rank")}, None, {}, "has 0 rows"),
        ({"target": [0] * 41, "train": [0] * 41, "rank": [0] * 41}, None, {}, "has 41 rows, and there are 5 x 8 pairs"),
        (ROWS, {"sign": "good"}, {}, "--sign good is not known"),
        (ROWS, {"index_base": "2"}, {}, "--index-base 2"),
        (ROWS, None, {"part": "x"}, "leave all declarations but --sign and --index-base out"),
    ],
)
def test_refused_as_a_whole(bring, rows, metadata, declared, why):
    with pytest.raises(UserError, match=why):
        bring(rows, metadata, **declared)


def test_no_parquet(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"PAR1 and nothing else PAR1")
    with pytest.raises(UserError, match="cannot be read as Parquet"):
        load(tmp_path / "x.parquet", Declaration(), SIZES)
