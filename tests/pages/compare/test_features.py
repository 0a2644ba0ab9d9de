"""The Features tab: its table, the nearest images, and where they lead."""

import csv
import io
import json

from attribution.evaluation import cost
from pages.compare import features
from pages.ui import state
from tests.pages.compare.tabs import opened_topic
from tests.pages.compare.test_cost import LDS
from tests.pages.page import texts


def test_features_and_what_they_take_for_alike(ws):
    app = opened_topic("Features")
    html = " ".join(one.proto.body for one in app.get("html"))
    assert "<td>moco</td>" in html and html.count('alt="validation image') == features.N_TARGETS
    app.button(key="other targets").click().run()
    assert not app.exception
    other = " ".join(one.proto.body for one in app.get("html"))
    assert other != html and app.session_state[state.FEATURE_TARGETS] == features.N_TARGETS


def test_the_columns_of_features_are_the_methods_that_were_measured(ws):
    studied = {"l2-moco": {"n": 3, "auc": 0.25, "auc_ci": None}}
    supports = {"remove": {"rankings": studied, "targets": 3, "protocol": "adaptive"}}
    rows = cost.feature_rows(ws, LDS, supports)
    html = features.table_html(rows, supports)
    assert "AUC: removal, 3 targets, adaptive (95 %)" in html and ">L2<" in html
    assert "<b>0.123</b>" in html and "0.100 to 0.150" in html and "<b>0.25</b>" in html and ">ESVM<" not in html
    kept = list(csv.DictReader(io.StringIO(features.to_csv(rows))))
    assert [(row["method"], row["lds"]) for row in kept if row["lds"]] == [("ridge", "0.123")]


def test_without_features(ws):
    manifest = json.loads((ws.path / "workspace.json").read_text())
    del manifest["parts"]["features/moco"]
    (ws.path / "workspace.json").write_text(json.dumps(manifest))
    assert "There is no feature set yet" in texts(opened_topic("Features"))
