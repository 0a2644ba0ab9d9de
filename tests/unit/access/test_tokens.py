"""The token is its owner's alone, outlives the server, and a code stands for it once."""

import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from attribution.access import tokens
from attribution.errors import UserError


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def permissions(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_token_is_kept_across_restarts_and_is_its_owners_alone(data):
    token = tokens.prepare_token(data)
    assert tokens.TOKEN.fullmatch(token)
    assert tokens.prepare_token(data) == tokens.read_token(data) == token
    file = tokens.access_folder(data) / "token"
    assert [permissions(path) for path in (data, file.parent, file)] == [0o700, 0o700, 0o600]
    assert os.listdir(file.parent) == ["token"]


def test_a_token_in_a_shared_data_folder_is_its_owners_alone(data):
    data.mkdir()
    data.chmod(0o777)
    before = os.umask(0)
    try:
        token = tokens.prepare_token(data)
    finally:
        os.umask(before)
    file = tokens.access_folder(data) / "token"
    assert [permissions(path) for path in (file.parent, file)] == [0o700, 0o600]
    assert tokens.prepare_token(data) == token


def test_two_data_folders_have_two_tokens(tmp_path):
    assert tokens.prepare_token(tmp_path / "a") != tokens.prepare_token(tmp_path / "b")


def test_servers_that_start_at_once_agree(data):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(tokens.prepare_token, [data] * 8))
    assert len(set(found)) == 1


def test_a_token_that_others_could_read_is_replaced(data):
    token = tokens.prepare_token(data)
    (tokens.access_folder(data) / "token").chmod(0o640)
    tokens.access_folder(data).chmod(0o755)
    renewed = tokens.prepare_token(data)
    assert renewed != token and tokens.read_token(data) == renewed
    file = tokens.access_folder(data) / "token"
    assert [permissions(path) for path in (file.parent, file)] == [0o700, 0o600]


@pytest.mark.parametrize("content", [b"", b"\n", b"short", b"\xff" * 43, b"a" * 44, b"a" * 10_000])
def test_what_is_no_token_is_never_used(data, content):
    tokens.prepare_token(data)
    file = tokens.access_folder(data) / "token"
    file.write_bytes(content)
    with pytest.raises(UserError, match="there is no token"):
        tokens.read_token(data)
    assert tokens.TOKEN.fullmatch(tokens.prepare_token(data))


def test_a_folder_that_somebody_else_put_there(data, tmp_path):
    data.mkdir()
    tokens.access_folder(data).symlink_to(tmp_path)
    with pytest.raises(UserError, match="not a folder of yours"):
        tokens.prepare_token(data)


def test_a_folder_of_somebody_elses(data, monkeypatch):
    tokens.prepare_token(data)
    folder, owner = tokens.access_folder(data), os.getuid()
    monkeypatch.setattr(tokens, "access_folder", lambda data: folder)
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    with pytest.raises(UserError, match="not a folder of yours"):
        tokens.prepare_token(data)


def test_a_code_is_taken_once(data):
    tokens.prepare_token(data)
    code = tokens.new_code(data).encode()
    assert tokens.spend_code(data, code)
    assert not tokens.spend_code(data, code)


def test_of_many_who_spend_a_code_at_once_one_is_let_in(data):
    tokens.prepare_token(data)
    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            code = tokens.new_code(data).encode()
            assert sum(pool.map(partial(tokens.spend_code, data), [code] * 8)) == 1


def test_a_code_lasts_a_minute(data):
    tokens.prepare_token(data)
    late, forgotten = tokens.new_code(data), tokens.new_code(data)
    for code in (late, forgotten):
        file = tokens._code_file(tokens.access_folder(data), code.encode())
        os.utime(file, times=(time.time() - 61,) * 2)
    assert not tokens.spend_code(data, late.encode())
    tokens.new_code(data)  # and sweeps
    assert len(list(tokens.access_folder(data).glob("*.once"))) == 1


def test_a_code_may_be_asked_to_last_ten_minutes(data):
    tokens.prepare_token(data)
    codes = [tokens.new_code(data, lasts) for lasts in (600, 600, 10**6)]
    for code, age in zip(codes, (590, 610, 610)):
        file = tokens._code_file(tokens.access_folder(data), code.encode())
        assert permissions(file) == 0o600
        os.utime(file, times=(time.time() - age,) * 2)
    assert [tokens.spend_code(data, code.encode()) for code in codes] == [True, False, False]


@pytest.mark.parametrize("content", [b"x", b"-5", b"\xff\xfe", "²".encode(), b"9" * 5000])
def test_how_long_a_code_lasts_is_never_more_than_that(data, content):
    tokens.prepare_token(data)
    code = tokens.new_code(data)
    file = tokens._code_file(tokens.access_folder(data), code.encode())
    file.write_bytes(content)
    os.utime(file, times=(time.time() - 601,) * 2)
    assert not tokens.spend_code(data, code.encode())


def test_a_code_is_not_kept_itself(data):
    tokens.prepare_token(data)
    code = tokens.new_code(data)
    (file,) = tokens.access_folder(data).glob("*.once")
    assert code not in file.name and file.read_bytes() == b"" and permissions(file) == 0o600


@pytest.mark.parametrize("code", [b"", b"token", b"../token", b"\x00", "é".encode(), b"a" * 10_000])
def test_what_is_no_code(data, code):
    token = tokens.prepare_token(data)
    assert not tokens.spend_code(data, code)
    assert tokens.read_token(data) == token


def test_a_parameter_is_added_to_an_address():
    assert tokens.add_parameter("http://h/", "token", "x-_") == "http://h/?token=x-_"
    assert tokens.add_parameter("http://h/?k=3", "once", "x") == "http://h/?k=3&once=x"
