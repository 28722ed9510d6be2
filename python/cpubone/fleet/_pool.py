"""A Dask cluster that runs tasks until each has a good answer, whatever happens to workers and scheduler."""

from __future__ import annotations

import concurrent.futures
import hashlib
import itertools
import math
import queue
import sys
import time
from types import TracebackType
from typing import Any, Callable, Dict, List, Optional, Sequence, Set, Tuple, Type, Union

import distributed

import cpubone
from cpubone.fleet import _tasks

Cluster = Union[None, str, distributed.Client]

MOST_TRIES = 4  #: of a task, beside those that a lost connection took
LOOK_S = 0.25  #: between looks for what sends no news


def digest(*texts: str) -> str:
    """Tells texts apart."""
    whole = hashlib.sha256()
    for text in texts:
        whole.update(len(text).to_bytes(8, "little") + text.encode())
    return whole.hexdigest()[:24]


def say(line: str) -> None:
    """A line for the user, as of tools on stderr."""
    print(f"cpubone.fleet: {line}", file=sys.stderr, flush=True)


class Lost(Exception):
    """An answer that there was is gone, with its worker or with the scheduler."""


def result_of(future: Any, patience_s: float) -> Any:
    """What a finished task returned, which its worker still has to send. Raises Lost where it does not."""
    try:
        return future.result(timeout=patience_s)
    except (OSError, concurrent.futures.CancelledError, distributed.TimeoutError) as error:
        raise Lost(repr(error)) from error


