"""Controlled comparisons, measured here or predicted: the papers' tables, precisions, shared layers."""

from __future__ import annotations

import datetime
import os
from typing import Iterable, List, Optional, Sequence, Union

from cpubone import _core
from cpubone._co_execution import CoExecutionPredictor
from cpubone._display import Bar, Progress
from cpubone._document import PathLike
from cpubone._networks import NetworkLike, network
from cpubone._prediction import Predictor
from cpubone._profiling import _need_xnnpack
from cpubone._results import Result, Study

AnyPredictor = Union[Predictor, CoExecutionPredictor, Sequence[Predictor]]


def study(
    name: str,
    predictor: AnyPredictor,
    *,
    networks: Iterable[NetworkLike] = (),
    accuracy: Optional[PathLike] = None,
    measure_s: float = 0.0,
    runtime_library: Optional[PathLike] = None,
    seed: int = 1,
    progress: Progress = True,
) -> Study:
    """A study as `cpubone-explore --study` makes it: its table, what it says, and its chart.

    `operators`, `partial-conv`, `grouping`, `kernel`, `fusion`, `upsampling`, `attention`, `activations`, `blocks`,
    `correlation`, `mac-efficiency` and `threads` are of one predictor, in its precision.
    `precision` puts f32 beside f16 and int8, and takes predictors of one device in these, f32 among them:
    `[Predictor.host(), Predictor.host(dtype="qs8")]`. `networks` are compared, by default all published ones; `accuracy` is a
    CSV of your top-1 in int8 (`network,top1`). Measured, f32 is enough: networks run in turns in all precisions.
    `co-execution-linear` and `co-execution-conv` take a `CoExecutionPredictor`.

    Without `measure_s` all is predicted. With it, latencies are measured on this machine within about so many seconds,
    which `predictor` must then be of; of `precision`, predictions stand beside, and `runtime_library` names a file of XNNPACK
    that is measured instead of the one that is built in, as for `profile`, by which the predictors were measured, too.
    Ctrl-C stops; what was measured is lost. `Study.result` saves and reports it.
    Raises ValueError for a study that there is not, for what it does not take, and with `measure_s` for a predictor of another
    machine or runtime; cpubone.Error for what cannot be read or predicted.
    """
    predictors = _predictors(name, predictor)
    sharing = predictor._core if isinstance(predictor, CoExecutionPredictor) else None
    compared = [network(what)._core for what in networks]
    path = "" if accuracy is None else os.fspath(accuracy)
    library = "" if runtime_library is None else os.fspath(runtime_library)
    if name != "precision":
        for argument, given in (("networks", compared), ("accuracy", path), ("runtime_library", library)):
            if given:
                raise ValueError(f"{argument}: is of the study precision only; leave it out of {name}")
    if not measure_s >= 0:
        raise ValueError(f"measure_s: got {measure_s}, expected seconds, or 0 to predict")
    if library and measure_s == 0:
        raise ValueError("runtime_library: is what is measured, but nothing is: expected measure_s above 0, too")
    if measure_s > 0:
        _need_xnnpack()
    with Bar(f"study {name}", progress) as bar:
        callback = bar.callback
        report = None if callback is None else lambda fraction, text: callback(fraction, float("nan"), text)
        core = _core.study(
            name=name,
            predictors=predictors,
            sharing=sharing,
            networks=compared,
            accuracy=path,
            measure_s=measure_s,
            runtime_library=library,
            seed=seed,
            created=datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            command=f'cpubone.study("{name}", measure_s={measure_s}, seed={seed})',
            progress=report,
        )
    return Result(core).study(name)


def _predictors(name: str, predictor: AnyPredictor) -> List[_core.Predictor]:
    names = _core.study_names()
    if name not in names:
        raise ValueError(f'study: got "{name}", expected one of {", ".join(names)}')
    if name.startswith("co-execution"):
        if not isinstance(predictor, CoExecutionPredictor):
            raise ValueError(f"predictor: got {predictor!r}, but {name} takes a cpubone.CoExecutionPredictor")
        return []
    several = [predictor] if isinstance(predictor, Predictor) else predictor
    if not isinstance(several, (list, tuple)) or not several or not all(isinstance(p, Predictor) for p in several):
        wanted = "cpubone.Predictors of one device in several precisions" if name == "precision" else "a cpubone.Predictor"
        raise ValueError(f"predictor: got {predictor!r}, but {name} takes {wanted}")
    if name != "precision" and len(several) > 1:
        raise ValueError(f"predictor: got {len(several)}, but {name} is of one; the study precision compares several")
    return [one._core for one in several]
