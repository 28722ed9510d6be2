"""What networks, spaces, profiles, predictors and results have in common: each is a JSON document."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Optional, Tuple, Type, TypeVar, Union

if TYPE_CHECKING:
    from cpubone import _core

PathLike = Union[str, "os.PathLike[str]"]
Core = TypeVar("Core", bound="_core._Document")
Own = TypeVar("Own", bound="Document[Any]")


class Document(Generic[Core]):
    """A value that is read from a JSON file and written to one; it compares, hashes and pickles as its JSON."""

    __slots__ = ("_core", "__weakref__")
    _native: ClassVar[Any]  #: class of `_core`
    _kind: ClassVar[str]  #: what errors call a text without a file

    def __init__(self, core: Core) -> None:
        self._core = core

    @classmethod
    def load(cls: Type[Own], path: PathLike) -> Own:
        """Reads a file. Raises cpubone.Error naming path, JSON pointer, what was got and expected."""
        return cls(cls._native.load(Path(path)))

    @classmethod
    def from_json(cls: Type[Own], text: str, source: Optional[str] = None) -> Own:
        """Reads JSON text; `source` names it in errors."""
        return cls(cls._native.from_json(text, source or cls._kind))

    def save(self, path: PathLike) -> None:
        """Writes a file atomically. Raises cpubone.Error naming path and reason."""
        self._core.save(Path(path))

    def json(self) -> str:
        """The text of the file, as docs/file-formats.md describes it."""
        return self._core.json()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Document) or type(other) is not type(self):
            return False
        return bool(self._core == other._core) or self.json() == other.json()

    def __hash__(self) -> int:
        return hash(self.json())

    def __reduce__(self) -> Tuple[Any, Tuple[str]]:
        return type(self).from_json, (self.json(),)
