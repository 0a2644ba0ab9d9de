"""Names of everything kept in `st.session_state`; those of LINK are also the names in the address bar.

A page reads and sets them by these names only. LINK is what a shared link restores.
"""

TARGET = "target"
RANKINGS = "rankings"
K = "k"
END = "end"
EXPLAIN = "explain"
CANDIDATES = "candidates"
CUT_RANKING = "ranking"
KIND = "kind"
SHOW = "show"
LABEL = "class"
PREDICTED = "predicted"

LINK = (TARGET, RANKINGS, K, END, EXPLAIN, CANDIDATES, CUT_RANKING, SHOW, LABEL, PREDICTED)

CONFIDENCE = "confidence"
PAGE = "page"
WALL = "wall"
TILES = "tiles"
SCORES = "scores"
IMAGE = "image"  # the training image whose card is open
PLANTED = "planted"
TRAIL = "trail"  # targets looked at, oldest first
JOB = "job"
