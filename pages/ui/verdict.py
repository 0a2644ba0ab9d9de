"""What an experiment found, and what one would cost, in words."""

from pages.ui import format as write


def verdict_html(word: str, sentence: str) -> str:
    """A verdict of one or two words, and the sentence that explains it."""
    explanation = write.escape(write.capitalised(sentence))
    return f'<div class="lu-verdict" role="status"><b>{write.escape(word)}.</b> {explanation}</div>'


def cost_text(cost) -> str:
    """An `estimate.JobCost` as "25 trainings, 9 already known, about 40 s on 2 workers (3.2 s each)", without a full
    stop."""
    if cost.max_trainings == cost.known:
        return "All of its trainings are known: it answers at once"
    number = (
        f"{cost.max_trainings} trainings"
        if cost.min_trainings == cost.max_trainings
        else f"{cost.min_trainings} to {cost.max_trainings} trainings"
    )
    workers = "1 worker" if cost.workers == 1 else f"{cost.workers} workers"
    known = f", {cost.known} already known" if cost.known else ""
    about = "about" if cost.min_trainings == cost.max_trainings else "at most about"
    return f"{number}{known}, {about} {write.seconds(cost.seconds)} on {workers} ({write.seconds(cost.each)} each)"
