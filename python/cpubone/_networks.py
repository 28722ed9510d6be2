"""Networks: by name, as configurations of CPUBone's kind, from files."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import warnings
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from cpubone import _core
from cpubone._display import Rows, frame, table
from cpubone._document import Document, PathLike

if TYPE_CHECKING:
    import numpy
    import numpy.typing
    import pandas

#: Arrays by name, as `cpubone.random_weights` describes them.
Weights = Dict[str, "numpy.typing.NDArray[numpy.float32]"]
#: Dimensions of the inputs of an ONNX model: of the first, or by name.
InputShapes = Union[Sequence[int], Mapping[str, Sequence[int]]]

#: Channels for `Config.fused_below` that fuse every block, and none.
ALWAYS_FUSED = 1 << 16
NEVER_FUSED = 0

_COLUMNS = ("name", "stage", "kind", "input", "output", "kernel", "stride", "groups", "activation", "params", "macs", "op")


@dataclasses.dataclass(frozen=True)
class Stage:
    """A stage of a CPUBone network: one strided block that sets the width, then `blocks` residual blocks.

    Of the stem (stage 0) the strided block is a dense 3x3 convolution, and `down_*` are not used.
    Source: CPUBone, arXiv 2603.26425.
    """

    width: int  #: channels
    blocks: int = 0  #: residual blocks after the strided one
    groups: int = 2  #: of spatial convolutions in fused blocks, of expansions in unfused ones
    down_expansion: float = 4.0
    down_kernel: int = 3
    down_fused: bool = True  #: the strided block is one spatial convolution and a projection
    expansion: float = 4.0
    kernel: int = 3  #: of the residual blocks
    fused: bool = True  #: the residual blocks are
    attention: bool = False  #: residual blocks are attention, MLP, convolution
    attention_kernel: int = 2
    attention_stride: int = 1  #: attention sees the resolution divided by it


@dataclasses.dataclass(frozen=True)
class Config:
    """A network of CPUBone's kind as data: all that the search space varies.

    `build()` raises ValueError naming the field where the parts do not fit. `dataclasses.replace` makes variants.
    """

    stages: Tuple[Stage, ...]  #: five: stem and stages 1 to 4, each halving the resolution
    name: str = "custom"
    family: str = "custom"
    resolution: int = 224  #: input height and width in pixels, a multiple of 32
    mlp_expansion: float = 4.0
    upsampling: str = "nearest"  #: or "transposed"
    activation: str = "hardswish"
    mlp_activation: str = "gelu"
    head_channels: int = 1536
    head_features: int = 1600
    classes: int = 1000

    def build(self) -> Network:
        """The network in inference form."""
        return Network(self._to_core().build())

    def fused_below(self, channels: int, *, strided: int = ALWAYS_FUSED) -> Config:
        """The same with residual blocks fused in stages of fewer channels, strided blocks by their output; no others.

        The published members are fused below 256, their strided blocks always.
        """
        return Config._from_core(self._to_core().fused_below(channels, strided))

    def describe(self) -> str:
        """Short description in the papers' notation, e.g. `w16-32-64-128-256 d0-1-1-3-4 g2`."""
        return self._to_core().describe()

    def to_dict(self) -> Dict[str, Any]:
        """Plain values that `from_dict` reads."""
        return dataclasses.asdict(self)

    @staticmethod
    def from_dict(values: Dict[str, Any]) -> Config:
        """The configuration of `to_dict`. Raises TypeError for unknown fields."""
        stages = tuple(Stage(**stage) for stage in values["stages"])
        fields: Dict[str, Any] = {**values, "stages": stages}
        return Config(**fields)

    def _to_core(self) -> _core.Config:
        if len(self.stages) != 5:
            raise ValueError(f"config: got {len(self.stages)} stages, expected 5 (stem and stages 1 to 4)")
        core = _core.Config()
        for field in dataclasses.fields(self):
            if field.name != "stages":
                setattr(core, field.name, getattr(self, field.name))
        stages = []
        for stage in self.stages:
            core_stage = _core.Stage()
            for field in dataclasses.fields(stage):
                setattr(core_stage, field.name, getattr(stage, field.name))
            stages.append(core_stage)
        core.stages = stages
        return core

    @staticmethod
    def _from_core(core: _core.Config) -> Config:
        stages = tuple(
            Stage(**{field.name: getattr(stage, field.name) for field in dataclasses.fields(Stage)})
            for stage in core.stages
        )
        names = [field.name for field in dataclasses.fields(Config) if field.name != "stages"]
        return Config(stages=stages, **{name: getattr(core, name) for name in names})


