"""What the documents say can be done, can be done: their commands, options, tasks, files and figures exist."""

import json
import re
import shlex
import tempfile
from functools import cache
from pathlib import Path

import pytest
from typer.main import get_command

from attribution import Workspace, demo
from attribution.__main__ import app
from attribution.evaluation import (
    adaptive_supports,
    calibration,
    label_errors,
    lds_report,
    lds_vs_compute,
    lds_vs_support,
    support_report,
    support_transfer,
)
from attribution.experiments.study import Study, load_supports
from attribution.experiments.support_search import DEFAULT_K_MAX
from attribution.metrics import support_curves

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
RESULTS = (ROOT / "assets" / "results" / "README.md").read_text()
#: the how-tos are followed step by step in test_how_to.py
DOCUMENTS = [
    *(path for path in (ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")) if path.exists()),
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "assets" / "results" / "README.md",
]
HOW_TO = sorted((ROOT / "docs" / "how_to").glob("*.md"))
#: Paths that a reader supplies or that a command makes.
NOT_OURS = re.compile(r"[<>*~$…]|^/|\.\.\.|://|^mailto:|^\.venv|^\.\w+$")
#: Folders that paths in the documents are relative to: as written, or as words about the library, a workspace, or
#: the CIFAR-10 results shorten them.
FOLDERS = [ROOT, ROOT / "attribution", ROOT / "assets" / "demo"]
MADE = {
    "train.py",
    "model.py",
    "command.py",
    "job.json",
    "config.json",
    "info.json",
    "preprocessor_config.json",
    "features/NAME",
    "val_logits.npy",
    "rankings/my-trak",
    "rankings/my-scores",
    "train.npy",
    "val.npy",
    "scores.npy",
    "trak.parquet",
    "detectors/my-net",
    "fiftyone_tags.json",
    "samples.json",
}


def code(path: Path, inline: bool = True) -> list[str]:
    """Every command line in a document: the lines of its fenced blocks and, with `inline`, what stands in backticks."""
    text = path.read_text()
    blocks = re.findall(r"^```\w*( \S+)?\n(.*?)^```", text, re.M | re.S)  # with a name: a file that a how-to writes
    lines = "\n".join(block for name, block in blocks if not name).replace("\\\n", " ").splitlines()
    if inline:
        lines += re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))
    return [re.sub(r"\s#.*", "", line).strip().removeprefix("$ ") for line in lines]


def commands(program: str, inline: bool = True) -> list[str]:
    """The documents' command lines that start with `program`, without variables set in front of them."""
    lines = [line for path in DOCUMENTS for line in code(path, inline)]
    bare = [re.sub(r"^(?:[A-Z_]+=\S*\s+)*(?:\.venv/bin/)?", "", line) for line in lines]
    return sorted({line for line in bare if line == program or line.startswith(f"{program} ")})


@cache
def tasks() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))


def leaf(words: list[str]) -> tuple:
    """The command that `words` lead to (a group, where they stop there), its words, and those left."""
    command, verb = get_command(app), []
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        names = [name for name in (" ".join(words[:2]), words[0]) if name in command.commands]  # one may have two words
        assert names, f"{' '.join(['python -m attribution', *verb])} has no {words[0]}"
        command, verb, words = command.commands[names[0]], [*verb, names[0]], words[len(names[0].split()) :]
    return command, verb, words


def all_commands(command, verb: tuple = ()) -> list[str]:
    if not hasattr(command, "commands"):
        return [" ".join(verb)]
    return [name for word, inner in command.commands.items() for name in all_commands(inner, (*verb, word))]


def test_the_two_commands_come_first():
    opening = README.split("\n## ")[0]
    assert "![" in opening and "make run" in opening and "make test" in opening


@pytest.mark.parametrize("line", commands("make"))
def test_make_has_the_task(line):
    words = [word for word in shlex.split(line)[1:] if "=" not in word]
    assert set(words) <= tasks()
    variables = {word.split("=")[0] for word in shlex.split(line)[1:] if "=" in word}
    assert variables <= set(re.findall(r"^([A-Z]+) \?=", (ROOT / "Makefile").read_text(), re.M))


@pytest.mark.parametrize("line", commands("python -m attribution"))
def test_the_command_line_has_the_command_and_its_options(line):
    command, verb, words = leaf(shlex.split(line)[3:])
    options = {option for one in command.params for option in (*one.opts, *one.secondary_opts)} | {"--help"}
    for option in (word.split("=")[0] for word in words if word.startswith("-")):
        assert option in options, f"{' '.join(verb)} has no {option}"


