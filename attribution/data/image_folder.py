"""A folder of class folders: `train/<class>/*` and `val/<class>/*` (or other words, see `splits`), or `<class>/*`.

Classes and images are in the order of torchvision's `ImageFolder`, so that image i is its sample i, and scores computed
with it fit. Hidden files, and files whose ending is not a picture's, are left out.
"""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from attribution.data import DataSet, splits
from attribution.data.encoded import check_root, split_data
from attribution.data.folder_layout import counted, find_splits, list_classes
from attribution.data.picture_files import PictureFiles
from attribution.data.picture_files import reopen_images as reopen_images
from attribution.errors import UserError
from attribution.files import read_bytes

KIND = "image-folder"
MAX_LIST = 256 << 20  # bytes of a list of paths


def load(
    root: Path | None,
    *,
    skip_corrupt: bool = False,
    side: int | None = None,
    val_share: float | None = None,
    follow_links: bool = False,
    progress: Callable | None = None,
) -> DataSet:
    """The images under `root`. Options as in `encoded.split_data`; follow_links: links to folders, and to files outside
    `root`, count as what they lead to.

    Without validation images in the folder, `val_share` of the training images are held out. Raises UserError where
    there are no class folders, where it cannot be told which folders are classes and which are splits, for a class
    without training images, and unless follow_links for links to folders; a file that is a link out of `root` counts as
    unreadable then.
    """
    root = check_root(root)
    layout = find_splits(root, follow_links)
    classes, names, labels, ignored = list_classes(root, layout.train, follow_links)
    train = _files(root, names, follow_links), labels
    val = val_folder = None
    for folder in layout.val:
        if val is None:
            val, lines = _labelled_as(root, folder.place, classes, follow_links)
            val_folder = folder if val else None
            ignored += lines
        else:
            ignored.append(f"{counted(root, folder, follow_links)}; {val_folder.place} validates)")
    ignored += layout.left_out
    train, val, broken, sizes = split_data(train, val, side, val_share, skip_corrupt, progress)
    notes = (splits.said(layout.train, val_folder.place if val_folder else ""),) if layout.train != "." else ()
    return DataSet(root.name, classes, train, val, skipped=(*broken, *ignored), sizes=sizes, notes=notes)


def match(names: list[str], listed: Path) -> np.ndarray:
    """The numbers of the images that the text file `listed` names, a line each, in its order: int64 [lines].

    names: of all images, as paths with slashes under the data set's folder. Empty lines at the end do not count. Raises
    UserError for a file that cannot be read, and as `match_lines` does.
    """
    try:
        text = read_bytes(listed, MAX_LIST).decode("utf-8-sig").rstrip()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise UserError(
            f"{listed} cannot be read ({why}); give a text file with the path of one image a line"
        ) from None
    count = text.count("\n") + 1
    if count > 2 * len(names) + 1000:
        raise UserError(
            f"{listed} has {count:,} lines, and there are {len(names):,} images; write the path of each image once"
        )
    return match_lines(names, text.splitlines(), listed)


