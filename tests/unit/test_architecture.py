"""docs/architecture.md is true: every file and function that it names exists, and so does every document that the code
names."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()


@cache
def definitions(path: Path) -> dict[str, ast.AST]:
    """What a file defines: functions, classes, their methods as Class.method, and constants."""
    named = {}

    def visit(body, prefix=""):
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                named[prefix + node.name] = node
            if isinstance(node, ast.ClassDef):
                visit(node.body, f"{node.name}.")
            for target in getattr(node, "targets", []):
                if isinstance(target, ast.Name):
                    named[prefix + target.id] = node

    visit(ast.parse(path.read_text()).body)
    return named


def places() -> list[tuple[str, str]]:
    """(file, name) of each `file: name`; of each bare `name` after it in the same paragraph, with that file."""
    pairs = []
    for paragraph in re.split(r"\n(?=\n|\d\. |\| )", PAGE.split("\n## ", 1)[1]):
        file = None
        for text in re.findall(r"`([^`]+)`", paragraph.replace("\n   ", " ").replace("\n", " ")):
            if match := re.fullmatch(r"(\S+\.py): (\S+)", text):
                file = match[1]
                pairs.append((file, match[2]))
            elif file and re.fullmatch(r"[A-Z]\w+(\.\w+)?|[a-z]\w*_\w+", text):
                pairs.append((file, text))
    return pairs


@pytest.mark.parametrize(("file", "name"), places())
def test_the_function_is_there(file, name):
    assert name in definitions(ROOT / file)


def test_there_are_ten_questions():
    rows = [line for line in PAGE.split("## Ten questions")[1].splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 10 and all(".py: " in row for row in rows)


def test_the_map_has_the_layers_of_the_library_in_their_order():
    drawn = [name.removesuffix("/").removesuffix(".py") for name in re.findall(r"^  (\w+(?:/|\.py)) ", PAGE, re.M)]
    layers = definitions(ROOT / "tests" / "unit" / "test_walls.py")["LAYERS"]
    assert ["__main__", *drawn] == list(ast.literal_eval(layers.value))


def named_documents() -> list[tuple[str, str]]:
    """(file, document) of every Markdown file that code, scripts or tests name."""
    files = [
        path
        for folder in ("attribution", "pages", "tests", "assets")
        for ending in ("*.py", "*.js", "*.css", "*.html")
        for path in sorted((ROOT / folder).rglob(ending))
    ]
    files += [ROOT / name for name in ("app.py", "Makefile", "pyproject.toml")]
    own = {Path(__file__).resolve(), ROOT / "tests" / "unit" / "test_docs.py"}
    return [
        (str(path.relative_to(ROOT)), name)
        for path in files
        if path.resolve() not in own
        for name in re.findall(r"[\w./-]*\w\.md\b", path.read_text())
    ]


def test_every_document_that_the_code_names_is_there():
    assert [pair for pair in named_documents() if not (ROOT / pair[1]).exists()] == []
