"""What all tests share: results go to a temporary folder, and skipped browser tests are not overlooked."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parent.parent
#: Set in .ci/run: a run without its browser tests fails.
REQUIRED = os.environ.get("LINEUP_REQUIRE_BROWSER") == "1"

# One thread each: the machine may have two cores, and spinning threads slow each other down many times over.
for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")
# Workers that give way to everything else wait for minutes on a machine that is busy with something else.
os.environ.setdefault("LINEUP_NICE", "0")


@pytest.fixture(autouse=True, scope="session")
def data_folder(tmp_path_factory):
    """The data folder of this test session (LINEUP_DATA), a temporary one: no test writes into the user's."""
    folder = tmp_path_factory.mktemp("data")
    before = {name: os.environ.pop(name, None) for name in ("LINEUP_DATA", "LINEUP_WORKSPACE")}
    os.environ["LINEUP_DATA"] = str(folder)
    yield folder
    os.environ.update({name: value for name, value in before.items() if value is not None})


@pytest.fixture(scope="session")
def run_python():
    """run_python("-m", "attribution", "info") -> an object with code, out and err of that Python process."""

    def run(*arguments, **environment):
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            env={**os.environ, **environment},
        )
        return SimpleNamespace(code=done.returncode, out=done.stdout, err=done.stderr)

    return run


def _browser_reports(reporter, outcome: str) -> list:
    return [report for report in reporter.stats.get(outcome, []) if "tests/browser/" in report.nodeid]


def _browser_tests_missing(reporter) -> str | None:
    """A line that says so when browser tests were skipped or, where they are required, did not run; else None."""
    ran, skipped = (len(_browser_reports(reporter, outcome)) for outcome in ("passed", "skipped"))
    if skipped:
        return f"{skipped} BROWSER TESTS WERE SKIPPED: install Chromium or Chrome and run the tests again"
    return None if ran or not REQUIRED else "NO BROWSER TEST RAN, AND LINEUP_REQUIRE_BROWSER ASKS FOR THEM"


def pytest_sessionfinish(session, exitstatus):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if REQUIRED and exitstatus == 0 and _browser_tests_missing(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter):
    line = _browser_tests_missing(terminalreporter)
    if line:
        terminalreporter.write_sep("!", line, red=True, bold=True)