def match_lines(names: list[str], lines: list[str], listed: Path, first: int = 1) -> np.ndarray:
    """The numbers of the images that `lines` of the file `listed` name, in their order: int64 [lines].

    names: as `match` takes them. A line is such a path, or one that ends with it or that it ends with: absolute,
    without the first folders, or a file name alone. first: the number of the first line. Raises UserError for lines
    that name no image, one of several, or one that an earlier line named.
    """
    by_name: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        by_name.setdefault(name.rpartition("/")[2], []).append(number)
    matched: dict[int, int] = {}  # image -> line
    unknown = []
    for line, text in enumerate(lines, first):
        path = "/" + text.strip().replace("\\", "/").removeprefix("./").lstrip("/")
        numbers = by_name.get(path.rpartition("/")[2], [])
        whole = [number for number in numbers if path.endswith("/" + names[number])]
        fits = sorted(whole, key=lambda number: len(names[number]))[-1:]  # the path that says most
        fits = fits or [number for number in numbers if f"/{names[number]}".endswith(path)]
        if len(fits) > 1:
            raise UserError(
                f"{listed} names {text.strip()!r} in line {line}, which may be {names[fits[0]]} or {names[fits[1]]}; "
                "write its folder, too"
            )
        if fits and fits[0] in matched:
            raise UserError(
                f"{listed} names {names[fits[0]]} twice, in lines {matched[fits[0]]} and {line}; name each image once"
            )
        if fits:
            matched[fits[0]] = line
        else:
            unknown.append((line, text.strip()))
    if unknown or not lines:
        line, text = unknown[0] if unknown else (first, "")
        more = f" (and {len(unknown) - 1:,} more)" if len(unknown) > 1 else ""
        raise UserError(
            f"{listed} names {text!r} in line {line}{more}, which is none of the {len(names):,} images; write paths "
            f"such as {names[0]}, one a line"
        )
    return np.array(list(matched), np.int64)


def label_moves(
    root: Path,
    names: list[str],
    other_names: list[str],
    classes: list[str],
    given: np.ndarray,
    labels: np.ndarray,
    removed: set[int],
) -> list[tuple[str, str]]:
    """The moves that bring the folder tree into line with `labels`: (from, to), paths under `root`, with slashes.

    names: files of the training pictures; other_names: of the validation pictures; given, labels: int64 [n], classes
    before and after, as indices of `classes`; removed: indices of pictures to take out, to a folder `removed` beside
    the one that holds the class folders. No move overwrites a file or the target of another move (a taken name gets a
    number), so that they can be made in any order.
    """
    parts = [name.split("/") for name in names]
    fits = (
        at
        for at in range(min(map(len, parts)) - 1)
        if all(part[at] == classes[label] for part, label in zip(parts, given))
    )
    depth = next(fits, 0)  # of the class folders, under the root
    top = "".join(f"{folder}/" for folder in parts[0][:depth])
    # beside the one that holds them; where there is no validation folder, it has to be alone
    held_out = not depth or all(name.startswith(top) for name in other_names)
    beside = "../removed" if held_out else f"{''.join(f'{folder}/' for folder in parts[0][: depth - 1])}removed"
    taken = {name.casefold() for name in [*names, *other_names]}  # some file systems ignore case
    moves = []
    for i in sorted({*np.flatnonzero(given != labels).tolist(), *removed}):
        rest = "/".join(parts[i][depth + 1 :])
        to = f"{beside}/{parts[i][depth]}/{rest}" if i in removed else f"{top}{classes[labels[i]]}/{rest}"
        stem, ending = os.path.splitext(to)
        number = 1
        while to.casefold() in taken or os.path.lexists(root / to):
            number += 1
            to = f"{stem}-{number}{ending}"
        taken.add(to.casefold())
        moves.append((names[i], to))
    return moves


def _files(root: Path, names: list[str], follow_links: bool) -> PictureFiles:
    return PictureFiles(root, np.array(names, object), np.arange(len(names)), KIND, follow_links)


def _labelled_as(
    root: Path, folder: str, classes: list[str], follow_links: bool
) -> tuple[tuple[PictureFiles, np.ndarray] | None, list[str]]:
    """The pictures in the class folders of `folder` with their labels, as indices of `classes`, and lines on what was
    left out; None where there is one folder alone, which is no class. Raises UserError for classes that are not among
    `classes`."""
    found, names, labels, ignored = list_classes(root, folder, follow_links)
    unknown = [name for name in found if name not in classes]
    if unknown and len(found) == 1:
        return None, [f"{folder} ({len(labels):,} images without class folders)"]
    if unknown:
        raise UserError(
            f"the class {unknown[0]} has validation images and no training images; add some, "
            f"or remove {root / folder / unknown[0]}"
        )
    return (
        _files(root, names, follow_links),
        np.array([classes.index(name) for name in found], np.int64)[labels],
    ), ignored
