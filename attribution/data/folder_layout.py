"""Which folders of an image folder are its splits and which are its classes, and which files in them are pictures.

A folder that is called as a split is (`splits`) is never taken for a class where it could be one: it is asked for.
"""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from attribution.data import splits
from attribution.data.foreign import check_name, printable
from attribution.errors import UserError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")


@dataclass(frozen=True)
class Folder:
    """A folder with images. place: under the root, of the innermost where it holds nothing but one folder of the same
    split (`test/test`); flat: whether images lie in it and in no folder of it."""

    place: str
    flat: bool


@dataclass(frozen=True)
class Layout:
    """train: the folder under the root that holds the class folders of the training images; val: those of the splits
    that could validate, the one to take first; left_out: a line for each other folder."""

    train: str
    val: tuple[Folder, ...] = ()
    left_out: tuple[str, ...] = ()


_AS_CLASSES = "if these are classes, move all class folders into a folder train"


def find_splits(root: Path, follow_links: bool = False) -> Layout:
    """follow_links: links to folders count as what they lead to. Raises UserError where folders look like splits and
    cannot be told apart, or have no training images."""
    if not root.is_dir():
        raise UserError(f"{root} is a file; name the folder that holds the class folders")
    found = _named_splits(root, ".", follow_links)
    if found is None:
        _ask_about_names(root, follow_links)
    return found or Layout(".")


def _named_splits(root: Path, at: str, follow_links: bool) -> Layout | None:
    """The splits among the folders in `at`, or one folder further down; None where no folder is named as training
    images."""
    folders, empty = _look_around(root, at, follow_links)
    if len(folders) == 1:
        ((name, folder),) = folders.items()
        role = splits.role_in(name)
        try:
            if (
                not folder.flat
                and role in ("train", None)
                and (inner := _named_splits(root, folder.place, follow_links))
            ):
                return Layout(inner.train, inner.val, (*inner.left_out, *empty))
        except UserError:
            if role != "train":  # else these are classes, whatever they are called
                raise
    here = root if at == "." else root / at
    deep = [name for name, folder in folders.items() if not folder.flat]
    chosen = splits.choose(deep, here, f"name one of them with --root, or move the others away; {_AS_CLASSES}")
    if not chosen.train:
        return None
    for names in (chosen.train, *chosen.val):
        if len(names) > 1:
            raise UserError(
                f"{here} has {splits.listed(names)}, and does not say which is meant; name one of them with --root, or "
                f"move the others away; {_AS_CLASSES}"
            )
    train, val = chosen.train[0], tuple(folders[name] for (name,) in chosen.val)
    rest = splits.parse(train).rest
    unlabelled = [
        name
        for name, folder in folders.items()
        if folder.flat and splits.role_in(name) in ("val", "test") and splits.parse(name).rest in ((), rest)
    ]
    others = [name for name in folders if name not in (train, *unlabelled) and folders[name] not in val]
    unnamed = [name for name in others if not splits.parse(name).word]
    if not val and not unlabelled and (unnamed or rest and others):
        raise UserError(
            f"{here} has {train}, which looks like training images, beside {splits.listed(unnamed or others)}; move "
            f"what is not training images away, or name {here / train} with --root; {_AS_CLASSES}"
        )
    left_out = [
        *(f"{counted(root, folders[name], follow_links)} without class folders)" for name in unlabelled),
        *(f"{counted(root, folders[name], follow_links)}; neither training nor validation images)" for name in others),
        *empty,
    ]
    for folder in (folders[train], *val):
        check_name(root / folder.place)
    return Layout(folders[train].place, val, tuple(map(printable, left_out)))


def _ask_about_names(root: Path, follow_links: bool) -> None:
    """Raises UserError where one of the class folders in `root` is called as a split is, and may be one."""
    folders, _ = _look_around(root, ".", follow_links)
    parsed = {name: splits.parse(name) for name in folders}
    trains = [one.rest for name, one in parsed.items() if one.role == "train" and folders[name].flat]
    doubtful = [
        name
        for name, one in parsed.items()
        if one.role in ("val", "test") and (not folders[name].flat or not one.rest or one.rest in trains)
    ]
    if len(folders) == 1 and any(splits.role(name) and folder.flat for name, folder in folders.items()):
        doubtful = list(folders)
    if not doubtful:
        return
    others = splits.listed(name for name in folders if name not in doubtful)
    beside = f" beside {others}" if others else ""
    raise UserError(
        f"{root} has {splits.listed(doubtful)}{beside}, and no folder train with class folders in it; lay images out "
        f"as train/<class>/*.jpg and val/<class>/*.jpg, or name the folder to train on with --root; {_AS_CLASSES}"
    )


