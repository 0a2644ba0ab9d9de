"""Where on this machine the images are that workspaces read in place: `roots.json` in the data folder."""

import json
from pathlib import Path

from attribution.files import data_folder, write_json


def find(fingerprint: str) -> Path | None:
    """The folder with the images of the data set `fingerprint`, or None where it is unknown or does not exist."""
    root = _known().get(fingerprint)
    return Path(root) if root and Path(root).is_dir() else None


def remember(fingerprint: str, root: Path) -> None:
    """Records that the images of the data set `fingerprint` are in the folder `root`."""
    write_json(data_folder() / "roots.json", {**_known(), fingerprint: str(root)})


def _known() -> dict[str, str]:
    try:
        return json.loads((data_folder() / "roots.json").read_text())
    except (OSError, ValueError):
        return {}
