"""Stores under fire: jobs are done and labels decided about while workers, runners, the dashboard's servers and who
writes decisions down are killed or stand still, runners start two at once, the disk fills, the clock is set, and files
are cut short. There are two of everything: servers, whose pages are drawn all the time, and people who decide. What
happens, and when, is drawn from a seed.

`tests/unit/test_torture.py` does it small, `tests/benchmarks/torture.py` as long as one likes.
"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np
import psutil
from websockets.sync.client import connect

from attribution import UserError, Workspace
from attribution.audit.decision_log import DecisionLog
from attribution.experiments import jobs
from attribution.experiments.halves import subsets_spec
from attribution.experiments.retrain import retrain_spec
from attribution.experiments.study import study_spec
from attribution.runner import executors
from attribution.runner.runner import run_runner
from attribution.store.results import ResultStore
from tests.deciders import Decider

ROOT = Path(__file__).resolve().parents[1]
DETECTOR = "knn-any"
PATIENCE = 900  # seconds; the machine may be busy, and workers are the last in line
ORPHANED = 60  # seconds a worker may outlive its runner: it may be loading torch, which lets no other thread run
TROUBLED = 10  # seconds that a runner which has met a full disk or a cut file may take to end
#: who is killed, how often among them all; a writer writes decisions down
VICTIMS = {"worker": 8, "runner": 9, "writer": 3, "server": 2, "standing": 1}
#: when: at once, at any moment, when something is written, a training has come in or is in its middle, or just after a
#: runner was started or a job asked for
MOMENTS = ("at once", "any", "written", "result", "training", "started", "asked")
SILENT = 5  # seconds a worker may say nothing
SAID = 10  # seconds within which a full disk is to be said
BUSY = 5  # seconds that such a moment is waited for
OPEN = 3  # jobs at a time
PAIRS = 5  # after so many kills, two runners are started at once
CLOCKS, CUTS = 4, 9  # after so many kills, the clock is set, and a file is cut short
FULL = ("disk is full", "disk I/O error", "No space left", "make room there")
CUT = ("cut short", "have changed", "cannot be read")
#: what the clock is off by, seconds: an hour, a year, ten years; None sets it to 1970, as where a battery is empty
SHIFTS = (-3600, 3600, -3.2e7, 3.2e8, None, 0)
PAGES = ("brittleness", "audit")  # each server's page that is drawn
#: What every process runs first: its clock is set by a file, and it reads arrays as large ones are read
SITE = """
import time
from pathlib import Path
from attribution.files import arrays

clock, shift = time.time, Path(__file__).with_name("shift")

def shifted():
    try:
        return clock() + float(shift.read_text())
    except (OSError, ValueError):  # it is being written
        return clock()

time.time = shifted
arrays.SMALL = 0
"""
#: the answer that a user is given to ask again
MENDED = "under the same training 3 times"


@contextmanager
def small_disk(folder: Path, size: str = "32m"):
    """A file system of its own on `folder`, a tmpfs. Raises PermissionError where none may be mounted."""
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise PermissionError(f"no tmpfs can be mounted here: {getattr(error, 'stderr', error)}") from None
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Takes all the room there is, and returns the file that does."""
    file = disk / "filler"
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        for size in (1 << 16, 1):
            with suppress(OSError):
                while True:
                    os.write(handle, b"x" * size)
    finally:
        os.close(handle)
    return file


