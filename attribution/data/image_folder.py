"""A folder of class folders, `train/<class>/*` and `val/<class>/*` (or `test`), or `<class>/*` alone.

Classes and images are in the order of torchvision's `ImageFolder`, so that image i is its sample i, and scores computed
with it fit. Hidden files, and files whose ending is not a picture's, are left out.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from attribution.data import DataSet
from attribution.data.encoded import check_root, split_data
from attribution.data.picture_files import SUFFIXES, PictureFiles
from attribution.data.picture_files import reopen_images as reopen_images
from attribution.errors import UserError
from attribution.files import read_bytes

KIND = "image-folder"
VAL_NAMES = ("val", "valid", "validation", "test")  # the first that is there

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
    there are no class folders, for a class without training images, and unless follow_links for links to folders; a
    file that is a link out of `root` counts as unreadable then.
    """
    root = check_root(root)
    train_folder, val_folder = _find_splits(root)
    classes, train, ignored = _list_classes(root, train_folder, follow_links)
    val = None
    if val_folder:
        val_classes, val, val_ignored = _list_classes(root, val_folder, follow_links)
        ignored += val_ignored
        unknown = [name for name in val_classes if name not in classes]
        if unknown:
            raise UserError(
                f"the class {unknown[0]} has validation images and no training images; add some, "
                f"or remove {root / val_folder / unknown[0]}"
            )
        contents, labels = val
        val = contents, np.array([classes.index(name) for name in val_classes], np.int64)[labels]
    train, val, broken, sizes = split_data(train, val, side, val_share, skip_corrupt, progress)
    return DataSet(root.name, classes, train, val, skipped=(*broken, *ignored), sizes=sizes)


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
    inside = all(len(part) > 2 and part[:2] == ["train", classes[label]] for part, label in zip(parts, given))
    held_out = all(
        name.startswith("train/") for name in other_names
    )  # there is no validation folder, train is the only one
    depth, top, beside = (1, "train/", "../removed" if held_out else "removed") if inside else (0, "", "../removed")
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


def _find_splits(root: Path) -> tuple[str, str | None]:
    """The folders under `root` that hold the class folders of training and validation, the latter None where there is
    none."""
    if not root.is_dir():
        raise UserError(f"{root} is a file; name the folder that holds the class folders")
    inside = _subfolders(root)
    val = next((name for name in VAL_NAMES if name in inside), None)
    # a class may be called train: it is the split only beside a validation folder, or as the only folder
    if "train" in inside and (val or len(inside) == 1) and _subfolders(root / "train"):
        return "train", val
    return ".", None


def _subfolders(folder: Path) -> list[str]:
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))


def _list_classes(
    root: Path, folder: str, follow_links: bool
) -> tuple[list[str], tuple[PictureFiles, np.ndarray], list[str]]:
    """Classes, pictures with their labels int64 [n], and a line for each kind of file left out, of the class folders in
    `folder`."""
    classes, names, labels, others, empty = [], [], [], Counter(), []
    for class_ in _subfolders(root / folder):
        pictures = _picture_files(root / folder / class_, others, follow_links)
        if pictures:
            names += [file.relative_to(root).as_posix() for file in pictures]
            labels += [len(classes)] * len(pictures)
            classes.append(class_)
        else:
            empty.append(f"{Path(folder, class_).as_posix()} (a folder without images)")
    if not names:
        raise UserError(
            f"there are no class folders with images in {root / folder}; "
            "lay them out as train/<class>/*.jpg and val/<class>/*.jpg, or as <class>/*.jpg"
        )
    lines = [
        f"{count:,} files {ending or 'without an ending'} in {folder} (not images)"
        for ending, count in sorted(others.items())
    ]
    contents = PictureFiles(root, np.array(names, object), np.arange(len(names)), KIND, follow_links)
    return classes, (contents, np.array(labels, np.int64)), [*empty, *lines]


def _picture_files(folder: Path, others: Counter, follow_links: bool) -> list[Path]:
    """The picture files in `folder` and below, sorted; endings of other files are counted in `others`. Raises UserError
    for links to folders, unless they are followed, and for one that leads to a folder above it."""
    pictures = []
    if folder.is_symlink() and not follow_links:
        raise _link_error(folder)
    for parent, folders, names in sorted(_walk(folder, follow_links)):
        if any(part.startswith(".") for part in Path(parent).relative_to(folder).parts):
            continue
        linked = [] if follow_links else [name for name in folders if Path(parent, name).is_symlink()]
        if linked:
            raise _link_error(Path(parent, linked[0]))
        for name in sorted(names):
            if name.startswith("."):
                continue
            if name.lower().endswith(SUFFIXES):
                pictures.append(Path(parent, name))
            else:
                others[Path(name).suffix.lower()] += 1
    return pictures


def _walk(folder: Path, follow_links: bool) -> Iterator[tuple[str, list[str], list[str]]]:
    """As os.walk. Raises UserError for a link that leads to a folder above it: it would have no end."""
    for parent, folders, names in os.walk(folder, followlinks=follow_links):
        for name in folders if follow_links else ():
            path = os.path.join(parent, name)
            if os.path.islink(path) and Path(os.path.realpath(parent)).is_relative_to(os.path.realpath(path)):
                raise UserError(f"{path} is a link to a folder that it lies in; take it out")
        yield parent, folders, names


def _link_error(path: Path) -> UserError:
    return UserError(f"{path} is a link to a folder; put the folder itself there, or allow links with --follow-links")
