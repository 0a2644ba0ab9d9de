"""The words of jobs and commands: what each is, how far it is, when it will be done, and where its result is seen."""

import re
from collections.abc import Mapping

from attribution.experiments.disjoint import DisjointSpec
from attribution.experiments.group import GroupSpec
from attribution.experiments.paired_arms import PairedArmsSpec
from attribution.experiments.pruning import PruningSpec
from attribution.experiments.retrain import RetrainSpec
from attribution.experiments.study import StudySpec
from attribution.experiments.support import SupportSpec
from attribution.experiments.unrolled import UnrolledSpec
from attribution.rankings.unrolled import on_demand
from attribution.runner.commands import Command
from attribution.store.queue import Job
from pages.ui import format as write
from pages.ui import state

ICONS = {
    "queued": ":material/schedule:",
    "running": ":material/sync:",
    "paused": ":material/pause:",
    "cancelling": ":material/sync:",
    "cancelled": ":material/block:",
    "failed": ":material/error:",
    "lost": ":material/error:",
    "done": ":material/check:",
}
WORDS = {"queued": "waiting", "cancelling": "stopping", "lost": "ended without a word; start it again"}
#: the first words of a command -> what it does; {} is the word after them
TITLES = {
    ("show",): "Import scores",
    ("import",): "Import scores",
    ("base", "import"): "Import predictions",
    ("base", "train"): "Train base models",
    ("features", "train"): "Compute {} features",
    ("halves", "train"): "Train models on random halves",
    ("rankings", "build"): "Build {}",
    ("detectors", "build"): "Compute detectors of label errors",
    ("duplicates",): "Search for copies",
    ("recipe", "check"): "Check the recipe {}",
    ("evaluate",): "Measure {}",
}
MIN_SHARE = 0.02  # of a job that has to be done before its end is estimated


def state_word(name: str) -> str:
    """The state of a job or a command, for people."""
    return WORDS.get(name, name)


def seconds_left(done: int, total: int | None, seconds: float) -> float | None:
    """The seconds that the rest will take at the pace so far; None where too little is done to say."""
    if not total or done < max(1, MIN_SHARE * total) or done >= total:
        return None
    return seconds * (total - done) / done


def left_text(seconds: float | None) -> str:
    """ ", about 4 min left", or ""."""
    return "" if seconds is None else f", about {write.seconds(seconds)} left"


def progress_text(job: Job, ahead: int) -> str:
    """Such as "running for 4 min 3 s: 12 of 60, about 16 min left". ahead: open jobs before it."""
    part = f"{write.count(job.done)} of {write.count(job.total)}" if job.total else ""
    if job.state == "queued":
        before = f", {write.counted(ahead, 'job')} before it" if ahead else ""
        return f"waiting{before}" + (f"; {part} done" if job.done else "")
    if job.state == "running":
        left = left_text(seconds_left(job.done, job.total, job.seconds))
        return f"running for {write.seconds(job.seconds)}" + (f": {part}{left}" if part else "")
    return state_word(job.state) + (f" at {part}" if part else "")


def ended_text(job: Job) -> str:
    """Such as "done, 29 Nov 2026, 13:20, took 12 s"; a failed one says why."""
    why = f": {job.message}" if job.message and job.state == "failed" else ""
    took = f", took {write.seconds(job.seconds)}" if job.started else ""
    return f"{job.state}{why}, {write.date_time(job.finished or job.created)}{took}"


def title(job: Job, own_recipe: str) -> str:
    """A job as a heading: its number, what was asked, and the model where it is not the workspace's own."""
    model = job.spec.get("model")
    return f"{job.id}. {write.capitalised(job.what)}" + (f" ({model})" if model and model != own_recipe else "")


def result_link(job: Job, own_recipe: str) -> tuple[str, str, dict] | None:
    """(page, label, parameters) that show what a job asks and found; None where no page has it."""
    spec = job.spec
    model = {state.MODEL: spec.get("model") or own_recipe}
    if StudySpec.matches(spec):
        return "data", "Show the study", {state.PART: "studies", "job": str(job.id), **model}
    if any(kind.matches(spec) for kind in (RetrainSpec, SupportSpec, DisjointSpec)):
        asked = {state.TARGET: str(spec["target"]), **_prefix(spec), "job": str(job.id), **model}
        return "debug", "Show in Debug", asked
    if GroupSpec.matches(spec):
        return "debug", "Show in Debug", state.group_link(spec) | model
    if UnrolledSpec.matches(spec):
        return "debug", "Show in Debug", {state.TARGET: str(spec["target"]), state.CUT_RANKING: on_demand.NAME, **model}
    if PruningSpec.matches(spec):
        return "compare", "Show in Compare", model
    if PairedArmsSpec.matches(spec):
        return "labels", "Show in Clean labels", model
    return None


