"""Networks as PyTorch modules: train forms that fold, and inference forms that share weights with the executor.

>>> import cpubone.torch
>>> train = cpubone.torch.module("b0")             # batch norms, over-parameterised branches
>>> ...                                            # train it like any torch.nn.Module
>>> inference = train.eval().fold()                # doctest: +SKIP
>>> inference.executor().run(images)               # the same numbers on XNNPACK  # doctest: +SKIP

Needs PyTorch 1.13 or newer; the rest of cpubone does not. Tensors are NCHW as PyTorch has them.
"""

from __future__ import annotations

import inspect
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Collection, Dict, List, Mapping, Optional, Tuple

try:
    import torch
    from torch import Tensor, nn
    from torch.nn import functional as F
except ImportError as error:
    raise ImportError("cpubone.torch needs PyTorch: `pip install torch` or `apt install python3-torch`") from error

from cpubone import _core
from cpubone._document import PathLike
from cpubone._forms import Form, residual_branches, train_forms
from cpubone._layers import (
    ACTIVATIONS,
    EPS,
    NORMS,
    convolution,
    convolve,
    fold_norm,
    is_vector,
    normalisation,
    normalise,
    plain,
)
from cpubone._networks import Network, NetworkLike, network

if TYPE_CHECKING:
    from cpubone._execution import Executor
    from cpubone._networks import Weights

__all__ = ["Inference", "TrainForm", "inference", "module"]


class _Graph(nn.Module):
    """A network of cpubone as a module: nodes in order, modules found by path."""

    def __init__(self, what: Network) -> None:
        super().__init__()
        self.network = what
        self._nodes = what.nodes
        self._forms: Dict[str, Form] = {}
        self._outputs = set(what.outputs)
        last_use: Dict[int, int] = {}
        for index, node in enumerate(self._nodes):
            for source in node.inputs:
                last_use[source] = index
        names = [node.name for node in self._nodes]
        for name in self._outputs:
            last_use[names.index(name)] = len(names)
        self._last_use = last_use

    def _place(self, path: str, child: nn.Module) -> None:
        """Registers `child` under a path with dots."""
        parent: nn.Module = self
        *folders, name = path.split(".")
        for folder in folders:
            if folder not in parent._modules:
                parent.add_module(folder, nn.Module())
            parent = parent.get_submodule(folder)
        parent.add_module(name, child)

    def _apply_node(self, node: _core.Node, inputs: List[Tensor]) -> Tensor:
        form = self._forms.get(node.name)
        op = node.op
        if form is None:
            return ACTIVATIONS[op.activation](plain(op, inputs))
        if form.branches:
            x = self._sum_branches(form, op, inputs[0])
        elif op.kind in NORMS:
            x = normalise(self.get_submodule(form.layer), op, inputs[0])
        else:
            x = convolve(self.get_submodule(form.layer), op, inputs[0])
        if form.norm:
            x = self.get_submodule(form.norm)(x)
        return ACTIVATIONS[op.activation](x)

    def _sum_branches(self, form: Form, op: _core.Op, x: Tensor) -> Tensor:
        raise NotImplementedError

    def _run(self, values: Dict[int, Tensor], begin: int, wanted: Collection[int]) -> Dict[int, Tensor]:
        """What the wanted nodes give, of those from `begin` on; `values` are given by nodes before it, -1 the images."""
        for index in range(begin, max(wanted) + 1):
            node = self._nodes[index]
            values[index] = self._apply_node(node, [values[source] for source in node.inputs])
            for source in set(node.inputs):
                if self._last_use[source] == index and source not in wanted:
                    del values[source]
        return {index: values[index] for index in wanted}

    def forward_all(self, images: Tensor) -> List[Tensor]:
        """Every output of the network; `images` are n x channels x height x width."""
        outputs = [index for index, node in enumerate(self._nodes) if node.name in self._outputs]
        values = self._run({-1: images}, 0, outputs)
        return [values[i].flatten(1) if is_vector(self._nodes[i].op) else values[i] for i in outputs]

    def forward(self, images: Tensor) -> Tensor:
        """Logits, n x classes, of n x channels x height x width."""
        outputs = self.forward_all(images)
        if len(outputs) != 1:
            raise ValueError(f"{self.network.name} has {len(outputs)} outputs: use forward_all")
        return outputs[0]

    def export_onnx(self, path: PathLike, *, opset: int = 14) -> None:
        """Writes an ONNX model of the network at its resolution, with any batch; in evaluation mode.

        PyTorch 2 needs the package `onnx` for that: ImportError without it.
        """
        _, height, width, channels = self.network.input
        image = torch.zeros(1, channels, height, width, device=next(self.parameters()).device)
        options: Dict[str, Any] = {
            "opset_version": opset,
            "input_names": ["images"],
            "output_names": ["logits"],
            "dynamic_axes": {"images": {0: "batch"}, "logits": {0: "batch"}},
        }
        # PyTorch 2.9 made another exporter the default, which needs more packages.
        if "dynamo" in inspect.signature(torch.onnx.export).parameters:
            options["dynamo"] = False
        was_training = self.training
        self.eval()
        try:
            torch.onnx.export(self, (image,), os.fspath(Path(path)), **options)
        except Exception as error:
            if "onnx is not installed" not in str(error):
                raise
            raise ImportError(
                "this PyTorch writes ONNX files with the package onnx, which is missing: "
                "`pip install onnx`, or Debian's python3-onnx"
            ) from error
        finally:
            self.train(was_training)

    def extra_repr(self) -> str:
        return repr(self.network)[1:-1]


