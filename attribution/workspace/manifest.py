"""The manifest of a workspace, workspace.json: checked as a whole when it is read, so that no other code has to.

Whatever the provenance of a part holds beyond what is listed here is kept, and never relied upon.
"""

import functools
import math
import re
from pathlib import Path, PurePosixPath

from attribution.errors import UserError
from attribution.files import read_json

SCHEMA = 1
#: where the parts of a model other than the workspace's own recipe are kept, a folder a recipe
MODEL_FOLDER = "models/"
_NAME = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_OF_MODEL = rf"(?:{MODEL_FOLDER}{_NAME}/)?"
#: the names that a part may have
PART_PATTERN = re.compile(
    rf"{_OF_MODEL}(?:(?:rankings|features|detectors|hubs|map|firsts)/)?{_NAME}|combinations/{_NAME}(?:\+{_NAME})+"
)

_END = r"(?![\s\S])"  # "$" is before a newline at the end, too
_SHA256 = {"type": "string", "pattern": f"^[0-9a-f]{{64}}{_END}"}
_TEXT = {"type": "string", "maxLength": 100_000}
_TEXT_OR_NONE = {"type": ["string", "null"], "maxLength": 100_000}
_TEXT_NUMBER_OR_NONE = {"type": ["string", "number", "null"]}
_COUNT = {"type": "integer", "minimum": 0, "maximum": 2**53}
_SIZE = {"type": "integer", "minimum": 1, "maximum": 2**31 - 1}
_NUMBER = {"type": "number"}
_NUMBER_OR_NONE = {"type": ["number", "null"]}
_FLAG = {"type": "boolean"}


def _list_of(item: dict, **more) -> dict:
    return {"type": "array", "items": item, **more}


def _table_of(value: dict) -> dict:
    return {"type": "object", "additionalProperties": value}


def _record(properties: dict, *, optional: bool = False, required: tuple[str, ...] = ()) -> dict:
    kind = ["object", "null"] if optional else "object"
    return {"type": kind, "properties": properties, "required": list(required)}


_NAMES = _list_of(_TEXT)
_INTERVAL = _record({"mean": _NUMBER, "low": _NUMBER, "high": _NUMBER}, required=("mean",))
_BETWEEN_AND_WITHIN = _table_of(
    _record({"mean": _NUMBER, "ci": _list_of(_NUMBER, minItems=2, maxItems=2)}, required=("mean", "ci"))
)
_MADE_FOR = _record(
    {
        **dict.fromkeys(("recipe", "hash", "data"), _TEXT_OR_NONE),
        "seeds": {"type": ["array", "string", "null"], "items": _COUNT},  # or the name of a part that has them
    },
    optional=True,
)
_ORIGIN = _record({"made_for": _MADE_FOR}, optional=True) | {
    "patternProperties": {"/": _record({"seconds": _NUMBER_OR_NONE})}
}
_POISON = {
    "n": _COUNT,
    "class": _COUNT,
    "targets": _COUNT,
    "side": _COUNT,
    "seed": _COUNT,
    "of": _TEXT,
    "of_name": _TEXT,
}

#: what the provenance of any part may hold, and of which kind it is wherever it stands
_PROVENANCE = {
    **dict.fromkeys(("command", "made", "device", "about", "family", "protocol", "rule", "method"), _TEXT),
    **dict.fromkeys(
        ("halves", "base", "hash", "warning", "measured_on", "tuned_on", "training", "library"), _TEXT_OR_NONE
    ),
    **dict.fromkeys(("signed", "uses_val", "suggests", "zero_is_none", "variant"), _FLAG),
    **dict.fromkeys(("dim", "masks", "sample", "draws", "neighbours", "k", "k_max", "knn_k", "threads"), _COUNT),
    **dict.fromkeys(("unknown", "trainings"), _COUNT),
    **dict.fromkeys(("alpha", "p", "knn_accuracy", "loss", "penalty", "nonzero", "moved"), _NUMBER),
    **dict.fromkeys(("rankings", "kinds", "sources", "recipes", "hashes", "members", "skipped", "notes"), _NAMES),
    "accuracy": {"type": ["number", "array"], "items": _NUMBER},
    "accuracy_std": _NUMBER_OR_NONE,  # of one model there is none
    **dict.fromkeys(("ceiling", "signal"), _NUMBER_OR_NONE),
    "alignment": _record({"warning": _TEXT_OR_NONE}, optional=True),
    "digest": {"type": "string", "pattern": f"^[A-Za-z0-9_-]{{1,64}}{_END}"},
    "files": _table_of(_COUNT),
    "jaccard": _BETWEEN_AND_WITHIN,
    "made_for": _MADE_FOR,
    "of": {
        "type": ["object", "string", "integer", "null"],
        "additionalProperties": {"type": ["string", "number", "null"]},
    },
    "models": {"type": ["integer", "string"], "minimum": 0},  # of an import the range, or "all"
    "origin": _ORIGIN,
    "poison": _record(_POISON, required=tuple(_POISON)),
    "recipe": {"type": ["string", "object", "null"]},
    "reliability": _table_of(_NUMBER_OR_NONE),
    "seconds": _NUMBER_OR_NONE,
    "seeds": {"type": ["array", "null"], "items": _COUNT},
    "spearman": _BETWEEN_AND_WITHIN,
    "trustworthiness": _INTERVAL,
    "trustworthiness_pca": _INTERVAL,
    "versions": _table_of(_TEXT_OR_NONE),
}
#: what the code reads of a part without asking whether it is there
_REQUIRED = {
    "lds": ("masks",),
    "lds_second": ("masks", "seeds", "ceiling", "signal"),
    "agreement": ("rankings", "k"),
    "lds_supports": ("rankings", "reliability", "versions"),
    "calibration": ("rankings", "sources"),
    "algorithms": ("recipes", "hashes"),
    "map/": ("method",),
}
_WITHOUT_FILES = {"type": "object", "properties": _PROVENANCE}
_PAIR = _list_of(_COUNT, minItems=2, maxItems=2)
_DATASET = _record(
    {
        "name": _TEXT,
        "classes": _list_of({"type": "string", "maxLength": 10_000}, minItems=1, maxItems=2**16),
        "n_train": _SIZE,
        "n_val": _SIZE,
        "shape": _list_of(_SIZE, minItems=2, maxItems=3),
        "planted": _COUNT,
        "inverted": _FLAG,
        "fingerprint": _SHA256,
        "images": _table_of(_record({"kind": _TEXT}, required=("kind",))),
        "digests": _record(dict.fromkeys(("train", "val"), _SHA256)),
        "sizes": _record(
            {"count": _COUNT, "smallest": _PAIR, "largest": _PAIR, "cropped": _FLAG},
            optional=True,
            required=("count", "smallest", "largest", "cropped"),
        ),
    },
    required=("name", "classes", "n_train", "n_val", "fingerprint"),
)
PARTS_SCHEMA = {
    "type": "object",
    "additionalProperties": _WITHOUT_FILES,
    "patternProperties": {
        f"^{_OF_MODEL}{part}{'' if part.endswith('/') else '$'}": {"required": list(keys)} | _WITHOUT_FILES
        for part, keys in _REQUIRED.items()
    },
}
MANIFEST_SCHEMA = _record(
    {
        "schema": {"const": SCHEMA},
        "name": _TEXT,
        "recipe": _TEXT,
        "parts": PARTS_SCHEMA,
        "steps": _table_of(_NUMBER_OR_NONE),
        "dataset": _DATASET,
    },
    required=("name", "recipe", "parts", "dataset"),
)


