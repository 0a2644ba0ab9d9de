"""A workspace whose map is drawn."""

import pytest

from attribution import Workspace
from attribution.features import projection


@pytest.fixture
def drawn(ws):
    projection.save(ws, projection.project(ws, "moco", "pca"), {"command": "x"})
    return Workspace.open(ws.path)
