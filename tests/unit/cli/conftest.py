"""The workspace and the runner that the tests of one file share."""

import pytest

from tests import tiny


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A tiny workspace (the default one here) and a data folder; the runner it may start has one worker."""
    folder = tmp_path_factory.mktemp("cli")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LINEUP_DATA", str(folder / "data"))
        patch.setenv("LINEUP_WORKSPACE", str(folder / "tiny"))
        patch.setenv("LINEUP_WORKERS", "1")
        patch.setenv("LINEUP_IDLE", "15")
        yield tiny.write(folder / "tiny")
