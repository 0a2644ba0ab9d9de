"""The words of a study that is under way."""

from types import SimpleNamespace

from attribution.experiments import study_progress
from attribution.experiments.study import Study
from pages.data import study_text
from pages.ui import format as write


def test_the_facts_say_how_they_were_reckoned():
    watched = study_progress.StudyProgress(
        Study(8, "default", {"remove": {"a": {0: None}}}),
        {},
        searches=600,
        answered=400,
        trained=8535,
        running=2,
        retried=1,
        trainings_left=4267.4,
        measured=400,
        each=3.65,
        timed=100,
        workers=4,
    )
    job = SimpleNamespace(id=12, state="running", seconds=243, has_ended=False, message="", finished=None)
    facts = study_text.facts_html(job, watched)
    assert "<b>8,535</b> trainings done" in facts and "<b>2</b> under way" in facts and "<b>1</b> failed" in facts
    assert "4,267 × 3.65 s a training (median of the last 100), on 4 workers" in facts
    assert "by the mean of 400 searches" in facts
    assert f"<b>about {write.seconds(4267.4 * 3.65 / 4)}</b> left, an estimate" in facts
    said = {
        "queued": "Job 12, waiting for the runner, 1 job before it: 400",
        "running": "running for 4 min 3 s",
        "paused": "paused; 2 trainings under way end first",
        "failed": "failed after 4 min 3 s (why)",
    }
    for name, text in said.items():
        job.state, job.message = name, "why"
        assert text in study_text.progress_text(job, watched, 1)
