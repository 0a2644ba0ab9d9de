"""Where on this machine the images are that workspaces read in place: `roots.json` in the data folder."""

import json
from pathlib import Path

from attribution.files import data_folder, write_json


def find_root(workspace: Path, fingerprint: str) -> Path | None:
    """The folder with the images of the workspace at that path, or None where it is not known or not there.

    A workspace that was moved, or noted by its data set alone, takes the folder noted last for its data set
    (`fingerprint`).
    """
    known = _load_roots()
    roots = [Path(root) for key in (_key(workspace, fingerprint), fingerprint) if (root := known.get(key))]
    return next((root for root in roots if root.is_dir()), None)


def save_root(workspace: Path, fingerprint: str, root: Path) -> None:
    """Notes that the images of the workspace at that path, of the data set `fingerprint`, are in the folder `root`."""
    roots = {fingerprint: str(root), _key(workspace, fingerprint): str(root)}
    write_json(data_folder() / "roots.json", _load_roots() | roots)


def _key(workspace: Path, fingerprint: str) -> str:
    """Two workspaces of the same images can have them in folders laid out differently: the path tells them apart."""
    return f"{fingerprint} {Path(workspace).resolve()}"


def _load_roots() -> dict[str, str]:
    try:
        return json.loads((data_folder() / "roots.json").read_text())
    except (OSError, ValueError):
        return {}
