"""The check that classes from a file go with labels that are known: else its rows, or its classes, stand in another
order, or it is about other images."""

import numpy as np

from attribution.errors import UserError

#: classes that chance would get right this often are in another order, or of other images
MAX_CHANCE = 0.01


def check_agreement(
    file: str,
    found: np.ndarray,
    labels: np.ndarray,
    classes: list[str],
    *,
    what: str = "validation",
    verb: str = "is right on",
    columns: bool = True,
    matched: bool = False,
) -> float:
    """The share of images whose class in `file` is their label. Raises UserError where that is no more than chance.

    found, labels: int [n], the class that the file gives each image, and its label. For people: what, which images;
    verb, what agreeing means; columns, whether the file has a column for each class, else numbers; matched, whether it
    names its images.
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.stats import binom

    n, count = len(labels), len(classes)
    right = int((found == labels).sum())
    share = right / n
    chance = float(np.prod([np.bincount(values, minlength=count) / n for values in (found, labels)], axis=0).sum())
    if binom.sf(right - 1, n, chance) < MAX_CHANCE:
        return share
    orders = "rows and columns are" if columns else "rows and classes are"
    if np.square(np.bincount(labels) / n).sum() ** n >= MAX_CHANCE:  # it would be, if all were right
        raise UserError(
            f"{file} {verb} {right:,} of {n:,} {what} images, too few, or too much of one class, to "
            f"tell whether its {orders} in order; look at them, and keep it with --force if they are"
        )
    table = np.zeros((count, count))
    np.add.at(table, (found, labels), 1)
    renamed = table[linear_sum_assignment(-table)].sum() / n
    order = f"{', '.join(classes[:6])}{', ...' if count > 6 else ''}"
    if renamed < 0.5 * (1 + chance):
        table_too = "" if matched else ", or a table that names them"
        advice = f"bring the rows in the order of the {what} images{table_too}"
    elif columns:
        advice = f"with its columns in another order it would be right on {renamed:.1%}: bring them in the order "
        advice += order
    else:
        advice = f"with other numbers for its classes it would agree on {renamed:.1%}: number them from 0 as {order}"
    raise UserError(
        f"{file} {verb} {share:.1%} of the {what} images, and chance alone on {chance:.1%}; {advice}, or keep it as it "
        "is with --force"
    )
