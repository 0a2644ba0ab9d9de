"""A group of validation images and what an edit did to it, in sentences: for the page and the command line."""

from attribution.explore.groups import MIN_CHECKED
from attribution.export.numbers import mean_ci, number


def group_sentences(answer: dict) -> list[str]:
    """Which images a group is, which of them are read, and how they are ranked."""
    members, ranking, read = answer["members"], answer["ranking"], len(answer["read"])
    lines = [
        f"{answer['group']}: {_counted(members, 'validation image')} {answer['about']} under {answer['recipe']} "
        f"{answer['recipe_hash']}, {answer['errors']} of them wrong."
    ]
    if answer["checked"]:
        lines.append(
            f"Influence is read from {read} of them, and the other {len(answer['judged'])} judge (halves drawn by seed "
            f"{answer['seed']})."
        )
    else:
        lines.append(
            f"Fewer than {MIN_CHECKED} are too few to check: influence is read from all of them, and all judge, "
            "which flatters the edit."
        )
    if answer["ranked"] < read:
        lines.append(f"{ranking} ranks {answer['ranked']} of the {read} that are read.")
    images = _counted(answer["listed"], "training image")
    if answer["by"] == "difference":
        more, less = (ranking, answer["against"])[:: 1 if answer["end"] == "helpful" else -1]
        lines.append(
            f"The members' scores by {more} less those by {less}, each sum in units of its standard deviation over the "
            f"training images: {images} above 0."
        )
    else:
        by = (
            "sum of the members' scores"
            if answer["by"] == "sum"
            else "mean rank, since it keeps its first images alone"
        )
        lines.append(f"{ranking}, {answer['end']} end, by the {by}: {images}.")
    if answer["heuristic"]:
        lines.append(
            "Its scores have no sign: images of the class that each member is mistaken for stand for harmful ones, a "
            "heuristic."
        )
    return lines


def edit_sentences(answer: dict, k: int) -> list[str]:
    """What an edit did to the group, to the half that influence was read from, and to the rest."""
    edit = answer["edit"]
    judged, read, rest = edit["judged"], edit["read"], edit["rest"]
    classes = ", ".join(f"{count} {label}" for label, count in edit["classes"].items())
    images = f"{'this' if edit['k'] == 1 else 'these'} {_counted(edit['k'], 'training image')}"
    what = "Without" if edit["label"] is None else f"With the label {edit['label']} on"
    edited = f"{what} {images} ({classes})"
    where = f"{answer['group']} " + ("in the half that judges " * answer["checked"])
    lines = [f"Only {_counted(edit['k'], 'image')} of the {k} asked for can be edited."] * (edit["k"] < k) + [
        f"{edited} {where}{_moved(judged)}; the others change by {rest['net']:+d}.",
        f"Random edits of the same classes ({edit['draws']} draws) leave {_range(judged['control'])} errors; by these "
        f"the others change by {_range(rest['control'], sign=True)}.",
        f"Error rate {mean_ci(judged['error_rate'], 100, 1, True)} points, compared with random edits "
        f"{mean_ci(judged['error_rate_difference'], 100, 1, True)}; mean margin "
        f"{mean_ci(judged['margin'], 1, 2, True)}, compared with random edits "
        f"{mean_ci(judged['margin_difference'], 1, 2, True)} (95 % over {_counted(judged['n'], 'member')}).",
        f"The other {rest['n']:,} validation images: {rest['newly_wrong']} newly wrong, {rest['newly_right']} newly "
        "right.",
    ]
    if len(edit["seeds"]) > 1:
        lines.append(f"Margins are means over {len(edit['seeds'])} seeds; an error is a mean margin below 0.")
    if answer["checked"]:
        lines.append(
            f"The half that influence was read from {_moved(read)}; random edits leave {_range(read['control'])}."
        )
    return lines


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'s' * (n != 1)}"


def _moved(row: dict) -> str:
    before, after = row["before"], row["after"]
    if before == after:
        return f"stays at {_counted(after, 'error')}"
    return f"{'falls' if after < before else 'rises'} from {before} to {_counted(after, 'error')}"


def _range(row: dict, sign: bool = False) -> str:
    plus = "+" if sign else ""
    return f"{number(row['mean'], 1, sign)} ({row['low']:{plus}d} to {row['high']:{plus}d})"