class Pool:
    """A connection to a cluster: the user's own client, a scheduler's address, or workers of this machine.

    `security` is passed on to Dask, as is whatever else the user gives to a client of his own.
    """

    def __init__(self, cluster: Cluster, security: Any, patience_s: float) -> None:
        self.patience_s = patience_s
        self.blamed: Dict[str, str] = {}  #: workers that are not asked again, and why
        self._security = security
        self._own: List[Any] = []  # to close
        self._shared: Dict[str, Any] = {}
        self._workers: Dict[str, Dict[str, Any]] = {}
        self._looked = -math.inf
        self._serial = itertools.count()
        if isinstance(cluster, distributed.Client):
            self.client: Any = cluster
            self._security = security or cluster.security
        elif cluster is None:
            local = distributed.LocalCluster(threads_per_worker=1, dashboard_address=None)
            self.client = distributed.Client(local)
            self._own = [self.client, local]
        else:
            self.client = distributed.Client(cluster, security=security, timeout=patience_s)
            self._own = [self.client]
        self._address = str(self.client.scheduler.address)

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        for one in self._own:
            one.close()

    @property
    def dashboard(self) -> str:
        """Dask's own page; empty where there is none."""
        return str(self.client.dashboard_link or "") if self.is_connected() else ""

    def is_connected(self) -> bool:
        return bool(self.client.status == "running")

    def connect(self) -> None:
        """Waits for a scheduler that went away. Raises cpubone.Error where it does not come back."""
        deadline = time.monotonic() + self.patience_s
        say(f"the scheduler at {self._address} went away; waiting for it")
        while not self.is_connected():
            if self.client.status == "closed":
                try:
                    self.client = distributed.Client(self._address, security=self._security, timeout=2)
                    self._own.insert(0, self.client)
                except OSError:
                    pass
            if time.monotonic() > deadline:
                raise cpubone.Error(
                    f"the scheduler at {self._address} did not come back within {self.patience_s:g} s; start it and run again"
                )
            time.sleep(LOOK_S)
        self._shared.clear()

    def workers(self) -> Dict[str, Dict[str, Any]]:
        """What the scheduler knows of workers, by address; a moment old."""
        if not self.is_connected():
            return {}
        if time.monotonic() - self._looked > LOOK_S:
            try:
                try:
                    info = self.client.scheduler_info(n_workers=-1)
                except TypeError:  # older versions tell of all
                    info = self.client.scheduler_info()
                self._workers = dict(info.get("workers", {}))
            except OSError:
                self._workers = {}
            self._looked = time.monotonic()
        return self._workers

    def name(self, address: str) -> str:
        """What a worker is called."""
        return str(self.workers().get(address, {}).get("name", address))

    def blame(self, address: str, reason: str) -> None:
        """Leaves a worker out from now on."""
        if address in self.blamed:
            return
        self.blamed[address] = reason
        say(f"worker {self.name(address)} is left out: {reason}")

    def submit(self, function: Callable[..., str], *texts: str, **where: Any) -> Any:
        """Runs a function of `_tasks` once."""
        name = f"cpubone-{function.__name__}-{digest(*texts)}-{next(self._serial)}"
        return self.client.submit(function, *texts, key=name, pure=True, **where)

    def _share(self, text: str) -> Any:
        name = digest(text)
        if name not in self._shared:
            self._shared[name] = self.submit(_tasks.keep, text)
        return self._shared[name]

    def _others(self) -> Optional[List[str]]:
        if not self.blamed:
            return None
        others = [address for address in self.workers() if address not in self.blamed]
        if not others and self.is_connected():
            told = "; ".join(f"{address}: {reason}" for address, reason in self.blamed.items())
            raise cpubone.Error(f"no worker is left that answers as it should ({told})")
        return others

    def run(
        self,
        function: Callable[..., str],
        shared: str,
        texts: Sequence[str],
        check: Callable[[int, str], None],
        stopped: Callable[[], bool] = lambda: False,
        done: Callable[[int], None] = lambda count: None,
    ) -> List[str]:
        """The answers of `function(shared, text)`, each once, in the order of `texts`.

        `check` raises where an answer is wrong: its worker is left out, and others are asked. A worker that dies or
        hangs, or a scheduler that is started again, costs time only. Raises cpubone.Error where a task fails everywhere.
        """
        answers: List[Optional[str]] = [None] * len(texts)
        tries = [0] * len(texts)
        live: Dict[int, Any] = {}
        news: "queue.SimpleQueue[Tuple[int, Any]]" = queue.SimpleQueue()

        def ask(i: int) -> None:
            where = {"workers": others} if (others := self._others()) else {}
            future = self.client.submit(
                function,
                self._share(shared),
                texts[i],
                key=f"cpubone-{function.__name__}-{digest(shared, texts[i])}-{next(self._serial)}",
                pure=True,
                **where,
            )
            live[i] = future
            future.add_done_callback(lambda of, i=i: news.put((i, of)))

        def fail(i: int, reason: str) -> None:
            tries[i] += 1
            if tries[i] >= MOST_TRIES:
                raise cpubone.Error(f"{function.__name__}: {tries[i]} workers failed, the last: {reason}")
            ask(i)

        def take(i: int, future: Any) -> None:
            if live.get(i) is not future:
                return  # it was asked for again meanwhile
            if future.status in ("cancelled", "lost"):
                return ask(i)
            if future.status == "error":
                return fail(i, repr(future.exception()))
            worker = ""
            try:
                outer = _tasks.parse(result_of(future, self.patience_s), "answer")
                worker, answer = str(outer.get("worker", "")), outer.get("answer")
                if not isinstance(answer, str):
                    raise cpubone.Error(f"answer: got {type(answer).__name__}, expected text")
                check(i, answer)
            except Lost:
                return ask(i)
            except cpubone.Error as error:
                self.blame(worker, str(error))
                return fail(i, str(error))
            answers[i] = answer
            del live[i]
            done(len(texts) - len(live))

        heard = looked = time.monotonic()
        try:
            for i in range(len(texts)):
                ask(i)
            while live:
                if stopped():
                    raise KeyboardInterrupt
                try:
                    take(*news.get(timeout=LOOK_S))
                    heard = time.monotonic()
                except queue.Empty:
                    pass
                if time.monotonic() - looked < LOOK_S:
                    continue
                looked = time.monotonic()
                if not self.is_connected():
                    self.connect()
                    heard = time.monotonic()
                    for i in list(live):
                        ask(i)
                for i, future in list(live.items()):
                    if future.status in ("cancelled", "lost"):
                        ask(i)
                if looked - heard > self.patience_s:
                    heard = time.monotonic()
                    silent = self._blame_silent([future.key for future in live.values()])
                    for i, future in list(live.items()):
                        if future.key in silent:
                            fail(i, f"no answer within {self.patience_s:g} s")
        finally:
            if live and self.is_connected():
                self.client.cancel(list(live.values()), force=True)
        return [answer for answer in answers if answer is not None]

    def _blame_silent(self, keys: Sequence[str]) -> Set[str]:
        """The keys that workers have and do not get on with; leaves these workers out."""
        silent: Set[str] = set()
        for address, of_worker in self.client.processing().items():
            if mine := set(keys) & {str(key) for key in of_worker}:
                silent |= mine
                self.blame(address, f"no answer within {self.patience_s:g} s")
        if not silent:
            raise cpubone.Error(f"no worker took a task within {self.patience_s:g} s; start workers at {self._address}")
        return silent
