"""What the Plotly charts of Compare have in common."""

GREY = "#808080"  # of what is compared with: noise ceilings, chance, controls

TITLE_HEIGHT = 32  # pixels, of a panel's title
LEGEND_AND_AXIS = 130  # pixels, about: what they take of a chart's height


def error_bars(values, intervals, **style) -> dict:
    """Plotly's error bars of `values` from their intervals (low, high); None is a bar of length 0."""
    ends = [interval or (value, value) for value, interval in zip(values, intervals)]
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - value for value, (_, high) in zip(values, ends)],
        "arrayminus": [value - low for value, (low, _) in zip(values, ends)],
        "width": 4,
        "thickness": 1.2,
        **style,
    }


def set_layout(figure, height: int, legend: dict | None = None, **more) -> None:
    """Narrow margins, and the legend above the chart and the panels' titles: however many lines it takes on a narrow
    screen, it grows upwards, and the chart makes room."""
    titled = any(text.yref == "paper" and text.y == 1 for text in figure.layout.annotations)
    gap = TITLE_HEIGHT if titled else 8
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": gap + 8, "b": 8},
        legend={
            "orientation": "h",
            "x": 0,
            "y": 1 + gap / (height - LEGEND_AND_AXIS),
            "yanchor": "bottom",
            **(legend or {}),
        },
        **more,
    )


def noise_ceiling_line(figure, ceiling: float | None, axis: str, text: str = "noise ceiling") -> None:
    """A dashed line where no ranking's LDS can get past, in the first panel; axis: "x" or "y", that of LDS."""
    if ceiling is None:
        return
    draw = figure.add_vline if axis == "x" else figure.add_hline
    draw(
        ceiling,
        line={"color": GREY, "width": 1, "dash": "dash"},
        row=1,
        col=1,
        annotation_text=text,
        annotation_position="top left",
    )
