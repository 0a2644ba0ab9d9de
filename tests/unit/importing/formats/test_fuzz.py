"""Damaged files: each is read, or refused with one sentence. No other error, no hang, nothing written, nothing opened
outside its folder, nothing executed.

Every golden file is damaged LINEUP_FUZZ times (here 12, in full 2,000), the same way in every run; `pytest -rP` shows
how many were read and how many refused, how long the slowest took, and what all of them added to the most memory taken.
"""

import os
import random
import re
import resource
import shutil
import signal
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from attribution import UserError
from attribution.importing.formats import detect_format, paper_results
from tests import golden
from tests.golden import Golden

TIMES = int(os.environ.get("LINEUP_FUZZ", 12))
#: seconds that a file may take on a busy machine, and kilobytes that all of them may add to this process
PATIENCE, ROOM = 60, 400_000
#: fitting is slow, and what is damaged comes in before it: rows of a store are read every so many times
FITTED = 50
#: our own, and what comes with the others and is not looked at
LEFT_OUT = ("orders/", "__pycache__/", "traker/id_", "traker/scores/started", "factor_arguments.json")
FILES = sorted(
    name
    for file in golden.FOLDER.glob("*/**/*")
    if file.is_file() and not any(part in (name := file.relative_to(golden.FOLDER).as_posix()) for part in LEFT_OUT)
)
RESULTS = Golden("paper-results", "paper_results", "")
#: what an audited event may not be while a file is read
FORBIDDEN = (
    "subprocess",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "os.remove",
    "os.rename",
    "os.mkdir",
    "os.truncate",
    "os.symlink",
    "shutil",
    "socket.connect",
    "pickle.find_class",
    "exec",
    "import",
    "marshal",
)

watched = []  # folders whose reading is being watched; one, or none
seen = []  # what was done that must not be


def _audit(event, arguments):
    if not watched:
        return
    if event == "open":
        path, _, flags = arguments
        if isinstance(path, (str, bytes)):
            inside = Path(os.path.abspath(os.fsdecode(path))).is_relative_to(watched[0])
            if not inside or flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                seen.append(f"open {path!r} {flags}")
    elif event.startswith(FORBIDDEN) and not (event == "import" and arguments[0] in sys.modules):
        seen.append(f"{event} {arguments!r:.200}")


sys.addaudithook(_audit)


def uses(file: str) -> list[Golden]:
    """The ways to bring something that has `file` in it."""
    named = "topk/few.npy" if file.startswith("topk/test_") else file
    return [one for one in [*golden.ALL, golden.STORE, RESULTS] if f"{named}/".startswith(f"{one.path}/")]


def damaged(text: bytes, draw: random.Random, others: list[bytes]) -> bytes:
    kind = draw.randrange(9)
    at = draw.randrange(len(text) + 1)
    if kind == 0:  # bits turned
        found = bytearray(text)
        for _ in range(draw.choice((1, 1, 2, 8))):
            found[draw.randrange(len(found))] ^= 1 << draw.randrange(8)
        return bytes(found)
    if kind == 1:  # cut short
        return text[:at]
    if kind == 2:  # bytes put in
        return text[:at] + draw.randbytes(draw.choice((1, 2, 8, 64, 1000))) + text[at:]
    if kind == 3:  # bytes taken out
        return text[:at] + text[at + draw.choice((1, 2, 8, 64)) :]
    if kind == 4:  # a stretch of zeros, ones or noise
        length = draw.choice((1, 4, 16, 64))
        return text[:at] + draw.choice((bytes(length), b"\xff" * length, draw.randbytes(length))) + text[at + length :]
    if kind == 5:  # bits turned in the header, or in a zip's directory at the end
        found = bytearray(text)
        for _ in range(draw.choice((1, 2, 4))):
            found[draw.randrange(min(160, len(found))) * draw.choice((1, -1))] ^= 1 << draw.randrange(8)
        return bytes(found)
    if kind == 6:  # another number, or word, where the file has one in letters
        places = list(re.finditer(rb"\d+|[A-Za-z_]{2,}", text)) or [re.match(b"", text)]
        place = draw.choice(places)
        new = draw.choice(
            (
                b"0",
                b"1",
                b"-1",
                b"6",
                b"24",
                b"99999999",
                b"9" * 30,
                b"../../x",
                b"NaN",
                b"|O",
                b"\0",
                place[0][::-1],
                place[0] * 2,
            )
        )
        return text[: place.start()] + new + text[place.end() :]
    if kind == 7:  # another file under this one's name
        return draw.choice(others)
    return text[:at] + draw.choice(others)[at:]  # it goes on as another one does


