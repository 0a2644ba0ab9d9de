"""The user's own code: objects in a file that a person named on this machine, or of an installed package.

There are rankings, feature extractors, detectors, formats and data sets; recipes are kept by `training.own`, which
shares what stands here. `add` remembers where an object is, in `own/registry.json` of the data folder, and `take` only
looks at it. Every version that was used is kept beside it as a snapshot, `own/<hash>/`, with the bytes that its hash
covers, and processes load that. Nothing here imports a user's file: processes of their own do (`describe`, and those
behind `guard`). Nothing that is received can name a file: workspaces and results know such code by its name alone.
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

from attribution.errors import UserError
from attribution.files import data_folder, locked, read_json, write_json
from attribution.inputs.limits import check_whole
from attribution.own_code import packages
from attribution.own_code.process import OwnCodeError as OwnCodeError
from attribution.own_code.process import describe
from attribution.own_code.snapshots import (
    check_source_names,
    digests,
    hash_of,
    read_files,
    split_place,
    write_files,
)
from attribution.own_code.snapshots import is_place as is_place

#: Kind -> what errors call an object of it, and how one is written.
NOUNS = {
    "ranking": ("class", "mine.py:Mine"),
    "features": ("object", "mine.py:make"),
    "detector": ("class", "mine.py:Mine"),
    "format": ("class", "mine.py:Mine"),
    "dataset": ("function", "mine.py:make"),
}
FUNCTIONS = ("features", "dataset")  # kinds that are functions and not classes
PATIENCE = {
    "ranking": 1.0,
    "features": 10.0,
    "detector": 10.0,
    "format": 10.0,
    "dataset": 10.0,
}  # minutes without a sign of life
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
USES = re.compile(r"base|features/[a-z0-9][a-z0-9._-]*")
MAX_VERSION = 10**9
MAX_TEXT = 200  # characters of a description
RECHECK_SECONDS = 1  # between two looks at all the files of a package


@dataclass(frozen=True)
class OwnObject:
    """One version of a user's ranking, feature extractor, detector, format or data set.

    hash: first 12 hex digits of the SHA-256 over kind, name, version, object and the bytes of `files` (name in `folder`
    -> SHA-256). form: "file" or "package"; main: the file with `object`. about: what it says of itself. created:
    seconds since 1970. problem: why it cannot be used now, or "".
    """

    kind: str
    name: str
    hash: str = ""
    form: str = "file"
    version: int = 1
    main: str = ""
    object: str = ""
    folder: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    about: Mapping = field(default_factory=dict)
    created: float = 0.0
    problem: str = ""

    @property
    def snapshot(self) -> Path:
        """The folder with the bytes that the hash covers."""
        return _home() / self.hash / "files"

    @property
    def place(self) -> str:
        """Where it was named: "/home/me/mine.py:Mine"."""
        return f"{Path(self.folder) / self.main}:{self.object}"

    @property
    def uses(self) -> list[str]:
        """The parts of a workspace that it reads besides images and labels: "features/moco", "base"."""
        return list(self.about.get("uses", ()))

    @property
    def patience(self) -> float:
        """Seconds that it may give no sign of life."""
        return 60 * float(self.about.get("patience") or PATIENCE[self.kind])

    def check(self) -> "OwnObject":
        """This object. Raises OwnCodeError where it cannot be used now."""
        if self.problem:
            raise OwnCodeError(self.problem)
        return self

    def provenance(self) -> dict:
        """What results say of it: no path of this machine."""
        return {"file": self.main, "object": self.object, "version": self.version, "hash": self.hash}


def names(kind: str) -> list[str]:
    """The names of the objects of a kind: those that a person named, and those that installed packages offer."""
    known = [name for name, entry in _registry(kind).items() if entry["form"] == "file"]
    return sorted({*known, *(name for name in packages.offered(kind) if NAME.fullmatch(name))})


def get(kind: str, name: str) -> OwnObject | None:
    """The object `name` as its files are now; None where there is none.

    Where they cannot be used now (a mistake in the file, or it is gone) it is the last version, and says the `problem`.
    """
    entry = _registry(kind).get(name)
    if entry is None or entry["form"] == "package":
        return _get_of_package(kind, name, entry)
    known = _last(kind, name, entry)
    key: tuple = ()
    try:
        found = digests(Path(known.folder), known.files or [known.main])
        if known.hash and found == dict(known.files):
            return known
        key = (kind, name, *sorted(found.items()))
        if key in _failures:
            return replace(known, problem=_failures[key])
        return _register(_taken(kind, known.place, name))
    except UserError as error:
        if key:
            _failures[key] = str(error)
        return replace(known, problem=str(error))


_failures: dict[tuple, str] = {}  # what could not be imported is not imported again until it changes
_looked_at: dict[tuple, tuple[float, OwnObject]] = {}


def add(kind: str, place: str, check: Callable[[str], object] = lambda name: None) -> OwnObject:
    """Remembers the object that `place`, "FILE:OBJECT", names, and returns it. check(name): raises where that is taken
    by something else. Raises UserError where there is no such object, where it lacks what its kind needs, and where
    another has its name."""
    own = _taken(kind, place)
    check(own.name)
    return _register(own)


def take(kind: str, what: str) -> OwnObject:
    """The object that `what` names, "FILE:OBJECT" or the name of one that is known, for use at once. Raises UserError
    as `add` does, and for a name that is not known."""
    if is_place(what):
        return _snapshot(_taken(kind, what))
    found = get(kind, what)
    if found is None:
        known = f"; there is {', '.join(names(kind))}" if names(kind) else ""
        example = NOUNS[kind][1]
        raise UserError(f"no {kind} of yours is called {what!r}{known}; name a file, such as {example}")
    return found.check()


def remove(kind: str, name: str) -> None:
    """Forgets where an object is; what was made by it stays. Raises UserError where no person named one of that
    name."""
    if name in names(kind) and _registry(kind).get(name, {}).get("form") != "file":
        raise UserError(f"the {kind} {name} comes with an installed package; take that out with pip")
    if name not in names(kind):
        raise UserError(f"no {kind} of yours is called {name!r}; there is {', '.join(names(kind)) or 'none'}")
    with locked(_home()):
        content = _read_registry()
        content[kind] = {key: entry for key, entry in content[kind].items() if key != name}
        write_json(_home() / "registry.json", content)


def check_name(kind: str, name) -> str:
    """`name` for an object. Raises UserError where it is none."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise UserError(
            f"{name!r} cannot name a {kind}; take at most 40 of a-z, 0-9, dot, dash and underscore, a letter or digit "
            "first"
        )
    return name


