"""Where on this machine the images are that workspaces read in place: `roots.json` in the data folder."""

from pathlib import Path

from attribution.errors import UserError
from attribution.files import data_folder, locked, read_json, write_json


def find_root(workspace: Path, fingerprint: str) -> Path | None:
    """The folder with the images of the workspace at that path, or None where it is not known or not there.

    A workspace without an entry of its own (it was moved, say) takes the folder recorded last for its data set,
    `fingerprint`.
    """
    roots = _load_roots()
    folders = [Path(root) for key in (_key(workspace, fingerprint), fingerprint) if (root := roots.get(key))]
    return next((folder for folder in folders if folder.is_dir()), None)


def save_root(workspace: Path, fingerprint: str, root: Path) -> None:
    """Records that the images of the workspace at that path, of data set `fingerprint`, are in the folder `root`."""
    roots = {fingerprint: str(root), _key(workspace, fingerprint): str(root)}
    with locked(data_folder()):
        write_json(data_folder() / "roots.json", _load_roots() | roots)


def workspaces_at(root: Path) -> list[tuple[Path, str]]:
    """(path, fingerprint) of the workspaces whose images were recorded to be in the folder `root`, which may have
    changed since or be gone."""
    keys = [key for key, folder in _load_roots().items() if folder == str(root) and " " in key]
    return [(Path(path), fingerprint) for fingerprint, path in (key.split(" ", 1) for key in keys)]


def _key(workspace: Path, fingerprint: str) -> str:
    """Two workspaces of the same images can have them in folders laid out differently: the path tells them apart."""
    return f"{fingerprint} {Path(workspace).resolve()}"


def _load_roots() -> dict[str, str]:
    """What is recorded; a damaged file records nothing, and says so once images are looked for."""
    try:
        roots = read_json(data_folder() / "roots.json")
    except (FileNotFoundError, NotADirectoryError, UserError):
        return {}
    return {key: root for key, root in roots.items() if isinstance(root, str)} if isinstance(roots, dict) else {}
