"""Takes the README's picture of Explore on the demo: .venv/bin/python tests/browser/screenshot.py"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.browser import serving  # noqa: E402


def main() -> None:
    with tempfile.TemporaryDirectory() as data, serving.server(Path(data)) as server, serving.browser() as browser:
        page = serving.new_page(browser)
        serving.open_page(page, server.url)
        page.locator(".st-key-rows [role=option]").first.wait_for()
        page.locator(".curve svg").first.wait_for(timeout=120_000)  # the head's answers to the cut
        page.wait_for_timeout(500)  # fonts and transitions
        page.screenshot(path=serving.ROOT / "assets" / "screenshot.png")


if __name__ == "__main__":
    main()