def config(name: str) -> Config:
    """Configuration of a CPUBone member, `b0` and `cpubone-b0` alike. Raises ValueError listing them."""
    return Config._from_core(_core.cpubone_config(name))


class NetworkInfo(NamedTuple):
    """A published network that `network(name)` builds."""

    name: str
    family: str
    source: str  #: paper or code that describes it


def networks(family: Optional[str] = None) -> List[NetworkInfo]:
    """Published networks, of one family where given. Raises ValueError for an unknown family."""
    rows = [NetworkInfo(*row) for row in _core.zoo()]
    if family is None:
        return rows
    found = [row for row in rows if row.family.lower() == family.lower()]
    if not found:
        raise ValueError(f'family: got "{family}", expected one of {", ".join(families())}')
    return found


def families() -> List[str]:
    """Families of the published networks."""
    return list(dict.fromkeys(row[1] for row in _core.zoo()))


def published(name: str) -> Dict[str, Any]:
    """What was published of a network: `accuracy` (or None) and `latency`, a list; each with its source.

    top1 is in percent on ImageNet-1k, `*_m` are millions, latencies milliseconds at batch 1.
    """
    return {"accuracy": _core.published_accuracy(name), "latency": _core.published_latencies(name)}


class Network(Document[_core.Network]):
    """A directed acyclic graph of operators in inference form, NHWC, batch 1.

    Made by `cpubone.network`, `Config.build`, `Network.load`. Immutable; pickles as its JSON, without weights.
    """

    __slots__ = ("weights",)
    _native = _core.Network
    _kind = "network"

    def __init__(self, core: _core.Network, weights: Optional[Weights] = None) -> None:
        super().__init__(core)
        #: Of an ONNX model, as `random_weights` describes them; None: it has none of its own.
        self.weights = weights

    @staticmethod
    def random(seed: int) -> Network:
        """A random backbone of no family, 0.05 to 4 G MACs; the same seed gives the same."""
        return Network(_core.random_network(seed))

    @property
    def name(self) -> str:
        return self._core.name

    @property
    def family(self) -> str:
        return self._core.family

    @property
    def input(self) -> Tuple[int, int, int, int]:
        """Shape of the input: n = 1, height, width, channels."""
        return self._core.input

    @property
    def nodes(self) -> List[_core.Node]:
        """Operators in an order that can be executed."""
        return self._core.nodes

    @property
    def outputs(self) -> List[str]:
        """Names of the nodes whose outputs are the network's."""
        nodes = self._core.nodes
        return [nodes[index].name for index in self._core.outputs]

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return self._core.macs

    @property
    def params(self) -> int:
        """Parameters of the inference form."""
        return self._core.params

    @property
    def weight_bytes(self) -> int:
        return self._core.weight_bytes

    @property
    def peak_activation_bytes(self) -> int:
        """Most bytes of tensors alive at one time: what a run needs beside weights."""
        return self._core.peak_activation_bytes

    def executed(self) -> Network:
        """As it is executed: activations that no convolution applies while it writes are nodes of their own."""
        return Network(self._core.executed(), self.weights)

    def features(self) -> Network:
        """The backbone alone: without its head, one output a stage. Raises ValueError without stages."""
        return Network(self._core.features(), self.weights)

    def at_resolution(self, height: int, width: Optional[int] = None) -> Network:
        """The same network for another input, in pixels. Raises where a shape becomes impossible."""
        return Network(self._core.at_resolution(height, height if width is None else width), self.weights)

    def _changed(self, change: Callable[[Dict[str, Any]], None]) -> Network:
        """The network of the values that its file has, changed."""
        values = json.loads(self.json())
        change(values)
        return Network.from_json(json.dumps(values), self.name)

    def _classifier(self) -> _core.Node:
        last = self._core.nodes[self._core.outputs[0]]
        if len(self._core.outputs) != 1 or last.op.kind != "linear":
            raise ValueError(f"classes: {self.name} does not end in a linear layer")
        return last

    def with_classes(self, classes: int) -> Network:
        """The same network for so many classes. Raises ValueError where it does not end in a linear layer."""
        last = self._classifier()
        if classes < 1:
            raise ValueError(f"classes: got {classes}, expected at least 1")
        shape = "->" + "x".join(str(extent) for extent in last.op.output)

        def change(values: Dict[str, Any]) -> None:
            for node in values["nodes"]:
                if node["name"] == last.name:
                    node["op"] = node["op"].replace(shape, shape[: shape.rindex("x") + 1] + str(classes))

        return self._changed(change)

    def without_classifier(self) -> Network:
        """The same network without its last linear layer: it gives what that reads. Raises ValueError without one."""
        last = self._classifier()

        def change(values: Dict[str, Any]) -> None:
            values["outputs"] = next(node["inputs"] for node in values["nodes"] if node["name"] == last.name)
            values["nodes"] = [node for node in values["nodes"] if node["name"] != last.name]

        return self._changed(change)

    def with_channels(self, channels: int) -> Network:
        """The same network for images of so many channels. Raises ValueError where more than a dense convolution reads
        them."""
        old, first = self.input, [node for node in self.nodes if -1 in node.inputs]
        if channels < 1 or len(first) != 1 or first[0].op.kind != "conv2d" or first[0].op.groups != 1:
            raise ValueError(
                f"channels: got {channels} for {self.name}, expected at least 1, and one dense convolution that reads images"
            )

        def change(values: Dict[str, Any]) -> None:
            values["input"][3] = channels
            for node in values["nodes"]:
                if node["name"] == first[0].name:
                    shape = "x".join(str(extent) for extent in old[:3])
                    node["op"] = node["op"].replace(f" {shape}x{old[3]}->", f" {shape}x{channels}->")

        return self._changed(change)

    def rows(self) -> Rows:
        """One dict a node: name, stage, kind, input and output (h, w, c), kernel, stride, groups, activation,
        params, macs, op (canonical text)."""
        rows = []
        for node in self._core.nodes:
            op = node.op
            rows.append(
                {
                    "name": node.name,
                    "stage": node.stage,
                    "kind": op.kind,
                    "input": op.inputs[0][1:],
                    "output": op.output[1:],
                    "kernel": op.kernel[0],
                    "stride": op.stride[0],
                    "groups": op.groups,
                    "activation": op.activation,
                    "params": op.params,
                    "macs": op.macs,
                    "op": str(op),
                }
            )
        return rows

    def frame(self) -> pandas.DataFrame:
        """`rows()` as a pandas frame."""
        return frame(self.rows(), _COLUMNS)

    def __hash__(self) -> int:
        return hash((self.name, self.macs, self.params))

    def __repr__(self) -> str:
        h, w = self.input[1:3]
        return f"<cpubone.Network {self.name} {h}x{w}: {self.params} parameters, {self.macs} MACs>"

    def _repr_html_(self) -> str:
        stages: Dict[str, List[int]] = {}
        for node in self._core.nodes:
            sums = stages.setdefault(node.stage, [0, 0, 0])
            sums[0] += 1
            sums[1] += node.op.params
            sums[2] += node.op.macs
        rows: List[Sequence[object]] = [(stage, *sums) for stage, sums in stages.items()]
        rows.append(("total", len(self._core.nodes), self.params, self.macs))
        h, w = self.input[1:3]
        return table(f"{self.name}, {h}x{w} pixels", ("stage", "operators", "parameters", "MACs"), rows)


