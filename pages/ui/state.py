"""Names of everything kept in `st.session_state`; pages read and set it by these names only."""

from collections.abc import Callable, Collection, Mapping

import streamlit as st

from attribution import UserError
from pages.ui import format as write
from pages.ui import link

# Bound to the address bar under the same names: what a shared link restores.
TARGET = "target"
RANKINGS = "rankings"
K = "k"
END = "end"
EXPLAIN = "explain"
CANDIDATES = "candidates"
CUT_RANKING = "ranking"
MODEL = "model"
PRESENT = "present"  # "1": large type, and no filters
SHOW = "show"
LABEL = "class"
PREDICTED = "predicted"
CONFIDENCE = "confidence"
SET = "set"  # a named set of images
VERSUS = "versus"  # what a second model tells apart
PICKER = "picker"  # "strip", "wall" or "map"

# Of this visit only.
PAGE = "page"  # of the strip of targets
PAGE_OF = "page of"  # the target and filter that page was turned to
FILTERS_OPEN = "filters are open"
FILTERED = "filters of the last run"
START = "start panel"  # "open" or "closed"; missing: this visit has not been to Debug yet
DOOR = "door of the start panel"  # the page that it leads to, once
HINT = "first hint"  # the same of the three-step hint
TILES = "tiles"
SCORES = "scores"
PLANTED = "planted"
TRAIL = "trail"  # targets looked at, oldest first
SUSPECTS = "suspects of a wrong prediction"

# Of the drawer's verdict.
STUDY = "study"  # the job that is watched
TEST = "test"  # what is tested: PREFIX, CHOSEN or SEARCH of pages/debug/question.py
KIND = "kind"
IDS = "ids"
SEEDS = "seeds"
DRAWS = "draws"
PROTOCOL = "protocol"
K_MAX = "k max"
DISJOINT = "disjoint"
WITH_NEAR_DUPLICATES = "with near-duplicates"

# Of the drawer's group; all but the last are bound to the address bar.
GROUP_RANKING = "group_ranking"
GROUP_AGAINST = "group_against"
GROUP_K = "group_k"
GROUP_END = "group_end"
GROUP_EDIT = "group_edit"
GROUP = "group"  # the one whose end was set

# Of Compare; the first three, OTHER_MODEL, CALIBRATED and STUDY_PROTOCOL are bound to the address bar.
TAB = "tab"
TOPIC = "topic"
MEASURE = "measure"
ONE_RANKING = "one ranking"
OTHER_RANKING = "other ranking"
OTHER_MODEL = "other_model"
COMPARED_IMAGE = "image of two models"
OTHER_RECIPE = "recipe to compare with"
RECIPE_PLACE = "where a recipe is"
OWN_RECIPE = "recipe of the user"
FEATURE_TARGETS = "targets whose neighbours are shown"
CALIBRATED = "calibrated"
REMOVED_ORIGIN = "whose images"
STUDY_PROTOCOL = "studied"
STUDIED = "rankings studied"
STUDY_TARGETS = "how many targets"
STUDY_RANKINGS = "study rankings"
STUDY_KINDS = "study kinds"
PRUNE_RANKING = "ranking to prune by"
PRUNE_SHARES = "shares to prune"
PRUNE_SEEDS = "seeds a share"

# Of the picker's map; the first is bound to the address bar.
FEATURES = "features"
MAP_COLOUR = "colour of the map"
MAP_SET = "set on the map"  # (training images, validation images) of the lasso, or None
SET_NAME = "name of the set"

# Of Clean labels; the first four are in the address bar.
QUEUE = "queue"
STEP = "step"
REVIEW_STEP, EXPORT_STEP, BENEFIT = "1 Review", "2 Export", "3 Measure the benefit"  # values of STEP
STEP_ASKED = "another step was asked for by key"
OLD_STEP = "audit"  # in a link only: what STEP was called, see pages/labels/page.py
MODE = "mode"
WHO = "who"
AUDIT_IMAGE = "image"  # in a link only: the image of the queue to open at
PER_WALL = "images of a wall"
QUEUE_LINK = "queue link"  # the queue that the address names
JUMP_TO = "jump"  # the review that is on view, and where it began
OPEN_AT = "open at"  # the image that the next review is to begin at
WRITTEN = "written"  # the uids of decisions that this session has written
DETECTOR = "detector"
GIVEN = "given label"
SUGGESTED = "suggested label"
QUEUE_SIZE = "queue size"
FAULT = "fault of pictures"
FAULT_QUEUE_SIZE = "fault queue size"
CONTROLS = "random controls"
BLIND = "blind"
FOLDER = "folder for the corrections"
SHOWN_DECISIONS = "decisions to look at"
CURVE = "decisions whose curve was begun"
MESSAGE = "told"  # of a callback that went well, for the page to show

# Of Data & jobs; the first is in the address.
PART = "part"
NEW_STUDY_PROTOCOL = "protocol of a new study"
UPLOAD = "uploaded file"  # the uploader's name for it, and where it was written
UPLOAD_NUMBER = "uploader"  # counted up for an empty one
IMPORTED = "last import"  # the command's number
IMPORT_PATH = "import path"
BASE_PATHS = "files of predictions"
BUILD = "what to compute"