@contextmanager
def environment(**variables: str):
    """Sets environment variables for as long as it is open."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


def processes(data: Path) -> dict[str, list[psutil.Process]]:
    """What runs on a data folder and is no zombie: "runner", "worker", "writer" and "server"."""
    found = {"runner": [], "worker": [], "writer": [], "server": []}
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid == os.getpid() or process.environ().get("LINEUP_DATA") != str(data):
                continue
            words = process.cmdline()
            kind = (
                "worker"
                if "attribution.runner.executors.worker" in words
                else "writer"
                if "tests.deciders" in words
                else "runner"
                if words[2:4] == ["attribution", "runner"]
                else "server"
            )
            if words and process.status() != psutil.STATUS_ZOMBIE:
                found[kind].append(process)
    return found


class Torture:
    """Does jobs on `workspace`, and has its labels decided about, while `kills` processes are killed, and what is left
    in peace; `run` raises AssertionError where anything is not as it should be. Afterwards `counts`, `asked` and
    `story` tell what was done.

    data: the data folder. disk: whether it is a file system of its own, which may be filled.
    """

    def __init__(self, workspace, data: Path, seed: int, kills: int, disk: bool):
        self.ws, self.data, self.seed, self.disk = workspace, data, seed, disk
        self.draw = random.Random(seed)
        victims = self.draw.choices(list(VICTIMS), list(VICTIMS.values()), k=kills)
        self.plan = [(one, self.draw.choice(MOMENTS), self.draw.uniform(0, 1.5)) for one in victims]
        self.counts: Counter = Counter()
        self.asked: list[dict] = []
        self.open: dict[int, dict] = {}  # job -> spec
        self.story: list[str] = []
        self.widows: dict[psutil.Process, float] = {}  # workers whose runner was killed, and when
        self.started: list[subprocess.Popen] = []
        self.full = False
        self.cut = False  # whether a file is, or was a moment ago
        self.troubled = 0.0  # when the disk was full, or a file cut, last: what has met that may take a while to end
        self.site = data.parent / "site"
        self.deciders: list[Decider] = []
        self.servers: list[_Server] = []
        self.begin = time.monotonic()

    def tell(self, text: str) -> None:
        self.story.append(f"{time.monotonic() - self.begin:7.2f} {text}")

    def run(self) -> None:
        self.site.mkdir()
        (self.site / "sitecustomize.py").write_text(SITE)
        with environment(
            LINEUP_DATA=str(self.data),
            LINEUP_WORKERS="2",
            LINEUP_IDLE="4",
            LINEUP_SILENT=str(SILENT),
            LINEUP_NICE="0",  # beside pages that are drawn all the time, workers would wait for minutes
            PYTHONPATH=os.pathsep.join(filter(None, (str(self.site), str(ROOT), os.environ.get("PYTHONPATH")))),
        ):
            self.store = ResultStore.for_workspace(self.ws)
            self.servers = [_Server(self.ws, self.data, page) for page in PAGES]
            self.deciders = self.start_deciding()
            try:
                for number, (victim, moment, delay) in enumerate(self.plan):
                    if not self.open:
                        self.ask()
                    self.do_besides(number)
                    self.await_moment(moment, delay)
                    getattr(self, f"kill_{victim}")()
                self.tell("all killed that should be")
                self.wait(lambda: not self.open)
                for decider in self.deciders:
                    decider.end()
                self.end_servers()
                self.wait(lambda: not any(processes(self.data).values()), asking=False, pause=0.1)
                self.counts["seconds"] = round(time.monotonic() - self.begin)
                self.check()
            finally:
                self.end_servers()
                for decider in self.deciders:
                    decider.kill()
                for one in [one for kind in processes(self.data).values() for one in kind]:
                    with suppress(psutil.Error):
                        one.kill()
                self.store.close()

    def end_servers(self) -> None:
        while self.servers:
            one = self.servers.pop()
            one.end()
            self.counts["pages drawn"] += one.drawn

    def start_deciding(self) -> list[Decider]:
        """Two people, each of whom decides about half of the images of one queue."""
        images = list(range(self.ws.n_train))
        nothing = [0.0] * len(images), [0] * len(images)
        with DecisionLog.of(self.ws) as log:
            queue = log.add_queue({"detector": DETECTOR}, images, [False] * len(images), *nothing, "me")
        return [
            Decider(self.ws, name, images[at::2], queue, self.seed + at, self.data.parent / "server.log")
            for at, name in enumerate(("ann", "bob"))
        ]

    def do_besides(self, number: int) -> None:
        """What happens besides the kill of this number."""
        if self.disk and number in (len(self.plan) // 3, 2 * len(self.plan) // 3):
            self.fill_the_disk()
        if number % PAIRS == 1:
            self.start_a_pair()
        if number % CLOCKS == 2:
            self.set_the_clock()
        if number % CUTS == CUTS // 2:
            self.cut_a_file()

    # -- the jobs

    def ask(self) -> None:
        """Queues the next job: a study first, then by turns what else there is."""
        n = len(self.asked)
        if n % 3 == 0:
            spec = study_spec(self.ws, [n % 12], ["trak-10"], ["remove"], k_max=2 * self.ws.n_train // 3)
        elif n % 3 == 1:
            spec = subsets_spec(self.ws, 3 * n, 3, [0], 1)
        else:
            spec = retrain_spec(self.ws, n % 12, "trak-10", "mislabel", 5 + n, range(2), draws=1)
        self.asked.append(spec)
        self.submit(spec)

    def submit(self, spec: dict) -> None:
        try:
            number = jobs.submit(self.ws, spec)
        except UserError as error:
            self.excuse(error)
            self.counts["refused"] += 1
            self.tell(str(error))
            self.put_off(spec)
            return
        self.tell(f"job {number}: {spec.describe()}")
        self.open[number] = spec

    def put_off(self, spec: dict) -> None:
        """It is asked for again when there is room, and the file is whole."""
        self.counts["put off"] += 1
        self.open[-self.counts["put off"]] = spec

    def look(self, asking: bool = True) -> None:
        """One look by a user who waits: jobs that ended are taken note of, and those that failed asked for again."""
        if asking:
            try:
                jobs.ensure_runner(self.ws)
            except UserError as error:
                self.excuse(error)
                self.counts["runners that could not work"] += 1
                self.tell(str(error))
        for number, spec in list(self.open.items()):
            job = self.store.job(number) if number > 0 else None
            if job and job.is_open or (not job and (self.full or self.cut)):
                continue
            del self.open[number]
            if job and job.state == "done":
                self.tell(f"job {number} is done")
                continue
            if job:
                of_a_cut = self.cut and any(words in job.message for words in CUT)
                assert job.state == "failed" and (MENDED in job.message or of_a_cut), (job.state, job.message)
                self.counts["failed, a file was cut" if of_a_cut else "failed, killed 3 times"] += 1
                self.tell(f"job {number} failed: {job.message}")
                if of_a_cut:
                    self.put_off(spec)
                    continue
            self.submit(spec)
        self.check_processes()
        for decider in self.deciders:
            for error in decider.refused:
                assert any(words in error for words in FULL), f"a decision is refused: {error}"

    def excuse(self, error: UserError) -> None:
        """Raises AssertionError for an error that neither a full disk nor a file that is cut can have brought about."""
        excused = (*(FULL if self.full else ()), *(CUT if self.cut else ()))
        assert any(words in str(error) for words in excused), f"a job or a runner is refused: {error}"

    def check_processes(self) -> None:
        """One runner has workers, and a killed one's are gone soon."""
        now = processes(self.data)
        parents = {parent for one in now["worker"] if (parent := _parent(one)) in {run.pid for run in now["runner"]}}
        assert len(parents) <= 1, f"{len(parents)} runners have workers"
        for one, since in list(self.widows.items()):
            if _ended(one):
                self.counts["longest orphan, ms"] = max(
                    self.counts["longest orphan, ms"], round(1000 * (time.monotonic() - since))
                )
                del self.widows[one]
            else:
                assert time.monotonic() - since < ORPHANED, f"worker {one.pid} outlives its runner"
        self.troubled = time.monotonic() if self.full or self.cut else self.troubled
        for one in [one for one in self.started if one.poll() is not None]:
            fine = one.returncode in (0, -signal.SIGKILL) or time.monotonic() - self.troubled < TROUBLED
            said = (self.data / "pairs.log").read_text(errors="replace")[-3000:]
            assert fine, f"a runner ended with {one.returncode}: {said}"
            self.started.remove(one)
        for server in self.servers:
            assert server.process.poll() is None, f"a server ended with {server.process.returncode}"
            assert not server.exceptions, f"the page {server.page} shows an error: {server.exceptions[0]}"

    def wait(
        self, until, asking: bool = True, seconds: float = PATIENCE, gladly: bool = False, pause: float = 0.005
    ) -> bool:
        """Whether it came about in time; an error where it did not, unless that is all right (gladly)."""
        end, next_look = time.monotonic() + seconds, 0.0
        while not until():
            if time.monotonic() > end:
                assert gladly, f"it took too long; open jobs: {self.open}, {processes(self.data)}"
                return False
            if time.monotonic() > next_look:
                self.look(asking)
                next_look = time.monotonic() + 0.2
            time.sleep(pause)
        return True

    def idle(self, seconds: float) -> None:
        self.wait(lambda: False, seconds=seconds, gladly=True)

    # -- the blows

    def await_moment(self, moment: str, delay: float) -> None:
        signs = {
            "written": lambda: self.store.db.execute("PRAGMA data_version").fetchone(),
            "result": self.store.count,
            "training": lambda: any(row["epoch"] for row in self.store.live_trainings().values()),
        }
        if moment in signs:
            before = signs[moment]() if moment != "training" else False
            self.wait(lambda: signs[moment]() != before or not self.open, seconds=BUSY, gladly=True)
        elif moment == "started":
            self.wait(lambda: not processes(self.data)["runner"], seconds=delay, gladly=True, pause=0.05)
            self.look()
            self.idle(delay / 3)
        elif moment == "asked":
            if len(self.open) < OPEN:
                self.ask()
            self.idle(delay / 3)
        elif moment == "any":
            self.idle(delay)

    def kill_worker(self) -> None:
        self._kill("worker")

    def kill_runner(self) -> None:
        for one in self._kill("runner"):
            self.widows[one] = time.monotonic()

    def kill_server(self) -> None:
        one = self.draw.choice(self.servers)
        self.servers.remove(one)
        one.kill()
        self.tell(f"server {one.process.pid} killed, page {one.page} drawn {one.drawn} times")
        self.counts["server"] += 1
        self.counts["pages drawn"] += one.drawn
        self.servers.append(_Server(self.ws, self.data, one.page))

    def kill_writer(self) -> None:
        """In the middle of a burst."""
        self.wait(lambda: any(decider.outbox for decider in self.deciders), seconds=BUSY, gladly=True)
        self._kill("writer")

    def kill_standing(self) -> None:
        """A worker stands still, until its runner ends it or for a while."""

        def at_work():
            if not self.open:
                self.ask()
            return [row["pid"] for row in self.store.live_trainings().values() if row["epoch"]]

        self.wait(at_work)
        with suppress(psutil.NoSuchProcess):
            for one in map(psutil.Process, at_work()[:1]):
                one.suspend()
                self.counts["standing"] += 1
                self.tell(f"worker {one.pid} stands still")
                replaced = self.wait(lambda one=one: _ended(one), seconds=4 * SILENT, gladly=True, pause=0.05)
                self.counts["replaced"] += replaced
                self.tell(f"worker {one.pid} {'was replaced' if replaced else 'goes on'}")
                one.resume()

    def start_a_pair(self) -> None:
        with open(self.data / "pairs.log", "a") as log:
            self.started += [
                subprocess.Popen(
                    [sys.executable, "-m", "attribution", "runner", "--workspace", str(self.ws.path)],
                    cwd=ROOT,
                    stdout=log,
                    stderr=log,
                )
                for _ in range(2)
            ]
        self.tell(f"two runners at once: {[one.pid for one in self.started[-2:]]}")
        self.counts["pair"] += 1

    def _kill(self, kind: str) -> list[psutil.Process]:
        """Kills one of a kind, as soon as there is one; its workers, where it is a runner."""

        def there():
            nonlocal found
            if not self.open:
                self.ask()
            found = processes(self.data)
            return found[kind]

        found = {}
        self.wait(there, pause=0.05)
        one = self.draw.choice(sorted(found[kind], key=lambda one: one.pid))
        live = {row["pid"]: row["epoch"] for row in self.store.live_trainings().values()}
        try:
            age = time.time() - one.create_time()
            one.kill()
        except psutil.NoSuchProcess:
            return self._kill(kind)
        busy = f", in epoch {live[one.pid]}" if one.pid in live else ""
        self.tell(f"{kind} {one.pid} killed, {age:.2f} s old{busy}")
        self.counts[kind] += 1
        return [worker for worker in found["worker"] if _parent(worker) == one.pid] if kind == "runner" else []

    def fill_the_disk(self) -> None:
        """Full until that is said, and for a while; a job is asked for, and a runner perhaps killed meanwhile. Then
        there is room again, and all goes on by itself."""

        def at_work():
            if not self.open:
                self.ask()
            return processes(self.data)["worker"] and self.store.live_trainings()

        self.wait(at_work, pause=0.05)
        self.full = True
        filler = fill(self.data)
        since = time.monotonic()
        self.tell("the disk is full")
        self.counts["disk full"] += 1
        refused = sum(len(decider.refused) for decider in self.deciders)
        self.wait(lambda: jobs.trouble(self.store.folder), seconds=SAID, pause=0.05)
        said = round(1000 * (time.monotonic() - since))
        self.counts["longest until it is said, ms"] = max(self.counts["longest until it is said, ms"], said)
        self.ask()
        self.idle(self.draw.uniform(0, 2))
        if self.draw.random() < 0.5 and processes(self.data)["runner"]:
            self.kill_runner()
            self.idle(1)
        # a decision may find room in the log's file, and is saved then
        self.wait(lambda: sum(len(one.refused) for one in self.deciders) > refused, seconds=SAID, gladly=True)
        if self.draw.random() < 0.5:
            self._kill("writer")
            self.idle(1)
        self.counts["decisions refused, disk full"] += sum(len(one.refused) for one in self.deciders) - refused
        filler.unlink()
        self.tell("there is room again")
        self.idle(1)  # what a runner could not write down it writes now
        self.full = False

    def set_the_clock(self) -> None:
        shift = self.draw.choice(SHIFTS)
        shift = -time.time() if shift is None else shift
        new = self.site / "new"
        new.write_text(str(shift))
        new.rename(self.site / "shift")
        self.tell(f"the clock is {shift:+.0f} s off")
        self.counts["clock set"] += 1

    def cut_a_file(self) -> None:
        """A file of the workspace loses its end until a job fails for it, or for a while."""
        parts = ("images", "images", "rankings", "base", "detectors")
        file = self.draw.choice([file for part in parts for file in sorted((self.ws.path / part).rglob("*.npy"))])
        whole, failed = file.read_bytes(), self.counts["failed, a file was cut"]
        self.cut = True
        os.truncate(file, self.draw.randrange(len(whole)))
        self.tell(f"{file.relative_to(self.ws.path)} is cut from {len(whole)} to {file.stat().st_size} bytes")
        self.counts["file cut"] += 1
        if self.draw.random() < 0.7 and processes(self.data)["runner"]:
            self.kill_runner()
        if len(self.open) < OPEN:
            self.ask()
        seconds = self.draw.uniform(0, 12)  # a worker takes some until it reads images
        self.wait(lambda: self.counts["failed, a file was cut"] > failed, seconds=seconds, gladly=True)
        with open(file, "r+b") as stream:
            stream.write(whole)
        self.tell("the file is whole again")
        self.idle(2)  # who found it cut says so now
        self.cut = False

    # -- the end

    def check(self) -> None:
        """Nothing is left over, the files are sound, and every decision is there once."""
        assert self.store.live_trainings() == {} and not self.widows
        assert self.store.db.execute("SELECT * FROM tries").fetchall() == []
        assert self.store.db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert {job.state for job in self.store.jobs(10_000)} <= {"done", "failed"}
        trouble = [
            line
            for name in ("runner.log", "pairs.log")
            for file in self.data.rglob(name)
            for line in file.read_text(errors="replace").splitlines()
            if "Error" in line
        ]
        unexpected = [line for line in trouble if not any(word in line for word in FULL)]
        assert not unexpected, unexpected[:5]
        with DecisionLog.of(self.ws) as log:
            assert log.db.execute("PRAGMA integrity_check").fetchall() == [("ok",)] and log.damage() == ""
            for decider in self.deciders:
                self.counts.update(decider.check(log))
            assert self.counts["decisions"] == len(log.entries()), "there are more than were made"


