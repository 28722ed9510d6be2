"""Search spaces: what a search may choose from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Sequence, Tuple

from cpubone import _core
from cpubone._display import table
from cpubone._document import Document
from cpubone._networks import Config, Network

if TYPE_CHECKING:
    import numpy
    import numpy.typing
    from typing_extensions import TypeAlias

    Genome: TypeAlias = numpy.typing.NDArray[numpy.uint8]


class SearchSpace(Document[_core.SearchSpace]):
    """All networks that a search may choose from: every combination of choices.

    Its skeleton, `cpubone`, `mnasnet` or `staged`, says of what: configurations are of CPUBone's only, `build` makes any network.
    A genome is a uint8 array with the index of a choice for every gene of `genes`. Immutable; pickles as its JSON.
    """

    _native = _core.SearchSpace
    _kind = "space"

    @staticmethod
    def default() -> SearchSpace:
        """The published members and their neighbours: groups, kernels, fusing, attention, widths, depths, resolution."""
        return SearchSpace(_core.SearchSpace.default())

    @staticmethod
    def named(name: str) -> SearchSpace:
        """A space that comes with the toolkit: `default`, `mnasnet` (inverted residuals as Accel-NASBench trained them),
        `fasternet`, `mobileone`, `mixed` (each stage chooses its kind of block). Raises ValueError listing them."""
        if name not in SearchSpace.names():
            raise ValueError(f'search space: got "{name}", expected one of {", ".join(SearchSpace.names())}')
        return SearchSpace(_core.SearchSpace.named(name))

    @staticmethod
    def names() -> List[str]:
        """Names for `named`."""
        return _core.search_space_names()

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> SearchSpace:
        """The space of the values that its file has; `to_dict` gives them to change."""
        return SearchSpace.from_json(json.dumps(dict(values)))

    def to_dict(self) -> Dict[str, Any]:
        """The values that its file has."""
        values: Dict[str, Any] = json.loads(self.json())
        return values

    @property
    def name(self) -> str:
        return self._core.name

    @property
    def skeleton(self) -> str:
        """What kind of networks the genes are parts of: `cpubone`, `mnasnet` or `staged`."""
        return self._core.skeleton

    @property
    def size(self) -> float:
        """Number of genomes, of which several may mean the same network."""
        return self._core.size

    @property
    def genes(self) -> List[Tuple[str, int]]:
        """Name and number of choices of every gene."""
        return [(name, len(choices)) for name, choices in self._core.genes()]

    def choices(self, gene: str) -> List[str]:
        """What may be chosen for a gene, as files say it. Raises KeyError for a gene that the space does not have."""
        return dict(self._core.genes())[gene]

    def build(self, genome: Sequence[int]) -> Network:
        """The network of a genome. Raises ValueError naming a gene out of range."""
        return Network(self._core.build([int(choice) for choice in genome]))

    def describe(self, genome: Sequence[int]) -> str:
        """Short description of a genome's network."""
        return self._core.describe([int(choice) for choice in genome])

    def genomes(self, count: int, *, seed: int = 1) -> List[Genome]:
        """Genomes with every gene uniform; the same seed gives the same."""
        import numpy

        return [numpy.array(genome, dtype=numpy.uint8) for genome in self._core.sample(count, seed)]

    def sample(self, count: int, *, seed: int = 1) -> List[Config]:
        """Configurations with every gene uniform; the same seed gives the same. Of CPUBone's skeleton only."""
        return [self.decode(genome) for genome in self._core.sample(count, seed)]

    def mutate(self, config: Config, *, rate: float = 0.1, seed: int = 1) -> Config:
        """A neighbour: every gene changes with probability `rate`, at least one does."""
        return self.decode(self._core.mutate(self._core.encode(config._to_core()), rate, seed))

    def crossover(self, a: Config, b: Config, *, seed: int = 1) -> Config:
        """Each gene from one of the two."""
        first, second = self._core.encode(a._to_core()), self._core.encode(b._to_core())
        return self.decode(self._core.crossover(first, second, seed))

    def encode(self, config: Config) -> Genome:
        """The canonical genome. Raises ValueError naming the gene whose value the space does not have."""
        import numpy

        return numpy.array(self._core.encode(config._to_core()), dtype=numpy.uint8)

    def decode(self, genome: Sequence[int]) -> Config:
        """The configuration of a genome, always one that builds. Raises ValueError naming a gene out of range."""
        return Config._from_core(self._core.decode([int(choice) for choice in genome]))

    def __contains__(self, config: Config) -> bool:
        return self._core.contains(config._to_core())

    def __repr__(self) -> str:
        return f"<cpubone.SearchSpace {self.name}: {self.size:.3g} genomes>"

    def _repr_html_(self) -> str:
        return table(repr(self)[1:-1], ("gene", "choices"), self.genes)
