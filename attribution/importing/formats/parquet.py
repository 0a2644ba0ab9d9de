"""Lineup's own format, for whoever writes a ranking: Parquet with a row for each place in a target's list.

    target   whole number   which validation image
    train    whole number   which training image, each at most once a target
    rank     whole number   its place in the target's list: 0, 1, 2, ... or 1, 2, 3, ..., the most helpful first
    score    number         optional; it must not rise with the rank

Rows may stand in any order, lists may have different lengths, and targets may be missing. Where scores have a sign, a
list may be the beginning and the end of an order, with what is between them left out: what scores below zero is the
harmful end, from the back. The schema's metadata may say
`sign` ("helpful" where scores below zero mean harm, "harmful" for the opposite, "unsigned" where only the order
counts), `index_base` ("0", "1"), `method` (a name for people), `about` (a line for people), `labels` (see
`labels_digest`: the file is then refused where it does not belong) and `provenance` (a JSON object). With pyarrow:

    table = pa.table({"target": targets, "train": train, "rank": ranks, "score": scores})
    pq.write_table(table.replace_schema_metadata({"sign": "helpful", "method": "Mine"}), "ranking.parquet")

`write_ranking` does that for a ranking of a workspace.
"""

import hashlib
import json
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from attribution.data.foreign import check_unpacked, open_parquet
from attribution.errors import UserError
from attribution.files import write_atomically
from attribution.importing.formats import DataSetSizes, Declaration, ForeignRanking
from attribution.importing.formats.arrays import float_type, names_text
from attribution.importing.formats.dense import check_declared

DESCRIPTION = "Lineup's own Parquet: columns target, train, rank and, if there are any, score"
COLUMNS = ("target", "train", "rank")
BATCH = 1 << 20  # rows that are read, or looked through, at a time


def sniff(path: Path) -> bool:
    """See `Format.sniff`."""
    return path.suffix == ".parquet" and path.is_file()


def load(path: Path, declared: Declaration, sizes: DataSetSizes) -> ForeignRanking:
    """See `Format.load`."""
    check_declared(declared)
    if any(value is not None for value in (declared.orientation, declared.targets, declared.train, declared.part)):
        raise UserError(
            "this file says itself which images it is about; leave all declarations but --sign and --index-base out"
        )
    metadata, has_scores = _describe(path, sizes)
    base = {"0": 0, "1": 1}.get(metadata.get("index_base", "0"), metadata.get("index_base"))
    base = base if declared.index_base is None else declared.index_base
    sign = declared.sign or metadata.get("sign") or (None if has_scores else "unsigned")
    check_declared(Declaration(sign=sign, index_base=base))
    if metadata.get("labels") not in (None, labels_digest(sizes.train_labels, sizes.val_labels)):
        raise UserError(
            f"{path} is for images with other labels or in another order; bring it to the data set it was computed on"
        )
    if sign is None:
        raise UserError(f"{path} does not say what a positive score means; say --sign helpful, harmful or unsigned")
    return ranking_of(path, _read_columns(path, sizes, base, has_scores), sign, base, metadata)


def ranking_of(
    path: Path, columns: dict[str, np.ndarray], sign: str, base: int, metadata: dict[str, str]
) -> ForeignRanking:
    """The ranking of a table's columns: "target" and "train", whole numbers counted from 0, "rank", and "score" if
    there are any; base: what the file counts images from. Sorts the columns in place. Raises UserError for ranks with
    gaps, images that stand twice, and scores that rise with the rank."""
    in_order = np.diff(columns["target"])
    if (in_order < 0).any() or (np.diff(columns["rank"])[in_order == 0] < 0).any():
        order = np.lexsort((columns["rank"], columns["target"]))
        for name in list(columns):  # one at a time: a ranking may have hundreds of millions of rows
            columns[name] = columns[name][order]
        del order
    starts = np.concatenate([[0], 1 + np.flatnonzero(np.diff(columns["target"]))])
    lengths = np.diff(starts, append=len(columns["target"]))
    targets = columns["target"][starts].astype(np.int64)
    place = columns["rank"]
    first = place.min()
    gaps = np.diff(place, prepend=place[0]) != 1
    gaps[starts] = place[starts] != first
    if first not in (0, 1) or gaps.any():
        raise UserError(
            f"the ranks of target {columns['target'][gaps.argmax()] + base} in {path} do not go 0, 1, 2, "
            "... or 1, 2, 3, ... without gaps; number each target's list so"
        )
    place -= first
    width = int(lengths.max())
    _check_doubles(path, columns["train"], starts, lengths)
    scores = _read_scores(path, columns, place, sign)

    def read_lists(start: int, stop: int) -> tuple[np.ndarray, np.ndarray | None]:
        rows = slice(starts[start], starts[stop - 1] + lengths[stop - 1])
        row, column = np.searchsorted(targets, columns["target"][rows]) - start, place[rows]
        ids = np.full((stop - start, width), -1, np.int64)
        ids[row, column] = columns["train"][rows]
        if scores is None:
            return ids, None
        values = np.zeros((stop - start, width), scores.dtype)
        values[row, column] = scores[rows]
        return ids, values

    signed = scores is not None and sign != "unsigned"
    return ForeignRanking(
        metadata.get("method", "")[:40],
        signed,
        targets,
        read_lists=read_lists,
        precision=np.dtype(np.float32) if scores is None else scores.dtype,
        provenance={
            "file": path.name,
            "rows": len(place),
            "sign": sign,
            "index base": base,
            "longest list": width,
            **_file_provenance(path, metadata),
        },
    )


