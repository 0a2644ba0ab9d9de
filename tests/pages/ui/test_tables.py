"""Tables as HTML and CSV, and how the numbers in them are written."""

from pages.ui import format as write
from pages.ui import tables
from pages.ui.tables import Column


def test_a_table_has_a_class_a_column_and_fills_up_short_rows():
    columns = [Column("ranking"), Column("LDS", "n first", "a <b>"), tables.INTERVAL]
    html = tables.table_html(columns, [["a", ("<b>1</b>", 'more "of" it'), 2]], [("", 1), ("both", 2)], last=["end"])
    head, body = html.split("</thead>")
    assert '<tr><th></th><th colspan="2" class="group">both</th></tr>' in head
    assert '<th>ranking</th><th class="n first" title="a &lt;b&gt;">LDS</th><th>95 %</th>' in head
    assert '<tr><td>a</td><td class="n first" title="more &#34;of&#34; it"><b>1</b></td><td>2</td></tr>' in body
    assert '<tr class="last"><td>end</td><td class="n first"></td><td></td></tr>' in body


def test_values_and_their_intervals():
    assert tables.estimate(-0.1234, (-0.2, 0.05), 3) == ["<b>−0.123</b>", "−0.200 to 0.050"]
    assert tables.estimate(0.5, None, sign=True) == ["<b>+0.50</b>", "–"]
    assert tables.estimate(None, (0, 1)) == ["–", ""]
    assert [tables.p_text(p) for p in (0.0004, 0.0312, 0.4)] == ["< 0.001", "0.031", "0.40"]
    assert [write.byte_size(n) for n in (0, 1536, 1_536_256)] == ["none", "1.54 kB", "1.54 MB"]


def test_a_ranking_stands_behind_its_line_and_is_escaped():
    cell = tables.ranking_cell("<b>")
    assert cell.startswith('<span class="swatch"') and cell.endswith("&lt;b&gt;")
    assert tables.ranking_cell("esvm-moco").split(">")[0] != tables.ranking_cell("random").split(">")[0]
    assert tables.ranking_cell("random", "by chance").endswith("</span>by chance")


def test_csv_keeps_whole_numbers_whole_beside_missing_ones():
    rows = [{"a": 1, "b": 0.25, **tables.low_high((0.1, 0.4), "b")}, {"a": None, "c": "x,y"}]
    assert tables.to_csv(rows) == 'a,b,b_low,b_high,c\n1,0.25,0.1,0.4,\n,,,,"x,y"\n'
    assert tables.to_csv(rows, ["c", "a"]) == 'c,a\n,1\n"x,y",\n'
    assert tables.to_csv([], ["c", "a"]) == "c,a\n"
    assert tables.low_high(None) == {"low": None, "high": None}
