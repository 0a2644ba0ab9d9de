"""Supports as the paper's repository keeps them: `<target>.pkl`, one pickled whole number, -1 where it was censored.

A pickle can run code when it is loaded, so that none is: its instructions are read, and a whole number is all that is
taken."""

import pickletools
from pathlib import Path

from attribution.data.foreign import open_file
from attribution.errors import UserError

#: no pickled whole number that is a support is longer
MAX_BYTES = 64
INTEGER_OPCODES = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"}


def read_int(path: Path) -> int:
    """The number in a pickle that is nothing but a whole number of at least -1. Raises UserError for anything else."""
    try:
        with open_file(path) as stream:
            text = stream.read(MAX_BYTES + 1)
        steps = list(pickletools.genops(text))
    except UserError:
        raise
    except Exception:  # pickletools meets a broken file with errors of many types
        steps = []
    opcodes = [(opcode.name, value) for opcode, value, _ in steps if opcode.name not in ("PROTO", "FRAME")]
    name, number = opcodes[0] if [name for name, _ in opcodes[1:]] == ["STOP"] else ("", None)
    is_integer = name in INTEGER_OPCODES and type(number) is int
    if not is_integer or steps[-1][2] + 1 != len(text) or number < -1:
        raise UserError(
            f"{path} is more than one pickled whole number of at least -1, and is not loaded, as it could "
            "run code; save the number alone"
        )
    return number


def load_folder(path: Path) -> dict[int, int]:
    """Target -> support, -1 where censored, of all `<target>.pkl` in a folder. Raises UserError where there is none."""
    files = [file for file in Path(path).glob("*.pkl") if file.stem.isdecimal() and file.stem.isascii()]
    if not files:
        raise UserError(f"{path} has no files <target>.pkl; give the folder of one method's results")
    return {int(file.stem): read_int(file) for file in sorted(files, key=lambda file: int(file.stem))}
