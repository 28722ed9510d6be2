"""Hardware-aware architecture exploration for CPUs: latency = MACs / MACpS.

>>> import cpubone
>>> b0 = cpubone.network("b0")
>>> b0.macs
519710080
>>> profile = cpubone.profile(networks=[b0], budget_s=10)       # measured here, on XNNPACK
>>> predictor = cpubone.Predictor.host()                        # measured once, then kept
>>> predictor.predict("b1").latency_ms                          # doctest: +SKIP

Latencies are of batch 1: `_ms` are milliseconds, `_ns` nanoseconds. MACs are multiply-accumulates
of convolutions, linear layers and attention products; parameters are those of the inference form.
Wrong arguments raise ValueError, bad files and failing libraries cpubone.Error.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

try:
    from cpubone import _core
except ImportError as error:
    raise ImportError(
        f"cpubone's extension is missing or does not load ({error}). Did you forget to build? "
        "`pip install .` in the repository, or `cmake --workflow --preset dev` and PYTHONPATH=build/dev/python"
    ) from error

__version__: str = _core.__version__
Error = _core.Error
Op = _core.Op
Node = _core.Node

if TYPE_CHECKING:
    from cpubone._co_execution import (
        CoExecution as CoExecution,
        CoExecutionPredictor as CoExecutionPredictor,
        LayerSplit as LayerSplit,
    )
    from cpubone._display import Chart as Chart
    from cpubone._execution import Executor as Executor, random_weights as random_weights
    from cpubone._exploring import (
        Exploration as Exploration,
        Proposal as Proposal,
        estimated_top1 as estimated_top1,
        explore as explore,
    )
    from cpubone._networks import (
        ALWAYS_FUSED as ALWAYS_FUSED,
        NEVER_FUSED as NEVER_FUSED,
        Config as Config,
        Network as Network,
        NetworkInfo as NetworkInfo,
        Stage as Stage,
        config as config,
        families as families,
        network as network,
        networks as networks,
        published as published,
    )
    from cpubone._prediction import (
        DeviceInfo as DeviceInfo,
        OpLatency as OpLatency,
        Prediction as Prediction,
        Predictor as Predictor,
        devices as devices,
    )
    from cpubone._profiling import (
        NetworkRecord as NetworkRecord,
        OpRecord as OpRecord,
        Profile as Profile,
        distinct_operators as distinct_operators,
        host as host,
        host_warnings as host_warnings,
        operators as operators,
        profile as profile,
    )
    from cpubone._quantisation import (
        Comparison as Comparison,
        PrecisionComparison as PrecisionComparison,
        Quantised as Quantised,
        TensorError as TensorError,
        compare_precisions as compare_precisions,
        quantise as quantise,
    )
    from cpubone._results import Result as Result, Study as Study, StudyNumber as StudyNumber, report as report
    from cpubone._spaces import SearchSpace as SearchSpace
    from cpubone._studies import study as study

# Modules are imported when one of their names is first used, so that `import cpubone` is quick.
_HOMES = {
    "_co_execution": ("CoExecution", "CoExecutionPredictor", "LayerSplit"),
    "_display": ("Chart",),
    "_execution": ("Executor", "random_weights"),
    "_exploring": ("Exploration", "Proposal", "estimated_top1", "explore"),
    "_networks": (
        "ALWAYS_FUSED",
        "NEVER_FUSED",
        "Config",
        "Network",
        "NetworkInfo",
        "Stage",
        "config",
        "families",
        "network",
        "networks",
        "published",
    ),
    "_prediction": ("DeviceInfo", "OpLatency", "Prediction", "Predictor", "devices"),
    "_profiling": (
        "NetworkRecord",
        "OpRecord",
        "Profile",
        "distinct_operators",
        "host",
        "host_warnings",
        "operators",
        "profile",
    ),
    "_quantisation": (
        "Comparison",
        "PrecisionComparison",
        "Quantised",
        "TensorError",
        "compare_precisions",
        "quantise",
    ),
    "_results": ("Result", "Study", "StudyNumber", "report"),
    "_spaces": ("SearchSpace",),
    "_studies": ("study",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = ["Error", "Node", "Op", "__version__", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    if name == "torch":
        return importlib.import_module("cpubone.torch")
    if name not in _HOME:
        raise AttributeError(f"module 'cpubone' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"cpubone.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "torch"])
