"""The notebooks in docs/notebooks run in a real kernel, and what goes wrong in one is a sentence."""

from pathlib import Path

import nbclient
import nbformat
import pytest

from tests import tiny

ROOT = Path(__file__).resolve().parents[3]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


@pytest.fixture(autouse=True)
def kernel_environment(monkeypatch, tmp_path):
    """Kernels find this checkout, and keep results in a folder of their own."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))


def executed(notebook, **options):
    """The notebook, run in a kernel of its own."""
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", **options).execute()
    return notebook


def of_kind(cell, kind: str) -> list:
    return [output for output in cell.outputs if output.output_type == kind]


def test_there_are_three():
    assert len(NOTEBOOKS) == 3


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_saved_without_outputs_and_runs(path):
    notebook = nbformat.read(path, nbformat.current_nbformat)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not [cell for cell in code if cell.outputs or cell.execution_count]
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    executed(notebook)
    pictures = [
        output.data["text/html"] for cell in code for output in cell.outputs if "text/html" in output.get("data", {})
    ]
    assert any("data:image/png;base64," in picture for picture in pictures)
    assert not [output for cell in code for output in of_kind(cell, "error")]


def test_what_a_kernel_shows(tmp_path):
    ws = tiny.write(tmp_path / "w")
    cells = [
        f"import numpy as np\nimport attribution as lineup\nw = lineup.open({str(ws.path)!r}).workspace\n"
        "train, val = (np.array(w.train_images), w.train_labels), (np.array(w.val_images), w.val_labels)\n"
        "S = np.where(train[1] == val[1][:, None], 1, -1) / (1 + np.arange(len(train[1])))",
        "lineup.show(train, val, scores={'mine': S})",
        "ws = lineup.show(train, val, scores={'mine': S}, sign='helpful', height=321)",
        "ws",
        "ws.lineup(1)",
        "ws.top(1, 'mine', k=3)",
        "ws.ranking('mine')",
        "ws.stop()\nws.show(serve=False)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    _, wrong, shown, opened, lineup, top, ranking, still = executed(notebook, allow_errors=True).cells
    (error,) = of_kind(wrong, "error")
    assert error.ename == "UserError" and len(error.traceback) == 1
    assert error.traceback[0].startswith("UserError: mine does not say what a positive score means")
    said = "".join(output.text for output in of_kind(shown, "stream"))
    assert "Lineup is at http://127.0.0.1:" in said and "&once=" in said and "token=" not in said
    (frame,) = of_kind(shown, "display_data")
    html = frame.data["text/html"]
    assert "<iframe" in html and 'height="321"' in html and "data:image/png;base64," in html and "token=" not in html
    assert "mine, helpful:" in frame.data["text/plain"]
    for cell in (opened, lineup, top, ranking):
        (result,) = of_kind(cell, "execute_result")
        assert "mine" in result.data["text/plain"] and result.data["text/html"]
    (picture,) = of_kind(still, "display_data")
    assert "<iframe" not in picture.data["text/html"] and "data:image/png;base64," in picture.data["text/html"]
