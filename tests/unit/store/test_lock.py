"""The runner's lock: one holder, whoever asks is none, and no file that is deleted frees it."""

import fcntl
import os

from attribution.store.lock import acquire_runner_lock, runner_alive, runner_lock


def test_one_runner_at_a_time_and_askers_are_no_runners(tmp_path):
    assert not runner_alive(tmp_path)
    handle = acquire_runner_lock(tmp_path)
    assert runner_alive(tmp_path) and acquire_runner_lock(tmp_path, patience=0.05) is None
    os.close(handle)
    assert not runner_alive(tmp_path)
    asker = os.open(tmp_path, os.O_RDONLY)  # somebody in the middle of asking
    fcntl.flock(asker, fcntl.LOCK_SH)
    assert not runner_alive(tmp_path)
    os.close(asker)
    os.close(acquire_runner_lock(tmp_path))


def test_no_file_that_is_deleted_lets_a_second_runner_in(tmp_path):
    handle = acquire_runner_lock(tmp_path)
    for file in tmp_path.iterdir():
        file.unlink()
    assert runner_alive(tmp_path) and acquire_runner_lock(tmp_path, patience=0.05) is None
    os.close(handle)


def test_for_a_block(tmp_path):
    with runner_lock(tmp_path, patience=1) as held:
        assert held and runner_alive(tmp_path)
        with runner_lock(tmp_path, patience=0.05) as second:
            assert not second
    assert not runner_alive(tmp_path)
