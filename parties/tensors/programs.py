"""The user's program, from a file or built in, and what it finds where it runs.

A program is a file of Python with a function ``program(s)`` or ``program(s, here)``, where ``s`` is the party's
:class:`~mpc.tensors.session.Session` and ``here`` is a :class:`Here`. All parties run the same text, whose digest they
compare. A built-in program is a file of the folder `examples/`.
"""

from __future__ import annotations

import hashlib
import inspect
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mpc.errors import MpcError
from parties.frame.errors import PartyError
from parties.tensors.settings import Argument

EXAMPLES = Path(__file__).parent / "examples"


class ProgramError(PartyError):
    """The program cannot be read or went wrong. The message names the file and the line."""


@dataclass(frozen=True)
class Here:
    """What a program finds at the party that runs it.

    Attributes:
        arguments: public numbers and words, the same at all parties.
        files: this party's own files, by name. Other parties have others, or none.
        advance: reports that so many of so many are done, with public figures by name.
    """

    arguments: Mapping[str, Argument] = field(default_factory=lambda: MappingProxyType({}))
    files: Mapping[str, Path] = field(default_factory=lambda: MappingProxyType({}))
    advance: Callable[..., None] = lambda done, of, unit, **figures: None

    def whole(self, name: str) -> int:
        """Return an argument that is a whole number. Raises `ProgramError`."""
        value = self.arguments.get(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise ProgramError(f"expected a whole number as argument {name}, found {value!r}")
        return value

    def number(self, name: str) -> float:
        """Return an argument that is a number. Raises `ProgramError`."""
        value = self.arguments.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ProgramError(f"expected a number as argument {name}, found {value!r}")
        return float(value)

    def file(self, name: str) -> Path:
        """Return one of this party's own files. Raises `ProgramError`."""
        if name not in self.files:
            named = ", ".join(self.files) or "none"
            raise ProgramError(f"expected a file named {name} among this party's files, found {named}")
        return self.files[name]


def built_in() -> tuple[str, ...]:
    """Return the names of the built-in programs."""
    return tuple(sorted(path.stem for path in EXAMPLES.glob("*.py") if not path.stem.startswith("_")))


def program_path(program: str, folder: Path | None = None) -> Path:
    """Return the file of a program, which is given as a built-in name or as a path. Raises `ProgramError`."""
    if program in built_in():
        return EXAMPLES / f"{program}.py"
    path = Path(program) if folder is None else folder / program
    if path.suffix != ".py" or not path.is_file():
        named = ", ".join(built_in())
        raise ProgramError(f"expected a file of Python, or one of {named}, found {program}")
    return path.resolve()


def digest(path: Path) -> str:
    """Return SHA-256 of a program's text in hex. Raises `ProgramError`."""
    return hashlib.sha256(_text(path)).hexdigest()


def _text(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ProgramError(f"cannot read {path}: {error.strerror}") from error


class Program:
    """A program that was read. Its own mistakes are sentences with their line.

    Attributes:
        needed: the functions that the file must have, with their arguments.
    """

    needed: tuple[str, ...] = ("program(s)",)

    def __init__(self, path: Path, expected_digest: str = "") -> None:
        text = _text(path)
        found = hashlib.sha256(text).hexdigest()
        if expected_digest and found != expected_digest:
            raise ProgramError(f"expected the text of {path} that was agreed on, found another; its digest is {found}")
        self.path = path
        self._names: dict[str, Any] = {"__name__": f"program_{path.stem}", "__file__": str(path)}
        self._run(lambda: exec(compile(text, str(path), "exec"), self._names))  # noqa: S102 - the party's own program
        for function in self.needed:
            if not callable(self._names.get(function.partition("(")[0])):
                raise ProgramError(f"{path}: expected a function {function}, found none")

    def __call__(self, session: Any, here: Here) -> Any:
        """Run it for one party. Raises `ProgramError` for a mistake of its own."""
        function = self._names["program"]
        takes = len(inspect.signature(function).parameters)
        return self._run(lambda: function(session, here) if takes > 1 else function(session))

    def twin(self, here: Here) -> dict[str, float]:
        """Return what its function ``plain(here)`` gives, which computes the same in the clear. Nothing without one."""
        if not callable(self._names.get("plain")):
            return {}
        found = self._run(lambda: self._names["plain"](here))
        return {str(name): float(value) for name, value in found.items()}

    def _run(self, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except (MpcError, PartyError) as error:
            if getattr(error, "peer", "") or (line := self._line(error)) is None:
                raise
            raise ProgramError(f"{self.path.name}, line {line}: {error}") from error
        except SyntaxError as error:
            raise ProgramError(f"{self.path.name}, line {error.lineno}: {error.msg}") from error
        except Exception as error:
            line = self._line(error)
            if line is None:
                raise
            words = f": {error}" if isinstance(error, _NAMES_ONLY) else ""  # other words may hold a value
            raise ProgramError(f"{self.path.name}, line {line}: {type(error).__name__}{words}") from error

    def _line(self, error: BaseException) -> int | None:
        """Return the line of the program that an error came through last."""
        lines = [
            frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(self.path)
        ]
        return lines[-1] if lines else None


_NAMES_ONLY = (AttributeError, ImportError, NameError, TypeError, FileNotFoundError)
"""Errors whose words name things of the program and hold no value."""
