"""Executors: where retrainings run. One file each; nothing of Ray is imported unless it is chosen."""

import os

from attribution.errors import UserError
from attribution.inputs.limits import read_whole
from attribution.runner.executors.base import Executor
from attribution.runner.executors.local import LocalExecutor
from attribution.training.devices import plan_workers
from attribution.workspace.workspace import Workspace

EXECUTORS = ("local", "ray")
#: option of `create_executor` -> the variable that gives it to runners which the dashboard starts
ENVIRONMENT_VARIABLES = {
    "executor": "LINEUP_EXECUTOR",
    "workers": "LINEUP_WORKERS",
    "per_gpu": "LINEUP_PER_GPU",
    "address": "LINEUP_ADDRESS",
    "gpus_per_training": "LINEUP_GPUS_PER_TRAINING",
}


def create_executor(
    workspace: Workspace,
    executor: str = "local",
    workers: int | None = None,
    per_gpu: int | None = None,
    address: str = "auto",
    gpus_per_training: float | None = None,
) -> Executor:
    """The executor `executor` for a workspace. workers: at most so many trainings at once.

    per_gpu is for "local" alone (see `devices.plan_workers`), address and gpus_per_training for "ray" (`RayExecutor`).
    Raises UserError for names and numbers that make no sense, and where there is no such cluster.
    """
    if executor not in EXECUTORS:
        raise UserError(f"no executor {executor!r}; there is {' and '.join(EXECUTORS)}")
    threads = workspace.get_recipe().threads
    if executor == "local":
        return LocalExecutor(plan_workers(workers, per_gpu, threads))
    from attribution.runner.executors.ray import RayExecutor

    return RayExecutor(address, gpus_per_training, threads, workers)


def expected_resources(workspace: Workspace) -> dict:
    """What a runner that the dashboard starts now would work with, as `Executor.describe` says it. A cluster is not
    contacted.

    Raises UserError where a variable holds what is no number, or makes no sense.
    """
    given = {option: os.environ[name] for option, name in ENVIRONMENT_VARIABLES.items() if os.environ.get(name)}
    if given.get("executor", "local") != "local":
        return {"executor": f"{given['executor']} at {given.get('address', 'auto')}", "devices": []}
    numbers = {}
    for option in ("workers", "per_gpu"):
        if option in given:
            number = read_whole(given[option])
            if number is None or number < 0:
                raise UserError(f"{ENVIRONMENT_VARIABLES[option]} is {given[option]!r}; set it to a whole number")
            numbers[option] = number
    return create_executor(workspace, **numbers).describe()
