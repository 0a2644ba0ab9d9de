"""Installs what training needs while the dashboard is served already: `python -m attribution.install REQUIREMENTS`.

`make run` starts it beside the server, whose pages say how far it is. What it does stands in a file, JSON, that
LINEUP_INSTALL names (see `files.libraries`); pip's own output in a log beside it.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from attribution.files import write_json
from attribution.files.libraries import INSTALL_VARIABLE

PIP = ("-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off")
#: uv's own choice among the builds of torch: the CPU build has a tenth of the bytes, and an index of its own
UV_CPU = ("-m", "uv", "pip", "install", "--torch-backend", "cpu", "--python", sys.executable)


class Installation:
    """One run of it. requirements: a file of them; state: the file that says how far it is; log: what pip prints.
    torch: "cpu" for the CPU build."""

    def __init__(self, requirements: Path, state: Path, log: Path, torch: str = ""):
        self.arguments, self.state, self.log, self.torch = ["-r", str(requirements)], state, log, torch
        self.start = time.monotonic()
        self.downloaded = 0.0  # MB

    def run(self) -> bool:
        """Installs, and returns whether it could. What was downloaded is kept by pip, so that a second run goes on."""
        with self.log.open("w") as log:
            done = self.torch == "cpu" and self._install_cpu_build(log)
            if not done:
                self._say("running", "looking up what training needs")
                done = self._call([*PIP, *self.arguments], log)
        if done:
            self._say("done", f"what training needs is installed ({_duration(time.monotonic() - self.start)})")
        else:
            why = f"({_last_line(self.log)}); see {self.log}, then call `make run` again"
            self._say("failed", f"what training needs could not be installed {why}")
        return done

    def _install_cpu_build(self, log) -> bool:
        self._say("running", "looking for the CPU build of torch")
        done = self._call([*PIP, "uv"], log) and self._call([*UV_CPU, *self.arguments], log)
        if not done:
            self._say("running", "the CPU build of torch cannot be reached from here; the ordinary one is installed")
        return done

    def _call(self, arguments: list[str], log) -> bool:
        process = subprocess.Popen(
            [sys.executable, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True
        )
        for line in process.stdout:
            log.write(line)
            log.flush()
            if step := self._step(line):
                self._say("running", step)
        return process.wait() == 0

    def _step(self, line: str) -> str:
        """What a line of pip's says is being done now; "" where it is nothing new."""
        if found := re.match(r"\s*Downloading (?:\S*/)?([A-Za-z0-9_.]+)-\S+ \(([\d.]+) ([kMG]B)\)", line):
            name, size, unit = found.groups()
            size = float(size) * {"kB": 1e-3, "MB": 1, "GB": 1e3}[unit]
            self.downloaded += size
            return f"downloading {name} ({size:,.0f} MB; {self.downloaded:,.0f} MB so far)" if size >= 1 else ""
        if line.startswith("Installing collected packages"):
            return f"unpacking {line.count(',') + 1} packages; this takes some minutes"
        return ""

    def _say(self, state: str, text: str) -> None:
        print(f"Training: {text}", flush=True)
        write_json(self.state, {"state": state, "text": text, "pid": os.getpid(), "started": time.time()})


def _duration(seconds: float) -> str:
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"


def _last_line(file: Path) -> str:
    lines = [line.strip() for line in file.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:200] if lines else "pip wrote nothing"


def main() -> None:
    """The program. Ends with status 1 where something could not be installed."""
    parser = argparse.ArgumentParser(prog="python -m attribution.install", description="Installs what training needs.")
    parser.add_argument("requirements", type=Path, help="a file of requirements")
    parser.add_argument("--stamp", type=Path, help="a file that is touched at the end, where all went well")
    parser.add_argument("--torch", default="", choices=["", "cpu"], help="which build")
    options = parser.parse_args()
    state = Path(os.environ[INSTALL_VARIABLE])
    done = Installation(options.requirements, state, state.with_suffix(".log"), options.torch).run()
    if done and options.stamp:
        options.stamp.touch()
    sys.exit(not done)


if __name__ == "__main__":
    main()
