"""Figures as PNG bytes, without global state or a display."""

from __future__ import annotations

from io import BytesIO

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def png(figure: Figure, dpi: int = 130) -> bytes:
    """Draw a figure.

    Args:
        figure: Figure made by ``Figure()``, not by pyplot.
        dpi: Dots per inch.
    """
    buffer = BytesIO()
    FigureCanvasAgg(figure).print_figure(buffer, format="png", dpi=dpi)
    return buffer.getvalue()