@pytest.mark.parametrize("line", commands("python -m attribution", False))
def test_a_command_in_a_block_can_be_run_as_it_stands(line):
    """Its arguments are complete and of the right type; what they name may be on the reader's machine only."""
    command, verb, words = leaf(shlex.split(line)[3:])
    if "--workspace" in words:  # opened while it is parsed
        at = words.index("--workspace")
        words = words[:at] + words[at + 2 :]
    words = ["demo-cnn" if re.fullmatch(r"[\w/.]+\.py:\w+", word) else word for word in words]  # read when it is parsed
    command.make_context(" ".join(verb), list(words))


def test_every_command_is_documented():
    documented = {" ".join(leaf(shlex.split(line)[3:])[1]) for line in commands("python -m attribution")}
    assert [name for name in all_commands(get_command(app)) if name not in documented] == []


@pytest.mark.parametrize("line", commands("python -m attribution.serve"))
def test_the_server_has_the_options(line, run_python):
    done = run_python("-m", "attribution.serve", "--help")
    assert all(word in done.out for word in shlex.split(line)[3:] if word.startswith("--"))


def files(path: Path) -> list[str]:
    """Paths that a document names: link and picture targets, and what looks like a path in backticks or commands."""
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text())]
    words = [word.strip("`'\"(),;:") for line in code(path) for word in line.split()]
    endings = r"\.(py|md|txt|toml|json|png|js|css|parquet|npy)$"
    paths = [word for word in words if re.search(endings, word) or re.fullmatch(r"\.?[\w.-]+(/[\w.-]*)+", word)]
    if path.name == "CHANGELOG.md":  # which says where things were before
        paths = []
    written = set(re.findall(r"^```\w+ (\S+)$", path.read_text(), re.M))  # by who follows the page
    return sorted({name for name in [*links, *paths] if name and not NOT_OURS.search(name)} - MADE - written)


@pytest.mark.parametrize(
    ("document", "name"),
    [(path.relative_to(ROOT), name) for path in [*DOCUMENTS, *HOW_TO] for name in files(path)],
    ids=str,
)
def test_the_file_exists(document, name):
    assert any((folder / name).exists() for folder in [(ROOT / document).parent, *FOLDERS])


def test_every_requirements_file_and_task_is_documented():
    text = "".join(path.read_text() for path in DOCUMENTS)
    assert [task for task in tasks() - {"help"} if f"make {task}" not in text] == []
    assert [file.name for file in ROOT.glob("requirements*.txt") if file.name not in text] == []


def figures() -> list[str]:
    """The rows of the tables that the bundled demo alone decides, whatever this machine has added to it."""
    with tempfile.TemporaryDirectory() as data, pytest.MonkeyPatch.context() as patch:
        patch.setenv("LINEUP_DATA", data)
        return bundled_figures(Workspace.open())


def bundled_figures(ws: Workspace) -> list[str]:
    """The rows of the demo `ws`."""
    parts = ws.manifest["parts"]
    rows = [f"| `{name}` | {100 * parts[f'features/{name}']['knn_accuracy']:.1f} % |" for name in ws.features()]
    lds = json.loads((ws.path / "lds" / "lds.json").read_text())
    draws = [lds, *([lds["second_draw"]] if "second_draw" in lds else [])]
    for name in lds["rankings"]:
        cells = (with_ends(draw["rankings"][name]["lds"], draw["rankings"][name]["ci"], 3) for draw in draws)
        rows.append(f"| `{name}` | {' | '.join(cells)} |")
    for name in lds.get("combinations", {}):
        found = [draw["combinations"][name] for draw in draws]
        cells = (f"{with_ends(one['difference'], one['ci'], 3)} over `{one['best']}`" for one in found)
        rows.append(f"| `{name}` | {' | '.join(cells)} |")
    found = support_report.evaluate_study(Study(DEFAULT_K_MAX, "default", load_supports(ws)))
    for name in found["remove"]["rankings"]:
        kinds = (found[kind]["rankings"].get(name) for kind in ("remove", "mislabel"))
        cells = (support_cells(one) if one else "– | – | –" for one in kinds)
        rows.append(f"| `{name}` | " + " | ".join(cells) + " |")
    for kind, told in (("remove", "adaptive"), ("mislabel", "adaptive, mislabelling")):
        for name, results in load_supports(ws, protocol="adaptive").get(kind, {}).items():
            summary = support_curves.summarise_supports(results.values(), DEFAULT_K_MAX)
            rows.append(f"| `{name}` | {told} | {support_cells(summary)} |")
    for name, one in label_errors.compute(ws)["detectors"].items():
        found = ", ".join(f"{100 * share:.0f}" for share in one["found_at"].values())
        rows.append(f"| `{name}` | {one['auc']:.3f} | {one['average_precision']:.3f} | {found} % |")
    told = lds_vs_support.report(
        ws, study := Study(DEFAULT_K_MAX, "default", load_supports(ws)), lds_vs_support.load(ws)
    )
    for name in study.tables["remove"]:
        kinds = (told["kinds"][kind]["rankings"].get(name) for kind in ("remove", "mislabel"))
        cells = (relation_cells(one) if one else "– | – | – | –" for one in kinds)
        rows.append(f"| `{name}` | " + " | ".join(cells) + " |")
    for name, groups in calibration.report(ws, calibration.load(ws))["rankings"].items():
        rows += [
            f"| `{name}`, {calibration.ORIGINS[whose]} | {calibration_cells(one)} |" for whose, one in groups.items()
        ]
    rows += head_rows(ws)
    sizes: dict[str, int] = {}
    for part, about in parts.items():
        name = part.split("/")[0] if part.startswith(("detectors/", "hubs/", "map/")) else part
        name = "variants of compute" if part.endswith(lds_vs_compute.VARIANT_SUFFIX) else name
        sizes[name] = sizes.get(name, 0) + sum(about["files"].values())
    return rows + [f"| {name} | {size:,} |" for name, size in sizes.items() if size]