#: Whatever `network` reads.
NetworkLike = Union[str, Config, Network, "os.PathLike[str]"]


@functools.lru_cache(maxsize=256)
def _by_name(name: str) -> Network:
    return Network(_core.named_network(name, {})[0])


def _from_file(path: str, input_shapes: InputShapes) -> Network:
    shapes = input_shapes if isinstance(input_shapes, Mapping) else {"": input_shapes} if input_shapes else {}
    core, weights, unsupported = _core.named_network(path, {name: list(dims) for name, dims in shapes.items()})
    for text in unsupported:
        warnings.warn(f"{core.name}: {text}; latencies are of the rest", stacklevel=3)
    return Network(core, weights)


def network(what: NetworkLike, *, input_shapes: InputShapes = ()) -> Network:
    """The network of a published name (`b0`, `mobilenetv2-100`), a `Config`, a network file (`*.json`), an ONNX model
    (`*.onnx`), or of an object that has it as `network`: an executor, a prediction, a module of `cpubone.torch`.

    `input_shapes` are of an ONNX model that leaves dimensions open: those of its first input, or by name. What no
    engine runs is left out of a model, with a warning that names it.

    Raises ValueError listing names that are near, or for anything else; cpubone.Error for a bad file.
    """
    if isinstance(what, Network):
        return what
    if isinstance(what, Config):
        return what.build()
    if isinstance(what, os.PathLike) or (isinstance(what, str) and what.endswith((".json", ".onnx"))):
        return _from_file(os.fspath(what), input_shapes)
    if isinstance(what, str):
        return _by_name(what)
    held = getattr(what, "network", None)
    if isinstance(held, Network):
        return held
    raise ValueError(
        f"network: got a {type(what).__name__}, expected a name of cpubone.networks(), a Config, a Network or the path "
        "of a network file"
    )
