"""A store under fire: its jobs are done while workers, runners and the dashboard's server are killed, runners start two
at once, and the disk fills. Who is killed, and when, is drawn from a seed.

`tests/unit/test_torture.py` does it small, `tests/benchmarks/torture.py` as long as one likes.
"""

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

import psutil
from websockets.sync.client import connect

from attribution import UserError
from attribution.experiments import jobs
from attribution.experiments.halves import subsets_spec
from attribution.experiments.retrain import retrain_spec
from attribution.experiments.study import study_spec
from attribution.runner import executors
from attribution.runner.runner import run_runner
from attribution.store.results import ResultStore

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 300  # seconds; the machine may be busy, and workers are the last in line
ORPHANED = 60  # seconds a worker may outlive its runner: it may be loading torch, which lets no other thread run
#: who is killed, how often among twenty
VICTIMS = {"worker": 8, "runner": 9, "server": 2, "standing": 1}
#: when: at once, at any moment, when something is written, a training has come in or is in its middle, or just after a
#: runner was started or a job asked for
MOMENTS = ("at once", "any", "written", "result", "training", "started", "asked")
SILENT = 5  # seconds a worker may say nothing
SAID = 10  # seconds within which a full disk is to be said
BUSY = 5  # seconds that such a moment is waited for
OPEN = 3  # jobs at a time
PAIRS = 5  # after so many kills, two runners are started at once
#: the answer that a user is given to ask again
MENDED = "under the same training 3 times"


@contextmanager
def small_disk(folder: Path, size: str = "24m"):
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
    """What runs on a data folder and is no zombie: "runner", "worker" and "server"."""
    found = {"runner": [], "worker": [], "server": []}
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid == os.getpid() or process.environ().get("LINEUP_DATA") != str(data):
                continue
            words = process.cmdline()
            kind = (
                "worker"
                if "attribution.runner.executors.worker" in words
                else "runner"
                if words[2:4] == ["attribution", "runner"]
                else "server"
            )
            if words and process.status() != psutil.STATUS_ZOMBIE:
                found[kind].append(process)
    return found


class Torture:
    """Does jobs on `workspace` while `kills` processes are killed, and what is left in peace; `run` raises
    AssertionError where anything is not as it should be. Afterwards `counts`, `asked` and `story` tell what was done.

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
        self.begin = time.monotonic()

    def tell(self, text: str) -> None:
        self.story.append(f"{time.monotonic() - self.begin:7.2f} {text}")

    def run(self) -> None:
        with environment(LINEUP_DATA=str(self.data), LINEUP_WORKERS="2", LINEUP_IDLE="4", LINEUP_SILENT=str(SILENT)):
            self.store = ResultStore.for_workspace(self.ws)
            self.server = _Server(self.ws, self.data)
            try:
                for number, (victim, moment, delay) in enumerate(self.plan):
                    if not self.open:
                        self.ask()
                    if self.disk and number == len(self.plan) // 2:
                        self.fill_the_disk()
                    if number % PAIRS == 1:
                        self.start_a_pair()
                    self.await_moment(moment, delay)
                    getattr(self, f"kill_{victim}")()
                self.tell("all killed that should be")
                self.wait(lambda: not self.open)
                self.server.end()
                self.wait(lambda: not any(processes(self.data).values()), asking=False, pause=0.1)
                self.counts["seconds"] = round(time.monotonic() - self.begin)
                self.check()
            finally:
                self.server.end()
                for one in [one for kind in processes(self.data).values() for one in kind]:
                    with suppress(psutil.Error):
                        one.kill()
                self.store.close()

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
            assert self.full, f"a job is refused: {error}"
            self.counts["refused"] += 1
            self.tell(str(error))
            number = -self.counts["refused"]  # asked again when there is room
        self.tell(f"job {number}: {spec.describe()}")
        self.open[number] = spec

    def look(self, asking: bool = True) -> None:
        """One look by a user who waits: jobs that ended are taken note of, and those that failed asked for again."""
        if asking:
            try:
                jobs.ensure_runner(self.ws)
            except UserError as error:
                assert self.full, f"a runner ended: {error}"
                self.counts["runners that could not work"] += 1
                self.tell(str(error))
        for number, spec in list(self.open.items()):
            job = self.store.job(number) if number > 0 else None
            if job and job.is_open or (not job and self.full):
                continue
            del self.open[number]
            if job and job.state == "done":
                self.tell(f"job {number} is done")
                continue
            if job:
                assert job.state == "failed" and MENDED in job.message, (job.state, job.message)
                self.counts["failed, killed 3 times"] += 1
                self.tell(f"job {number} failed: {job.message}")
            self.submit(spec)
        self.check_processes()

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
        for one in [one for one in self.started if one.poll() is not None]:
            assert one.returncode in (0, -signal.SIGKILL) or self.full, f"a runner ended with {one.returncode}"
            self.started.remove(one)

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
        self.server.kill()
        self.tell(f"server {self.server.process.pid} killed, page drawn {self.server.drawn} times")
        self.counts["server"] += 1
        self.server = _Server(self.ws, self.data)

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
        self.wait(lambda: jobs.trouble(self.store.folder), seconds=SAID, pause=0.05)
        said = round(1000 * (time.monotonic() - since))
        self.counts["longest until it is said, ms"] = max(self.counts["longest until it is said, ms"], said)
        self.ask()
        self.idle(self.draw.uniform(0, 2))
        if self.draw.random() < 0.5 and processes(self.data)["runner"]:
            self.kill_runner()
            self.idle(1)
        filler.unlink()
        self.tell("there is room again")
        self.idle(1)  # what a runner could not write down it writes now
        self.full = False

    # -- the end

    def check(self) -> None:
        """Nothing is left over, and the file is sound."""
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
        unexpected = [
            line
            for line in trouble
            if not any(word in line for word in ("disk is full", "disk I/O error", "No space left"))
        ]
        assert not unexpected, unexpected[:5]


class _Server:
    """The dashboard's server, and a visitor who has its Brittleness page drawn every second, as a browser would."""

    def __init__(self, workspace, data: Path):
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
        self.drawn = 0
        threading.Thread(target=self._visit, daemon=True).start()

    def _visit(self):
        from streamlit.proto.BackMsg_pb2 import BackMsg

        message = BackMsg()
        message.rerun_script.page_name = "brittleness"
        while self.process.poll() is None:
            with (
                suppress(OSError, Exception),
                connect(
                    f"ws://127.0.0.1:{self.port}/_stcore/stream", subprotocols=["streamlit"], max_size=None
                ) as page,
            ):
                while True:
                    page.send(message.SerializeToString())
                    end = time.monotonic() + 1
                    with suppress(TimeoutError):
                        while True:
                            page.recv(max(0.0, end - time.monotonic()))
                            self.drawn += 1
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


