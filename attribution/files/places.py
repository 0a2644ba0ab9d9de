"""Where the parts of Lineup are: in a checkout, and in an environment that it was installed into."""

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
#: where `python -m attribution` finds this library: the checkout, or the folder of an environment's packages
ROOT = PACKAGE.parent
#: the folder of app.py, asgi.py, pages/, assets/ and .streamlit/: the checkout; a wheel has them inside the package
APP = PACKAGE / "app" if (PACKAGE / "app").is_dir() else ROOT


def python_path() -> str:
    """PYTHONPATH for a process of this library that is started with another working folder."""
    return os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
