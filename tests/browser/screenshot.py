"""Takes the pictures of the README and of docs/ on the demo: .venv/bin/python tests/browser/screenshot.py [NAME ...]"""

import sys
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.browser import serving  # noqa: E402

README = "assets/screenshot.webp"
CNN = "model=demo-cnn"
#: file -> (address, color scheme, width, height)
PICTURES = {
    README: (f"/?{CNN}", "light", 1280, 900),
    "docs/pages/debug.webp": (f"/?{CNN}&panel=verdict", "light", 1280, 900),
    "docs/pages/debug-dark.webp": ("/?model=head-moco&target=5", "dark", 1280, 900),
    "docs/pages/wrong.webp": ("/?model=head-moco&show=wrong&target=3", "light", 1280, 900),
    "docs/pages/map.webp": (f"/?{CNN}&picker=map", "dark", 1280, 900),
    "docs/pages/labels.webp": ("/labels", "light", 1280, 900),
    "docs/pages/labels-dark.webp": ("/labels?mode=wall", "dark", 1280, 900),
    "docs/pages/compare.webp": (f"/compare?{CNN}", "light", 1280, 900),
    "docs/pages/compare-dark.webp": (f"/compare?{CNN}&tab=Cost", "dark", 1280, 900),
    "docs/pages/data.webp": ("/data?part=import", "light", 1280, 900),
    "docs/pages/data-dark.webp": ("/data?part=models", "dark", 1280, 900),
    "docs/pages/present.webp": ("/?present=1&model=head-moco", "light", 1920, 1080),
}
ROOMS = {"debug": f"/?{CNN}&target=88", "labels": "/labels", "compare": f"/compare?{CNN}", "data": "/data?part=import"}
SIZES = {"390": (390, 844), "200": (640, 450), "1920": (1920, 1080)}  # 200: 1280 x 900 at 200 % zoom
PICTURES |= {
    f"docs/pages/{room}-{name}.webp": (address, "light", *size)
    for room, address in ROOMS.items()
    for name, size in SIZES.items()
}


def main(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as data, serving.server(Path(data)) as server, serving.browser() as browser:
        for file, (address, scheme, width, height) in PICTURES.items():
            if not names or Path(file).stem in names:
                take(browser, server.url + address, serving.ROOT / file, scheme, width, height)


def take(browser, url: str, file: Path, scheme: str, width: int, height: int) -> None:
    page = serving.new_page(browser, color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": height})
    serving.open_page(page, url)
    page.wait_for_timeout(4000)  # the head's answers, fonts and transitions
    skip = page.get_by_role("button", name="Skip")
    if skip.count():
        skip.first.click()
    page.mouse.move(0, 0)
    page.wait_for_timeout(500)
    file.parent.mkdir(exist_ok=True)
    content = page.screenshot()
    page.context.close()
    with Image.open(BytesIO(content)) as picture:
        picture.convert("RGB").save(file, lossless=True, quality=100, method=6)
    print(file.relative_to(serving.ROOT), file.stat().st_size)


if __name__ == "__main__":
    main(sys.argv[1:])
