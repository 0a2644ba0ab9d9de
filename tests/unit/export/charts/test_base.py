import csv
import io

from attribution.export.charts.base import COLUMNS, Chart, Matrix, Panel, Series, to_csv


def rows(chart):
    head, _, table = to_csv(chart).decode().partition("\n")
    return head, list(csv.DictReader(io.StringIO(table)))


def test_a_row_a_point_with_its_intervals():
    one = Series(
        "trak-10",
        [1, 2],
        [0.5, 0.7],
        "#000000",
        x_ci=[(0, 3), None],
        y_ci=[None, (0.6, 0.9)],
        descriptions=["first", "second, with comma"],
        start=(0, 0),
        end=(9, 9),
    )
    head, table = rows(Chart("T", "made\rby hand", [Panel("left", series=[one])]))
    assert head == "# T. made by hand"
    assert [list(row.values()) for row in table] == [
        ["left", "trak-10", "1", "0", "3", "0.5", "", "", "first"],
        ["left", "trak-10", "2", "", "", "0.7", "0.6", "0.9", "second, with comma"],
    ]
    assert list(table[0]) == COLUMNS


def test_a_row_a_pair_of_a_matrix():
    matrix = Matrix(
        ["a", "b", "c"],
        [[None, 0.1, 0.2], [0.1, None, 0.3], [0.2, 0.3, None]],
        [[None, (0, 1), None], [(0, 1), None, None], [None] * 3],
        (0, 1),
    )
    _, table = rows(Chart("T", "", [Panel(matrix=matrix)]))
    assert [(row["series"], row["what"], row["y"], row["y_low"]) for row in table] == [
        ("a", "b", "0.1", "0"),
        ("a", "c", "0.2", ""),
        ("b", "c", "0.3", ""),
    ]


def test_what_names_its_making_is_one_line():
    head, table = rows(Chart("T", "of my\nset\u2028here", [Panel(series=[Series("a", [1], [2], "#000000")])]))
    assert head == "# T. of my set here" and len(table) == 1
