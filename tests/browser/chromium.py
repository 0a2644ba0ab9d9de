"""The Chromium that drives the browser tests. Run as a script, it sees to it that there is one."""

import os
import shutil
import subprocess
from pathlib import Path

NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"]
MAC = [f"/Applications/{name}.app/Contents/MacOS/{name}" for name in ("Chromium", "Google Chrome")]


def find() -> str | None:
    """Path of an installed Chromium or Chrome: LINEUP_CHROMIUM, else Debian's or another on this machine, or None."""
    named = os.environ.get("LINEUP_CHROMIUM")
    found = [named] if named else [*map(shutil.which, NAMES), *MAC, *map(str, _downloaded())]
    return next((path for path in found if path and Path(path).is_file()), None)


def _downloaded() -> list[Path]:
    """What `playwright install chromium` left, newest first."""
    caches = [Path.home() / ".cache/ms-playwright", Path.home() / "Library/Caches/ms-playwright"]
    patterns = ["chromium-*/chrome-linux*/chrome", "chromium-*/chrome-mac*/*.app/Contents/MacOS/*"]
    return sorted((path for cache in caches for pattern in patterns for path in cache.glob(pattern)), reverse=True)


def install() -> None:
    """Installs Debian's Chromium where there is none yet, and apt and root are there; otherwise does nothing."""
    if find() or os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
    print("Installing Chromium from Debian's packages")
    subprocess.run(["apt-get", "update", "-qq"], **quiet)
    # Without a font, Chromium draws no text.
    packages = ["chromium", "fonts-dejavu-core"]
    subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages], **quiet)


if __name__ == "__main__":
    install()
    print(f"Browser tests will use {find()}" if find() else "NO CHROMIUM OR CHROME: THE BROWSER TESTS WILL BE SKIPPED")
