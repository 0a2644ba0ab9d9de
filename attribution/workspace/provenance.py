"""Provenance of the parts of a workspace: command, day, versions, device."""

import platform
import time
from importlib.metadata import PackageNotFoundError, version

LIBRARIES = (
    "torch",
    "numpy",
    "scikit-learn",
    "lightly",
    "dattri",
    "cleanlab",
    "openTSNE",
    "faiss-cpu",
    "pillow",
    "pyarrow",
)


def command_provenance(arguments: str) -> dict:
    """Provenance of a part made by `python -m attribution` with these arguments: command, made (the day, UTC), versions
    (of installed libraries) and device, the processor; a caller that used another device overwrites it."""
    return {
        "command": f"python -m attribution {arguments}",
        "made": time.strftime("%Y-%m-%d", time.gmtime()),
        "versions": library_versions(),
        "device": platform.processor() or platform.machine(),
    }


def library_versions() -> dict[str, str]:
    """Versions of Python and of LIBRARIES, as far as they are installed."""
    versions = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
