"""Searching for networks with a better trade-off of latency and accuracy."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple, Union

from cpubone import _core
from cpubone._display import Bar, Progress
from cpubone._document import PathLike
from cpubone._networks import Config, Network, NetworkLike, network
from cpubone._prediction import Predictor
from cpubone._profiling import Profile, _need_xnnpack
from cpubone._results import Result
from cpubone._spaces import SearchSpace


class Proposal(NamedTuple):
    """A network that an exploration proposes."""

    name: str
    config: Optional[Config]  #: of networks of CPUBone's kind
    network: Network


class Exploration(NamedTuple):
    """What `explore` returns."""

    result: Result
    proposals: List[Proposal]  #: fastest first
    next: List[Network] = []  #: those to train next, as `result` tells of them, the first first

    def save(self, folder: PathLike) -> None:
        """Writes `result.json` and `networks/*.json`, of proposals and of those to train next; those of the result that
        was there before are removed."""
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        networks = [proposal.network for proposal in self.proposals] + self.next
        _core.save_result(self.result._core, [network._core for network in networks], path)

    def _repr_html_(self) -> str:
        return self.result._repr_html_()


def explore(
    predictor: Predictor,
    *,
    space: Union[SearchSpace, PathLike, None] = None,
    accuracy: Optional[PathLike] = None,
    profile: Optional[Profile] = None,
    measure_s: float = 0.0,
    latency_ms: Optional[float] = None,
    top1: Optional[float] = None,
    params_m: Optional[float] = None,
    macs_m: Optional[float] = None,
    memory_mb: Optional[float] = None,
    resolution: Union[int, Tuple[int, int], None] = None,
    features: bool = False,
    evaluations: int = 100_000,
    proposals: int = 8,
    next: int = 0,
    rounds: int = 3,
    budget_s: float = 90.0,
    algorithm: str = "local",
    threads: int = 0,
    seed: int = 1,
    progress: Progress = True,
) -> Exploration:
    """Rebuilds the published networks, searches the space for the front of predicted latency and estimated top-1,
    and proposes networks.

    `space` is one, or the name of one that comes with the toolkit (`SearchSpace.names()`), or a file. `accuracy` is a CSV
    of networks that you trained (`network,top1`, or timm's or W&B's summary), whose scale estimates get. `next` so many
    networks are told that are worth training next, as they are expected to improve the front most.
    With `measure_s` seconds a round, proposals are measured on this machine beside B0 to B3, the predictor is
    corrected and the search repeated; `predictor` must then be of this machine. `profile` gives latencies of
    published networks that were measured before. Bounds are at most (`top1`, in percent, at least); `params_m` and
    `macs_m` are millions, `memory_mb` weights and activations. `resolution` (pixels, or height and width) and
    `features` (without heads, as detectors use them) are those of all networks, but for their accuracy: that is of
    whole classifiers. `threads` search (0: all). Ctrl-C stops cleanly.
    The same seed gives the same proposals where nothing is measured.
    Raises cpubone.Error where no network meets the bounds, telling how near one comes.
    """
    if not isinstance(predictor, Predictor):
        raise ValueError(
            f"predictor: got {predictor!r}, expected a cpubone.Predictor: Predictor.host(), "
            'Predictor.of_device("pi5"), Predictor.load(path)'
        )
    if measure_s > 0:
        _need_xnnpack()
    limits = {"latency": latency_ms, "params": params_m, "macs": macs_m, "memory": memory_mb}
    at_most: Dict[str, float] = {name: float(limit) for name, limit in limits.items() if limit is not None}
    height, width = resolution if isinstance(resolution, tuple) else (resolution or 0,) * 2
    if resolution is not None and min(height, width) < 1:
        raise ValueError(f"resolution: got {resolution!r}, expected pixels above 0, or a height and a width")
    arguments = _core.ExploreArguments(
        algorithm=algorithm,
        evaluations=evaluations,
        at_most=at_most,
        top1=0.0 if top1 is None else float(top1),
        threads=threads if threads > 0 else os.cpu_count() or 1,
        seed=seed,
        proposals=proposals,
        rounds=rounds,
        budget_s=budget_s,
        measure_s=measure_s,
        height=height,
        width=width,
        features=features,
        next=next,
        accuracy="" if accuracy is None else os.fspath(accuracy),
        created=datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        command=f"cpubone.explore(evaluations={evaluations}, proposals={proposals}, seed={seed})",
    )
    chosen = _space(space)
    with Bar("exploring", progress) as bar:
        callback = bar.callback
        report = None if callback is None else lambda fraction, text: callback(fraction, float("nan"), text)
        core, found, following = _core.explore(
            predictor._core, chosen._core, None if profile is None else profile._core, arguments, report
        )
    made = [
        Proposal(built.name, None if config is None else Config._from_core(config), Network(built))
        for config, built in found
    ]
    return Exploration(Result(core), made, [Network(built) for built in following])


def _space(what: Union[SearchSpace, PathLike, None]) -> SearchSpace:
    if what is None:
        return SearchSpace.default()
    if isinstance(what, SearchSpace):
        return what
    if isinstance(what, str) and not what.endswith(".json"):
        return SearchSpace.named(what)
    return SearchSpace.load(what)


def estimated_top1(what: NetworkLike) -> Optional[Tuple[float, float, float]]:
    """Estimated ImageNet-1k top-1 in percent with its 90 % interval; None too far from all that was published.

    A capacity model fitted on published networks: it ranks networks of CPUBone's kind, and says nothing of a training
    recipe.
    """
    return _core.estimated_top1(network(what)._core)
