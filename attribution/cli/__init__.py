"""The command line, a group of commands a file; `app.py` lists them all. Thin: each asks the library and prints.

Every mistake of the user's is one sentence on stderr and exit status 2. `--json` prints one JSON object on stdout;
progress goes to stderr. Here stand the options that several commands take, and how they print.
"""

import functools
import getpass
import json
import os
import shlex
import sys
import threading
import time
from collections.abc import Callable
from inspect import Parameter, Signature, get_annotations, signature
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

os.environ.setdefault("TQDM_DISABLE", "1")  # libraries' own bars would run into ours; tqdm reads it when imported

from attribution.builds.halves import held_out_provenance
from attribution.experiments import jobs as background_jobs
from attribution.experiments.spec import Spec
from attribution.export.numbers import duration, number, percent, score
from attribution.files import write_json
from attribution.inputs import limits, names
from attribution.rankings import default_rankings
from attribution.runner.commands import PROGRESS_VARIABLE
from attribution.store.queue import Job
from attribution.training import own
from attribution.workspace.workspace import Workspace


def whole(name: str, least: int, most: int) -> Callable[[object], int]:
    """A parser for typer: see `limits.check_whole`. An int of typer's own is a traceback where it has some thousands of
    digits."""

    def parse(value: object) -> int:
        return limits.check_whole(value, name, least, most)

    return parse


def whole_option(name: str, least: int, most: int, help: str, **more):
    """The option `name`, a whole number from `least` to `most`. more: of `typer.Option`."""
    return typer.Option(name, parser=whole(name, least, most), metavar="INTEGER", help=help, **more)


def fraction_option(name: str, least: float, most: float, help: str, **more):
    """The option `name`, a number from `least` to `most`. more: of `typer.Option`."""

    def parse(value: object) -> float:
        return limits.check_fraction(value, name, least, most)

    return typer.Option(name, parser=parse, metavar="FLOAT", help=help, **more)


_FOLDER = {"help": "The workspace's folder; the bundled demo if not given.", "envvar": "LINEUP_WORKSPACE"}
WorkspaceOption = Annotated[Workspace, typer.Option("--workspace", parser=Workspace.open, metavar="PATH", **_FOLDER)]
#: of a command that is about all models, or about one that it names itself
WholeWorkspaceOption = Annotated[
    Workspace, typer.Option("--workspace", parser=Workspace.open, metavar="PATH", **_FOLDER)
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="The model (by its recipe) whose predictions and halves are meant; the workspace's own if not given.",
        metavar="NAME",
    ),
]
Folder = Annotated[Path, typer.Option("--workspace", **_FOLDER)]  # not opened yet
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Target = Annotated[str, typer.Option(help="The validation image, counted from 0.")]
RankingName = Annotated[str, typer.Option("--ranking", help="The ranking's name; `info` lists them.")]
Rankings = Annotated[str | None, typer.Option(help="Names, with commas; one of each method if not given.")]
Protocol = Annotated[
    str | None,
    typer.Option(help="default, adaptive or paper; if not given, that of the workspace's own supports, else adaptive."),
]
Candidates = Annotated[str | None, typer.Option(help="true, predicted or all; as published if not given.")]
#: among which training images a ranking chooses, see `candidates_of`
CANDIDATE_SETS = {"true": "the true class", "all": "all"}
Recipe = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        parser=lambda text: recipe_name(text),
        metavar="NAME|FILE:CLASS",
        help="Train under this recipe, or the class in a file of yours; the workspace's if not given.",
    ),
]
DuplicateFeatures = Annotated[
    str | None,
    typer.Option(
        "--duplicate-features",
        help="The feature set that near-duplicates are found in; the workspace's first if not given.",
    ),
]
DuplicateCosine = Annotated[
    float,
    fraction_option("--duplicate-cosine", 0, 1, "Images are near-duplicates from this cosine of their features on."),
]
stderr_console = Console(stderr=True)
PIPED_WIDTH = 100_000  # columns, more than any table has: no line is cut or folded where nobody reads it on a screen
LINE_SECONDS, QUIET_SECONDS = 30, 2  # of progress in lines


def with_model_option(command: Callable) -> Callable:
    """A command that takes an opened workspace, with the option `--model`, whose view of the workspace it is given; any
    other command as it is."""
    hints = get_annotations(command)
    if hints.get("ws") is not WorkspaceOption:
        return command

    @functools.wraps(command)
    def run(*, model: str | None = None, ws: Workspace, **options):
        return command(ws=ws.with_model(model), **options)

    parameters = list(signature(command).parameters.values())
    place = [parameter.name for parameter in parameters].index("ws") + 1
    option = Parameter("model", Parameter.KEYWORD_ONLY, default=None, annotation=ModelOption)
    keyword = [parameter.replace(kind=Parameter.KEYWORD_ONLY) for parameter in parameters]
    run.__signature__ = Signature([*keyword[:place], option, *keyword[place:]])  # type: ignore[attr-defined]
    run.__annotations__ = {**hints, "model": ModelOption}
    return run


def ranking_names(ws: Workspace, rankings: str | None) -> list[str]:
    """The rankings that an option names, with commas; one of each method where it is not given."""
    return split_names(rankings) if rankings else default_rankings(ws)


