"""How far a long step is, where a notebook or a script waits for it."""

import sys
import time

from attribution.inputs import names

QUIET_SECONDS, STEP_SECONDS, WIDTH = 2, 0.5, 100


class Progress:
    """Called as progress(text, done, total): a line on stderr that is written anew, and taken away at the end. What
    ends within two seconds writes none."""

    def __enter__(self) -> "Progress":
        self._start, self._shown = time.monotonic(), None
        return self

    def __call__(self, text: str, done: int | None, total: int | None) -> None:
        """Says how far the phase `text` is."""
        now = time.monotonic()
        if now - self._start < QUIET_SECONDS or (self._shown is not None and now - self._shown < STEP_SECONDS):
            return
        self._shown = now
        of = "" if done is None else f": {done:,} of {total:,}" if total else f": {done:,}"
        self._write(f"{names.visible(text)}{of}, {now - self._start:.0f} s"[:WIDTH].ljust(WIDTH))

    def __exit__(self, *error) -> None:
        if self._shown is not None:
            self._write(" " * WIDTH + "\r")

    @staticmethod
    def _write(line: str) -> None:
        print(f"\r{line}", end="", file=sys.stderr, flush=True)
