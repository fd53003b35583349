"""Start a module of this project in a Python of its own, in which only Python's and the installed modules are found.

    python -I -u .../parties/frame/start.py MODULE [arguments]

`python -m MODULE` looks for every module in the current folder first. A file such as `random.py` there would run inside
a process that holds keys. Isolated (`-I`), Python looks neither there nor where the user's PYTHON* variables
point. The project's own packages are then found by name in the folder that holds them, and nothing else is taken from
that folder. The module needs only the standard library.

A thread that is no part of the end, because nobody waits for it, may still compute in C++ code then. Python would break
such a thread off while it takes itself apart, and C++ takes that for an abort of the whole process. So the process ends
here, after all that Python does for a program at its end, and before Python takes anything apart.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import runpy
import signal
import site
import sys
import threading
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

__all__ = ["HOME", "find_own", "python_command", "run_to_its_end"]

HOME = Path(__file__).resolve().parents[2]
"""The folder that holds the project's packages, a checkout or the installed packages' folder."""

_PACKAGES = ("mpc", "orchestrator", "parties")
_CORE = "mpc._core"


def python_command(module: str, *arguments: str) -> tuple[str, ...]:
    """Return the command that runs a module of the project, whatever the current folder and the environment hold."""
    return (sys.executable, "-I", "-u", str(Path(__file__).resolve()), module, *arguments)


class _Own:
    """Finds the project's packages, and the one that the module to start belongs to, in the project's folder alone.

    An editable installation keeps the compiled core elsewhere. Its finder is asked for that and for nothing else.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(names)
        self._others: list[Any] = [finder for finder in sys.meta_path if finder is not PathFinder and _knows_us(finder)]
        sys.meta_path[:] = [self, *(finder for finder in sys.meta_path if finder not in self._others)]

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name in self._names:
            return PathFinder.find_spec(name, [str(HOME)], target)
        if name == _CORE:
            found = (finder.find_spec(name, path, target) for finder in (PathFinder, *self._others))
            return next((spec for spec in found if spec is not None), None)
        return None


def _knows_us(finder: Any) -> bool:
    return hasattr(finder, "find_spec") and finder.find_spec(_PACKAGES[0], None, None) is not None


def _start(module: str, arguments: Sequence[str]) -> NoReturn:
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C before the module heeds it is an end and no traceback
    if sys.prefix == sys.base_prefix:  # no virtual environment: packages that the user installed count, as usual
        site.addsitedir(site.getusersitepackages())
    find_own([module.partition(".")[0]])
    run_to_its_end(module, arguments)


def find_own(packages: Sequence[str]) -> None:
    """Take the project's packages, and these, from the project's folder alone."""
    _Own((*_PACKAGES, *packages))


def run_to_its_end(module: str, arguments: Sequence[str]) -> NoReturn:
    """Run a module as the program, from its beginning even where it was imported before, and end the process.

    Threads that are no daemons are waited for, what was registered for the end is called, and the exit status is
    Python's own. Modules and daemon threads stay as they are. A forked process has most of its memory in common with
    others, and would copy it if it took modules apart.
    """
    status: object = 0
    try:
        sys.modules.pop(module, None)
        sys.argv = [module, *arguments]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as error:
        status = error.code
    except KeyboardInterrupt:
        raise  # Python ends by the signal itself
    except BaseException as error:  # noqa: BLE001  shown as Python shows it
        sys.excepthook(type(error), error, error.__traceback__)
        status = 1
    if status is not None and not isinstance(status, int):
        with contextlib.suppress(OSError, ValueError):
            print(status, file=sys.stderr)
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads that are no daemons
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            if stream is not None:
                stream.flush()
    os._exit((status or 0) & 0xFF)


if __name__ == "__main__":
    _start(sys.argv[1], sys.argv[2:])
