"""The words and the HTML of studies; no widgets."""

from attribution.experiments.study_progress import StudyProgress
from attribution.store.queue import Job
from pages.ui import format as write

BAND = (
    "Band: between the least and the most targets that can have flipped by k once every search has ended; it "
    "closes as they do. Targets that never flip end first: a curve over the finished ones alone would mislead."
)

PAUSING = "Pause lets the trainings under way end, and keeps them; Cancel stops at once."


def name(job: Job) -> str:
    """Such as "12, running: 40 targets, 22 Nov 2026, 21:07"."""
    return f"{job.id}, {job.state}: {len(job.spec['targets'])} targets, {write.date_time(job.created)}"


def heading(spec: dict) -> str:
    """Such as "40 targets under 5 rankings: how few images decide them?"."""
    targets, rankings = len(spec["targets"]), len(spec["rankings"])
    return (
        f"{targets} target{'s' * (targets > 1)} under {rankings} ranking{'s' * (rankings > 1)}: "
        f"how few images decide {'them' if targets > 1 else 'it'}?"
    )


def progress_text(job: Job, progress: StudyProgress, ahead: int) -> str:
    """Such as "Job 12, running for 4 min 3 s: 57 of 400 searches answered." ahead: jobs before it."""
    elapsed = write.seconds(job.seconds)
    under_way = "1 training" if progress.running == 1 else f"{progress.running} trainings"
    states = {
        "queued": "waiting for the runner" + (f", {ahead} job{'s' * (ahead > 1)} before it" if ahead else ""),
        "running": f"running for {elapsed}",
        "cancelling": "stopping",
        "paused": f"paused; {under_way} under way end{'s' * (progress.running == 1)} first"
        if progress.running
        else "paused: nothing of it is running",
        "done": f"done in {elapsed}, {write.date_time(job.finished)}",
        "cancelled": f"cancelled after {elapsed}; what it found is kept",
        "failed": f"failed after {elapsed} ({job.message})",
    }
    return f"Job {job.id}, {states[job.state]}: {progress.answered} of {progress.searches} searches answered."


def facts_html(job: Job, progress: StudyProgress) -> str:
    """What was trained, what is left, and how long that may take, with how it is reckoned."""
    facts = [
        (write.count(progress.trained), "trainings done", "those known before count too"),
        (f"{progress.running}", "under way", "trained for this study now"),
    ]
    if progress.retried:
        facts.append(
            (f"{progress.retried}", "failed, tried again", "a worker ended under them, in this job or another")
        )
    if not job.has_ended and progress.answered < progress.searches:
        basis = (
            f"by the mean of {write.count(progress.measured)} searches answered here"
            if progress.measured
            else "halfway between the fewest and the most, as none was answered here yet"
        )
        workers = "1 worker" if progress.workers == 1 else f"{progress.workers} workers"
        left = write.count(round(progress.trainings_left))
        facts += [
            (f"about {left}", "trainings left", basis),
            (
                f"about {write.seconds(progress.seconds)}",
                "left, an estimate",
                f"{left} × {progress.each:.3g} s a training "
                f"({f'median of the last {progress.timed}' if progress.timed else 'a guess yet'}), on {workers}",
            ),
        ]
    return f'<div class="lu-facts">{"".join(_fact_html(*map(write.escape, fact)) for fact in facts)}</div>'


def _fact_html(value: str, name: str, note: str) -> str:
    return f'<div><b>{value}</b> {name}<div class="lu-faint">{note}</div></div>'


def bands_html(panels) -> str:
    """The bands' ends as a table: a row each, with how many have flipped by the largest k at least and at most."""
    lines = "".join(
        f"<tr><td>{write.escape(panel.ranking)}</td><td>{write.escape(panel.kind)}</td>"
        f'<td class="n">{panel.answered} of {panel.targets}</td>'
        f'<td class="n">{_range(panel.low[-1], panel.high[-1])}</td></tr>'
        for panel in panels
    )
    k = panels[0].ks[-1] if panels else 0
    head = (
        '<th>ranking</th><th>kind</th><th class="n">searches answered</th>'
        f'<th class="n">flipped (or repaired) by k = {k}, in the end</th>'
    )
    return f'<table class="lu-table"><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>'


def _range(low: float, high: float) -> str:
    if low != low:  # no target counts: all are already wrong
        return "–"
    return f"{low:.0%}" if low == high else f"{low:.0%} to {high:.0%}"