def read_manifest(path: Path) -> dict:
    """The manifest of the workspace at `path`. Raises UserError where there is none, where it is of another schema or
    not as it should be, and where a file that it lists is missing or has another size."""
    file = path / "workspace.json"
    try:
        manifest = read_json(file, "copy the workspace again")
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"there is no workspace at {path}: no workspace.json in it; check the path") from None
    version = manifest.get("schema") if isinstance(manifest, dict) else None
    if version != SCHEMA or isinstance(version, bool):
        raise UserError(
            f"the workspace at {path} has schema version {str(version)[:20]}, and this Lineup reads {SCHEMA}; "
            "open it with the Lineup that made it, or build it again"
        )
    check(manifest, MANIFEST_SCHEMA, file, "copy the workspace again")
    for part, provenance in manifest["parts"].items():
        provenance.pop("home", None)  # set by the workspace, for parts outside its folder
        _check_part(path, part, provenance)
    return manifest


def read_user_parts(file: Path) -> dict:
    """The parts that `file`, parts.json, lists; none where it is not there. Raises UserError where it is not as it
    should be."""
    try:
        parts = read_json(file, remedy := "remove it and import again what it held")
    except FileNotFoundError:
        return {}
    check(parts, PARTS_SCHEMA, file, remedy)
    for part in parts:
        _check_name(file, part)
    return parts


def check(content, schema: dict, file: Path, remedy: str) -> None:
    """Raises UserError where `content`, what `file` holds, does not have the `schema` (JSON Schema)."""
    from jsonschema.exceptions import best_match  # a tenth of a second that the command line's --help need not wait for

    error = best_match(_validator()(schema).iter_errors(content))
    if error is not None:
        where = " / ".join(map(str, error.absolute_path)) or "the whole"
        message = error.message if len(error.message) <= 200 else f"{error.message[:120]} … {error.message[-70:]}"
        raise UserError(f"{file} is not as it should be ({where}: {message}); {remedy}")


@functools.cache
def _validator():
    """JSON Schema's, with whole numbers that Python takes as such (2.0 is none) and without NaN and infinity."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    def is_whole(_, value) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)

    def is_number(_, value) -> bool:
        return is_whole(_, value) or isinstance(value, float) and math.isfinite(value)

    types = Draft202012Validator.TYPE_CHECKER.redefine_many({"integer": is_whole, "number": is_number})
    return extend(Draft202012Validator, type_checker=types)


def _check_part(path: Path, part: str, provenance: dict) -> None:
    file = path / "workspace.json"
    _check_name(file, part)
    for name, size in provenance.get("files", {}).items():
        if "\0" in name or PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise UserError(
                f"{file} names the file {name!r}, which is not in the workspace; take it from where it was made"
            )
        try:
            is_there, found = (path / name).is_file(), (path / name).stat().st_size
        except OSError:
            is_there, found = False, None
        if not is_there or found != size:
            state = f"has not the {size} bytes it should have" if is_there else "is missing"
            raise UserError(f"the workspace at {path} is incomplete: {name} ({part}) {state}; copy it again")


def _check_name(file: Path, part: str) -> None:
    if not PART_PATTERN.fullmatch(part):
        raise UserError(f"{file} has a part {part!r}, which cannot be; take the workspace from where it was made")
