"""Networks and proposals in timm: its `create_model`, its feature extractors, its train script.

>>> import timm, cpubone.timm
>>> timm.create_model("cpubone_b0", num_classes=10)                                      # doctest: +SKIP
>>> timm.create_model("cpubone", config="cpubone-out/networks/proposal-2.json")          # doctest: +SKIP

`cpubone` takes whatever `cpubone.network` does as `config`; published networks have names of their own: `cpubone_b0`,
and with that prefix those of other families, as timm has some of its own: `cpubone_fasternet_t0`. All are the train
forms of `cpubone.torch.module`, so that `fold()` gives what runs on XNNPACK. Where timm has a network of the same name
(from 1.0.31 on some of CPUBone's) this one takes its place, and takes its weights with `pretrained=True`. timm's train
script, which its repository has, knows them when it is started so:

    python -m cpubone timm train.py DATA --model cpubone --model-kwargs config=proposal-2.json --drop-path 0.05

Needs timm 1.0 or newer and PyTorch; the rest of cpubone does not. Checkpoints of CPUBone, MobileOne and FasterNet load by
name (`checkpoint_path=`).
"""

from __future__ import annotations

import warnings
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

from cpubone import _core
from cpubone.torch import TrainForm, reference_name

try:
    from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
    from timm.models import build_model_with_cfg, get_pretrained_cfg, register_model
except ImportError as error:
    raise ImportError("cpubone.timm needs timm 1.0 or newer: `pip install timm`") from error

from torch import Tensor, nn
from torch.nn import functional as F

from cpubone._forms import train_forms
from cpubone._networks import Network, NetworkLike, network

__all__ = ["TimmNetwork", "cpubone"]

#: Part of the image's height that a crop has in evaluation, by family; CPUBone's is that of new networks too.
_CROPS = {"CPUBone": 0.95, "FasterNet": 0.9}
_OTHER_CROP = 0.875
_ZOO_FAMILIES = {row[1] for row in _core.zoo()}


def _head_begin(what: Network) -> int:
    """The first node behind the backbone."""
    nodes = what.nodes
    return next((index for index, node in enumerate(nodes) if node.stage == "head"), len(nodes))


def _reduction(what: Network, node: _core.Node) -> int:
    return what.input[1] // node.op.output[1]


def _feature_maps(what: Network) -> List[int]:
    """The last node of the backbone at each stride from 2 on."""
    last = {_reduction(what, node): index for index, node in enumerate(what.nodes[: _head_begin(what)])}
    return [last[stride] for stride in sorted(last) if stride > 1]


class TimmNetwork(TrainForm):
    """A train form with what timm asks of its models.

    `num_classes` 0 leaves the classifier out. `img_size` (pixels, or height and width) is what `fold` and the
    executor take then; training takes any size. `drop_rate` is of the classifier's input, `drop_path_rate` that of
    `set_drop_path`, `branches` that of `cpubone.torch.module`.
    """

    def __init__(
        self,
        config: NetworkLike,
        *,
        num_classes: int = 1000,
        in_chans: int = 3,
        img_size: Union[int, Tuple[int, int], None] = None,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        branches: Optional[int] = None,
    ) -> None:
        built = network(config)
        if img_size is not None:
            built = built.at_resolution(*((img_size,) if isinstance(img_size, int) else img_size))
        if in_chans != built.input[3]:
            built = built.with_channels(in_chans)
        built = built.with_classes(num_classes) if num_classes > 0 else built.without_classifier()
        super().__init__(built, train_forms(built, branches))
        nodes = self._nodes
        self._head = _head_begin(built)
        self._classifier = nodes[-1].name if num_classes > 0 else ""
        self.num_classes = num_classes
        self.num_features = nodes[self._head - 1].op.output[3]
        self.head_hidden_size = nodes[-1].op.inputs[0][3] if num_classes > 0 else nodes[-1].op.output[3]
        self.drop_rate = drop_rate
        self.set_drop_path(drop_path_rate, skip=2 if built.name == "cpubone-b3" else 0)
        self._maps = _feature_maps(built)
        self.feature_info = [
            {"num_chs": nodes[i].op.output[3], "reduction": _reduction(built, nodes[i]), "module": nodes[i].name}
            for i in self._maps
        ]

    def forward_features(self, x: Tensor) -> Tensor:
        """The last feature map."""
        last = self._head - 1
        return self._run({-1: x}, 0, (last,))[last]

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Logits of the last feature map, or what the classifier reads."""
        last = len(self._nodes) - 1
        before = last - 1 if self._classifier else last
        if self._head <= before:
            x = self._run({self._head - 1: x}, self._head, (before,))[before]
        x = F.dropout(x, self.drop_rate, self.training) if self.drop_rate > 0 else x
        if self._classifier and not pre_logits:
            x = self._run({before: x}, last, (last,))[last]
        return x.flatten(1)

    def forward(self, images: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(images))

    def _taken(self, indices: Union[int, Sequence[int], None]) -> List[int]:
        """Positions of feature maps: of a number the last so many, negative ones from the end."""
        every = range(len(self._maps))
        if indices is None:
            return list(every)
        return list(every[-indices:]) if isinstance(indices, int) else [every[index] for index in indices]

    def forward_intermediates(
        self,
        x: Tensor,
        indices: Union[int, Sequence[int], None] = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> Union[List[Tensor], Tuple[Tensor, List[Tensor]]]:
        """Feature maps of these positions in `feature_info`; with the last one beside them if not only these."""
        if output_fmt != "NCHW":
            raise ValueError(f'output_fmt: got "{output_fmt}", expected "NCHW"')
        wanted = [self._maps[index] for index in self._taken(indices)]
        last = self._head - 1
        values = self._run({-1: x}, 0, wanted if intermediates_only else [*wanted, last])
        maps = [values[index] for index in wanted]
        return maps if intermediates_only else (values[last], maps)

    def prune_intermediate_layers(
        self, indices: Union[int, Sequence[int]] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> List[int]:
        """Removes the layers behind the last of these feature maps. Returns the maps' positions."""
        taken = self._taken(indices)
        for node in self._nodes[self._maps[max(taken)] + 1 :]:
            form = self._forms.get(node.name)
            for path in (form.layer, form.norm) if form is not None else ():
                parent, _, name = path.rpartition(".")
                if path:
                    delattr(self.get_submodule(parent), name)
        return taken

    def get_classifier(self) -> nn.Module:
        return self.get_submodule(self._forms[self._classifier].layer) if self._classifier else nn.Identity()

    def reset_classifier(self, num_classes: int, global_pool: Optional[str] = None) -> None:
        """A new classifier for so many classes."""
        if num_classes < 1 or not self._classifier:
            raise ValueError(
                f"num_classes: got {num_classes} for {self.network.name}, expected at least 1, of a network that has a "
                "classifier; create_model(..., num_classes=0) makes one without"
            )
        old = self.get_classifier()
        self.network = self.network.with_classes(num_classes)
        self._nodes = self.network.nodes
        self.num_classes = num_classes
        classifier = nn.Linear(self.head_hidden_size, num_classes).to(next(old.parameters()))
        nn.init.trunc_normal_(classifier.weight, std=0.02)
        nn.init.zeros_(classifier.bias)
        self._place(self._forms[self._classifier].layer, classifier)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        if enable:
            raise ValueError("gradient checkpointing: networks of cpubone do not have it")


