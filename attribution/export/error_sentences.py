"""How many labels are wrong, and whether people agree about them, in sentences: for the page and the command line."""

from attribution.export.numbers import count, duration, estimate, percent

STOP = 1  # errors among the next images, below which going on is hardly worth it
FASTEST = 0.1  # seconds a decision: nobody looks at an image for less


def total_sentence(answer: dict, n: int) -> str:
    """The total of `error_estimate.estimate` of n labels.

    >>> answer = {"total": {"errors": 43.2, "ci": [31.8, 62]}, "found": 20, "drawn": {"wrong": 1, "right": 9}}
    >>> total_sentence(answer, 100).partition(": ")[0]
    'About 43 of 100 labels are wrong (95 % interval 31 to 62)'
    >>> total_sentence(answer, 100).partition(": ")[2]
    '20 found, the rest estimated from 10 random images.'
    """
    total, drawn = answer["total"], sum(answer["drawn"].values())
    if total is None:
        return "How many labels are wrong is not known yet: no random image has been decided."
    low, high = int(total["ci"][0]), -int(-total["ci"][1] // 1)
    sentence = (
        f"About {count(round(total['errors']))} of {count(n)} labels are wrong (95 % interval {count(low)} to "
        f"{count(high)}): {count(answer['found'])} found"
    )
    images = "1 random image" if drawn == 1 else f"{count(drawn)} random images"
    return f"{sentence}, the rest estimated from {images}." if drawn else f"{sentence}, and every label was looked at."


def next_sentence(answer: dict) -> str:
    """What comes next, and whether to go on, of `error_estimate.estimate`; "" where that is not known.

    >>> next_sentence({"next": {"ahead": 100, "errors": 3.1, "ci": [1, 7], "seconds": 4.0}})
    'The next 100 suspects hold about 3 errors (1 to 7); at your 4.0 s an image that is 2 min 9 s an error.'
    """
    ahead = answer["next"]
    if ahead is None:
        return ""
    low, high = ahead["ci"]
    if ahead["errors"] < STOP:
        return f"The next {ahead['ahead']} suspects hold less than one error ({low} to {high}): you can stop here."
    number = round(ahead["errors"])
    sentence = (
        f"The next {ahead['ahead']} suspects hold about {number} error{'s' if number > 1 else ''} ({low} to {high})"
    )
    if (ahead["seconds"] or 0) < FASTEST:
        return f"{sentence}."
    each = duration(ahead["ahead"] * ahead["seconds"] / ahead["errors"])
    return f"{sentence}; at your {duration(ahead['seconds'])} an image that is {each} an error."


def suggestion_sentence(answer: dict) -> str:
    """How often the suggested label was right, of `error_estimate.estimate`; "" before any image is relabelled."""
    suggested = answer["suggestions"]
    if not suggested["n"]:
        return ""
    low, high = suggested["ci"]
    return (
        f"Suggestions were right for {count(suggested['count'])} of {count(suggested['n'])} relabelled images: "
        f"{percent(suggested['share'], 0)} (95 % interval {100 * low:.0f} to {100 * high:.0f} %)."
    )


def guess_sentence(errors: float, n: int) -> str:
    """What models guess before anybody has looked.

    >>> guess_sentence(371.2, 5000)
    'A first guess by a model: about 371 of 5,000 labels are wrong. It can be far off.'
    """
    return f"A first guess by a model: about {count(round(errors))} of {count(n)} labels are wrong. It can be far off."


def people_sentence(row: dict) -> str:
    """Whether two people agree: a row of `people.agreement`.

    >>> people_sentence({"people": ["Ann", "Ben"], "images": 20, "same": 0.8, "kappa": 0.583, "ci": [0.2, 0.9]})
    "Ann and Ben both decided 20 images, 80 % alike: Cohen's kappa 0.58 (95 % interval 0.20 to 0.90)."
    >>> people_sentence({"people": ["Ann", "Ben"], "images": 20, "same": 1.0, "kappa": None, "ci": None})
    'Ann and Ben both decided 20 images, all with one and the same answer, which says nothing of chance.'
    """
    first, second = row["people"]
    both = f"{first} and {second} both decided {count(row['images'])} images"
    if row["kappa"] is None:
        return f"{both}, all with one and the same answer, which says nothing of chance."
    kappa = estimate(row["kappa"], row["ci"], 2).replace("(", "(95 % interval ")
    return f"{both}, {percent(row['same'], 0)} alike: Cohen's kappa {kappa}."
