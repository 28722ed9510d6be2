"""A Dask cluster that runs tasks until each has a good answer, whatever happens to workers and scheduler."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import hashlib
import itertools
import math
import queue
import sys
import time
import uuid
from collections import deque
from types import TracebackType
from typing import Any, Callable, Deque, Dict, Iterator, List, Optional, Sequence, Set, Tuple, Type, Union

import distributed

import cpubone
from cpubone.fleet import _tasks

Cluster = Union[None, str, distributed.Client]

MOST_TRIES = 4  #: of a task, beside those that a lost connection took
LOOK_S = 0.25  #: between looks for what sends no news
RECONNECT_S = 3.0  #: that a client has to find its scheduler
CLOSE_S = 5.0  #: that a connection has to end
ABSENT_S = 60.0  #: that schedulers and workers have to be started again, at least: longer than who works takes to answer


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


@contextlib.contextmanager
def in_touch() -> Iterator[None]:
    """Around calls of Dask. Raises Lost for what they raise while a client, worker or scheduler comes or goes, which
    differs from version to version and from moment to moment.
    """
    try:
        yield
    except (Exception, asyncio.CancelledError) as error:
        raise Lost(f"{type(error).__name__}: {error}") from error


def result_of(future: Any, patience_s: float) -> Any:
    """What a finished task returned, which its worker still has to send. Raises Lost where it does not."""
    with in_touch():
        return future.result(timeout=patience_s)


def failure_of(future: Any) -> str:
    """Why a task failed. Raises Lost where it did not, but what it needed is gone."""
    with in_touch():
        failure = future.exception(timeout=LOOK_S)
    if isinstance(failure, (asyncio.CancelledError, concurrent.futures.CancelledError)):
        raise Lost(repr(failure))
    return str(failure) or repr(failure)


class Pool:
    """A connection to a cluster: the user's own client, a scheduler's address, or workers of this machine.

    `security` is passed on to Dask, as is whatever else the user gives to a client of his own.
    """

    def __init__(self, cluster: Cluster, security: Any, patience_s: float) -> None:
        self.patience_s = patience_s
        self.absence_s = max(patience_s, ABSENT_S)
        self.blamed: Dict[str, str] = {}  #: workers that are not asked again, and why
        self.connections = 1  #: so far; what was asked for by an earlier one is lost
        self._security = security
        self._own: List[Any] = []  # to close
        self._shared: Dict[str, Any] = {}
        self._workers: Dict[str, Dict[str, Any]] = {}
        self._looked = -math.inf
        self._keys = (f"cpubone-{uuid.uuid4().hex[:8]}-{i}" for i in itertools.count())  # others may use the scheduler, too
        if isinstance(cluster, distributed.Client):
            self.client: Any = cluster
            self._address = str(cluster.scheduler.address)
            self._security = security or cluster.security
        elif cluster is None:
            local = distributed.LocalCluster(threads_per_worker=1, dashboard_address=None)
            self._own = [local]
            self._address = str(local.scheduler_address)
            self.client = self._new_client(patience_s)
        else:
            self._address = str(cluster)
            try:
                self.client = self._new_client(patience_s)
            except Lost as lost:
                raise cpubone.Error(f"no scheduler answers at {cluster} within {patience_s:g} s ({lost}); start it there") from lost

    def _new_client(self, timeout_s: float) -> Any:
        with in_touch():
            client = distributed.Client(self._address, security=self._security, timeout=timeout_s)
        self._own.insert(0, client)
        return client

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        for one in self._own:
            with contextlib.suppress(Lost), in_touch():
                one.close(timeout=CLOSE_S)

    @property
    def dashboard(self) -> str:
        """Dask's own page; empty where there is none."""
        return str(self.client.dashboard_link or "") if self.is_connected() else ""

    def is_connected(self) -> bool:
        return bool(self.client.status == "running")

    def connect(self) -> None:
        """Waits for a scheduler that went away. Raises cpubone.Error where it does not come back."""
        say(f"the scheduler at {self._address} went away; waiting for it")
        lost_at = time.monotonic()
        while not self.is_connected():
            away_s = time.monotonic() - lost_at
            if away_s > self.absence_s:
                raise cpubone.Error(
                    f"the scheduler at {self._address} did not come back within {self.absence_s:g} s; start it and run again"
                )
            # A client takes up its connection itself, but not for long, and not where it stumbles meanwhile.
            if self.client.status == "closed" or away_s > RECONNECT_S:
                with contextlib.suppress(Lost):
                    self.client = self._new_client(RECONNECT_S)
            time.sleep(LOOK_S)
        self.connections += 1
        self._shared.clear()

    def workers(self) -> Dict[str, Dict[str, Any]]:
        """What the scheduler knows of workers, by address; a moment old."""
        if not self.is_connected():
            return {}
        if time.monotonic() - self._looked > LOOK_S:
            with contextlib.suppress(Lost), in_touch():
                try:
                    info = self.client.scheduler_info(n_workers=-1)
                except TypeError:  # older versions tell of all
                    info = self.client.scheduler_info()
                self._workers = dict(info.get("workers", {}))
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

    def submit(self, function: Callable[..., str], *inputs: Any, done: Callable[[Any], None], **where: Any) -> Any:
        """Runs a function of `_tasks` once, on texts or what is to become one; `done`, perhaps on another thread, hears
        that there is an answer or none will come, unless the connection is lost. Raises Lost where it is already.
        """
        with in_touch():
            future = self.client.submit(function, *inputs, key=f"{next(self._keys)}-{function.__name__}", pure=True, **where)
            future.add_done_callback(done)
        return future

    def cancel(self, futures: Sequence[Any]) -> None:
        """Ends what is still running of these."""
        if futures and self.is_connected():
            with contextlib.suppress(Lost), in_touch():
                self.client.cancel(list(futures), force=True)

    def _share(self, text: str) -> Any:
        name = digest(text)
        future = self._shared.get(name)
        if future is None or future.status not in ("pending", "finished"):
            future = self._shared[name] = self.submit(_tasks.keep, text, done=lambda _: None)
        return future

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
        live: Dict[int, Any] = dict.fromkeys(range(len(texts)))
        wanted: Deque[int] = deque(live)  # of these, who is to be asked for, and has no future
        news: "queue.SimpleQueue[Tuple[int, Any]]" = queue.SimpleQueue()

        def ask(i: int) -> bool:
            where = {"workers": others} if (others := self._others()) else {}

            def tell(future: Any) -> None:
                news.put((i, future))

            try:
                live[i] = self.submit(function, self._share(shared), texts[i], done=tell, **where)
            except Lost:
                return False
            return True

        def again(i: int) -> None:
            live[i] = None
            wanted.append(i)

        def fail(i: int, reason: str) -> None:
            tries[i] += 1
            if tries[i] >= MOST_TRIES:
                raise cpubone.Error(f"{function.__name__}: {tries[i]} workers failed, the last: {reason}")
            again(i)

        def take(i: int, future: Any) -> bool:
            """Whether there was an answer, right or wrong."""
            status = future.status
            if live.get(i) is not future or status == "pending":
                return False  # it was asked for again meanwhile
            worker = ""
            try:
                if status == "error":
                    fail(i, failure_of(future))
                    return True
                if status != "finished":
                    raise Lost(status)
                outer = _tasks.parse(result_of(future, self.patience_s), "answer")
                worker, answer = str(outer.get("worker", "")), outer.get("answer")
                if not isinstance(answer, str):
                    raise cpubone.Error(f"answer: got {type(answer).__name__}, expected text")
                check(i, answer)
            except Lost:
                again(i)
                return False
            except cpubone.Error as error:
                self.blame(worker, str(error))
                fail(i, str(error))
                return True
            answers[i] = answer
            del live[i]
            done(len(texts) - len(live))
            return True

        heard = sought = time.monotonic()
        looked = -math.inf
        try:
            while live:
                if stopped():
                    raise KeyboardInterrupt
                now = time.monotonic()
                if now - looked > LOOK_S:
                    looked = now
                    if not self.is_connected():
                        self.connect()
                        heard = time.monotonic()
                        live.update(dict.fromkeys(live))
                        wanted = deque(live)
                    for i, future in list(live.items()):  # nobody tells of some while connections change
                        if future is not None and take(i, future):
                            heard = time.monotonic()
                    if now - max(heard, sought) > self.patience_s:
                        sought = now
                        silent = self._blame_silent([future.key for future in live.values() if future is not None])
                        heard = now if silent else heard
                        for i, future in list(live.items()):
                            if future is not None and future.key in silent:
                                fail(i, f"no answer within {self.patience_s:g} s")
                            elif future is not None:
                                again(i)  # of who it was asked for, nobody may be there any more
                        if now - heard > self.absence_s:
                            raise cpubone.Error(
                                f"no worker took a task within {self.absence_s:g} s; start workers at {self._address}"
                            )
                while wanted and ask(wanted[0]):
                    wanted.popleft()
                with contextlib.suppress(queue.Empty):
                    if take(*news.get(timeout=LOOK_S)):
                        heard = time.monotonic()
        finally:
            self.cancel([future for future in live.values() if future is not None])
        return [answer for answer in answers if answer is not None]

    def _blame_silent(self, keys: Sequence[str]) -> Set[str]:
        """The keys that workers have and do not get on with; leaves these workers out."""
        processing: Dict[str, Any] = {}
        with contextlib.suppress(Lost), in_touch():
            processing = dict(self.client.processing())
        silent: Set[str] = set()
        for address, of_worker in processing.items():
            if mine := set(keys) & {str(key) for key in of_worker}:
                silent |= mine
                self.blame(address, f"no answer within {self.patience_s:g} s")
        return silent
