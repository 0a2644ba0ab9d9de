"""What the README says can be done, can be done: its commands, options, tasks and files exist."""

import json
import re
import shlex
from functools import cache
from pathlib import Path

import pytest

from attribution import Workspace
from attribution.evaluation import calibration, label_errors, lds_vs_compute, lds_vs_support, support_report
from attribution.experiments.study import Study, load_supports
from attribution.experiments.support_search import DEFAULT_K_MAX
from attribution.metrics import support_curves

ROOT = Path(__file__).resolve().parents[2]
FIRST = (ROOT / "README.md").read_text()
#: with the figures, which are in a file of their own
README = FIRST + (ROOT / "assets" / "results" / "README.md").read_text()
#: Paths that a reader supplies or that a command makes.
NOT_OURS = re.compile(r"[<>*~$]|^/|\.\.\.|://|^mailto:|^\.venv|^\.\w+$")


def code() -> list[str]:
    """Every command line in the README: the lines of its fenced blocks and what stands in backticks."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", README, re.M | re.S)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", README, flags=re.M | re.S))
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [re.sub(r"\s#.*", "", line).strip().removeprefix("$ ") for line in [*lines, *inline]]


def commands(program: str) -> list[str]:
    """The README's command lines that start with `program`, without variables set in front of them."""
    bare = [re.sub(r"^(?:[A-Z_]+=\S*\s+)*(?:\.venv/bin/)?", "", line) for line in code()]
    return sorted({line for line in bare if line == program or line.startswith(f"{program} ")})


@cache
def targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))


def test_the_two_commands_come_first():
    opening = FIRST.split("\n## ")[0]
    assert "![" in opening and "make run" in opening and "make test" in opening


@pytest.mark.parametrize("line", commands("make"))
def test_make_has_the_task(line):
    words = [word for word in shlex.split(line)[1:] if "=" not in word]
    assert set(words) <= targets()
    variables = {word.split("=")[0] for word in shlex.split(line)[1:] if "=" in word}
    assert variables <= set(re.findall(r"^([A-Z]+) \?=", (ROOT / "Makefile").read_text(), re.M))


@pytest.mark.parametrize("line", commands("python -m attribution"))
def test_the_command_line_has_the_verb_and_its_options(line, run_python):
    words = shlex.split(line)[3:]
    verb = []
    for word in words:  # verbs come first: `evaluate supports --json`, `features train moco`
        if not re.fullmatch(r"[a-z][a-z-]*", word):
            break
        verb.append(word)
    while True:  # what follows the verb may be an argument: try the longest first
        done = run_python("-m", "attribution", *verb, "--help", TERMINAL_WIDTH="200", NO_COLOR="1")
        if done.code == 0 or not verb:
            break
        verb.pop()
    assert done.code == 0, done.err
    left = words[len(verb) :]
    group = "COMMAND [ARGS]" in done.out  # whose next word has to be one of its verbs
    assert not group or not left or left[0].startswith("-"), f"python -m attribution {' '.join(verb)} has no {left[0]}"
    for option in (word.split("=")[0] for word in words if word.startswith("--")):
        assert re.search(rf"{option}\b", done.out), f"{' '.join(verb)} has no {option}"


@pytest.mark.parametrize("line", commands("python -m attribution.serve"))
def test_the_server_has_the_options(line, run_python):
    done = run_python("-m", "attribution.serve", "--help")
    assert all(word in done.out for word in shlex.split(line)[3:] if word.startswith("--"))


def files() -> list[str]:
    """Paths named in the README: link and picture targets, and what looks like a path in backticks or in commands."""
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", README)]
    words = [word.strip("`'\"(),;:") for line in code() for word in line.split()]
    endings = r"\.(py|md|txt|toml|json|png|js|css|parquet|npy)$"
    paths = [word for word in words if re.search(endings, word) or re.fullmatch(r"\.?[\w.-]+(/[\w.-]*)+", word)]
    return sorted({path for path in [*links, *paths] if path and not NOT_OURS.search(path)})


@pytest.mark.parametrize("path", files())
def test_the_file_exists(path):
    """As written, or as the architecture's tree and the words about a workspace shorten it."""
    assert any((folder / path).exists() for folder in (ROOT, ROOT / "attribution", ROOT / "assets" / "demo"))


def test_every_requirements_file_and_task_is_documented():
    assert [task for task in targets() - {"help"} if f"make {task}" not in README] == []
    assert [file.name for file in ROOT.glob("requirements*.txt") if file.name not in README] == []


def figures() -> list[str]:
    """The rows of the tables that the bundled demo alone decides."""
    ws = Workspace.open()
    parts = ws.manifest["parts"]
    rows = [f"| `{name}` | {100 * parts[f'features/{name}']['knn_accuracy']:.1f} % |" for name in ws.features()]
    lds = json.loads((ws.path / "lds" / "lds.json").read_text())
    rows += [
        f"| `{name}` | {one['lds']:.3f} ({one['ci'][0]:.3f} to {one['ci'][1]:.3f}) |"
        for name, one in lds["rankings"].items()
    ]
    found = support_report.evaluate_study(Study(DEFAULT_K_MAX, "default", load_supports(ws)))
    for name in found["remove"]["rankings"]:
        kinds = (found[kind]["rankings"][name] for kind in ("remove", "mislabel"))
        rows.append(f"| `{name}` | " + " | ".join(map(support_cells, kinds)) + " |")
    for name, results in load_supports(ws, protocol="adaptive")["remove"].items():
        rows.append(
            f"| `{name}` | adaptive | {support_cells(support_curves.summarise_supports(results.values(), DEFAULT_K_MAX))} |"
        )
    for name, one in label_errors.compute(ws)["detectors"].items():
        found = ", ".join(f"{100 * share:.0f}" for share in one["found_at"].values())
        rows.append(f"| `{name}` | {one['auc']:.3f} | {one['average_precision']:.3f} | {found} % |")
    told = lds_vs_support.report(
        ws, study := Study(DEFAULT_K_MAX, "default", load_supports(ws)), lds_vs_support.load(ws)
    )
    for name in study.tables["remove"]:
        kinds = (told["kinds"][kind]["rankings"][name] for kind in ("remove", "mislabel"))
        rows.append(f"| `{name}` | " + " | ".join(map(relation_cells, kinds)) + " |")
    for name, groups in calibration.report(ws, calibration.load(ws))["rankings"].items():
        rows += [
            f"| `{name}`, {calibration.ORIGINS[whose]} | {calibration_cells(one)} |" for whose, one in groups.items()
        ]
    sizes: dict[str, int] = {}
    for part, about in parts.items():
        name = part.split("/")[0] if part.startswith(("detectors/", "hubs/", "map/")) else part
        name = "variants of compute" if part.endswith(lds_vs_compute.VARIANT_SUFFIX) else name
        sizes[name] = sizes.get(name, 0) + sum(about["files"].values())
    return rows + [f"| {name} | {size:,} |" for name, size in sizes.items() if size]


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
    assert row in README.splitlines()
