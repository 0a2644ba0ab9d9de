"""Which GPUs are seen, and how many workers are planned on them or on the cores."""

import os

import pytest

from attribution import UserError
from attribution.training import devices
from attribution.training.devices import Gpu

LISTED = """0, GPU-aaaa-1, NVIDIA H100 80GB HBM3, 81559
1, GPU-bbbb-2, NVIDIA A100-SXM4-40GB, 40960
2, GPU-cccc-3, NVIDIA Thing, [N/A]
"""
ONE, TWO, THREE = (
    Gpu("GPU-aaaa-1", "NVIDIA H100 80GB HBM3", 81559),
    Gpu("GPU-bbbb-2", "NVIDIA A100-SXM4-40GB", 40960),
    Gpu("GPU-cccc-3", "NVIDIA Thing", None),
)


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """A machine with three GPUs, as far as nvidia-smi is asked."""
    (tmp_path / "listed").write_text(LISTED)
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\ncat {tmp_path}/listed\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_all_gpus_by_name_and_memory(driver):
    assert devices.visible_gpus() == [ONE, TWO, THREE]


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        ("1,0", [Gpu("1", TWO.name, 40960), Gpu("0", ONE.name, 81559)]),
        ("GPU-bbbb", [Gpu("GPU-bbbb", TWO.name, 40960)]),
        ("MIG-4f2", [Gpu("MIG-4f2", "MIG-4f2", None)]),
        ("", []),
        ("-1", []),
        ("0,7,1", [Gpu("0", ONE.name, 81559)]),
    ],
)
def test_what_the_user_has_left_visible(driver, monkeypatch, visible, expected):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert devices.visible_gpus() == expected


def test_without_a_driver(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert devices.visible_gpus() == []


def test_workers_on_gpus(driver):
    assert devices.plan_workers().slots == (ONE, TWO, THREE)
    assert devices.plan_workers(per_gpu=2).slots == (ONE, TWO, THREE) * 2
    assert devices.plan_workers(workers=4, per_gpu=2).slots == (ONE, TWO, THREE, ONE)
    assert devices.plan_workers(workers=9).slots == (ONE, TWO, THREE), "more on a GPU only on request"
    assert devices.plan_workers(workers=4, per_gpu=2).device_rows == [
        {"device": "NVIDIA H100 80GB HBM3", "memory": "80 GiB", "workers": "2"},
        {"device": "NVIDIA A100-SXM4-40GB", "memory": "40 GiB", "workers": "1"},
        {"device": "NVIDIA Thing", "memory": "unknown", "workers": "1"},
    ]


@pytest.mark.parametrize(
    ("cores", "threads", "workers", "expected"),
    [(8, 1, None, 8), (8, 3, None, 2), (8, 3, 5, 2), (8, 1, 5, 5), (2, 4, None, 1), (1, 1, 9, 1)],
)
def test_workers_on_cores(monkeypatch, cores, threads, workers, expected):
    monkeypatch.setattr(devices, "visible_gpus", lambda: [])
    monkeypatch.setattr(devices, "core_count", lambda: cores)
    plan = devices.plan_workers(workers, threads=threads)
    assert plan.slots == (None,) * expected
    assert expected * threads <= cores or expected == 1
    assert plan.device_rows[0]["workers"] == f"{expected} of {threads} thread" + ("" if threads == 1 else "s")
    assert plan.device_rows[0]["device"].endswith(f"{cores} core" + ("" if cores == 1 else "s"))


def test_numbers_that_make_no_sense():
    with pytest.raises(UserError, match="give at least 1"):
        devices.plan_workers(workers=0)
    with pytest.raises(UserError, match="give at least 1"):
        devices.plan_workers(per_gpu=0)
