"""Data sets in shards: which files of a folder hold training and validation images, by their names and folders."""

from pathlib import Path

from attribution.data import splits
from attribution.data.foreign import check_name
from attribution.errors import UserError


def find_shards(root: Path, ending: str) -> tuple[list[str], list[list[str]], list[str]]:
    """Files of the training images, and of each split that could validate, the first to take first, as paths under
    `root`, or its folder where it is a file, with slashes; and lines on those left out.

    ending: of such files, with its dot. A single file holds training images. Raises UserError where there are none, and
    where it cannot be told which are meant.
    """
    if root.is_file():
        return [root.name], [], []
    named: dict[str, list[str]] = {}  # the name that says of which split it is -> files
    sets = set()
    for file in sorted(root.rglob(f"*{ending}")):
        path = file.relative_to(root)
        if any(part.startswith(".") for part in path.parts):
            continue
        check_name(file)
        by_name, by_folder = splits.parse(path.name), splits.parse(path.parent.name)
        if by_name.word and by_folder.word and by_name.role != by_folder.role:
            raise UserError(f"{file} is named as one split, and its folder as another; rename one of them")
        named.setdefault(path.parent.name if by_folder.word and not by_name.word else path.name, []).append(
            path.as_posix()
        )
        sets.add(path.parent if by_name.word or not by_folder.word else path.parent.parent)
    if not named:
        raise UserError(f"there are no {ending} files in {root}; check --root")
    if len(sets) > 1:
        raise UserError(
            f"{root} holds several data sets ({', '.join(sorted(map(str, sets)))}); name the folder of one with --root"
        )
    chosen = splits.choose_files(named, root, ending)
    files = [[file for name in names for file in named[name]] for names in (chosen.train, *chosen.val)]
    left_out = [f"{file} (neither training nor validation images)" for name in chosen.others for file in named[name]]
    return files[0], files[1:], left_out