class _Server:
    """The dashboard's server, and a visitor who has one of its pages drawn every two seconds, as a browser would.

    drawn: how many messages the pages came in. exceptions: what the pages showed of mistakes in the code."""

    def __init__(self, workspace, data: Path, page: str):
        self.page = page
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        with open(data.parent / "server.log", "a") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "attribution.serve",
                    "--port",
                    str(self.port),
                    "--workspace",
                    str(workspace.path),
                    "--no-token",
                ],
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        self.drawn, self.exceptions = 0, []
        threading.Thread(target=self._visit, daemon=True).start()

    def _visit(self):
        from streamlit.proto.BackMsg_pb2 import BackMsg
        from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

        message = BackMsg()
        message.rerun_script.page_name = self.page
        while self.process.poll() is None:
            with (
                suppress(OSError, Exception),
                connect(
                    f"ws://127.0.0.1:{self.port}/_stcore/stream", subprotocols=["streamlit"], max_size=None
                ) as page,
            ):
                while True:
                    page.send(message.SerializeToString())
                    end = time.monotonic() + 2
                    with suppress(TimeoutError):
                        while True:
                            answer = ForwardMsg.FromString(page.recv(max(0.0, end - time.monotonic())))
                            self.drawn += 1
                            element = answer.delta.new_element
                            if element.WhichOneof("type") == "exception":
                                self.exceptions.append(f"{element.exception.type}: {element.exception.message}")
            time.sleep(0.1)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()


