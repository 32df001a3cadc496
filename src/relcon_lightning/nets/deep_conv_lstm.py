"""DeepConvLSTM (Ordóñez & Roggen 2016)."""

from __future__ import annotations

from torch import Tensor, nn

from relcon_lightning.errors import DataError


class DeepConvLSTM(nn.Module):
    """Four convolutions over time, applied to each axis separately, then two LSTM layers over all axes.

    The last state of the second LSTM is the feature. As in the paper, the convolutions have no padding, so a window
    loses ``4 (kernel_size - 1)`` samples.

    Args:
        filters: Output channels of each convolution.
        kernel_size: Kernel size in samples.
        width: Hidden size of each LSTM, and size of the feature.
        dropout: Dropout rate on the input of the second LSTM and on the feature.

    Attributes:
        dim: Size of the feature.
    """

    def __init__(self, filters: int = 64, kernel_size: int = 5, width: int = 128, dropout: float = 0.5) -> None:
        super().__init__()
        self.shortest = 4 * (kernel_size - 1) + 1
        layers: list[nn.Module] = []
        for channels in (1, filters, filters, filters):
            layers += [nn.Conv2d(channels, filters, (1, kernel_size)), nn.ReLU()]
        self.convolutions = nn.Sequential(*layers)
        self.lstm = nn.LSTM(3 * filters, width, num_layers=2, dropout=dropout, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.dim = width

    def forward(self, x: Tensor) -> Tensor:
        """Map windows ``(B, 3, T)`` in g to features ``(B, dim)``.

        Raises:
            DataError: The window is too short.
        """
        if x.shape[-1] < self.shortest:
            raise DataError(f"DeepConvLSTM needs windows of {self.shortest} samples or more, not {x.shape[-1]}.")
        features = self.convolutions(x[:, None])  # (B, filters, 3, T')
        states, _ = self.lstm(features.flatten(1, 2).mT)
        last: Tensor = self.dropout(states[:, -1])
        return last
