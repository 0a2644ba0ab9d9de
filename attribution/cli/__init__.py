"""The command line, a group of verbs a file. Thin: each verb asks the library and prints.

Every mistake of the user's is one sentence on stderr and exit status 2. `--json` prints one JSON object on stdout;
progress goes to stderr.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

os.environ.setdefault("TQDM_DISABLE", "1")  # libraries' own bars would run into ours; tqdm reads it when imported

from attribution.experiments import jobs
from attribution.experiments.spec import Spec
from attribution.export.numbers import duration, estimate, number, percent, score
from attribution.files import write_json
from attribution.rankings import default_rankings
from attribution.runner.commands import PROGRESS_VARIABLE
from attribution.store.queue import Job
from attribution.store.results import ResultStore
from attribution.workspace.workspace import Workspace

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Lineup: data attribution on images, from the command line.",
)


def add_group(name: str, what: str) -> typer.Typer:
    """A new group of verbs, such as `jobs list` and `jobs show`."""
    made = typer.Typer(no_args_is_help=True, help=what)
    app.add_typer(made, name=name)
    return made


features_app = add_group("features", "Feature sets of your own: train, import.")
halves_app = add_group(
    "halves", "Models on random halves of the training set, which LDS is measured on: train, import."
)

_FOLDER = {"help": "The workspace's folder; the bundled demo if not given.", "envvar": "LINEUP_WORKSPACE"}
WorkspaceOption = Annotated[Workspace, typer.Option("--workspace", parser=Workspace.open, metavar="PATH", **_FOLDER)]
Folder = Annotated[Path, typer.Option("--workspace", **_FOLDER)]  # not opened yet
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Target = Annotated[str, typer.Option(help="The validation image, counted from 0.")]
RankingName = Annotated[str, typer.Option("--ranking", help="The ranking's name; `info` lists them.")]
Rankings = Annotated[str | None, typer.Option(help="Names, with commas; one of each method if not given.")]
Protocol = Annotated[
    str | None,
    typer.Option(
        help="default, adaptive or paper; if not given, that of the supports the workspace brings, else adaptive."
    ),
]
Candidates = Annotated[str | None, typer.Option(help="true, predicted or all; as published if not given.")]
#: among which training images a ranking chooses, see `candidates_of`
CANDIDATE_SETS = {"true": "the true class", "all": "all"}
stderr_console = Console(stderr=True)
PIPED_WIDTH = 100_000  # columns, more than any table has: no line is cut or folded where nobody reads it on a screen
LINE_SECONDS, QUIET_SECONDS = 30, 2  # of progress in lines


def ranking_names(ws, rankings: str | None) -> list[str]:
    return split_names(rankings) if rankings else default_rankings(ws)


def split_names(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def accuracy_text(about: dict) -> str:
    """kNN accuracy of a feature set, in words."""
    if about.get("knn_accuracy") is None:
        return "kNN accuracy not measured: too many features"
    return f"kNN accuracy {percent(about['knn_accuracy'])} on {about['measured_on']}"


def mean_ci(row: dict, scale: float = 1, digits: int = 3, sign: bool = False) -> str:
    """A mean with its interval: row {"mean", "ci"}, either None where it is not known. scale: 100 for percents."""
    if row["mean"] is None:
        return estimate(None, None)
    ends = row["ci"] and [scale * end for end in row["ci"]]
    return estimate(scale * row["mean"], ends, digits, sign)


def halves_text(ws, answer: dict) -> str:
    """On what an LDS was judged: number and recipe of the held-out halves; answer: "masks", "seeds" and "ceiling"."""
    about = ws.manifest["parts"]["lds"]
    made = f"of {about['recipe']} {about['hash']}" if about.get("recipe") else "imported, of a recipe that is not known"
    ceiling = number(answer["ceiling"])
    return f"{answer['masks']} held-out halves x {answer['seeds']} seeds, {made}; noise ceiling {ceiling}"


def candidates_of(ws, rankings: list[str]) -> dict[str, str]:
    """Among which training images each ranking chooses: "true" (of the target's true class) or "all"."""
    return {name: "true" if ws.ranking(name).conditioned else "all" for name in rankings}


def print_json(answer: dict) -> None:
    print(json.dumps(answer))


def print_answer(as_json: bool, answer: dict, text: str) -> None:
    print_json(answer) if as_json else print(text)


def say(text: str) -> None:
    """A line on stderr that is no answer: what is about to be done."""
    print(text, file=sys.stderr, flush=True)


def print_table(title: str, rows: list[dict]) -> None:
    """Prints rows {column: value} as they are, no name read as markup; whole lines where stdout is no terminal."""
    console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False)
    grid = Table(box=None, pad_edge=False)
    for name in rows[0] if rows else ["nothing yet"]:
        grid.add_column(Text(name))
    for row in rows:
        grid.add_row(*(Text(_cell(value)) for value in row.values()))
    if title:
        console.print(Text(title, style="italic"), soft_wrap=True)
    console.print(grid)


