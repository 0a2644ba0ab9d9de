"""Jobs under fire, for as long as one likes: workers, runners and the server are killed, and nothing may be lost.

    .venv/bin/python tests/benchmarks/torture.py [--kills 200] [--seed 1]

What is done is told in tests/torture.py. Prints JSON: how many were killed, and how many retrainings were then equal to
those of an undisturbed run; ends with an AssertionError and the story where one was not.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests import tiny  # noqa: E402
from tests.torture import torture  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = tiny.large(Path(folder) / "large", 8)
        print(json.dumps(torture(Path(folder), workspace, arguments.kills, arguments.seed)))


if __name__ == "__main__":
    main()