class Inference(_Graph):
    """The inference form of any network; its state dict has the executor's names, `<node>.weight` and `<node>.bias`."""

    def __init__(self, what: Network) -> None:
        super().__init__(what)
        for node in self._nodes:
            op = node.op
            if op.params == 0:
                continue
            is_norm = op.kind in NORMS
            self._forms[node.name] = Form(node.name, bias=op.bias)
            self._place(node.name, normalisation(op) if is_norm else convolution(op, op.bias))

    def weights(self) -> Weights:
        """Weights as `cpubone.Executor` takes them: float32 arrays in PyTorch's layouts."""
        return {name: value.detach().cpu().float().numpy().copy() for name, value in self.state_dict().items()}

    def load_weights(self, weights: Mapping[str, Any]) -> Inference:
        """Takes the weights of an executor. Raises RuntimeError naming what is missing or has another shape."""
        self.load_state_dict({name: torch.as_tensor(value).clone() for name, value in weights.items()})
        return self

    def executor(self, *, threads: int = 1, keep_outputs: bool = False) -> Executor:
        """The network with these weights on XNNPACK."""
        from cpubone._execution import Executor

        return Executor(self.network, self.weights(), threads=threads, keep_outputs=keep_outputs)


#: How layers of CPUBone are named in older checkpoints, and in timm's own networks, and in the reference code.
_OTHER_NAMES = [
    (r"\.conv_proj\.0\.", ".conv_proj.conv."),
    (r"\.conv_proj\.1\.", ".conv_proj.norm."),
    (r"\.pwise\.weight$", ".pwise.0.weight"),
    (r"^stem\.(\d+)\.", r"backbone.input_stem.op_list.\1."),
    (r"^stages\.(\d+)\.(\d+)\.", r"backbone.stages.\1.op_list.\2."),
    (r"^head\.in_conv\.", "head.op_list.0."),
    (r"^head\.pre_classifier\.", "head.op_list.2."),
    (r"^head\.classifier\.", "head.op_list.3."),
]


def reference_name(name: str) -> str:
    """Name that a layer of CPUBone has in the reference code."""
    for other, reference in _OTHER_NAMES:
        name = re.sub(other, reference, name)
    return name


def _rename(state: Dict[str, Any], prefix: str, *_: object) -> None:
    for key in [key for key in state if key.startswith(prefix)]:
        state[prefix + reference_name(key[len(prefix) :])] = state.pop(key)