def labels_digest(train_labels: np.ndarray, val_labels: np.ndarray) -> str:
    """Hex digest of both splits' labels (int64) in their order: copies of a data set that differ in the compression of
    their images alone have the same, and one number stands for one image in all of them."""
    digest = hashlib.sha256()
    for labels in (train_labels, val_labels):
        digest.update(f"{len(labels)} ".encode())
        digest.update(np.asarray(labels, "<i8").tobytes())
    return digest.hexdigest()


def write_ranking(
    file: Path, ranking, targets: np.ndarray, k: int, labels: str, description: str, provenance: dict
) -> int:
    """Writes the first k training images of a ranking for each of `targets`, of a signed one both ends, and returns the
    number of rows. labels: `labels_digest`. description: a line for people.

    Raises UserError where the file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"target": [], "train": [], "rank": [], "score": []}
    for target in targets:
        ids, scores = _top_of_target(ranking, int(target), k)
        columns["target"].append(np.full(len(ids), target))
        columns["train"].append(ids)
        columns["rank"].append(np.arange(len(ids)))
        columns["score"].append(scores)
    if columns["score"][0] is None:
        del columns["score"]
    table = pa.table(
        {
            name: np.concatenate(parts) if name == "score" else np.concatenate(parts).astype(np.int32)
            for name, parts in columns.items()
        }
    )
    metadata = {
        "sign": "helpful" if ranking.signed else "unsigned",
        "index_base": "0",
        "method": ranking.method,
        "about": description,
        "labels": labels,
        "provenance": json.dumps(provenance),
    }
    try:
        write_atomically(
            file,
            lambda stream: pq.write_table(
                table.replace_schema_metadata(metadata), stream, compression="zstd", use_dictionary=["target", "rank"]
            ),
        )
    except OSError as error:
        raise UserError(f"{file} cannot be written ({error.strerror or error}); choose another place") from None
    return len(table)


def _top_of_target(ranking, target: int, k: int) -> tuple[np.ndarray, np.ndarray | None]:
    """The helpful end of a target's list and, where the ranking is signed, the harmful one after it, from the back."""
    helpful = ranking.top(target, k)
    if not ranking.signed:
        return helpful.ids, helpful.scores
    harmful = ranking.top(target, k, end="harmful")
    rest = np.flatnonzero(~np.isin(harmful.ids, helpful.ids))[::-1]
    scores = np.concatenate([helpful.scores, harmful.scores[rest]])
    return np.concatenate([helpful.ids, harmful.ids[rest]]), scores


def _file_provenance(path: Path, metadata: dict[str, str]) -> dict:
    """What a file says of its making."""
    try:
        provenance = json.loads(metadata.get("provenance", "{}"))
        if not isinstance(provenance, dict):
            raise ValueError
    except (ValueError, RecursionError):
        raise UserError(f"the provenance in {path} is not a JSON object; write it anew, or leave it out") from None
    return {
        **({"origin": provenance} if provenance else {}),
        **({"about": metadata["about"][:80]} if metadata.get("about") else {}),
    }


def _describe(path: Path, sizes: DataSetSizes) -> tuple[dict[str, str], bool]:
    """The schema's metadata, and whether there are scores. Raises UserError for what is missing or corrupt, and for
    columns that hold no numbers: nothing is unpacked before that."""
    import pyarrow.types as kinds

    with _opened(path) as file:
        schema, count = file.schema_arrow, file.metadata.num_rows
        metadata = schema_metadata(schema)
    absent = [name for name in COLUMNS if name not in schema.names]
    if absent:
        raise UserError(
            f"{path} has no column {absent[0]}; its columns are {names_text(schema.names)}, and target, train and rank "
            "are needed"
        )
    if not 0 < count <= sizes.n_val * sizes.n_train:
        raise UserError(
            f"{path} has {count} rows, and there are {sizes.n_val} x {sizes.n_train} pairs; bring the file "
            "of this data set"
        )
    for name in (name for name in (*COLUMNS, "score") if name in schema.names):
        kind = schema.field(schema.names.index(name)).type
        if not (kinds.is_integer(kind) or (name == "score" and kinds.is_floating(kind))):
            raise _kind_error(path, name, {"float": "float32", "double": "float64"}.get(str(kind), str(kind)))
    return metadata, "score" in schema.names


