"""Names of everything kept in `st.session_state`; pages read and set it by these names only."""

# Bound to the address bar under the same names: what a shared link restores.
TARGET = "target"
RANKINGS = "rankings"
K = "k"
END = "end"
EXPLAIN = "explain"
CANDIDATES = "candidates"
CUT_RANKING = "ranking"
SHOW = "show"
LABEL = "class"
PREDICTED = "predicted"

# Of this visit only.
CONFIDENCE = "confidence"
PAGE = "page"  # of the film
PAGE_OF = "page of"  # the target and filter that page was turned to
WALL = "wall"
TILES = "tiles"
SCORES = "scores"
IMAGE = "image"  # the training image whose card is open
PLANTED = "planted"
TRAIL = "trail"  # targets looked at, oldest first
JOB = "job"
