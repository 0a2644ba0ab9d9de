"""Commands about what runs in the background: jobs list, show, pause, resume, cancel, and the runner itself."""

import time
from functools import partial
from typing import Annotated

import typer

from attribution.cli import JsonOption, WorkspaceOption, fraction_option, print_answer, say, whole, whole_option
from attribution.errors import UserError
from attribution.experiments import jobs
from attribution.inputs import limits
from attribution.runner import executors
from attribution.store.queue import Job
from attribution.store.results import ResultStore
from attribution.workspace.workspace import DEMO, Workspace

JobNumber = Annotated[int, typer.Argument(parser=whole("job", 1, limits.MAX_NUMBER), metavar="NUMBER")]


def _variable_of(option: str) -> str:
    """The variable that gives an option to runners which the dashboard starts."""
    return executors.ENVIRONMENT_VARIABLES[option]


def runner(
    ws: WorkspaceOption = DEMO,
    executor: Annotated[str, typer.Option(envvar=_variable_of("executor"), help="local or ray")] = "local",
    workers: Annotated[
        int | None,
        whole_option("--workers", 0, 100_000, "At most so many trainings at once.", envvar=_variable_of("workers")),
    ] = None,
    per_gpu: Annotated[
        int | None,
        whole_option("--per-gpu", 0, 1_000, "local: workers on each GPU; else one.", envvar=_variable_of("per_gpu")),
    ] = None,
    address: Annotated[
        str, typer.Option(envvar=_variable_of("address"), help="ray: auto, or HOST:PORT of the cluster's head.")
    ] = "auto",
    gpus_per_training: Annotated[
        float | None,
        fraction_option(
            "--gpus-per-training",
            0,
            1,
            "ray: 0 to 1; else 1, or 0 where there is no GPU.",
            envvar=_variable_of("gpus_per_training"),
        ),
    ] = None,
    idle: Annotated[
        float,
        fraction_option("--idle", 0, 10**9, "Stop after this many seconds without work.", envvar="LINEUP_IDLE"),
    ] = 60,
):
    """Do the queued jobs of a workspace until there are none. The dashboard starts one by itself."""
    from attribution.runner.runner import run_runner

    create = partial(executors.create_executor, ws, executor, workers, per_gpu, address, gpus_per_training)
    if not run_runner(ws, create, idle):
        say("another runner is already at work on this data set's jobs")


def jobs_list(ws: WorkspaceOption = DEMO, as_json: JsonOption = False):
    """The newest jobs first."""
    with ResultStore.for_workspace(ws) as store:
        jobs.settle(store)
        rows = [jobs.job_to_json(job) for job in store.jobs()]
        if why := jobs.trouble(store.folder):
            say(why)
    print_answer(as_json, {"jobs": rows}, ("jobs", rows))


def jobs_show(number: JobNumber, ws: WorkspaceOption = DEMO, as_json: JsonOption = False):
    """One job, and what it was asked."""
    job = _load_job(ws, number)
    row = jobs.job_to_json(job)
    print_answer(as_json, {**row, "spec": job.spec}, ("", [row]))


def jobs_pause(number: JobNumber, ws: WorkspaceOption = DEMO):
    """Start nothing more of a job until it is resumed. Trainings under way are finished, and kept."""
    job = _load_job(ws, number)
    if not jobs.pause(ws, number):
        raise UserError(f"job {number} is {job.state} already; there is nothing to pause")
    print(f"job {number} is paused; trainings under way are finished first")


def jobs_resume(number: JobNumber, ws: WorkspaceOption = DEMO):
    """Resume a paused job."""
    job = _load_job(ws, number)
    if not jobs.resume(ws, number):
        raise UserError(f"job {number} is {job.state}; only a paused job can be resumed")
    print(f"job {number} is resumed")


def jobs_cancel(number: JobNumber, ws: WorkspaceOption = DEMO):
    """Stop a job. What it trained so far is kept."""
    job = _load_job(ws, number)
    if not jobs.cancel(ws, number) and job.has_ended:
        raise UserError(f"job {number} is {job.state} already; there is nothing to cancel")
    while (job := _load_job(ws, number)).is_open:
        jobs.ensure_runner(ws)
        time.sleep(0.1)
    print(f"job {number} is {job.state}" + (f": {job.message}" if job.message else ""))


def _load_job(ws: Workspace, number: int) -> Job:
    """The job with this number. Raises UserError where there is none."""
    with ResultStore.for_workspace(ws) as store:
        jobs.settle(store)
        job = store.job(number)
    if job is None:
        raise UserError(f"there is no job {number}; `jobs list` shows them")
    return job
