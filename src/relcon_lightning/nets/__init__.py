"""Networks: distances, encoders and supervised baselines."""

from relcon_lightning.nets.conv_net import ConvNet
from relcon_lightning.nets.deep_conv_lstm import DeepConvLSTM
from relcon_lightning.nets.embedding_distance import EmbeddingDistance
from relcon_lightning.nets.joint_encoder import JointEncoder
from relcon_lightning.nets.lstm import LSTMNet
from relcon_lightning.nets.motif_distance import MotifDistance
from relcon_lightning.nets.resnet1d import ResNet1d, resnet18_1d, resnet34_1d, small_resnet_1d
from relcon_lightning.nets.sparsemax import sparsemax
from relcon_lightning.nets.spectral_distance import SpectralDistance
from relcon_lightning.nets.spectral_net import SpectralNet

__all__ = [
    "ConvNet",
    "DeepConvLSTM",
    "EmbeddingDistance",
    "JointEncoder",
    "LSTMNet",
    "MotifDistance",
    "ResNet1d",
    "SpectralDistance",
    "SpectralNet",
    "resnet18_1d",
    "resnet34_1d",
    "small_resnet_1d",
    "sparsemax",
]
