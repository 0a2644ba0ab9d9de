"""One helper for tables: CSV that reads back as it was, HTML in which no name becomes markup."""

import io
from xml.etree import ElementTree

import pandas as pd
import pytest
from markupsafe import Markup

from attribution.export.tables import Cell, Column, numeric, ranking_name, to_csv, to_html

EVIL = '<b onclick="x">&\''


def cells(row) -> list[str]:
    return ["".join(cell.itertext()).strip() for cell in row]


def test_csv_has_a_column_for_each_end_of_an_interval():
    rows = [{"ranking": "a", "auc": 0.1, "auc_ci": (0.05, 0.2), "ci": None}, {"ranking": "b", "n": 3}]
    assert to_csv(rows).decode().splitlines() == [
        "ranking,auc,auc_low,auc_high,low,high,n",
        "a,0.1,0.05,0.2,,,",
        "b,,,,,,3",
    ]
    assert to_csv(rows, ["n", "auc_high", "ranking"]) == b"n,auc_high,ranking\n,0.2,a\n3,,b\n"
    assert to_csv([], ["a", "b"]) == b"a,b\n"


def test_csv_keeps_numbers_and_texts_as_they_are():
    value = 0.34800540161132815
    table = [{"x": 1, "y": value, "flag": True, "name": 'a "b", c\nd'}, {"x": 2.5, "y": float("nan"), "flag": None}]
    lines = to_csv(table).decode().splitlines()
    assert lines[1:] == [f'1,{value},True,"a ""b"", c', 'd"', "2.5,,,"]
    frame = pd.DataFrame({"x": [1, 2], "y": [value, None]})
    pd.testing.assert_frame_equal(pd.read_csv(io.BytesIO(to_csv(frame))), frame)


def test_csv_says_on_one_line_where_it_comes_from():
    assert to_csv([{"a": 1}], note="of my\nset\u2028here, \ud800") == b"# of my set here, \\ud800\na\n1\n"
    assert to_csv([{"a": "\ud800"}]) == b"a\n\\ud800\n"


def test_html_escapes_all_but_markup():
    html = to_html(
        [Column(EVIL, EVIL, group=EVIL)], [[EVIL], [Cell(EVIL, EVIL, bold=True)], [Markup("<i>x</i>")]], EVIL
    )
    table = ElementTree.fromstring(html)
    assert [cells(row) for row in table.iter("tr")] == [[EVIL], [EVIL], [EVIL], [EVIL], ["x"]]
    assert [cell.get("title") for cell in table.iter() if cell.get("title")] == [EVIL, EVIL]
    assert table.get("aria-label") == EVIL and len(list(table.iter("b"))) == 1 and len(list(table.iter("i"))) == 1


def test_html_draws_what_is_missing_and_numbers_below_zero():
    columns = ["name", *numeric("value")]
    rows = [["a-b", "-0.5"], [None, None], ["", ""], ["c", -3]]
    assert [cells(row) for row in ElementTree.fromstring(to_html(columns, rows)).iter("tr")][1:] == [
        ["a-b", "−0.5"],
        ["–", "–"],
        ["", ""],
        ["c", "−3"],
    ]


def test_html_heads_have_groups_tooltips_and_classes():
    columns = [
        Column("ranking"),
        Column("AUC", "area", numeric=True, gap=True, group="Removal"),
        Column("95 %", group="Removal"),
        Column("LDS", numeric=True, group="other"),
    ]
    last = ["noise ceiling", None, None, 0.5]
    table = ElementTree.fromstring(to_html(columns, [["a", 1, 2, 3]], "Rankings", last))
    groups, heads, first, last = table.iter("tr")
    assert [(head.text, head.get("colspan"), head.get("class")) for head in groups] == [
        (None, None, None),
        ("Removal", "2", "group"),
        ("other", None, "group"),
    ]
    assert [(head.get("class"), head.get("title"), head.get("scope")) for head in heads] == [
        (None, None, "col"),
        ("n first", "area", "col"),
        (None, None, "col"),
        ("n", None, "col"),
    ]
    assert [cell.get("class") for cell in first] == [None, "n first", None, "n"]
    assert last.get("class") == "last" and cells(last) == ["noise ceiling", "–", "–", "0.5"]
    assert len(list(ElementTree.fromstring(to_html(["a"], [["b"]])).iter("tr"))) == 2  # no groups, no row for them


@pytest.mark.parametrize(("caption", "tag"), [("", "td"), ("Supports", "th")])
def test_a_caption_makes_it_a_region_whose_columns_and_rows_have_heads(caption, tag):
    table = ElementTree.fromstring(to_html(["ranking", "AUC"], [["a", 1]], caption))
    heads, first = table.iter("tr")
    assert [cell.tag for cell in first] == [tag, "td"]
    assert {head.get("scope") for head in heads} == {"col" if caption else None}
    assert (table.get("role"), table.get("tabindex")) == (("region", "0") if caption else (None, None))


def test_a_ranking_has_its_line_before_its_name():
    assert "#808080 0px 3px, transparent 3px 6px" in ranking_name("random")
    assert ranking_name(EVIL).endswith("&lt;b onclick=&#34;x&#34;&gt;&amp;&#39;")