def _ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _parent(process: psutil.Process) -> int | None:
    with suppress(psutil.Error):
        return process.ppid()


def with_detector(workspace: Workspace) -> Workspace:
    """The workspace with a detector, which the Audit page asks for."""
    folder = workspace.path / "detectors" / DETECTOR
    folder.mkdir(parents=True)
    np.save(folder / "scores.npy", np.linspace(0, 1, workspace.n_train).astype(np.float32))
    manifest = json.loads((workspace.path / "workspace.json").read_text())
    about = {"family": "knn", "about": "a detector", "uses_val": False, "suggests": False}
    manifest["parts"][f"detectors/{DETECTOR}"] = about
    (workspace.path / "workspace.json").write_text(json.dumps(manifest))
    return Workspace.open(workspace.path)


def torture(folder: Path, workspace: Workspace, kills: int, seed: int) -> Counter:
    """The whole of it in `folder`: under fire, the same in peace, and the two compared; what was counted.

    Raises AssertionError, with the story, where anything is not as it should be.
    """
    data, peace = folder / "data", folder / "peace"
    data.mkdir()
    workspace = with_detector(workspace)
    with ExitStack() as stack:
        try:
            stack.enter_context(small_disk(data))
        except PermissionError as error:
            print(f"the disk is not filled: {error}")
        one = Torture(workspace, data, seed, kills, disk=os.path.ismount(data))
        try:
            one.run()
            undisturbed(workspace, peace, one.asked)
            one.counts.update(compare(workspace, data, peace))
            assert not any(one.counts[name] for name in ("lost", "doubled", "wrong")), dict(one.counts)
        except AssertionError as error:
            story = "\n".join(one.story)
            raise AssertionError(
                f"{error}\n{story}\nreplay: python tests/benchmarks/torture.py --kills {kills} --seed {seed}"
            ) from error
    return one.counts


