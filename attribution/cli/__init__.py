"""The command line, a group of verbs a file. Thin: each verb asks the library and prints.

Every mistake of the user's is one sentence on stderr and exit status 2. `--json` prints one JSON object on stdout;
progress goes to stderr.
"""

import json
import os
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

os.environ.setdefault("TQDM_DISABLE", "1")  # libraries' own bars would run into ours; tqdm reads it when imported

from attribution.background import PROGRESS
from attribution.experiments import jobs
from attribution.files import write_json
from attribution.lineup import default_rankings
from attribution.store import Job

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Lineup: data attribution on images, from the command line.",
)


def group(name: str, what: str) -> typer.Typer:
    """A new group of verbs, such as `jobs list` and `jobs show`."""
    made = typer.Typer(no_args_is_help=True, help=what)
    app.add_typer(made, name=name)
    return made


features_app = group("features", "Feature sets of your own: train, import.")
halves_app = group("halves", "Models on random halves of the training set, which LDS is measured on: train, import.")

Where = Annotated[
    Path,
    typer.Option(
        "--workspace", help="The workspace's folder; the bundled demo if not given.", envvar="LINEUP_WORKSPACE"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
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
screen = Console(stderr=True)


def names(ws, rankings: str | None) -> list[str]:
    return split(rankings) if rankings else default_rankings(ws)


def split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def accuracy(about: dict) -> str:
    """kNN accuracy of a feature set, in words."""
    if about.get("knn_accuracy") is None:
        return "kNN accuracy not measured: too many features"
    return f"kNN accuracy {about['knn_accuracy']:.1%} on {about['measured_on']}"


def print_json(answer: dict) -> None:
    print(json.dumps(answer))


def table(title: str, rows: list[dict]) -> None:
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for name in rows[0] if rows else ["nothing yet"]:
        table.add_column(name)
    for row in rows:
        table.add_row(*map(_cell, row.values()))
    Console().print(table, highlight=False)


def _cell(value) -> str:
    if value is None:
        return ""
    if isinstance(value, (tuple, list)):
        return " to ".join(map(_cell, value))
    return f"{value:.3g}" if isinstance(value, float) else str(value)


class progress_bar:
    """A progress bar on stderr, called as progress(text, done, total); where a page has started the command, a file
    that the page reads."""

    def __enter__(self):
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=screen,
            disable=not screen.is_terminal,
        )
        self.bar.start()
        self.tasks = {}
        self.file, self.written = os.environ.get(PROGRESS), 0.0
        return self

    def __call__(self, text, done, total):
        if self.file and (time.monotonic() - self.written > 0.3 or done == total):
            self.written = time.monotonic()
            write_json(Path(self.file), {"text": text, "done": done, "total": total})
        if text not in self.tasks:
            self.tasks = {text: self.bar.add_task(text)}
        self.bar.update(self.tasks[text], completed=done, total=total)

    def __exit__(self, *error):
        self.bar.stop()


def watch(ws, spec) -> Job:
    """Queues a job and shows its progress to the end; Ctrl-C cancels it. Raises UserError where it fails."""
    with progress_bar() as progress:
        return jobs.follow(ws, spec, progress)
