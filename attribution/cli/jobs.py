"""Commands about what runs in the background: jobs list, show, pause, resume, cancel, and the runner itself."""

import time
from functools import partial
from typing import Annotated

import typer

from attribution.cli import JsonOption, WorkspaceOption, print_answer, say
from attribution.errors import UserError
from attribution.experiments import jobs
from attribution.runner import executors
from attribution.store.queue import Job
from attribution.store.results import ResultStore
from attribution.workspace.workspace import DEMO, Workspace


def _variable_of(option: str) -> str:
    """The variable that gives an option to runners which the dashboard starts."""
    return executors.ENVIRONMENT_VARIABLES[option]


def runner(
    ws: WorkspaceOption = DEMO,
    executor: Annotated[str, typer.Option(envvar=_variable_of("executor"), help="local or ray")] = "local",
    workers: Annotated[
        int | None, typer.Option(envvar=_variable_of("workers"), help="At most so many trainings at once.")
    ] = None,
    per_gpu: Annotated[
        int | None, typer.Option(envvar=_variable_of("per_gpu"), help="local: workers on each GPU; else one.")
    ] = None,
    address: Annotated[
        str, typer.Option(envvar=_variable_of("address"), help="ray: auto, or HOST:PORT of the cluster's head.")
    ] = "auto",
    gpus_per_training: Annotated[
        float | None,
        typer.Option(envvar=_variable_of("gpus_per_training"), help="ray: 0 to 1; else 1, or 0 where there is no GPU."),
    ] = None,
    idle: Annotated[
        float, typer.Option(envvar="LINEUP_IDLE", help="Go away after this many seconds without work.")
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
        rows = [jobs.job_to_json(job) for job in store.jobs()]
    print_answer(as_json, {"jobs": rows}, ("jobs", rows))


def jobs_show(number: int, ws: WorkspaceOption = DEMO, as_json: JsonOption = False):
    """One job, and what it was asked."""
    job = _load_job(ws, number)
    row = jobs.job_to_json(job)
    print_answer(as_json, {**row, "spec": job.spec}, ("", [row]))


def jobs_pause(number: int, ws: WorkspaceOption = DEMO):
    """Start nothing more of a job until it is resumed. Trainings under way are finished, and kept."""
    job = _load_job(ws, number)
    if not jobs.pause(ws, number):
        raise UserError(f"job {number} is {job.state} already; there is nothing to pause")
    print(f"job {number} is paused; trainings under way are finished first")


def jobs_resume(number: int, ws: WorkspaceOption = DEMO):
    """Let a paused job go on where it was."""
    job = _load_job(ws, number)
    if not jobs.resume(ws, number):
        raise UserError(f"job {number} is {job.state}; only a paused job can be resumed")
    print(f"job {number} goes on")


def jobs_cancel(number: int, ws: WorkspaceOption = DEMO):
    """Stop a job. What it trained so far is kept."""
    job = _load_job(ws, number)
    if not jobs.cancel(ws, number) and job.has_ended:
        raise UserError(f"job {number} is {job.state} already; there is nothing to cancel")
    while (job := _load_job(ws, number)).is_open:
        jobs.ensure_runner(ws)
        time.sleep(0.1)
    print(f"job {number} is {job.state}")


def _load_job(ws: Workspace, number: int) -> Job:
    """The job with this number. Raises UserError where there is none."""
    with ResultStore.for_workspace(ws) as store:
        job = store.job(number)
    if job is None:
        raise UserError(f"there is no job {number}; `jobs list` shows them")
    return job
