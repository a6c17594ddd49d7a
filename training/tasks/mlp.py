"""A multi-layer perceptron for rows of numbers."""

from __future__ import annotations

import torch
from torch import nn

from training.spec import MlpConfig

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh}


class Mlp(nn.Module):
    """float32 [n, width] → [n]."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """One number a row."""
        answer: torch.Tensor = self.layers(features).squeeze(1)
        return answer


def build_mlp(config: MlpConfig, width: int) -> Mlp:
    """Linear, activation, dropout for each hidden width, then one linear output; torch's default initial weights."""
    layers: list[nn.Module] = []
    for hidden in config.hidden:
        layers += [nn.Linear(width, hidden), _ACTIVATIONS[config.activation]()]
        if config.dropout:
            layers.append(nn.Dropout(config.dropout))
        width = hidden
    return Mlp(nn.Sequential(*layers, nn.Linear(width, 1)))
