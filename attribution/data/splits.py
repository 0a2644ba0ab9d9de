"""Which part of a data set a folder or a file is, by its name: Hugging Face's words and Kaggle's, one place for all
loaders.

Two names are the same split only where they differ in numbers alone, as shards do: `train_noisy` is not `train`, and
what cannot be told is asked for and never mixed.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from attribution.errors import UserError

#: words for each part, the first that is there goes first
WORDS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev", "eval", "evaluation"),
    "test": ("test", "testing", "tests"),
}
_ROLES = {word: role for role, words in WORDS.items() for word in words}
#: say nothing of which split it is: `training_set`, `testset`, `train_images`
_PLAIN = {"set", "sets", "data", "dataset", "split", "image", "images", "img", "imgs", "folder"}
#: of shards and of endings
_NUMBERING = {"part", "shard", "chunk", "of", "parquet", "csv", "tsv", "tar", "tgz", "gz", "zip", "zst", "snappy"}
#: both in one: training images where there are none that are called so alone
_JOINED = {"trainval", "traindev", "trainvalid"}
_NAMED = 6  # how many names a message lists


@dataclass(frozen=True)
class SplitName:
    """What a name says. role: "train", "val", "test", or None where it says none or several. word: the word for it, or
    the first of several, in small letters, "" where there is none. rest: what else the name says but numbers, () for a
    bare `train` or `training_set`. spelled: all of it but numbers, as it is written; names that are spelled alike are
    shards of one split."""

    role: str | None
    word: str
    rest: tuple[str, ...]
    spelled: tuple[str, ...]


def parse(name: str) -> SplitName:
    """What the name of a folder or of a file (its ending may stand there) says. Words stand between anything that is no
    letter, or begin with a capital after a small letter; letter case does not matter."""
    words, rest, spelled = [], [], []
    for piece in re.split(r"[\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)):
        runs = re.findall(r"[^\W\d_]+", piece)
        named = [run for run in runs if _word_of(run)]
        words += [_word_of(run) for run in named]
        others = [run for run in runs if not _word_of(run)] if named else [piece] if runs else []
        for other in others:
            plain = re.sub(r"\d+", "", other).casefold()
            if plain in _NUMBERING:
                continue
            spelled.append(other)
            if plain not in _PLAIN:
                rest.append(other.casefold())
        spelled += named
        rest += [run.casefold() for run in named if run.casefold() in _JOINED]
    roles = {_ROLES[word] for word in words}
    role = roles.pop() if len(roles) == 1 else None
    return SplitName(role, words[0] if words else "", tuple(rest), tuple(spelled))


def role(name: str) -> str | None:
    """ "train", "val" or "test" where the name is a word for it and nothing else, such as `Training_Set`; else None.

    >>> role("Training_Set"), role("dev"), role("train_noisy"), role("ant")
    ('train', 'val', None, None)
    """
    found = parse(name)
    return found.role if not found.rest else None


def role_in(file_name: str) -> str | None:
    """ "train", "val" or "test" where a word for it stands anywhere in the name, as in `mnist_test.parquet`; None where
    none does, or several that differ. Two files of one role may be of two splits: see `choose`.

    >>> role_in("mnist_test.parquet"), role_in("train_noisy-00000-of-00001.parquet"), role_in("contest.csv")
    ('test', 'train', None)
    """
    return parse(file_name).role


@dataclass(frozen=True)
class Choice:
    """Which names are what. train: those of the training images, empty where no name says so. val: the names of each
    split that could validate, the one to take first (a split of validation images goes before one of test images).
    others: names that are none of these."""

    train: list[str]
    val: list[list[str]]
    others: list[str]


def choose(names: Iterable[str], place: object, remedy: str = "name one file with --root, or rename them") -> Choice:
    """Which of the names (of files or folders, in this order) hold training and validation images.

    Names that differ in numbers alone are shards of one split. Where there are several splits of training images, it
    is the one whose name says nothing else (`train` beside `train_noisy`); those that validate say nothing else either,
    or the same (`mnist_train` and `mnist_test`). place: where they are, for messages. Raises UserError, which ends in
    `remedy`, where it cannot be told which is meant.
    """
    splits: dict[SplitName, list[str]] = {}
    for name in names:
        splits.setdefault(parse(name), []).append(name)
    trains = [split for split in splits if split.role == "train"]
    bare = [split for split in trains if not split.rest]
    if len(bare or trains) > 1:
        raise UserError(
            f"{place} has several splits of training images, {listed(splits[one][0] for one in bare or trains)}, and "
            f"does not say which is meant; {remedy}"
        )
    train = (bare or trains or [None])[0]
    fitting = [
        split
        for split in splits
        if split.role in ("val", "test") and (not split.rest or train and split.rest == train.rest)
    ]
    words = [*WORDS["val"], *WORDS["test"]]
    fitting.sort(key=lambda split: (bool(train) and split.rest != train.rest, words.index(split.word)))
    for first, second in zip(fitting[:1], fitting[1:]):
        if (first.word, first.rest) == (second.word, second.rest):
            raise UserError(
                f"{place} has {splits[first][0]} and {splits[second][0]}, and does not say which is meant; {remedy}"
            )
    used = {train, *fitting}
    return Choice(
        splits[train] if train else [],
        [splits[split] for split in fitting],
        [name for split, named in splits.items() if split not in used for name in named],
    )


def choose_files(names: Iterable[str], place: object, ending: str) -> Choice:
    """As `choose`, for the names of files. Where no name has a word for a split, all are training images if they are
    shards of one set. Raises UserError as `choose`, where several sets lie beside each other, and where there are no
    training images. ending: of such files, for messages."""
    names = list(names)
    found = choose(names, place)
    if found.train:
        return found
    parsed = {name: parse(name) for name in names}
    if any(one.word for one in parsed.values()):
        raise UserError(
            f"no file in {place} is named as training images, train*{ending}, among {listed(names)}; rename it, or "
            "name one file with --root"
        )
    if len({one.spelled for one in parsed.values()}) > 1:
        raise UserError(
            f"{place} has files of several names, {listed(names)}, and none says that it holds training images; call "
            f"them train-1{ending} and so on, or name one file with --root"
        )
    return Choice(names, [], [])


def said(train: str, val: str) -> str:
    """A clause on which names the splits were taken from; val: "" where images were held back."""
    return f"training images from {train}, " + (
        f"validation images from {val}" if val else "some held back to validate"
    )


def listed(names: Iterable[str]) -> str:
    """The first names, with commas, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _word_of(letters: str) -> str | None:
    """The word for a part that `letters` is, `testset` included."""
    small = letters.casefold()
    if small in _JOINED:
        return "train"
    for ending in ("", *sorted(_PLAIN)):
        if small.endswith(ending) and small.removesuffix(ending) in _ROLES:
            return small.removesuffix(ending)
    return None
