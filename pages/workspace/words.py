"""The texts of the Workspace page: tables of what is loaded, and the words of a command."""

from attribution import UserError, Workspace
from attribution.files import user_path
from attribution.importing import alignment
from attribution.runner.commands import Command
from attribution.workspace import image_check
from pages.ui import format as write


def images_text(ws: Workspace) -> str:
    """What there is to say of when the images were recorded, or ""."""
    try:
        return image_check.recorded_text(image_check.check_images(ws, image_check.QUICK))
    except UserError as error:
        return str(error)


def ranking_rows(ws: Workspace) -> list[dict]:
    """A row for each stored ranking."""
    rows = []
    for part, provenance in _parts_of(ws, "rankings/"):
        name, made_for = part.split("/")[1], provenance.get("made_for") or {}
        check = provenance.get("alignment") or alignment.check_alignment(ws.ranking(name)).to_json()
        rows.append(
            {
                "ranking": name,
                "method": provenance.get("method", name),
                "signed": "yes" if provenance.get("signed") else "no",
                "first image of the target's class": f"{check['top1_same_class']:.0%} (chance {check['chance']:.0%})",
                "made for": " ".join(filter(None, [made_for.get("recipe"), made_for.get("hash")])) or "unknown",
                "from": provenance.get("file") or provenance.get("command", "unknown"),
                "made": provenance.get("made", ""),
                "seconds": provenance.get("seconds"),
                "MiB": size_mib(provenance),
            }
        )
    return rows


def feature_rows(ws: Workspace) -> list[dict]:
    """A row for each feature set."""
    return [
        {
            "features": part.split("/")[1],
            "dimensions": provenance.get("dim"),
            "kNN accuracy": f"{provenance['knn_accuracy']:.1%}" if provenance.get("knn_accuracy") else "not measured",
            "measured on": provenance.get("measured_on", ""),
            "from": provenance.get("file") or provenance.get("command", "unknown"),
            "made": provenance.get("made", ""),
            "seconds": provenance.get("seconds"),
            "MiB": size_mib(provenance),
        }
        for part, provenance in _parts_of(ws, "features/")
    ]


def detector_rows(ws: Workspace) -> list[dict]:
    """A row for each stored detector of mislabeled images."""
    return [
        {
            "detector": part.split("/")[1],
            "rests on": provenance.get("about", ""),
            "validation images": "first half" if provenance.get("uses_val") else "none",
            "from": provenance.get("command", "unknown"),
            "made": provenance.get("made", ""),
            "seconds": provenance.get("seconds"),
            "MiB": size_mib(provenance),
        }
        for part, provenance in _parts_of(ws, "detectors/")
    ]


def live_rankings_text(ws: Workspace) -> str:
    """One sentence on the rankings that are computed when asked: each method, and the features it is of."""
    by_method: dict[str, list[str]] = {}
    for name in ws.rankings():
        if ws.ranking(name).live:
            method, _, feature = name.partition("-")
            by_method.setdefault(method, []).append(feature)
    by_features: dict[str, list[str]] = {}
    for method, features in by_method.items():
        by_features.setdefault(", ".join(filter(None, features)), []).append(method)
    return (
        "Computed when asked: "
        + "; ".join(
            ", ".join(methods) + (f", each of {features}" if features else "")
            for features, methods in by_features.items()
        )
        + "."
    )


def models_text(ws: Workspace) -> str:
    """One sentence on the base models and the held-out halves."""
    base, lds = (ws.manifest["parts"].get(part) for part in ("base", "lds"))
    base_text = "No base models yet: nothing is known of predictions"
    if base:
        accuracy = f", {base['accuracy']:.1%} on {base['measured_on']}" if base.get("accuracy") else ""
        base_text = (
            f"{len(base['seeds'])} base models of recipe {base['recipe']} {base['hash']}{accuracy}, "
            f"{base['seconds']} s each"
        )
    held = (
        f"{lds['masks']} held-out halves with {len(lds['seeds'])} seeds each judge rankings by LDS"
        if lds
        else "no held-out halves, so no LDS"
    )
    return f"{base_text}; {held}."


def alignment_warnings(ws: Workspace) -> list[str]:
    """One sentence for each ranking that did not pass the alignment check."""
    return [
        f"{part.split('/')[1]}: {provenance['alignment']['warning']}"
        for part, provenance in _parts_of(ws, "rankings/")
        if provenance.get("alignment", {}).get("warning")
    ]


def user_parts(ws: Workspace) -> list[str]:
    """The rankings, feature sets and detectors that a user brought, as parts."""
    return [
        part
        for kind in ("rankings/", "features/", "detectors/")
        for part, provenance in _parts_of(ws, kind)
        if provenance.get("file") or "home" in provenance
    ]


def size_mib(provenance: dict) -> float:
    """Mebibytes of a part's files."""
    return round(sum(provenance.get("files", {}).values()) / 2**20, 1)


def import_words(fields: dict) -> list[str]:
    """The words of an import: {"format", "path", "name"} and what was declared, None or "" where nothing was."""
    words = ["import", fields["format"], str(user_path(fields["path"])), "--name", fields["name"]]
    for option in ("orientation", "sign", "index_base", "targets", "train", "part"):
        if fields.get(option) not in (None, ""):
            words += [f"--{option.replace('_', '-')}", str(fields[option])]
    words += {"whole": ["--dense"], "first": ["--top-only"]}.get(fields.get("keep"), [])
    return words + (["--force"] if fields.get("force") else [])


def command_text(command: Command) -> str:
    """A command and its state, in a line of markdown."""
    what = " ".join(
        command.words[: command.words.index("--workspace")] if "--workspace" in command.words else command.words
    )
    end = {
        "running": "running",
        "done": "done",
        "failed": "failed",
        "cancelled": "cancelled",
        "lost": "gone without a word; start it again",
    }[command.state]
    message = f": {command.message}" if command.message and command.state in ("done", "failed") else ""
    return write.plain(f"{what} · {end}, {write.seconds(command.seconds)}{message}")


def _parts_of(ws: Workspace, prefix: str) -> list[tuple[str, dict]]:
    return sorted((part, provenance) for part, provenance in ws.manifest["parts"].items() if part.startswith(prefix))
