"""A recurrent network, the "LSTM classifier" in Table 4 of the paper."""

from __future__ import annotations

from torch import Tensor, nn


class LSTMNet(nn.Module):
    """Two LSTM layers over the samples; the last state of the second is the feature.

    The paper does not specify a layout. This one is the recurrent half of DeepConvLSTM (Ordóñez & Roggen 2016).

    Args:
        width: Hidden size of each layer, and size of the feature.
        dropout: Dropout rate on the input of the second layer and on the feature.

    Attributes:
        dim: Size of the feature.
    """

    def __init__(self, width: int = 128, dropout: float = 0.2) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, width, num_layers=2, dropout=dropout, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.dim = width

    def forward(self, x: Tensor) -> Tensor:
        """Map windows ``(B, 3, T)`` in g to features ``(B, dim)``."""
        last: Tensor = self.dropout(self.lstm(x.mT)[0][:, -1])
        return last