def recipe_name(text: str) -> str:
    """The name of the recipe that `text` says: a name, or FILE:CLASS, which is then added to this machine's recipes."""
    return own.add(text).name if own.is_place(text) else text


def split_names(text: str) -> list[str]:
    """ "a, b" -> ["a", "b"]."""
    return [name.strip() for name in text.split(",") if name.strip()]


def command_line(command: str, **options) -> str:
    """A command as provenance has it: options in this order, without those that are None or False; True is a flag, and
    of a path the file's name stands for it."""
    words = shlex.split(command)
    for option, value in options.items():
        if value is not None and value is not False:
            words.append(f"--{option.replace('_', '-')}")
            words += [] if value is True else [str(getattr(value, "name", value))]
    return shlex.join(words)


# -- how numbers are written


def accuracy_text(provenance: dict) -> str:
    """kNN accuracy of a feature set, in words."""
    if provenance.get("knn_accuracy") is None:
        return "kNN accuracy not measured: too many features"
    return f"kNN accuracy {percent(provenance['knn_accuracy'])} on {provenance['measured_on']}"


def halves_text(ws: Workspace, answer: dict) -> str:
    """On what an LDS was judged: number and recipe of the held-out halves; answer: "masks", "seeds" and "ceiling"."""
    lds = held_out_provenance(ws)
    return draw_text({**answer, "recipe": lds.get("recipe"), "recipe_hash": lds.get("hash")})


def draw_text(answer: dict) -> str:
    """As `halves_text`, of an answer that has "recipe" and "recipe_hash", too."""
    made = (
        f"of {answer['recipe']} {answer['recipe_hash'] or ''}".strip()
        if answer.get("recipe")
        else "imported, of a recipe that is not known"
    )
    ceiling = number(answer["ceiling"])
    seeds = f"{answer['seeds']} seed{'s' * (answer['seeds'] != 1)}"
    return f"{answer['masks']} held-out halves x {seeds}, {made}; noise ceiling {ceiling}"


def decisions_text(answer: dict) -> str:
    """What became of the images that an audit decided on: answer with the number of each decision."""
    return ", ".join(f"{answer[name]:,} {name}" for name in ("relabelled", "removed", "kept", "unsure")) + (
        f", {answer['conflicts']:,} in conflict"
    )


def candidates_of(ws: Workspace, rankings: list[str]) -> dict[str, str]:
    """Among which training images each ranking chooses: "true" (of the target's true class) or "all"."""
    return {name: "true" if ws.ranking(name).conditioned else "all" for name in rankings}


# -- output


def print_answer(as_json: bool, answer: dict, *parts: str | tuple[str, list[dict]]) -> None:
    """Prints the answer as one JSON object, or `parts`: lines of text, and tables as (title, rows)."""
    if as_json:
        return print(json.dumps(answer))
    for part in parts:
        print_line(part) if isinstance(part, str) else print_table(*part)


def print_line(text: object) -> None:
    """Prints one line on stdout, names in it shown and not obeyed."""
    print(names.visible(text))


def say(text: str) -> None:
    """A line on stderr that is no answer: what is about to be done."""
    print(names.visible(text), file=sys.stderr, flush=True)


def print_table(title: str, rows: list[dict]) -> None:
    """Prints rows {column: value} as they are, no name read as markup or obeyed; whole lines where stdout is no
    terminal."""
    console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False)
    grid = Table(box=None, pad_edge=False)
    for name in rows[0] if rows else ["nothing yet"]:
        grid.add_column(Text(names.visible(name)))
    for row in rows:
        grid.add_row(*(Text(_cell(value)) for value in row.values()))
    if title:
        console.print(Text(names.visible(title), style="italic"), soft_wrap=True)
    console.print(grid)


def _cell(value) -> str:
    if value is None:
        return ""
    if isinstance(value, (tuple, list)):
        return " to ".join(map(_cell, value))
    return score(value) if isinstance(value, float) else names.visible(value)


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

    def __call__(self, text: str, done: int | None, total: int | None):
        """Says how far the phase `text` is."""
        if self.file and (time.monotonic() - self.written > 0.3 or done == total):
            self.written = time.monotonic()
            write_json(Path(self.file), {"text": text, "done": done, "total": total})
        if self.lines:
            self.lines.update(text, done, total)
        if text not in self.tasks:
            self.tasks = {text: self.bar.add_task(names.visible(text))}
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


def with_progress(work: Callable, *arguments, **options):
    """What `work` returns, called with these arguments and a progress bar."""
    with ProgressBar() as progress:
        return work(*arguments, **options, progress=progress)


def run_job(ws: Workspace, spec: Spec) -> Job:
    """Queues a job and shows its progress to the end; Ctrl-C cancels it. Raises UserError where it fails."""
    return with_progress(background_jobs.run_job, ws, spec)


def answered(ws: Workspace, spec: Spec) -> dict:
    """The answer to a spec, computed first where it is not known in full, with "cached": whether it was."""
    return background_jobs.answered(ws, spec, lambda: run_job(ws, spec))


def user_name() -> str:
    """The name of whoever runs this, "" where the system has none."""
    try:
        return getpass.getuser()
    except (KeyError, ImportError, OSError):
        return ""
