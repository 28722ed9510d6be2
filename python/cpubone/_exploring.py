"""Searching for networks with a better trade-off of latency and accuracy."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple, Union

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
    elsewhere: List[Result] = []  #: the same networks on the second and third device

    def save(self, folder: PathLike) -> None:
        """Writes `result.json`, `result-<device>.json` of other devices and `networks/*.json`, of proposals and of those
        to train next; those of the result that was there before are removed."""
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        networks = [proposal.network for proposal in self.proposals] + self.next
        elsewhere = [result._core for result in self.elsewhere]
        _core.save_result(self.result._core, [network._core for network in networks], path, elsewhere)

    def _repr_html_(self) -> str:
        return self.result._repr_html_()


#: Runs an epoch of islands: the problem, a task an island, and whether to stop; returns epochs. All are JSON.
Evolve = Callable[[str, List[str], Callable[[], bool]], List[str]]


def _named(predictor: Union[Predictor, Mapping[str, Predictor]]) -> List[Tuple[str, Predictor]]:
    devices = {str(predictor.device["name"]): predictor} if isinstance(predictor, Predictor) else predictor
    if not isinstance(devices, Mapping) or not devices or not all(isinstance(p, Predictor) for p in devices.values()):
        raise ValueError(
            f"predictor: got {predictor!r}, expected a cpubone.Predictor: Predictor.host(), "
            'Predictor.of_device("pi5"), Predictor.load(path); or such by the names of devices'
        )
    return list(devices.items())


def _limits(latency_ms: Union[float, Mapping[str, float], None], devices: List[str]) -> Dict[str, float]:
    """By the objectives' names."""
    if latency_ms is None:
        return {}
    by_device = latency_ms if isinstance(latency_ms, Mapping) else {name: latency_ms for name in devices}
    unknown = set(by_device) - set(devices)
    if unknown:
        raise ValueError(f"latency_ms: got {sorted(unknown)}, expected one of the devices {devices}")
    objectives = ("latency", "latency-2", "latency-3")
    return {objectives[devices.index(name)]: float(limit) for name, limit in by_device.items()}


def explore(
    predictor: Union[Predictor, Mapping[str, Predictor]],
    *,
    space: Union[SearchSpace, PathLike, None] = None,
    accuracy: Optional[PathLike] = None,
    profile: Optional[Profile] = None,
    measure_s: float = 0.0,
    latency_ms: Union[float, Mapping[str, float], None] = None,
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
    islands: int = 4,
    generations: int = 5,
    seed: int = 1,
    progress: Progress = True,
    evolve: Optional[Evolve] = None,
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
    Two or three predictors by the names of their devices: networks that are fast on each, and those that are nearest
    to the best on all; `latency_ms` may then be by device.
    `islands` search apart and exchange their best every `generations`; `evolve` runs these epochs elsewhere
    (`cpubone.fleet`), with the same result.
    The same seed gives the same proposals where nothing is measured.
    Raises cpubone.Error where no network meets the bounds, telling how near one comes.
    """
    devices = _named(predictor)
    if measure_s > 0:
        _need_xnnpack()
        if len(devices) > 1 or evolve is not None:
            raise ValueError("measure_s: one device is measured, and islands of its search are not run elsewhere")
    if accuracy is not None and not isinstance(accuracy, (str, os.PathLike)):
        raise ValueError(f"accuracy: got {accuracy!r}, expected the path of a CSV of networks that you trained: network,top1")
    limits = {"params": params_m, "macs": macs_m, "memory": memory_mb}
    at_most = {name: float(limit) for name, limit in limits.items() if limit is not None}
    at_most.update(_limits(latency_ms, [name for name, _ in devices]))
    height, width = resolution if isinstance(resolution, tuple) else (resolution or 0,) * 2
    if resolution is not None and min(height, width) < 1:
        raise ValueError(f"resolution: got {resolution!r}, expected pixels above 0, or a height and a width")
    arguments = _core.ExploreArguments(
        algorithm=algorithm,
        evaluations=evaluations,
        at_most=at_most,
        top1=0.0 if top1 is None else float(top1),
        threads=threads if threads > 0 else os.cpu_count() or 1,
        islands=islands,
        generations=generations,
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
        core, elsewhere, found, following = _core.explore(
            [(name, one._core) for name, one in devices],
            chosen._core,
            None if profile is None else profile._core,
            arguments,
            report,
            evolve,
        )
    made = [
        Proposal(built.name, None if config is None else Config._from_core(config), Network(built))
        for config, built in found
    ]
    return Exploration(
        Result(core), made, [Network(built) for built in following], [Result(one) for one in elsewhere]
    )


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