def _get_of_package(kind: str, name: str, entry: dict | None) -> OwnObject | None:
    """As `get`, of what an installed package offers. entry: the registry's, where it was used before."""
    offer = packages.offered(kind).get(name)
    if offer is None or not NAME.fullmatch(name):
        return None
    moment, looked_at = _looked_at.get((kind, name, str(_home())), (0.0, None))
    if looked_at and time.monotonic() - moment < RECHECK_SECONDS:
        return looked_at
    last = _last(kind, name, entry) if entry else OwnObject(kind, name, form="package")
    key: tuple = ()
    try:
        if offer.problem:
            raise UserError(offer.problem)
        files = offer.files()
        found = digests(offer.root, files)
        key = (kind, name, *sorted(found.items()))
        if key in _failures:
            made = replace(last, problem=_failures[key])
        elif last.hash and found == dict(last.files) and last.folder == str(offer.root):
            made = last
        else:
            file = offer.root / offer.main
            described = describe(_DESCRIBE, file, [kind, str(file), offer.object, str(offer.root)])
            described["name"] = name if kind in FUNCTIONS else described["name"]  # a function has none
            made = _register(_made(kind, described, "package", offer.root, offer.main, offer.object, files, name))
    except UserError as error:
        if key:
            _failures[key] = str(error)
        made = replace(last, problem=str(error))
    _looked_at[kind, name, str(_home())] = time.monotonic(), made
    return made


_DESCRIBE = "attribution.own_code.describe"


def _taken(kind: str, place: str, name: str | None = None) -> OwnObject:
    """The object at a place as its file is now, not kept yet. name: what it has to be called, None for any."""
    file, object_ = split_place(place, *NOUNS[kind])
    described = describe(_DESCRIBE, file, [kind, str(file), object_])
    files = [file.name, *check_source_names(described["sources"], file.parent, kind)]
    made = _made(kind, described, "file", file.parent, file.name, object_, files, name)
    if offer := packages.offered(kind).get(made.name):
        raise UserError(f"the package {offer.distribution} has a {kind} called {made.name}; give this one another name")
    return made


