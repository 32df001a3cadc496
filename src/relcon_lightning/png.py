"""Pictures without global state or display: a figure as the bytes of a PNG."""

from __future__ import annotations

from io import BytesIO

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def png(figure: Figure, dpi: int = 130) -> bytes:
    """Draw a figure.

    Args:
        figure: Made by ``Figure()``, not by pyplot.
        dpi: Dots an inch.
    """
    buffer = BytesIO()
    FigureCanvasAgg(figure).print_figure(buffer, format="png", dpi=dpi)
    return buffer.getvalue()
