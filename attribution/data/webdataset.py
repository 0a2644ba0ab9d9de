"""Shards of WebDataset: `.tar` files whose members are key.jpg (or .png, ...) and key.cls or key.json, the label.

Read in place: a member lies in one piece in its tar, so that its offset says where it is. Nothing is unpacked.
"""

import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from attribution.data import DataSet, root_folder, splits
from attribution.data.encoded import BLOCK, check_root, split_data
from attribution.data.folder_layout import SUFFIXES
from attribution.data.foreign import Pieces, printable
from attribution.data.labels import number_classes
from attribution.data.objects import LABEL_KEYS
from attribution.data.packed import PackedPictures
from attribution.data.packed import reopen_images as reopen_images
from attribution.data.shards import find_shards
from attribution.errors import UserError
from attribution.inputs.limits import MAX_IMAGES

KIND = "webdataset"
MAX_HEADER, MAX_LABEL = 1 << 20, 1 << 20  # bytes of what describes a member, and of a label
LABEL_ENDINGS = (".cls", ".json")
_ENDINGS = (*SUFFIXES, *LABEL_ENDINGS)
MAX_NAMED = 3  # members that an error lists


def load(
    root: Path | None,
    *,
    skip_corrupt: bool = False,
    side: int | None = None,
    val_share: float | None = None,
    progress: Callable | None = None,
) -> DataSet:
    """The images in the `.tar` file `root`, or in those of the folder `root`. Options as in `encoded.split_data`.

    Which split a file belongs to its name says, or its folder's (`shards.find_shards`); a single file is training
    images. Without validation images, `val_share` of the training images are held out. Labels are numbers or text; of a
    JSON object, what is called label or as `objects.LABEL_KEYS` has it. Raises UserError for compressed and damaged
    files, for a member that is there twice, and for images without labels and labels without images, unless
    skip_corrupt.
    """
    root = check_root(root)
    within = root_folder(root)
    train_files, candidates, skipped = find_shards(root, ".tar")
    parts, named = [], []
    for names in [train_files, *candidates]:
        if len(parts) == 2:
            skipped += [f"{name} (neither training nor validation images)" for name in names]
            continue
        pictures, labels, lonely = _read_part(within, names, progress)
        if parts and not labels:
            skipped += [f"{name} (images without labels)" for name in names]
            continue
        skipped += _check_pairs(lonely, skip_corrupt)
        parts.append((pictures, labels))
        named.append(splits.listed(names))
    n_train = len(parts[0][0])

    def describe(i: int) -> str:
        return parts[i >= n_train][0].describe(i - n_train * (i >= n_train))

    numbers, classes = number_classes([label for _, labels in parts for label in labels], None, str(root), describe)
    train = parts[0][0], numbers[:n_train]
    val = (parts[1][0], numbers[n_train:]) if len(parts) > 1 else None
    train, val, broken, sizes = split_data(train, val, side, val_share, skip_corrupt, progress)
    name = root.stem if root.is_file() else root.name
    notes = () if root.is_file() else (splits.said(*[*named, ""][:2]),)
    return DataSet(name, classes, train, val, skipped=(*broken, *skipped), sizes=sizes, notes=notes)


def _check_pairs(lonely: list[str], skip: bool) -> list[str]:
    """`lonely`, the lines on members without a counterpart. Raises UserError where there are any, unless skip."""
    if lonely and not skip:
        more = f" and {len(lonely) - MAX_NAMED:,} more" if len(lonely) > MAX_NAMED else ""
        raise UserError(
            f"{len(lonely):,} members have no counterpart: {', '.join(lonely[:MAX_NAMED])}{more}; write an image and a "
            ".cls or .json of one name each, or leave these out with --skip-corrupt"
        )
    return lonely