def _cell(value) -> str:
    if value is None:
        return ""
    if isinstance(value, (tuple, list)):
        return " to ".join(map(_cell, value))
    return score(value) if isinstance(value, float) else str(value)


class ProgressBar:
    """Progress on stderr, called as progress(text, done, total): a bar on a terminal, else a line now and then; where a
    page has started the command, a file that the page reads."""

    def __enter__(self):
        self.bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=stderr_console,
            disable=not stderr_console.is_terminal,
        )
        self.bar.start()
        self.tasks = {}
        self.file, self.written = os.environ.get(PROGRESS_VARIABLE), 0.0
        self.lines = None if self.file or stderr_console.is_terminal else _ProgressLines()
        return self

    def __call__(self, text, done, total):
        if self.file and (time.monotonic() - self.written > 0.3 or done == total):
            self.written = time.monotonic()
            write_json(Path(self.file), {"text": text, "done": done, "total": total})
        if self.lines:
            self.lines.update(text, done, total)
        if text not in self.tasks:
            self.tasks = {text: self.bar.add_task(text)}
        self.bar.update(self.tasks[text], completed=done, total=total)

    def __exit__(self, *error):
        self.bar.stop()
        if self.lines:
            self.lines.stop()


class _ProgressLines:
    """A line on stderr for each new phase and every LINE_SECONDS, from a thread of its own: a phase may take long to
    report anything. Commands that end within QUIET_SECONDS write none."""

    def __init__(self):
        self.start = time.monotonic()
        self.now = self.shown = ("working", None, None)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def update(self, text, done, total):
        self.now = text, done, total

    def stop(self):
        self.ended.set()
        self.thread.join()

    def _run(self):
        last = self.start - LINE_SECONDS + QUIET_SECONDS  # the first line comes after QUIET_SECONDS
        while not self.ended.wait(QUIET_SECONDS):
            elapsed = time.monotonic() - last
            if elapsed >= LINE_SECONDS or self.now[0] != self.shown[0]:
                last, self.shown = time.monotonic(), self.now
                text, done, total = self.now
                of = "" if done is None else f": {done:,} of {total:,}" if total else f": {done:,}"
                say(f"{text}{of}, {duration(last - self.start)}")


def answered(ws: Workspace, store: ResultStore, spec: Spec) -> tuple[dict, bool]:
    """The answer to a spec, computed first where none is known, and whether it was known."""
    known = spec.answer(ws, store)
    if known is not None:
        return known, True
    run_job(ws, spec)
    return spec.answer(ws, store), False


def run_job(ws, spec) -> Job:
    """Queues a job and shows its progress to the end; Ctrl-C cancels it. Raises UserError where it fails."""
    with ProgressBar() as progress:
        return jobs.run_job(ws, spec, progress)