def _prefix(spec: Mapping) -> dict:
    """The ranking and the k of a question, as far as it has them."""
    k = {state.K: str(spec["k"])} if spec.get("ranking") and spec.get("k") else {}
    return ({state.CUT_RANKING: spec["ranking"]} if spec.get("ranking") else {}) | k


def command_title(words: list[str]) -> str:
    """A command as a heading, such as "Import scores: mine"."""
    named = words[words.index("--name") + 1] if "--name" in words[:-1] else ""
    for first, text in TITLES.items():
        if tuple(words[: len(first)]) == first:
            after = words[len(first)] if len(words) > len(first) and not words[len(first)].startswith("-") else ""
            model = words[words.index("--model") + 1] if "--model" in words[:-1] and first[0] in ("base",) else ""
            what = text.replace("{}", after) if "{}" in text else text
            return what + (f": {named or model}" if named or model else "")
    return " ".join(words)


def own_words(words: list[str]) -> list[str]:
    """A command without the workspace, which every one ends in."""
    return words[: words.index("--workspace")] if "--workspace" in words else words


def command_text(command: Command) -> str:
    """A command that has ended, and what it said last."""
    end = state_word(command.state)
    message = for_page(command.message) if command.state in ("done", "failed") else ""
    message = "" if message.startswith("{") else message  # JSON, which is read and not shown
    took = f"{end} after {write.seconds(command.seconds)}" if command.state != "lost" else end
    return f"{took}: {message}" if message else took


def import_text(answer: dict, others: dict[str, float] | None = None) -> str:
    """What an import brought: "Imported mine for 1,000 targets. ...", with its LDS where it was measured, and beside it
    that of `others`, ranking -> LDS."""
    check = answer["alignment"]
    text = (
        f"Imported {answer['ranking']} for {write.counted(check['n'], 'target')}. Its top image has the target's class "
        f"for {check['top1_same_class']:.0%} of them ({check['chance']:.0%} by chance)."
    )
    if answer.get("lds"):
        halves = answer["halves"]
        interval = f" (95% interval {write.interval(answer['lds']['ci'])})" if answer["lds"].get("ci") else ""
        text += (
            f" LDS {write.decimal(answer['lds']['lds'])}{interval}, measured on {write.count(halves['masks'])} models "
            f"trained on random halves ({halves['recipe']})."
        )
        if others:
            beside = ", ".join(f"{name} {write.decimal(lds)}" for name, lds in others.items())
            text += f" For comparison: {beside}."
    elif why := answer.get("why_no_lds"):
        text += f" LDS was not measured: {why}."
    return text + (f" Note: {check['warning']}." if check.get("warning") else "")


#: what the command line asks for by an option -> the field of the page
ANSWERS = (
    (r"say --sign (?:helpful|harmful)(?:,| or)[^;]*", 'answer "A positive score means" above'),
    (r"say --orientation (?:train-first or --orientation target-first|train-first|target-first)",
     'answer "The first axis is" above'),
    (r"mend the declaration and import it again, or keep it as it is with --force",
     'change the answers above, or tick "Keep it even if it fails the check"'),
    (r"say with --train and --targets which images it is about", 'name its images under "Only some images"'),
    (r"--index-base", '"Images are counted from"'),
    (r"--(?:targets|train-files|train)\b", '"Only some images"'),
    (r"--part\b", '"Which of several"'),
    (r"without --dense", 'with "Keep" set to first'),
)  # fmt: skip


def for_page(message: str) -> str:
    """What a command said, with the fields of the page for its options; paths without their folders."""
    for pattern, field in ANSWERS:
        message = re.sub(pattern, field, message)
    return re.sub(r"/\S*/uploads/[0-9a-f]{16}/", "", message).removeprefix("error: ").rstrip(".")