def _read_part(within: Path, names: list[str], progress: Callable | None) -> tuple[PackedPictures, list, list[str]]:
    """The pictures of the files `names`, paths under `within`, that have a label; their labels, a text or number an
    image; and a line on each member without a counterpart."""
    rows: list[tuple] = []
    labels, lonely = [], []
    for shard, name in enumerate(names):
        for members in _read_members(within / name, progress).values():
            picture, label = (_pick(members, kinds) for kinds in (SUFFIXES, LABEL_ENDINGS))
            if picture is None or label is None:
                only = next(iter(members.values()))[0]
                lonely.append(f"{only} in {name} ({'no image' if picture is None else 'no label'} beside it)")
                continue
            member, offset, size = members[picture]
            rows.append((shard, offset, size, member, len(rows)))
            labels.append(_read_label(within / name, *members[label]))
    files = [(name, os.path.getsize(within / name)) for name in names]
    places = pd.DataFrame(rows, columns=["shard", "offset", "size", "name", "number"])
    return PackedPictures(within, files, places.astype({"shard": np.int64}), KIND), labels, lonely


def _pick(members: dict, kinds: tuple[str, ...]) -> str | None:
    """The ending among those of `members` that is one of `kinds`, or the only one that closes with one (`image.jpg`
    beside `caption.txt`)."""
    whole = next((kind for kind in kinds if kind in members), None)
    closing = [ending for ending in members if ending.endswith(kinds)]
    return whole or (closing[0] if len(closing) == 1 else None)


def _read_members(file: Path, progress: Callable | None) -> dict[str, dict[str, tuple[str, int, int]]]:
    """Key -> ending -> name, offset and size of a member; of pictures and labels alone. Raises UserError for a file
    that is no tar, is damaged or compressed, and where a member is there twice."""
    found: dict[str, dict[str, tuple[str, int, int]]] = {}
    size = os.path.getsize(file) if file.is_file() else 0
    try:
        with Pieces(file, MAX_HEADER) as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
            for count, member in enumerate(archive, 1):
                archive.members = []  # else all that were read are kept
                if progress and count % BLOCK == 0:
                    progress("reading shards", member.offset_data, size)
                if count > 3 * MAX_IMAGES:
                    raise ValueError(f"more than {3 * MAX_IMAGES:,} members")
                path = PurePosixPath(member.name)
                key, _, ending = path.name.partition(".")
                ending = "." + ending.lower()
                if not member.isreg() or member.issparse() or not key or not ending.endswith(_ENDINGS):
                    continue
                if member.offset_data + member.size > size:
                    raise ValueError(f"it ends within {printable(member.name)}")
                members = found.setdefault((path.parent / key).as_posix(), {})
                if ending in members:
                    raise UserError(f"{file} holds {printable(member.name)} twice; write each member once")
                members[ending] = printable(member.name), member.offset_data, member.size
    except UserError:
        raise
    except Exception as error:  # on a damaged file tarfile raises anything
        why = (str(error).splitlines() or [type(error).__name__])[0][:100].rstrip(".")
        raise UserError(
            f"{file} cannot be read as a tar ({printable(why)}); write or copy it again, uncompressed"
        ) from None
    if not any(_pick(members, SUFFIXES) for members in found.values()):
        raise UserError(
            f"{file} holds no images, key.jpg or key.png with key.cls or key.json beside them; check --root"
        )
    return found


def _read_label(file: Path, name: str, offset: int, size: int):
    """What a member with a label says; None where it says nothing."""
    if size > MAX_LABEL:
        raise UserError(f"{name} in {file} has {size:,} bytes, too many for a label; write the class alone")
    with open(file, "rb", buffering=0) as stream:
        content = os.pread(stream.fileno(), size, offset)
    try:
        text = content.decode("utf-8-sig").strip()
        if name.lower().endswith(".cls"):
            return text or None
        fields = json.loads(text)
    except (ValueError, RecursionError):
        raise UserError(
            f"{name} in {file} is neither text nor JSON; write the class as text, or a JSON object"
        ) from None
    if not isinstance(fields, dict):
        return fields if isinstance(fields, (str, int, float)) else None
    return next((fields[key] for key in (*LABEL_KEYS, "cls") if key in fields), None)
