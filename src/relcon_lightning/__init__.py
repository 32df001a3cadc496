"""RelCon: relative contrastive learning for a motion foundation model, on PyTorch Lightning and Hydra."""
