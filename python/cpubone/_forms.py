"""How nodes of published families are trained: where their modules are in the reference code, and which there are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Callable, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from cpubone import _core

if TYPE_CHECKING:
    from cpubone._networks import Network


def pads(op: _core.Op) -> Tuple[Tuple[int, int], Optional[List[int]]]:
    """Padding that the convolution itself can do, else what `F.pad` must do before it."""
    top, bottom, left, right = op.padding
    if top == bottom and left == right:
        return (top, left), None
    return (0, 0), [left, right, top, bottom]


class Form(NamedTuple):
    """How a node with parameters is trained: where its modules are and which there are."""

    layer: str  #: path of the convolution, linear layer or normalisation; of branches their block
    norm: str = ""  #: path of the batch norm after it, if any
    bias: bool = False  #: the layer has a bias
    branches: int = 0  #: MobileOne: convolutions of the sum; 0 for a single layer
    skip: bool = False  #: MobileOne: the sum has the input, normalised
    dropout: float = 0.0  #: of its output, in training


def _cpubone_path(node: _core.Node) -> Tuple[str, str]:
    """Path of a node's block in the reference code of CPUBone, and what the node is in it."""
    stem = re.fullmatch(r"stem\.(\d+)\.(\w+)", node.name)
    if stem:
        return f"backbone.input_stem.op_list.{stem[1]}.main", stem[2]
    plain = re.fullmatch(r"stage(\d)\.(\d+)\.(\w+)", node.name)
    if plain:
        return f"backbone.stages.{int(plain[1]) - 1}.op_list.{plain[2]}.main", plain[3]
    part = re.fullmatch(r"stage(\d)\.(\d+)\.(attention|mlp|local)\.(\w+)", node.name)
    if part:
        home = {"attention": "0.0", "mlp": "0.1", "local": "1"}[part[3]]
        return f"backbone.stages.{int(part[1]) - 1}.op_list.{part[2]}.total.{home}.main", f"{part[3]}.{part[4]}"
    raise KeyError(node.name)


def _cpubone_form(node: _core.Node) -> Form:
    """Train form of a node of CPUBone's kind. Raises KeyError for another one's."""
    fixed = {
        "stem.conv": Form("backbone.input_stem.op_list.0.conv", "backbone.input_stem.op_list.0.norm"),
        "head.conv": Form("head.op_list.0.conv", "head.op_list.0.norm"),
        "head.features": Form("head.op_list.2.linear"),
        "head.norm": Form("head.op_list.2.norm"),
        "head.classes": Form("head.op_list.3.linear", bias=True),
    }
    if node.name in fixed:
        return fixed[node.name]
    path, role = _cpubone_path(node)
    # A convolution that pads one side only comes after a padding layer, in a sequence.
    conv = "conv.1" if pads(node.op)[1] is not None else "conv"
    # In stages with attention, convolutions before a projection have biases; unfused ones no norms.
    local = role.startswith("local.")
    role = role[len("local.") :] if local else role
    if role == "spatial":
        return Form(f"{path}.spatial_conv.{conv}", f"{path}.spatial_conv.norm", bias=local)
    if role == "expand":
        return Form(f"{path}.inverted_conv.{conv}", "" if local else f"{path}.inverted_conv.norm", bias=local)
    if role == "depthwise":
        return Form(f"{path}.depth_conv.{conv}", "" if local else f"{path}.depth_conv.norm", bias=local)
    if role == "project":
        return Form(f"{path}.point_conv.conv", f"{path}.point_conv.norm")
    return {
        "attention.norm": Form(f"{path}.0"),
        "attention.reduce": Form(f"{path}.1.conv_proj.{conv}", f"{path}.1.conv_proj.norm"),
        "attention.qkv": Form(f"{path}.1.pwise.0"),
        "attention.project": Form(f"{path}.1.upsampling.0", bias=True),
        "attention.upsample": Form(f"{path}.1.upsampling", bias=True),
        "mlp.norm": Form(f"{path}.0"),
        "mlp.expand": Form(f"{path}.1", bias=True),
        "mlp.project": Form(f"{path}.3", bias=True, dropout=0.1),
    }[role]


def _mobileone_form(node: _core.Node, branches: int) -> Form:
    """Train form of a node of MobileOne, named as its reference code does."""
    if node.name == "head.classes":
        return Form("linear", bias=True)
    if node.name == "stem.conv":
        return Form("stage0", branches=1)
    match = re.fullmatch(r"(stage\d)\.(\d+)\.(depthwise|pointwise)(?:\.squeeze\.(reduce|expand))?", node.name)
    if match is None:
        raise KeyError(node.name)
    block = f"{match[1]}.{2 * int(match[2]) + (match[3] == 'pointwise')}"
    if match[4]:
        return Form(f"{block}.se.{match[4]}", bias=True)
    op = node.op
    skip = op.stride == (1, 1) and op.inputs[0] == op.output
    return Form(block, branches=branches, skip=skip)


