"""Takes the pictures of the README and of docs/ on the demo: .venv/bin/python tests/browser/screenshot.py [NAME ...]"""

import sys
import tempfile
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.browser import serving  # noqa: E402

README = "assets/screenshot.png"
CNN = "model=demo-cnn"
#: file -> (address, color scheme, width, height)
PICTURES = {
    README: (f"/?{CNN}", "light", 1280, 900),
    "docs/pages/debug.png": (f"/?{CNN}&panel=verdict", "light", 1280, 900),
    "docs/pages/debug-dark.png": ("/?model=head-moco&target=5", "dark", 1280, 900),
    "docs/pages/wrong.png": ("/?model=head-moco&show=wrong&target=3", "light", 1280, 900),
    "docs/pages/map.png": (f"/?{CNN}&picker=map", "dark", 1280, 900),
    "docs/pages/labels.png": ("/labels", "light", 1280, 900),
    "docs/pages/labels-dark.png": ("/labels?mode=wall", "dark", 1280, 900),
    "docs/pages/compare.png": (f"/compare?{CNN}", "light", 1280, 900),
    "docs/pages/compare-dark.png": (f"/compare?{CNN}&tab=Cost", "dark", 1280, 900),
    "docs/pages/data.png": ("/data?part=import", "light", 1280, 900),
    "docs/pages/data-dark.png": ("/data?part=models", "dark", 1280, 900),
    "docs/pages/present.png": ("/?present=1&model=head-moco", "light", 1920, 1080),
    "docs/pages/debug-390.png": (f"/?{CNN}&target=88", "light", 390, 844),
    "docs/pages/labels-390.png": ("/labels", "light", 390, 844),
    "docs/pages/debug-200.png": (f"/?{CNN}&target=88", "light", 640, 450),
}
COLOURS = 96  # of a picture: the repository is to stay small


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
    page.screenshot(path=file)
    page.context.close()
    with Image.open(file) as picture:
        picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)
    print(file.relative_to(serving.ROOT), file.stat().st_size)


if __name__ == "__main__":
    main(sys.argv[1:])