class TrainForm(_Graph):
    """A network as it is trained; `fold` makes its inference form.

    Of CPUBone's kind the names and the order of the state dict are those of its reference code, of MobileOne and
    FasterNet likewise, so that their checkpoints load; of CPUBone older ones and timm's, too.
    """

    def __init__(self, what: Network, forms: Mapping[str, Form]) -> None:
        super().__init__(what)
        for node in self._nodes:
            form = forms.get(node.name)
            if form is None:
                continue
            self._forms[node.name] = form
            op = node.op
            if form.branches:
                self._place_branches(form, op)
            elif op.kind in NORMS:
                self._place(form.layer, normalisation(op))
            else:
                self._place(form.layer, convolution(op, form.bias))
            if form.norm:
                self._place(form.norm, nn.BatchNorm2d(op.output[3], eps=EPS))
        self._initialise()
        self._drop_path: Dict[str, float] = {}
        self._branch_of = residual_branches(self._nodes)
        if any(form.layer.startswith("backbone.") for form in forms.values()):
            self._register_load_state_dict_pre_hook(_rename)

    def set_drop_path(self, rate: float, *, skip: int = 0) -> None:
        """Stochastic depth: in training each image goes without the n-th of N residual branches with probability
        `rate` * n / N (of FasterNet `rate` * (n - 1) / (N - 1)), as the reference codes have it. The first `skip` stay
        (2 for CPUBone-B3).

        CPUBone was trained with 0.05, B2 and B3 with 0.1, each times the share of training that was done: call it
        every epoch. Raises ValueError for a rate outside of [0, 1), or without residual branches.
        """
        names = list(self._branch_of)[skip:]
        if not 0 <= rate < 1 or (rate > 0 and not names):
            raise ValueError(
                f"drop path: got {rate} for {self.network.name}, which has {len(names)} residual branches to leave out; "
                "expected at least 0 and below 1, and 0 where there are none"
            )
        first = 0 if self.network.family == "FasterNet" else 1
        steps = max(1, len(names) - 1 + first)
        self._drop_path = {name: rate * (n + first) / steps for n, name in enumerate(names)} if rate > 0 else {}

    def _apply_node(self, node: _core.Node, inputs: List[Tensor]) -> Tensor:
        if self.training and self._drop_path.get(node.name, 0.0) > 0:
            branch = self._branch_of[node.name]
            keep = 1 - self._drop_path[node.name]
            kept = inputs[branch].new_empty((len(inputs[branch]), 1, 1, 1)).bernoulli_(keep)
            inputs = [value * kept / keep if i == branch else value for i, value in enumerate(inputs)]
        result = super()._apply_node(node, inputs)
        form = self._forms.get(node.name)
        return F.dropout(result, form.dropout) if self.training and form is not None and form.dropout > 0 else result

    def _initialise(self) -> None:
        """Convolutions so that activations keep their size, classifiers small."""
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
            else:
                continue
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def _place_branches(self, form: Form, op: _core.Op) -> None:
        def add(path: str, kernel: Optional[int] = None) -> None:
            self._place(f"{path}.conv", convolution(op, False, kernel))
            self._place(f"{path}.bn", nn.BatchNorm2d(op.output[3], eps=EPS))

        if form.skip:
            self._place(f"{form.layer}.rbr_skip", nn.BatchNorm2d(op.output[3], eps=EPS))
        for index in range(form.branches):
            add(f"{form.layer}.rbr_conv.{index}")
        if op.kernel != (1, 1):
            add(f"{form.layer}.rbr_scale", 1)

    def _branches(self, form: Form) -> List[nn.Module]:
        block = self.get_submodule(form.layer)
        branches = [block.get_submodule(f"rbr_conv.{index}") for index in range(form.branches)]
        return branches + [block.get_submodule("rbr_scale")] if "rbr_scale" in block._modules else branches

    def _sum_branches(self, form: Form, op: _core.Op, x: Tensor) -> Tensor:
        terms = [branch.get_submodule("bn")(branch.get_submodule("conv")(x)) for branch in self._branches(form)]
        if form.skip:
            terms.append(self.get_submodule(f"{form.layer}.rbr_skip")(x))
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total

    def _folded_branches(self, form: Form, op: _core.Op) -> Tuple[Tensor, Tensor]:
        height, width = op.kernel
        centre = [width // 2, width - 1 - width // 2, height // 2, height - 1 - height // 2]
        terms = []
        for branch in self._branches(form):
            weight, bias = fold_norm(branch.get_submodule("conv").weight, None, branch.get_submodule("bn"))
            terms.append((F.pad(weight, centre) if weight.shape[2:] != (height, width) else weight, bias))
        if form.skip:
            channels, per_group = op.output[3], op.inputs[0][3] // op.groups
            identity = torch.zeros(channels, per_group, 1, 1, dtype=torch.double, device=terms[0][0].device)
            rows = torch.arange(channels, device=identity.device)
            identity[rows, rows % per_group] = 1
            norm = self.get_submodule(f"{form.layer}.rbr_skip")
            terms.append(fold_norm(F.pad(identity, centre), None, norm))
        weights, biases = zip(*terms)
        return torch.stack(weights).sum(0), torch.stack(biases).sum(0)

    @torch.no_grad()
    def fold(self) -> Inference:
        """The inference form: batch norms folded by their running statistics, branches merged, in double precision."""
        state: Dict[str, Tensor] = {}
        for node in self._nodes:
            form = self._forms.get(node.name)
            if form is None:
                continue
            bias: Optional[Tensor]
            if form.branches:
                weight, bias = self._folded_branches(form, node.op)
            else:
                layer = self.get_submodule(form.layer)
                weight, bias = layer.weight, layer.bias
                if form.norm:
                    weight, bias = fold_norm(weight, bias, self.get_submodule(form.norm))
            state[f"{node.name}.weight"] = weight
            if bias is not None:
                state[f"{node.name}.bias"] = bias
        result = Inference(self.network)
        result.load_state_dict(state)
        return result.to(next(self.parameters()).device).eval()


# ---- families ---------------------------------------------------------------------------------


def module(what: NetworkLike, *, branches: Optional[int] = None, classes: Optional[int] = None) -> TrainForm:
    """The train form of a network: of CPUBone's kind (also a proposal of a search), of MobileOne and FasterNet as their
    reference codes have it, of any other with a batch norm after every convolution of a feature map.

    `branches` is MobileOne's k, by default the published 4 for S0 and 1 for the larger; `classes` those of your data,
    by default the network's own (1000).
    Sources: CPUBone, arXiv 2603.26425; MobileOne, arXiv 2206.04040; FasterNet, arXiv 2303.03667.
    """
    built = network(what)
    if classes is not None:
        built = built.with_classes(classes)
    if branches is not None and branches < 1:
        raise ValueError(f"branches: got {branches}, expected at least 1")
    return TrainForm(built, train_forms(built, branches))


def inference(what: NetworkLike, weights: Optional[Mapping[str, Any]] = None) -> Inference:
    """The inference form of any network, with `weights` of an executor or PyTorch's initial ones."""
    result = Inference(network(what)).eval()
    return result if weights is None else result.load_weights(weights)