def _fasternet_form(node: _core.Node) -> Form:
    """Train form of a node of FasterNet, named as its reference code does."""
    fixed = {
        "stem.embed": Form("patch_embed.proj", "patch_embed.norm"),
        "head.conv": Form("avgpool_pre_head.1"),
        "head.classes": Form("head", bias=True),
    }
    if node.name in fixed:
        return fixed[node.name]
    merge = re.fullmatch(r"stage(\d)\.merge", node.name)
    if merge:
        path = f"stages.{2 * int(merge[1]) - 3}"
        return Form(f"{path}.reduction", f"{path}.norm")
    block = re.fullmatch(r"stage(\d)\.(\d+)\.(partial|expand|project)", node.name)
    if block is None:
        raise KeyError(node.name)
    path = f"stages.{2 * int(block[1]) - 2}.blocks.{block[2]}"
    return {
        "partial": Form(f"{path}.spatial_mixing.partial_conv3"),
        "expand": Form(f"{path}.mlp.0", f"{path}.mlp.1"),
        "project": Form(f"{path}.mlp.3"),
    }[block[3]]


def _plain_forms(nodes: Sequence[_core.Node]) -> Dict[str, Form]:
    """A batch norm after every convolution of a feature map whose inference form has a bias: what most families are
    trained with, but for parallel branches. Names are the nodes' own."""
    forms: Dict[str, Form] = {}
    pooled: Set[int] = set()  # vectors of an image, in squeeze-excites and heads
    for index, node in enumerate(nodes):
        op = node.op
        sources = [source for source in node.inputs if source >= 0]
        if op.kind == "global_avg_pool" or (sources and pooled.issuperset(sources)):
            pooled.add(index)
        if op.params == 0:
            continue
        after = {nodes[source].op.kind for source in sources}
        is_normal = after.isdisjoint(("attention", "group_norm", "layer_norm", "rms_norm"))
        if op.kind == "conv2d" and op.bias and index not in pooled and is_normal:
            forms[node.name] = Form(f"{node.name}.conv", f"{node.name}.norm")
        else:
            forms[node.name] = Form(node.name, bias=op.bias)
    return forms


_ZOO_FAMILIES = {row[1] for row in _core.zoo()}


def train_forms(what: Network, branches: Optional[int] = None) -> Dict[str, Form]:
    """Of the nodes that have parameters, by name; `branches` as `cpubone.torch.module` takes them."""
    k = branches or (4 if what.name == "mobileone-s0" else 1)
    families: Dict[str, Callable[[_core.Node], Form]] = {
        "CPUBone": _cpubone_form,
        "MobileOne": lambda node: _mobileone_form(node, k),
        "FasterNet": _fasternet_form,
    }
    # What nobody published is of the kind whose nodes it has.
    kinds = [what.family] if what.family in _ZOO_FAMILIES else list(families)
    names = {node.name for node in what.nodes}
    for kind in kinds:
        if kind == "CPUBone" and "head.features" not in names:
            continue
        try:
            forms = {node.name: families[kind](node) for node in what.nodes if node.op.params > 0}
        except KeyError:
            continue
        if branches is not None and kind != "MobileOne":
            break
        return forms
    if branches is not None:
        raise ValueError(f"branches: got {branches} for {what.name}, expected a MobileOne, which alone has them")
    return _plain_forms(what.nodes)


def _before(nodes: Sequence[_core.Node], index: int, wanted: int) -> bool:
    """Whether a node reads another one, at once or by what is between them."""
    return index == wanted or (index > wanted and any(_before(nodes, source, wanted) for source in nodes[index].inputs))


def residual_branches(nodes: Sequence[_core.Node]) -> Dict[str, int]:
    """Additions of a branch to what it reads, but those of the stem: which of the two inputs is the branch. In the
    order of the reference code of CPUBone, which finds a block's convolution before its attention and MLP."""
    found: List[Tuple[str, int]] = []
    for node in nodes:
        if node.op.kind != "add" or node.stage == "stem":
            continue
        a, b = node.inputs
        if a != b and (_before(nodes, a, b) or _before(nodes, b, a)):
            found.append((node.name, 0 if a > b else 1))
    blocks = [".".join(name.split(".")[:2]) for name, _ in found]
    order = sorted(range(len(found)), key=lambda i: (blocks.index(blocks[i]), ".local." not in found[i][0]))
    return dict(found[i] for i in order)
