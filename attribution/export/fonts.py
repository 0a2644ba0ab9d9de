"""Fonts of this machine by the signs that they have: a name may be in any script, and no font has them all."""

import unicodedata
from functools import cache, lru_cache

import numpy as np
from PIL import ImageFont

#: of figures that pillow draws, plain and bold, as Linux and others name them
USUAL = {False: ("DejaVuSans.ttf", "Arial.ttf"), True: ("DejaVuSans-Bold.ttf", "Arial Bold.ttf")}
#: looked at before all others: with the signs of Chinese, Japanese and Korean, as Linux, Windows and macOS name them
WIDE = (
    *("NotoSansCJK-Regular.ttc", "NotoSansCJKjp-Regular.otf", "DroidSansFallbackFull.ttf", "wqy-zenhei.ttc"),
    *("wqy-microhei.ttc", "msyh.ttc", "msgothic.ttc", "malgun.ttf", "PingFang.ttc", "Arial Unicode.ttf"),
)
NO_SIGN = "\U0010fffe"  # that no font has


@lru_cache(maxsize=100)
def usual_font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    """The first of USUAL on this machine, otherwise the one that comes with pillow."""
    for name in USUAL[bold]:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


def runs(text: str, size: int, bold: bool) -> list[tuple[str, ImageFont.FreeTypeFont]]:
    """`text` in pieces, each with a font of pillow's that has its signs: the usual one where it has them, and where no
    font has."""
    usual = usual_font(size, bold)
    pieces: list[tuple[str, ImageFont.FreeTypeFont]] = []
    for sign in text:
        path = None if _has(usual, sign) else font_file(sign)
        font = _font(path, size) if path else usual
        # what joins or follows other signs stays with them
        if pieces and (font is pieces[-1][1] or (unicodedata.category(sign)[0] in "MC" and path is None)):
            pieces[-1] = (pieces[-1][0] + sign, pieces[-1][1])
        else:
            pieces.append((sign, font))
    return pieces


def missing_signs(text: str) -> str:
    """The signs of `text` that no font here has, each once: a picture shows boxes for them."""
    usual = usual_font(18, False)
    return "".join(sorted(sign for sign in set(text) if not _has(usual, sign) and font_file(sign) is None))


@lru_cache(maxsize=10_000)
def font_file(sign: str) -> str | None:
    """The file of a font with this sign, DejaVu's first, then one of WIDE; None where no font here has it."""
    from matplotlib import get_data_path

    usual = f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf"
    if ord(sign) in _signs(usual):
        return usual
    return next((path for path in _files() if ord(sign) in _signs(path)), None)


@cache
def _files() -> list[str]:
    """The files of this machine's fonts."""
    from matplotlib import font_manager

    def place(path: str) -> tuple:
        name = path.replace("\\", "/").rpartition("/")[2]
        return (WIDE.index(name) if name in WIDE else len(WIDE), name)

    return sorted(font_manager.findSystemFonts(), key=place)


@cache
def _signs(path: str) -> frozenset[int]:
    """The signs that a font has outlines of."""
    from matplotlib.ft2font import FT2Font

    try:
        font = FT2Font(path)
        has_outlines = font.scalable and "LastResort" not in path  # which has a box for every sign
        return frozenset(font.get_charmap()) if has_outlines else frozenset()
    except (OSError, RuntimeError, ValueError):  # no font, or a damaged one
        return frozenset()


@lru_cache(maxsize=100)
def _font(path: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size)


@lru_cache(maxsize=10_000)
def _has(font: ImageFont.FreeTypeFont, sign: str) -> bool:
    """Whether a font draws a sign otherwise than what no font has."""
    if sign.isascii() or unicodedata.category(sign) in ("Cf", "Mn", "Zs"):  # nothing is to be seen, or little
        return True
    return not np.array_equal(np.asarray(font.getmask(sign)), np.asarray(font.getmask(NO_SIGN)))