def torture(folder: Path, workspace, kills: int, seed: int) -> Counter:
    """The whole of it in `folder`: under fire, the same in peace, and the two compared; what was counted.

    Raises AssertionError, with the story, where anything is not as it should be.
    """
    data, peace = folder / "data", folder / "peace"
    data.mkdir()
    with ExitStack() as stack:
        try:
            stack.enter_context(small_disk(data))
        except PermissionError as error:
            print(f"the disk is not filled: {error}")
        one = Torture(workspace, data, seed, kills, disk=os.path.ismount(data))
        try:
            one.run()
            undisturbed(workspace, peace, one.asked)
            one.counts["retrainings"] = compare(workspace, data, peace)
        except AssertionError as error:
            story = "\n".join(one.story)
            raise AssertionError(
                f"{error}\n{story}\nreplay: python tests/benchmarks/torture.py --kills {kills} --seed {seed}"
            ) from error
    return one.counts


def undisturbed(workspace, data: Path, specs: list[dict]) -> None:
    """Does the same jobs in peace, into another data folder."""
    with environment(LINEUP_DATA=str(data)):
        with ResultStore.for_workspace(workspace) as store:
            for spec in specs:
                store.add_job(spec, spec.describe())
        run_runner(workspace, lambda: executors.create_executor(workspace, workers=2), idle_seconds=0.5)


def compare(workspace, data: Path, other: Path) -> int:
    """Raises AssertionError where two data folders do not hold the same results; how many retrainings they hold."""
    tables = {
        "retrainings": "key, recipe, edit, seed, predicted, margins, device, library, threads",
        "edits": "*",
        "out_of_subset": "*",
        "supports": "recipe, ranking, target, kind, protocol, k_max, body",
    }
    found = []
    for folder in (data, other):
        with environment(LINEUP_DATA=str(folder)), ResultStore.for_workspace(workspace) as store:
            found.append(
                {name: sorted(store.db.execute(f"SELECT {columns} FROM {name}")) for name, columns in tables.items()}
            )
    for name in tables:
        assert found[0][name] == found[1][name], f"{name} differ: {len(found[0][name])} and {len(found[1][name])} rows"
    assert found[0]["supports"] and found[0]["out_of_subset"]
    keys = [row[0] for row in found[0]["retrainings"]]
    assert len(set(keys)) == len(keys)
    return len(keys)