def head_rows(ws: Workspace) -> list[str]:
    """The rows about heads: both orders, LDS under their own head, and which supports transfer."""
    rows = []
    for name in demo.STUDIED_HEADS:
        orders = adaptive_supports.report(adaptive_supports.load(ws.with_model(name)))["orders"]
        for order, one in orders.items():
            flipped = one["flipped"]
            rows.append(
                f"| `{name}`, {order} | {with_ends(one['auc'], one['auc_ci'], 3)} | {flipped['count']} of "
                f"{flipped['n']} ({percents(flipped['ci'])}) |"
            )
        for one in support_transfer.report(support_transfer.load(ws.with_model(name))):
            flipped, control, fall = one["flipped"], one["control"], one["fall"]
            rows.append(
                f"| `{one['of']}` | `{one['under']}` | `{one['ranking']}` | {flipped['count']} of {one['n']} "
                f"({percents(flipped['ci'])}) | {100 * control['mean']:.1f} % ({percents(control['ci'], 1)}) | "
                f"{with_ends(fall['mean'], fall['ci'], 2)} |"
            )
    under_cnn, own = lds_report.load(ws)["rankings"], lds_report.under_own_heads(ws)
    return rows + [
        f"| `{name}` | {with_ends(under_cnn[name]['lds'], under_cnn[name]['ci'], 3)} | "
        f"{with_ends(one['lds'], one['ci'], 3)} |"
        for name, one in own.items()
    ]


def with_ends(value: float, ends, digits: int) -> str:
    return f"{value:.{digits}f} ({ends[0]:.{digits}f} to {ends[1]:.{digits}f})".replace("-", "−")


def percents(ends, digits: int = 0) -> str:
    low, high = (f"{100 * end:.{digits}f}" for end in ends)
    return f"{low} to {high} %"


def support_cells(one: dict) -> str:
    middle = "> 128" if one["median"] is None else f"{one['median']:g}"
    low, high = one["auc_ci"]
    return f"{one['auc']:.2f} ({low:.2f} to {high:.2f}) | {middle} | {round(one['censored'] * one['n'])} of {one['n']}"


def relation_cells(one: dict) -> str:
    if one["spearman"] is None:
        return f"{one['censored']} of {one['n']} | – | – | –"
    low, high = one["ci"]
    p = "< 0.001" if one["p"] < 0.001 else f"{one['p']:.3f}"
    return (
        f"{one['censored']} of {one['n']} | {one['spearman']:.2f} ({low:.2f} to {high:.2f}) | {p} | "
        f"{one['partial']:.2f}"
    ).replace("-", "−")


def calibration_cells(one: dict) -> str:
    r2, rho, splits = one["r2_ci"], one["spearman_ci"], one["r2_splits"]
    return (
        f"{one['n']} | {one['slope']:.5f} | {one['r2']:.2f} ({r2[0]:.2f} to {r2[1]:.2f}) | "
        f"{splits[0]:.2f} to {splits[1]:.2f} | {one['reachable']:.2f} | "
        f"{one['spearman']:.2f} ({rho[0]:.2f} to {rho[1]:.2f})"
    ).replace("-", "−")


@pytest.mark.parametrize("row", figures())
def test_the_figures_are_those_of_the_bundled_demo(row):
    assert row in RESULTS.splitlines()