def _look_around(root: Path, at: str, follow_links: bool) -> tuple[dict[str, Folder], list[str]]:
    """The folders in `at` that hold images, by name, and a line for each other. Raises UserError for a split that is a
    link."""
    folders, others = {}, []
    for name in _subfolders(root / at):
        place = (PurePosixPath(at) / name).as_posix()
        is_link = (root / place).is_symlink() and not follow_links
        if is_link and splits.parse(name).word:
            raise _link_error(root / place)
        if folder := None if is_link else _look_into(root, place, follow_links):
            folders[name] = folder
        else:
            others.append(f"{place} ({'a link to a folder' if is_link else 'a folder without images'})")
    return folders, others


def _look_into(root: Path, place: str, follow_links: bool) -> Folder | None:
    has_pictures = any(map(_is_picture, _entries(root / place)))
    inside = [name for name in _subfolders(root / place) if _holds_pictures(root / place / name, follow_links)]
    role = splits.role_in(PurePosixPath(place).name)
    if not has_pictures and len(inside) == 1 and role and splits.role_in(inside[0]) == role:
        return _look_into(root, f"{place}/{inside[0]}", follow_links)
    return Folder(place, not inside) if inside or has_pictures else None


def _holds_pictures(folder: Path, follow_links: bool) -> bool:
    """Whether there is an image in the folder or below."""
    for parent, folders, names in _walk(folder, follow_links):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if any(_is_picture_name(name) and not os.path.isdir(os.path.join(parent, name)) for name in names):
            return True
    return False


def _entries(folder: Path) -> list[os.DirEntry]:
    """What lies in the folder and is not hidden. Raises UserError where it may not be looked into."""
    try:
        return [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
    except OSError as error:
        raise _closed_error(error) from None


def _is_picture(entry: os.DirEntry) -> bool:
    return _is_picture_name(entry.name) and not _is_folder(entry)


def _is_picture_name(name: str) -> bool:
    return not name.startswith(".") and name.lower().endswith(SUFFIXES)


def _subfolders(folder: Path) -> list[str]:
    return sorted(entry.name for entry in _entries(folder) if _is_folder(entry))


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle
        return False


def counted(root: Path, folder: Folder, follow_links: bool = False) -> str:
    """The beginning of a line on a folder that is left out."""
    return f"{folder.place} ({len(_picture_files(root / folder.place, Counter(), follow_links)):,} images"


def list_classes(
    root: Path, folder: str, follow_links: bool = False
) -> tuple[list[str], list[str], np.ndarray, list[str]]:
    """Classes, pictures (paths under `root`, with slashes), their labels (int64 [n]), and a line for each kind of file
    left out, of the class folders in `folder`. follow_links: as in `find_splits`.

    Raises UserError where there are none, for a class that is itself divided into splits or whose name is no UTF-8, for
    links to folders, and for folders that may not be looked into.
    """
    classes, names, labels, others, empty = [], [], [], Counter(), []
    if (root / folder).is_symlink() and not follow_links:
        raise _link_error(root / folder)
    for class_ in _subfolders(root / folder):
        check_name(root / folder / class_)
        pictures = _picture_files(root / folder / class_, others, follow_links)
        _check_undivided(root / folder / class_)
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
    if stray := sum(map(_is_picture, _entries(root / folder))):
        lines.append(f"{stray:,} images in {folder} (in no class folder)")
    return classes, names, np.array(labels, np.int64), [printable(line) for line in (*empty, *lines)]


def _check_undivided(class_: Path) -> None:
    """Raises UserError where the class folder holds folders of training and validation images."""
    roles = {splits.role(name): name for name in _subfolders(class_)}
    other = roles.get("val") or roles.get("test")
    if "train" in roles and other:
        raise UserError(
            f"{class_} is divided into {roles['train']} and {other}; name it with --root if these hold class folders, "
            "else lay images out as train/<class>/*.jpg and val/<class>/*.jpg"
        )


def _picture_files(folder: Path, others: Counter, follow_links: bool) -> list[Path]:
    """The picture files in `folder` and below, sorted; endings of other files are counted in `others`. Raises UserError
    for links to folders, unless they are followed, and for folders that may not be looked into."""
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
    """As os.walk. Raises UserError for a folder that may not be looked into, and for a link to a folder that it lies
    in, which would have no end."""
    for parent, folders, names in os.walk(folder, onerror=_raise_closed, followlinks=follow_links):
        for name in folders if follow_links else ():
            path = os.path.join(parent, name)
            if os.path.islink(path) and Path(os.path.realpath(parent)).is_relative_to(os.path.realpath(path)):
                raise UserError(f"{path} is a link to a folder that it lies in; take it out")
        yield parent, folders, names


def _raise_closed(error: OSError) -> None:
    raise _closed_error(error)


def _closed_error(error: OSError) -> UserError:
    return UserError(
        f"the folder {error.filename} cannot be looked into ({error.strerror}); change its permissions, or move it away"
    )


def _link_error(folder: Path) -> UserError:
    return UserError(f"{folder} is a link to a folder; put the folder itself there, or allow links with --follow-links")