def _made(
    kind: str, described: dict, form: str, folder: Path, main: str, object_: str, files: list[str], name: str | None
) -> OwnObject:
    """The object that describes itself so, without its hash. Raises UserError for what it may not say."""
    own = OwnObject(
        kind,
        check_name(kind, described["name"]),
        form=form,
        version=check_whole(described["version"], "version", 0, MAX_VERSION),
        main=main,
        object=object_,
        folder=str(folder),
        files=dict.fromkeys(files, ""),
        about=_check_about(kind, described["about"]),
    )
    if name not in (None, own.name):
        again = "add it again under that name" if form == "file" else "its author has to give both one name"
        raise UserError(f"{folder / main} now calls its {kind} {own.name}, not {name}; {again}")
    return own


def _check_about(kind: str, about: dict) -> dict:
    for key in ("description", "method"):
        if not isinstance(about.get(key, ""), str) or len(about.get(key, "")) > MAX_TEXT:
            raise UserError(f"{key} of the {kind} is no text of at most {MAX_TEXT} characters; give it one")
    uses = about.get("uses", [])
    wrong = [name for name in uses if not isinstance(name, str) or not USES.fullmatch(name)]
    if wrong or not isinstance(uses, list):
        raise UserError(f'{(wrong or [uses])[0]!r} among its uses is no part; write uses = ["features/moco", "base"]')
    patience = about.get("patience", 1)
    if isinstance(patience, bool) or not isinstance(patience, (int, float)) or not 0 < patience < 1e6:
        raise UserError(f"patience {patience!r} is no number of minutes; give one above 0")
    return about


def _snapshot(own: OwnObject) -> OwnObject:
    """Keeps the bytes of an object's files as they are now; returns it with its hash."""
    contents = read_files(Path(own.folder), own.files)
    identity = {key: getattr(own, key) for key in ("kind", "name", "version", "form", "object", "main")}
    digest, covered = hash_of(identity, contents)
    made = replace(own, hash=digest, files=covered, created=time.time())
    home = _home() / digest
    with locked(_home()):
        write_files(home / "files", contents)
        write_json(home / "object.json", asdict(made))
    return made


def _register(own: OwnObject) -> OwnObject:
    """Keeps an object's bytes, and writes it into the registry."""
    other = _registry(own.kind).get(own.name)
    named_twice = other and other["form"] == own.form == "file"
    if named_twice and (other["folder"], other["main"], other["object"]) != (own.folder, own.main, own.object):
        raise UserError(
            f"a {own.kind} called {own.name} is there already, from {other['folder']}; give this one another name, or "
            f"take that one out with: python -m attribution {own.kind}s remove {own.name}"
        )
    made = _snapshot(own)
    entry = {key: getattr(made, key) for key in ("folder", "main", "object", "form", "hash")}
    with locked(_home()):
        content = _read_registry()
        content[own.kind] = {**content.get(own.kind, {}), own.name: entry}
        write_json(_home() / "registry.json", content)
    return made


def _last(kind: str, name: str, entry: dict) -> OwnObject:
    """The version of an object that the registry's entry tells of; without a hash where its snapshot is gone or
    damaged, so that it is taken anew."""
    known = {each.name for each in fields(OwnObject)}
    try:
        content = read_json(_home() / entry["hash"] / "object.json")
        own = OwnObject(**{key: content[key] for key in known & content.keys()})
        if (own.kind, own.name, own.hash) == (kind, name, entry["hash"]):
            return own
    except (AttributeError, FileNotFoundError, NotADirectoryError, TypeError, UserError):
        pass
    return OwnObject(kind, name, **{key: entry[key] for key in ("form", "main", "object", "folder")})


def _registry(kind: str) -> dict[str, dict]:
    return _read_registry().get(kind, {})


def _read_registry() -> dict[str, dict[str, dict]]:
    try:
        file = _home() / "registry.json"
    except UserError:  # there is no data folder, and so nothing in it
        return {}
    try:
        content = read_json(file, "remove it, and add your code again")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    entries = [entry for kind in content.values() for entry in kind.values()] if _is_nested(content) else [None]
    needed = {"folder", "main", "object", "form", "hash"}
    if not all(isinstance(entry, dict) and needed <= entry.keys() for entry in entries):
        raise UserError(f"{file} is no list of code of yours; remove it, and add your code again")
    return content


def _is_nested(content) -> bool:
    return isinstance(content, dict) and all(isinstance(kind, dict) for kind in content.values())


def _home() -> Path:
    return data_folder() / "own"