def undisturbed(workspace, data: Path, specs: list[dict]) -> None:
    """Does the same jobs in peace, into another data folder."""
    with environment(LINEUP_DATA=str(data), LINEUP_NICE="0"):
        with ResultStore.for_workspace(workspace) as store:
            for spec in specs:
                store.add_job(spec, spec.describe())
        run_runner(workspace, lambda: executors.create_executor(workspace, workers=2), idle_seconds=0.5)


def compare(workspace, data: Path, other: Path) -> Counter:
    """What `data` holds against what it should, which `other` does: how many retrainings and answers, and how many rows
    are lost, doubled and wrong."""
    tables = {
        "retrainings": "key, recipe, edit, seed, predicted, margins, device, library, threads",
        "edits": "*",
        "out_of_subset": "*",
        "supports": "ranking, target, kind, protocol, k_max, recipe, body",
    }
    keys = {"retrainings": 1, "edits": 1, "out_of_subset": 1, "supports": 6}  # columns
    counts = Counter(lost=0, doubled=0, wrong=0)
    for table, columns in tables.items():
        found, expected = (
            _rows(workspace, folder, f"SELECT {columns} FROM {table}", keys[table]) for folder in (data, other)
        )
        assert expected, table
        counts[{"supports": "answers"}.get(table, table)] = len(expected)
        counts["lost"] += len(expected.keys() - found.keys())
        counts["doubled"] += sum(len(rows) - 1 for rows in found.values())
        counts["wrong"] += sum(rows[0] != expected.get(key, [None])[0] for key, rows in found.items())
    return counts


def _rows(workspace, data: Path, query: str, n_key: int) -> dict[tuple, list[tuple]]:
    """Key, the first columns -> the rows that have it."""
    rows: dict[tuple, list[tuple]] = {}
    with environment(LINEUP_DATA=str(data)), ResultStore.for_workspace(workspace) as store:
        assert store.count_damaged() == 0
        for row in store.db.execute(query):
            rows.setdefault(row[:n_key], []).append(row)
    return rows