def read_through(one: Golden, folder: Path, fitted: bool) -> None:
    """Reads everything, and holds that it is what `Incoming` promises."""
    if one is RESULTS:
        assert all(
            type(k) is int and type(v) is int and v >= -1
            for k, v in paper_results.load_folder(folder / one.path).items()
        )
        return
    incoming, sizes = golden.load(one, folder), golden.sizes()
    targets, width = incoming.targets, sizes.n_train if incoming.train is None else len(incoming.train)
    assert targets.dtype == np.int64 and 0 < len(targets) == len(set(targets.tolist()))
    assert 0 <= targets.min() and targets.max() < sizes.n_val
    if one is golden.STORE and not fitted:
        return
    found, scores = golden.read(incoming)
    assert len(found) == len(targets) and found.max() < sizes.n_train and found.min() >= -1
    assert scores is None or (scores.dtype == incoming.precision and scores.shape == found.shape)
    assert scores is None or np.isfinite(scores).all()
    assert incoming.read_scores is None or found.shape[1] == width
    assert all(len(set(row[row >= 0].tolist())) == (row >= 0).sum() for row in found)


def one_sentence(error: UserError) -> bool:
    return bool(re.fullmatch(r"[^\n]{20,600}", str(error))) and not re.search(r"\.\s+[A-Z]|\.$", str(error))


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    """The golden files in a temporary folder. All is read once, so that what is imported lazily is there."""
    folder = tmp_path_factory.mktemp("fuzz").resolve() / "golden"
    shutil.copytree(golden.FOLDER, folder, ignore=shutil.ignore_patterns("orders", "*.py", "__pycache__"))
    for one in [*golden.ALL, golden.STORE, RESULTS]:
        read_through(one, folder, True)
        if one is not RESULTS:
            detect_format(folder / one.path)
    return folder


def _late(*_):
    raise AssertionError(f"a file took more than {PATIENCE} s")


@pytest.mark.parametrize("file", FILES)
def test_damaged(file, copies):
    text = (copies / file).read_bytes()
    others = [(copies / other).read_bytes() for other in FILES if other != file]
    before = sorted(copies.rglob("*"))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    counts, slowest = {"read": 0, "refused": 0}, 0.0
    ways = uses(file)
    assert ways
    seen.clear()
    handler = signal.signal(signal.SIGALRM, _late)
    try:
        for number in range(TIMES):
            draw = random.Random(f"{file} {number}")
            new = copies.parent / "new"
            new.write_bytes(damaged(text, draw, others))
            new.replace(copies / file)  # a new file: what is still mapped of the last one stays as it was
            one = ways[number % len(ways)]
            signal.alarm(PATIENCE)
            start = time.perf_counter()
            watched.append(copies / Path(file).parts[0])
            try:
                with warnings.catch_warnings(action="ignore"):
                    try:
                        if one is not RESULTS:
                            detect_format(copies / one.path)
                    except UserError as error:
                        assert one_sentence(error), error
                    read_through(one, copies, number % FITTED == 0)
                counts["read"] += 1
            except UserError as error:
                assert one_sentence(error), error
                counts["refused"] += 1
            except BaseException as error:
                error.add_note(f"{one} with {file}, number {number}")
                raise
            finally:
                watched.clear()
                signal.alarm(0)
            slowest = max(slowest, time.perf_counter() - start)
            assert not seen, (number, seen)
    finally:
        signal.signal(signal.SIGALRM, handler)
        (copies / file).write_bytes(text)
    assert sorted(copies.rglob("*")) == before
    added = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    assert added < ROOM
    print(
        f"{file}: {counts['read']} read, {counts['refused']} refused, slowest {slowest:.2f} s, {added / 1024:.0f} MiB"
    )
