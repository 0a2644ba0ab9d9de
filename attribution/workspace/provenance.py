"""What every part of a workspace says of its making: command, day, versions, device."""

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


def command_provenance(words: str) -> dict:
    """Provenance of a part that `python -m attribution` with these words makes: command, made, versions (of what is
    installed), device. What knows its device better says so after."""
    return {
        "command": f"python -m attribution {words}",
        "made": time.strftime("%Y-%m-%d", time.gmtime()),
        "versions": library_versions(),
        "device": platform.processor() or platform.machine(),
    }


def library_versions() -> dict[str, str]:
    """Versions of Python and of LIBRARIES, as far as they are installed."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