# Of the chip in the header.
WATCHED_TASKS = "jobs under way"  # names of what ran when it was looked at last
ENDED_TASKS = "jobs that ended"  # name -> what ended, and was not looked at yet

# Of the workspace that a visit looks at.
SEEN = "workspace as it was"  # when the page was drawn last
COUNTED = "visit was counted"
EXPECTED = "change by this page"  # that nobody has to be told of

ERROR = "error"  # of a callback, for the page to show
GO_TO = "go to target"  # of a callback, for the page to switch to Debug: a callback cannot

# What one page hands to the next: Streamlit drops the state of widgets with the page that drew them.
CARRIED_KEYS = (TARGET, K, CUT_RANKING)
NUMBERS = (TARGET, K)  # of a link
MAY_BE_EMPTY = (RANKINGS, IDS, WHO)
LINK_ERRORS = "link errors"
LAST_PAGE = "room"
ENTERED = "room was entered"  # by this run
CARRIED = "kept"


#: Values of EXPLAIN and their words. In the address Streamlit writes the words; links of before have the values.
EXPLAINED = {"true": "true label", "predicted": "prediction"}
RENAMED = {EXPLAIN: EXPLAINED}


def set_error(error: Exception) -> None:
    """Leaves an error of a callback for `show_error`: a callback draws nothing itself."""
    st.session_state[ERROR] = error


def show_error() -> None:
    """Shows the error that a callback left, once."""
    if ERROR in st.session_state:
        st.error(write.sentence(st.session_state.pop(ERROR)))


def restore(values: dict, checks: dict[str, Callable], in_link: Collection[str]) -> list[UserError]:
    """Sets each of `values` that neither this visit nor the address has; what is wrong with those in the address.

    checks: name -> raises UserError where a text is no value for it; in_link: the names to take from the address."""
    errors = []
    for name, value in values.items():
        if name in st.session_state:
            continue
        if name in in_link:
            most = link.MAX_SIGNS_OF_IDS if name == IDS else link.MAX_SIGNS
            error = link.check(name, checks.get(name, str), most)
            if error is None:
                continue
            errors.append(error)
        st.session_state[name] = value
    return errors


def presenting() -> bool:
    """Whether the page is shown to a room full of people, by `?present=1`; kept for the visit, until `?present=0`."""
    if said := link.text(PRESENT):
        st.session_state[PRESENT] = said == "1"
    return st.session_state.get(PRESENT, False)


def carry_selection(room: str) -> None:
    """Called before a page is drawn: target, ranking and k looked at last go along, unless the address says other."""
    before = dict(st.query_params)
    said = link.clean(NUMBERS, MAY_BE_EMPTY)
    link.rename_values(RENAMED)
    if dict(st.query_params) != before:
        st.session_state[LINK_ERRORS] = said
        st.rerun()
    for text in st.session_state.pop(LINK_ERRORS, ()):
        st.warning(write.sentence(text), icon=":material/link_off:")
    state = st.session_state
    kept = keep_selection()
    if state.get(LAST_PAGE) != room:
        state[LAST_PAGE], state[ENTERED] = room, True
        if MODEL in st.query_params:  # of a link to this room; the header's choice outlives the room before
            state[MODEL] = st.query_params[MODEL]
        for name, value in kept.items():
            if name not in st.query_params:
                state[name] = value
            elif name in state:
                del state[name]


def keep_selection() -> dict:
    """Remembers what is looked at, and returns it. Called after a page is drawn, too: the next run may be another
    room's, which no longer has the values of this one's widgets."""
    state = st.session_state
    state[CARRIED] = state.get(CARRIED, {}) | {name: state[name] for name in CARRIED_KEYS if name in state}
    return state[CARRIED]


#: What the drawer's group is edited by, beside removal.
RELABEL = "Label them {}"
#: How a second model tells images apart -> the words of the filter.
BESIDE = {"differ": "predicted otherwise by {}", "lost-to": "right by {} alone"}


def group_link(spec: Mapping) -> dict[str, str]:
    """The parameters that open Debug on the group of a `GroupSpec` with its panel and its edit; of a group that no
    filter makes, the panel alone."""
    name = spec["group"]
    kind, _, of = name.partition(":")
    if "->" in name:
        true, _, said = name.partition("->")
        filters = {LABEL: true.strip(), PREDICTED: said.strip()}
    else:
        wrong = {SHOW: "wrong"}
        filters = {
            "class": {LABEL: of},
            "wrong": {LABEL: of} | wrong,
            "false-positives": {PREDICTED: of} | wrong,
            **{beside: {VERSUS: words.format(of)} for beside, words in BESIDE.items()},
        }.get(kind, {})
    known = {GROUP_RANKING: "ranking", GROUP_AGAINST: "against", GROUP_END: "end", GROUP_EDIT: "label"}
    asked = {parameter: spec[name] for parameter, name in known.items() if spec.get(name)}
    if GROUP_EDIT in asked:
        asked[GROUP_EDIT] = RELABEL.format(asked[GROUP_EDIT])
    return filters | {"panel": "group", GROUP_K: str(len(spec["edit"]["indices"]))} | asked
