"""Objects that installed packages offer, by entry points. The packages are looked at and never imported here."""

import importlib.metadata
import importlib.util
import re
import sys
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from attribution.errors import UserError

#: What is offered -> the group of entry points that offers it.
GROUPS = {
    "recipe": "lineup.recipes",
    "ranking": "lineup.rankings",
    "features": "lineup.features",
    "detector": "lineup.detectors",
    "format": "lineup.formats",
    "dataset": "lineup.datasets",
}
VALUE = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)")
MAX_FILES, MAX_BYTES = 5000, 100 << 20  # of a package


@dataclass(frozen=True)
class PackageObject:
    """The object that an entry point names: `object` in the file `main` of the folder `root`, where the package lies.

    files: all of the package, relative to `root`. problem: why it cannot be used, or "".
    """

    name: str
    distribution: str
    root: Path
    main: str
    object: str
    problem: str = ""

    def files(self) -> list[str]:
        """The files of its package, relative to `root`; compiled ones left out, which Python makes anew. Raises
        UserError where they are too many to keep a copy of."""
        package = self.root / Path(self.main).parts[0]
        if package.is_file():
            return [self.main]
        inside = (path for path in package.rglob("*") if "__pycache__" not in path.parts and path.is_file())
        found, size = [], 0
        for path in inside:
            found.append(path.relative_to(self.root).as_posix())
            size += path.stat().st_size
            if len(found) > MAX_FILES or size > MAX_BYTES:
                raise UserError(
                    f"the package {self.distribution} has more than {MAX_FILES:,} files or {MAX_BYTES >> 20} MiB, too "
                    f"much to keep a copy of for {self.name}; offer it by a small package of its own"
                )
        return sorted(found)


def offered(kind: str) -> dict[str, PackageObject]:
    """name -> what an installed package offers under it, for a key of GROUPS. Packages that are installed while this
    process runs are not seen."""
    return _offered(kind, tuple(sys.path))


@lru_cache(maxsize=16)
def _offered(kind: str, path: tuple) -> dict[str, PackageObject]:
    found = defaultdict(list)
    for entry in _entry_points(path).select(group=GROUPS[kind]):
        found[entry.name].append(_locate(entry))
    return {name: _one_of(objects) for name, objects in sorted(found.items())}


@lru_cache(maxsize=1)
def _entry_points(path: tuple) -> importlib.metadata.EntryPoints:
    return importlib.metadata.entry_points()  # 50 ms: it reads a file of every package


def _one_of(objects: list[PackageObject]) -> PackageObject:
    first = objects[0]
    if len(others := sorted({other.distribution for other in objects})) < 2:
        return first
    return replace(
        first, problem=f"the packages {' and '.join(others)} both offer {first.name}; take one of them out with pip"
    )


def _locate(entry: importlib.metadata.EntryPoint) -> PackageObject:
    """Finds the file of an entry point without importing its package: only the folder of the topmost is asked for."""
    distribution = entry.dist.name if entry.dist else "unknown"
    match = VALUE.fullmatch(entry.value.strip())
    if not match:
        problem = f"the package {distribution} offers {entry.value!r} as {entry.name}, and not MODULE:OBJECT"
        return PackageObject(entry.name, distribution, Path(), "", "", f"{problem}; ask its author")
    module, object_ = match.groups()
    top, *inner = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        spec = None
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
    candidates = [path for folder in folders for path in _files_of(folder, inner)]
    if spec and spec.origin and not folders and not inner:
        candidates = [Path(spec.origin)]
    for file in candidates:
        if file.suffix == ".py" and file.is_file():
            root = file.parents[len(inner) + (file.name == "__init__.py")] if folders else file.parent
            return PackageObject(entry.name, distribution, root, file.relative_to(root).as_posix(), object_)
    problem = f"the package {distribution} has no file for {module}, which it offers as {entry.name}; install it again"
    return PackageObject(entry.name, distribution, Path(), "", object_, problem)


def _files_of(folder: Path, inner: list[str]) -> list[Path]:
    inside = folder.joinpath(*inner)
    return [inside / "__init__.py", *([inside.with_suffix(".py")] if inner else [])]
