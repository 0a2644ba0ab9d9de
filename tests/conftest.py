"""What all tests share: the tiny workspace, its store, a page of it, the command line in this process or in another.

Results go to a temporary folder, and skipped browser tests are not overlooked."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
#: Set in .ci/run: a run without its browser tests fails.
REQUIRED = os.environ.get("LINEUP_REQUIRE_BROWSER") == "1"

# One thread each: the machine may have two cores, and spinning threads slow each other down many times over.
for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")
# Workers that give way to everything else wait for minutes on a machine that is busy with something else.
os.environ.setdefault("LINEUP_NICE", "0")

# After that: NumPy and torch read the number of threads as they are imported.
from attribution.__main__ import main  # noqa: E402
from attribution.store.results import ResultStore  # noqa: E402
from tests import tiny  # noqa: E402


class Ended(NamedTuple):
    """What a command printed, and its exit status."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True, scope="session")
def data_folder(tmp_path_factory):
    """The data folder of this test session (LINEUP_DATA), a temporary one: no test writes into the user's."""
    folder = tmp_path_factory.mktemp("data")
    before = {name: os.environ.pop(name, None) for name in ("LINEUP_DATA", "LINEUP_WORKSPACE")}
    os.environ["LINEUP_DATA"] = str(folder)
    yield folder
    os.environ.update({name: value for name, value in before.items() if value is not None})


@pytest.fixture
def ws(tmp_path, monkeypatch):
    """A tiny workspace (tests/tiny.py) in tmp_path / "w", the default one; results go to tmp_path / "data"."""
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("LINEUP_WORKSPACE", str(tmp_path / "w"))
    return tiny.write(tmp_path / "w")


@pytest.fixture
def store(ws):
    """The result store of `ws`."""
    store = ResultStore.for_workspace(ws)
    yield store
    store.close()


@pytest.fixture
def app(ws):
    """The front page of `ws`, an AppTest that has not run yet; for others see tests/pages/page.py."""
    from tests.pages.page import open_page  # Streamlit takes a second

    return open_page(run=False)


@pytest.fixture
def run(monkeypatch, capfd):
    """run("rank", "--top", 3) -> Ended(code, out, err) of the command line, in this process."""

    def run(*arguments, **environment):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["attribution", *map(str, arguments)])
            for name, value in environment.items():
                patch.setenv(name, str(value))
            capfd.readouterr()
            with pytest.raises(SystemExit) as end:
                main()
            out, err = capfd.readouterr()
        return Ended(end.value.code or 0, out, err)

    return run


@pytest.fixture
def answer(run):
    """answer("rank", ...) -> what the command line prints with `--json`, one valid object."""

    def answer(*arguments):
        done = run(*arguments, "--json")
        assert done.code == 0, done.err
        return json.loads(done.out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))

    return answer


@pytest.fixture(scope="session")
def run_python():
    """run_python("-m", "attribution", "info") -> Ended(code, out, err) of that Python process.

    It takes 2 to 3 s: where no process of its own is needed, `run` and `answer` do."""

    def run(*arguments, **environment):
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            env={**os.environ, **environment},
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


def fuzz_times(usual: int) -> int:
    """How often a file is damaged: `usual`, or LINEUP_FUZZ, in full 2,000."""
    return int(os.environ.get("LINEUP_FUZZ", usual))


#: Where tests run side by side (`pytest -n`): those of a file stay together, so that what they share is made once, and
#: those that start many processes in one group, which begins first. Tests in a browser want the machine for themselves.
GROUPS = {
    "processes": (
        "unit/test_torture.py",
        "unit/runner/",
        "unit/own_code/",
        "unit/cli/",
        "unit/test_how_to.py",
        "unit/workspace/test_bundled",
    ),
}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return _group(nodeid)

    return ByGroup(config, log)


def pytest_collection_modifyitems(config, items):
    if hasattr(config, "workerinput"):
        groups = [*GROUPS, *dict.fromkeys(_group(item.nodeid) for item in items)]
        items.sort(key=lambda item: groups.index(_group(item.nodeid)))


def _group(nodeid: str) -> str:
    """The group of a test: one of GROUPS, or its file."""
    file = nodeid.partition("::")[0]
    return next((group for group, parts in GROUPS.items() if any(part in file for part in parts)), file)


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