def _kind_error(path: Path, name: str, kind) -> UserError:
    kinds = "numbers" if name == "score" else "whole numbers"
    return UserError(f"the column {name} of {path} is {kind} or has gaps; write {kinds} without gaps")


def _read_columns(path: Path, sizes: DataSetSizes, base: int, has_scores: bool) -> dict[str, np.ndarray]:
    """The columns, whole numbers as int32 and counted from 0, but for ranks, and scores as float32, or as float64 where
    that would round them; read by batches.
    Raises UserError for what is corrupt, has gaps, or is the number of no image."""
    names = [*COLUMNS, *(["score"] if has_scores else [])]
    at, limits = 0, {"target": sizes.n_val, "train": sizes.n_train}
    with _opened(path) as file:
        check_unpacked(file, path)
        count = file.metadata.num_rows
        schema, types = file.schema_arrow, dict.fromkeys(COLUMNS, np.int32)
        if has_scores:
            types["score"] = float_type(schema.field(schema.names.index("score")).type.to_pandas_dtype())
        columns = {name: np.empty(count, types[name]) for name in names}
        for batch in file.iter_batches(BATCH, columns=names, use_threads=False):
            for name, whole in columns.items():
                part = batch.column(batch.schema.names.index(name)).to_numpy(zero_copy_only=False)
                if part.dtype.kind not in ("iuf" if name == "score" else "iu"):
                    raise _kind_error(path, name, part.dtype)
                if name in limits:
                    part = from_zero(path, name, part, limits[name], base)
                elif name == "rank":  # what int32 does not hold is a gap
                    part = np.clip(part, -1, sizes.n_train + 1)
                whole[at : at + len(part)] = part
            at += len(batch)
        if at != count:
            raise ValueError("rows are missing")
    return columns


@contextmanager
def _opened(path: Path):
    """The open Parquet file. Raises UserError where it, or what is read of it in the `with` block, is corrupt."""
    try:
        with open_parquet(path) as file:
            yield file
    except UserError:
        raise
    except Exception as error:  # pyarrow meets a broken file with errors of many types
        raise UserError(f"{path} cannot be read as Parquet ({type(error).__name__}); write or copy it again") from None


def from_zero(path: Path, name: str, numbers: np.ndarray, limit: int, base: int) -> np.ndarray:
    """Numbers of images counted from 0. Raises UserError for the first that is none."""
    wrong = (numbers < base) | (numbers >= limit + base)
    if wrong.any():
        raise UserError(
            f"{path} has the number {numbers[wrong.argmax()]} in its column {name}, which goes from {base} to "
            f"{limit - 1 + base}; check --index-base and the data set"
        )
    return numbers.astype(np.int32) - base


def _check_doubles(path: Path, train: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> None:
    """Raises UserError where a target's list, of `lengths` rows from `starts` on, has an image twice."""
    step = max(1, BATCH // int(lengths.max()))
    for at in range(0, len(starts), step):
        block = lengths[at : at + step]
        ids = train[starts[at] : starts[at] + block.sum()]
        pairs = np.sort(np.repeat(np.arange(len(block)) << 32, block) + ids)
        if (np.diff(pairs) == 0).any():
            raise UserError(f"{path} names a training image twice for the same target; name each once")


def schema_metadata(schema) -> dict[str, str]:
    """The metadata of a file's schema. Raises UnicodeDecodeError where it is no text."""
    return {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}


def _read_scores(path: Path, columns: dict, place: np.ndarray, sign: str) -> np.ndarray | None:
    """Scores in the order of the rows, larger is more helpful; None where there are none."""
    if "score" not in columns:
        return None
    scores = -columns["score"] if sign == "harmful" else columns["score"]
    if not np.isfinite(scores).all():
        raise UserError(f"the column score of {path} holds NaN or infinite values; compute them again")
    rising = np.flatnonzero((np.diff(scores) > 0) & (place[1:] > 0))
    if len(rising):
        raise UserError(
            f"the scores of target {columns['target'][rising[0]]} in {path} rise with the rank; say --sign "
            "harmful if that is what positive means, or number the most helpful first"
        )
    return scores
