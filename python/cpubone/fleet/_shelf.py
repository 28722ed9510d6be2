"""A shelf of equal boards shares one plan of operators; boards that turn out not to be equal are set aside."""

from __future__ import annotations

import itertools
import json
import math
import statistics
import time
from collections import deque
from pathlib import Path
from typing import Any, Callable, Counter, Deque, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple, Union

import cpubone
from cpubone.fleet import _tasks
from cpubone.fleet._boards import SshBoard, WorkerBoard
from cpubone.fleet._journal import Journal
from cpubone.fleet._pool import Lost, digest, say

Board = Union[WorkerBoard, SshBoard]

OVERLAP = (3, 12)  #: operators that every board measures first, at least and at most
PROBES = (1, 3)  #: of them, measured again in every job
COMPARED = 8  #: of a board's share of the plan, and of a job, one in so many is measured to compare boards
MOST_STRIKES = 2  #: jobs of a board that may be rejected
LEAST_JOB_S = 3.0  #: less than what a board needs to begin measuring
LONGEST_OP_S = 60.0  #: an operator that cannot be measured in that time never will be
LEAST_JOB = 8  #: operators, where there are as many
JOBS_EACH = 4  #: of a board at most, the later the smaller, so that a slow one holds nobody up


class Shelf(NamedTuple):
    """What the boards of a device measured."""

    profile: cpubone.Profile  #: of all boards that are equal
    boards: Dict[str, cpubone.Profile]  #: what of it each board measured
    set_aside: Dict[str, str]  #: boards whose records are in neither, and why


def within(bounds: Tuple[int, int], count: int) -> int:
    """The number, or the bound that it is beyond."""
    return min(max(count, bounds[0]), bounds[1])