def _pretrained_cfg(built: Network) -> Dict[str, Any]:
    """What timm's data pipeline reads: size, crop and normalisation of images."""
    _, height, width, channels = built.input
    forms = list(train_forms(built).values())
    first, last = forms[0], forms[-1]
    family = built.family if built.family in _ZOO_FAMILIES else "CPUBone"
    return {
        "url": "",
        "num_classes": built.nodes[-1].op.output[3],
        "input_size": (channels, height, width),
        "pool_size": None,
        "crop_pct": _CROPS.get(family, _OTHER_CROP),
        "interpolation": "bicubic",
        "mean": IMAGENET_DEFAULT_MEAN,
        "std": IMAGENET_DEFAULT_STD,
        "first_conv": None if first.branches else first.layer,
        "classifier": last.layer,
    }


def _renamed(state: Dict[str, Tensor], model: TimmNetwork) -> Dict[str, Tensor]:
    """timm's weights of a network, by the names that they have here."""
    return {reference_name(key): value for key, value in state.items()}


def _create(name: str, config: NetworkLike, pretrained: bool, options: Dict[str, Any], source: Dict[str, Any]) -> nn.Module:
    """`source` is where timm has weights."""
    built = network(config)
    if not isinstance(options.get("pretrained_cfg"), dict):
        options["pretrained_cfg"] = {**_pretrained_cfg(built), **source}
    model: nn.Module = build_model_with_cfg(
        TimmNetwork,
        name,
        pretrained,
        config=built,
        pretrained_filter_fn=_renamed,
        feature_cfg={"feature_cls": "getter", "out_indices": tuple(range(len(_feature_maps(built))))},
        kwargs_filter=("global_pool",),
        **options,
    )
    return model


def cpubone(pretrained: bool = False, *, config: NetworkLike, **options: Any) -> nn.Module:
    """timm's entry for any network: a name, a file of a network or proposal, a `cpubone.Config` or `cpubone.Network`."""
    return _create("cpubone", config, pretrained, options, {})


def _register(zoo_name: str) -> None:
    own = zoo_name.replace("-", "_")
    name = own if own.startswith("cpubone_") else f"cpubone_{own}"
    theirs = get_pretrained_cfg(name)
    sources = ("url", "hf_hub_id", "tag", "license")
    source = {key: getattr(theirs, key) for key in sources if theirs is not None and getattr(theirs, key)}

    def entry(pretrained: bool = False, **options: Any) -> nn.Module:
        return _create(name, zoo_name, pretrained, options, source)

    entry.__name__ = entry.__qualname__ = name
    entry.__doc__ = f"timm's entry for {zoo_name}."
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it takes the place of timm's own
        register_model(entry)


register_model(cpubone)
for _name, *_ in _core.zoo():
    _register(_name)
