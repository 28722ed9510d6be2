"""Operators as layers of PyTorch; `cpubone.torch` makes modules of them."""

from __future__ import annotations

from typing import Callable, Dict, List, Optional, Tuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cpubone import _core
from cpubone._forms import pads

EPS = 1e-5

ACTIVATIONS: Dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda x: x,
    "relu": F.relu,
    "relu6": F.relu6,
    "hardswish": F.hardswish,
    "hardsigmoid": F.hardsigmoid,
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "tanh": torch.tanh,
    "elu": F.elu,
    "softplus": F.softplus,
    "mish": F.mish,
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "reciprocal": torch.reciprocal,
    "erf": torch.erf,
    "abs": torch.abs,
    "neg": torch.neg,
}


def convolution(op: _core.Op, bias: bool, kernel: Optional[int] = None) -> nn.Module:
    """The bare convolution or linear layer of an operator; with `kernel=1` a 1x1 beside it."""
    in_channels, out_channels = op.inputs[0][3], op.output[3]
    if op.dynamic:
        raise ValueError(f'op "{op}": it multiplies int8; PyTorch gets the network that was quantised, in float32')
    if op.kind == "linear":
        return nn.Linear(in_channels, out_channels, bias=bias)
    if op.kind == "partial_conv2d":
        in_channels = out_channels = op.conv_channels
    if op.kind == "conv_transpose2d":
        top, bottom, left, right = op.padding
        if top != bottom or left != right:
            raise ValueError(f'op "{op}": PyTorch has no transposed convolution with asymmetric padding')
        return nn.ConvTranspose2d(
            in_channels, out_channels, op.kernel, op.stride, padding=(top, left), groups=op.groups, bias=bias
        )
    own, _ = pads(op)
    if kernel == 1:
        return nn.Conv2d(in_channels, out_channels, 1, op.stride, groups=op.groups, bias=bias)
    return nn.Conv2d(in_channels, out_channels, op.kernel, op.stride, padding=own, groups=op.groups, bias=bias)


def is_vector(op: _core.Op) -> bool:
    return op.output[1] == op.output[2] == 1


def convolve(layer: nn.Module, op: _core.Op, x: Tensor) -> Tensor:
    """Runs the layer of `convolution`, padding where it cannot."""
    if op.kind == "linear":
        if is_vector(op):
            result: Tensor = layer(x.flatten(1))
            return result[:, :, None, None]
        return layer(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    if op.kind == "partial_conv2d":
        convolved = layer(x[:, : op.conv_channels])
        return torch.cat((convolved, x[:, op.conv_channels :]), dim=1)
    if op.kind == "conv2d":
        _, before = pads(op)
        if before is not None:
            x = F.pad(x, before)
    return layer(x)


def _attention(op: _core.Op, x: Tensor, bias: Optional[Tensor]) -> Tensor:
    """softmax(Q K^T / sqrt(d) + B) V of every head and window; channels are q|k|v of each head in turn."""
    n, channels, h, w = x.shape
    tokens = h * w // op.windows
    q, k, v = x.reshape(n, op.heads, channels // op.heads, op.windows, tokens).transpose(2, 3).chunk(3, dim=3)
    scores = torch.matmul(q.transpose(3, 4), k) * (q.shape[3] ** -0.5)
    if bias is not None:
        matrices = bias.permute(0, 2, 3, 1)
        heads = min(op.heads, matrices.shape[1])
        scores = scores + matrices.reshape(1, -1, heads, tokens, tokens).transpose(1, 2)
    mixed = torch.matmul(v, scores.softmax(dim=-1).transpose(3, 4))
    return mixed.transpose(2, 3).reshape(n, op.output[3], h, w)


def plain(op: _core.Op, inputs: List[Tensor]) -> Tensor:
    """Operators without parameters, without their activation."""
    x = inputs[0]
    kind = op.kind
    if kind == "activation":
        return x
    if kind == "add":
        return x + inputs[1]
    if kind == "mul":
        return x * inputs[1]
    if kind == "attention":
        return _attention(op, x, inputs[1] if len(inputs) > 1 else None)
    if kind == "global_avg_pool":
        return x.mean((2, 3), keepdim=True)
    if kind == "max_pool2d":
        own, before = pads(op)
        if before is not None:
            x = F.pad(x, before, value=float("-inf"))
        return F.max_pool2d(x, op.kernel, op.stride, own)
    if kind == "upsample_nearest":
        return F.interpolate(x, scale_factor=tuple(float(factor) for factor in op.stride), mode="nearest")
    if kind == "slice":
        return x[:, op.begin : op.begin + op.output[3]]
    if kind == "concat":
        return torch.cat(inputs, dim=1)
    if kind == "channel_shuffle":
        n, c, h, w = x.shape
        return x.reshape(n, op.groups, c // op.groups, h, w).transpose(1, 2).reshape(n, c, h, w)
    raise ValueError(f'op "{op}": cpubone.torch does not know this kind')


class RmsNorm(nn.Module):
    """Over the last dimension; PyTorch has one of its own from 2.4 on."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS) * self.weight


NORMS: Dict[str, Callable[[int], nn.Module]] = {
    "group_norm": lambda channels: nn.GroupNorm(1, channels, eps=EPS),
    "layer_norm": lambda channels: nn.LayerNorm(channels, eps=EPS),
    "rms_norm": RmsNorm,
}


def normalisation(op: _core.Op) -> nn.Module:
    return NORMS[op.kind](op.output[3])


def normalise(layer: nn.Module, op: _core.Op, x: Tensor) -> Tensor:
    if op.kind == "group_norm":
        return layer(x)
    if is_vector(op):
        result: Tensor = layer(x.flatten(1))
        return result[:, :, None, None]
    return layer(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def fold_norm(weight: Tensor, bias: Optional[Tensor], norm: nn.Module) -> Tuple[Tensor, Tensor]:
    """Weight and bias, in double precision, of a convolution (output channels first) with its batch norm."""
    scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    start = torch.zeros_like(scale) if bias is None else bias.double()
    folded = weight.double() * scale.reshape(-1, *[1] * (weight.dim() - 1))
    return folded, norm.bias.double() + (start - norm.running_mean.double()) * scale