def job_sizes(ops: int, boards: int) -> List[int]:
    """Into how many operators a plan is dealt out, first jobs first: as many jobs for each board, the later the smaller."""
    each = within((1, JOBS_EACH), ops // boards // LEAST_JOB)
    shares = [each + 2 - k for k in range(each) for _ in range(boards)]
    ends = [ops * share // sum(shares) for share in itertools.accumulate(shares)]
    return [end - begin for begin, end in zip([0, *ends], ends) if end > begin]


class Job(NamedTuple):
    """Operators for one board."""

    name: str
    ops: Tuple[str, ...]
    probes: Tuple[str, ...]

    def budget_s(self, s_per_op: float) -> float:
        return max(LEAST_JOB_S, s_per_op * (len(self.ops) + len(self.probes)))

    def text(self, settings: Dict[str, Any], s_per_op: float, seed: int) -> str:
        ops = [*self.probes, *self.ops]
        return json.dumps({"ops": ops, "settings": settings, "budget_s": self.budget_s(s_per_op), "seed": seed})


class NotEqual(cpubone.Error):
    """The answer of a board that does not belong on the shelf."""


class State:
    """Of a board on the shelf."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.job: Optional[Job] = None
        self.since = 0.0
        self.temperature_c: Optional[float] = None


def latencies_ns(values: Dict[str, Any]) -> Dict[str, float]:
    """By operator, of a profile's JSON; disturbed ones tell nothing of a board."""
    return {row["op"]: row["median_ns"] for row in values["ops"] if not row["disturbed"]}


def slowdown(own: Dict[str, float], others: Dict[str, float]) -> float:
    """How much longer this board takes; 1 where nothing can be compared."""
    ratios = [math.log(own[op] / others[op]) for op in own if op in others and own[op] > 0 and others[op] > 0]
    return math.exp(statistics.median(ratios)) if ratios else 1.0


def consensus(boards: Sequence[Dict[str, float]]) -> Dict[str, float]:
    """By operator the median over the boards, of two in the middle the faster: throttling only slows down."""
    ops = {op for board in boards for op in board}
    return {op: statistics.median_low([board[op] for board in boards if op in board]) for op in ops}


def difference(off: float) -> str:
    """A slowdown in words."""
    return f"{abs(off - 1):.0%} {'slower' if off > 1 else 'faster'} than its shelf"


def checked(name: str, text: str) -> Tuple[Dict[str, Any], str]:
    """The profile that a board sent and its fingerprint. Raises cpubone.Error where it is none."""
    values = _tasks.parse(text, "profile")
    profile = cpubone.Profile.from_json(text, f"profile of {name}")
    for row in values["ops"]:
        if not row["median_ns"] > 0:
            raise cpubone.Error(f"{row['op']}: got {row['median_ns']} ns, expected a latency above 0")
    return values, profile.fingerprint


def check_job(profile: Dict[str, Any], job: Job) -> None:
    """Raises cpubone.Error where a profile is not of the job."""
    got = [row["op"] for row in profile["ops"]]
    strange = set(got) - set(job.ops) - set(job.probes)
    if strange or len(got) != len(set(got)):
        raise cpubone.Error(f"got {len(got)} operators, of which {len(strange)} were not asked for, expected each once")


class ShelfRun:
    """Measures a plan on the boards of a device; `step` is called whenever something may have happened."""

    def __init__(
        self,
        device: str,
        boards: Callable[[], Sequence[Board]],
        ops: Sequence[str],
        *,
        settings: Dict[str, Any],
        budget_s: float,
        seed: int,
        journal: Optional[Path],
        resume: bool,
        tolerance: float,
        patience_s: float,
        wake: Callable[[], None],
    ) -> None:
        self.device = device
        self.set_aside: Dict[str, str] = {}
        self.away: Dict[str, str] = {}  # boards that went away, and why, until they answer again
        self.rejected = 0
        self.states: Dict[str, State] = {}
        self.started = time.monotonic()
        self._boards = boards
        self._settings = settings
        self._seed = seed
        self._tolerance = tolerance
        self._patience_s = patience_s
        self._wake = wake
        self._present_at = time.monotonic()  # the last time that a board was there
        self._overlaps: Dict[str, Dict[str, float]] = {}  # by board: latencies in ns of what all measure
        self._kinds: Dict[str, str] = {}  # by board: its fingerprint
        self._compared = False
        self._uncompared = False  # some have measured what all measure since boards were compared
        self._strikes: Counter[str] = Counter()  # by board: answers that were rejected
        plan = list(dict.fromkeys(ops))
        count = max(1, len(boards()))
        overlap = within(OVERLAP, len(plan) // count // COMPARED)
        self._overlap = Job("overlap", tuple(plan[:: max(1, len(plan) // overlap)][:overlap]), ())
        rest = [op for op in plan if op not in set(self._overlap.ops)]
        self._s_per_op = budget_s * count / max(1, len(plan) + count * len(self._overlap.ops))
        self._todo: Deque[Job] = deque()
        begin = 0
        for k, size in enumerate(job_sizes(len(rest), count)):
            self._todo.append(self._job(rest[begin : begin + size], k))
            begin += size
        self.ops = len(plan)
        self._plan = plan
        self.entries: Dict[str, Dict[str, Any]] = {}  # accepted answers by job and board
        self.journal = Journal(journal, digest(*plan, json.dumps(settings, sort_keys=True), str(seed)), resume)
        for entry in self.journal.known:
            self._restore(entry)
        if self._overlaps:
            self._compare()

    def _job(self, ops: Sequence[str], k: int) -> Job:
        overlap = self._overlap.ops
        probes_of = within(PROBES, len(ops) // COMPARED)
        probes = [overlap[(k + i * max(1, len(overlap) // probes_of)) % len(overlap)] for i in range(probes_of)]
        return Job(digest(*ops), tuple(ops), tuple(dict.fromkeys(probes)))

    def _restore(self, entry: Dict[str, Any]) -> None:
        board, job_name = str(entry["board"]), str(entry["job"])
        profile, self._kinds[board] = checked(board, json.dumps(entry["profile"]))
        self._keep(job_name, board, profile)
        if job_name == self._overlap.name:
            self._overlaps[board] = latencies_ns(profile)
        known = {row["op"] for row in profile["ops"]}
        for job in list(self._todo):
            left = [op for op in job.ops if op not in known]
            if len(left) < len(job.ops):
                self._todo.remove(job)
                if left:
                    self._todo.append(self._job(left, len(self._todo)))

    @property
    def done(self) -> int:
        """Operators that are measured."""
        return len(self._measured())

    def _measured(self) -> Set[str]:
        return {row["op"] for entry in self.entries.values() for row in entry["profile"]["ops"]}

    def _missing(self) -> List[str]:
        measured = self._measured()
        return [op for op in self._plan if op not in measured]

    def is_finished(self) -> bool:
        return not self._todo and not self._is_busy() and not self._missing()

    def cancel(self) -> None:
        for state in self.states.values():
            if state.job is not None or isinstance(state.board, SshBoard):
                state.board.cancel()
        self.journal.close()

    def step(self) -> None:
        """Takes what boards answered and gives them what is to do. Raises cpubone.Error where no board is left."""
        for board in self._boards():
            if board.name not in self.states and board.name not in self.set_aside:
                self.states[board.name] = State(board)
        for name, state in list(self.states.items()):
            if state.job is not None:
                self._look_after(name, state)
        if self._uncompared and self._overlaps and not any(s.job is self._overlap for s in self.states.values()):
            self._compare()
        if not self._todo and not self._is_busy() and self._compared and (missing := self._missing()):
            self._todo.append(self._job(missing, len(self.entries)))  # of boards that were set aside
        ready = [state for state in self.states.values() if state.job is None and state.board.is_there()]
        if self.states:
            self._present_at = time.monotonic() if ready or self._is_busy() else self._present_at
        if self._is_busy() or ready:
            for state in ready:
                self._give(state)
        elif not self.is_finished() and time.monotonic() - self._present_at > self._patience_s:
            reasons = {**self.away, **self.set_aside}
            told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items()) or "none was there"
            raise cpubone.Error(
                f"device {self.device}: no board is left to measure {self.ops - self.done} of {self.ops} operators ({told}); "
                "what was measured is in the journal, from which resume=True goes on"
            )

    def _is_busy(self) -> bool:
        return any(state.job is not None for state in self.states.values())

    def _give(self, state: State) -> None:
        if state.board.name not in self._overlaps:
            job = self._overlap
        elif self._compared and self._todo:
            job = self._todo.popleft()
        else:  # nobody's records count before it is known who is equal
            return
        state.job = job
        state.since = time.monotonic()
        try:
            state.board.start(job.text(self._settings, self._s_per_op, self._seed), self._wake)
        except Lost as lost:
            self._let_go(state.board.name, state, job, str(lost))

    def _look_after(self, name: str, state: State) -> None:
        job = state.job
        assert job is not None
        allowed_s = self._patience_s + 3 * job.budget_s(self._s_per_op)
        if state.board.has_answer():
            state.job = None
            try:
                self._take(name, state, job)
            except Lost as lost:
                self._let_go(name, state, job, str(lost))
        elif state.board.is_lost():
            self._let_go(name, state, job, "its worker or the scheduler went away")
        elif time.monotonic() - state.since > allowed_s:
            self._put_aside(name, f"no answer within {allowed_s:.0f} s")

    def _let_go(self, name: str, state: State, job: Job, reason: str) -> None:
        if name not in self.away:
            say(f"{self.device}: {name} went away; others take its work, or it does when it is back ({reason})")
        self.away[name] = reason
        state.board.cancel()
        state.job = None
        self._again(job)
        del self.states[name]  # it may come back

    def _take(self, name: str, state: State, job: Job) -> None:
        try:
            text, state.temperature_c = state.board.answer()
            if self.away.pop(name, None) is not None:
                say(f"{self.device}: {name} is back")
            profile, kind = checked(name, text)
            if self._kinds.setdefault(name, kind) != kind:
                raise NotEqual("it turned into another kind of board, runtime or setting")
            check_job(profile, job)
            if not {row["op"] for row in profile["ops"]} & set(job.ops):  # its time was too short
                self._s_per_op *= 2
                if self._s_per_op > LONGEST_OP_S:
                    raise cpubone.Error(f"got none of the {len(job.ops)} operators that were asked for")
                self._again(job)
                return
            off = slowdown(latencies_ns(profile), self._reference())
            if self._compared and self._differs(off):
                raise cpubone.Error(f"{difference(off)} while it measured")
        except cpubone.Error as error:
            self.rejected += 1
            self._strikes[name] += 1
            self._again(job)
            if self._strikes[name] >= MOST_STRIKES or isinstance(error, NotEqual):
                self._put_aside(name, str(error))
            else:
                say(f"{self.device}: an answer of {name} is rejected: {error}")
            return
        if job is self._overlap:
            self._overlaps[name] = latencies_ns(profile)
            self._keep(job.name, name, profile)
            self.journal.add({"job": job.name, "board": name, "profile": profile})
            self._uncompared = True
            return
        wanted = set(job.ops)
        profile["ops"] = [row for row in profile["ops"] if row["op"] in wanted]
        self._keep(job.name, name, profile)
        self.journal.add({"job": job.name, "board": name, "profile": profile})
        left = [op for op in job.ops if op not in {row["op"] for row in profile["ops"]}]
        if left:  # its time was too short
            self._todo.append(self._job(left, len(self.entries)))

    def _reference(self) -> Dict[str, float]:
        return consensus(list(self._overlaps.values()))

    def _differs(self, off: float) -> bool:
        return abs(math.log(off)) > math.log1p(self._tolerance)

    def _compare(self) -> None:
        """Sets boards aside that are not what most are, by their fingerprints and by what all have measured."""
        counts = Counter(self._kinds[name] for name in sorted(self._overlaps))
        usual = counts.most_common(1)[0][0]
        like = next(name for name in sorted(self._overlaps) if self._kinds[name] == usual)
        for name in sorted(self._overlaps):
            if self._kinds[name] != usual:
                self._put_aside(name, f"another kind of board, runtime or setting than {like}")
        reference = self._reference()
        for name, overlap in sorted(self._overlaps.items()):
            off = slowdown(overlap, reference)
            if self._differs(off):
                self._put_aside(name, f"{difference(off)} on {len(overlap)} operators that all measured")
        self._compared = True
        self._uncompared = False

    def _put_aside(self, name: str, reason: str) -> None:
        self.set_aside[name] = reason
        self._overlaps.pop(name, None)
        state = self.states.pop(name, None)
        if state is not None and state.job is not None:
            state.board.cancel()
            self._again(state.job)
        say(f"{self.device}: {name} is set aside: {reason}")
        for key, entry in list(self.entries.items()):
            if entry["board"] == name and entry["job"] == self._overlap.name:
                del self.entries[key]

    def _again(self, job: Job) -> None:
        if job is not self._overlap:
            self._todo.appendleft(job)

    def _keep(self, job: str, board: str, profile: Dict[str, Any]) -> None:
        self.entries[f"{job} {board}" if job == self._overlap.name else job] = {
            "job": job,
            "board": board,
            "profile": profile,
        }

    def shelf(self) -> Shelf:
        """All records, each operator once, in the order of the plan's jobs whatever the order of answers."""
        boards: Dict[str, List[cpubone.Profile]] = {}
        whole: Optional[cpubone.Profile] = None
        seen: Dict[str, str] = {}
        for key in sorted(self.entries, key=lambda key: (self.entries[key]["job"] != self._overlap.name, key)):
            entry = self.entries[key]
            values = dict(entry["profile"])
            values["ops"] = [row for row in values["ops"] if row["op"] not in seen]
            seen.update({row["op"]: entry["board"] for row in values["ops"]})
            profile = cpubone.Profile.from_json(json.dumps(values))
            boards.setdefault(entry["board"], []).append(profile)
            whole = profile if whole is None else whole.merged(profile)
        if whole is None:
            raise cpubone.Error(f"device {self.device}: nothing was measured")
        merged = {}
        for name, parts in boards.items():
            merged[name] = parts[0]
            for part in parts[1:]:
                merged[name] = merged[name].merged(part)
        return Shelf(whole, merged, dict(self.set_aside))
