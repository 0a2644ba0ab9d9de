"""What the Plotly charts of Compare have in common."""

GREY = "#808080"  # of what is compared with: noise ceilings, chance, controls


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


def set_layout(figure, height: int, legend_y: float, top: int = 70, legend: dict | None = None, **more) -> None:
    """Narrow margins, and the legend in a line above the chart. top: pixels left for it and the panels' titles."""
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": top, "b": 8},
        legend={"orientation": "h", "y": legend_y, "x": 0, **(legend or {})},
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
