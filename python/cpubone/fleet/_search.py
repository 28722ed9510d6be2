"""A search whose islands run on the workers of a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Dict, List, Optional

import cpubone
from cpubone import _core
from cpubone.fleet import _tasks
from cpubone.fleet._journal import Journal
from cpubone.fleet._pool import Pool, digest

#: Between islands in a search. Each costs the client as much as what islands found new: of 200,000 networks, twice as many
#: exchanges find a front of 0.1 % more volume.
EXCHANGES = 10
POPULATION = 100  #: of an island
MOST_GENERATIONS = 1000  #: of an epoch, which takes some seconds then: longer than that would look like a worker that hangs


class Search:
    """An epoch of an island is a function of problem and task, so that what was found once need not be searched again.

    Entries of the journal are answers by the digest of their task. Raises cpubone.Error where the journal is of another
    search.
    """

    def __init__(self, problem: str, first: List[str], journal: Optional[Path], resume: bool) -> None:
        self._text = problem
        self._problem = _core.IslandProblem(problem)
        self._journal = Journal(journal, digest(problem, *first), resume)
        self._known: Dict[str, str] = {}
        for entry in self._journal.known:
            task, answer = str(entry.get("task")), str(entry.get("answer"))
            try:
                self._problem.check(answer)
            except cpubone.Error as error:
                raise cpubone.Error(f"{journal}: {error}") from error
            self._known[task] = answer

    def close(self) -> None:
        """Ends the journal."""
        self._journal.close()

    def evolve(self, pool: Pool, tasks: List[str], stopped: Callable[[], bool]) -> List[str]:
        """The answers of all islands, those that are known already without asking."""
        names = [digest(task) for task in tasks]
        missing = [i for i, name in enumerate(names) if name not in self._known]

        def accept(k: int, answer: str) -> None:
            self._problem.check(answer)
            self._known[names[missing[k]]] = answer
            self._journal.add({"task": names[missing[k]], "answer": answer})

        pool.run(_tasks.evolve, self._text, [tasks[i] for i in missing], accept, stopped)
        return [self._known.pop(name) for name in names]
