"""A plugin of pytest that writes down which lines of the project each test runs, in whatever process.

What a fixture runs counts for every test that uses it. The plugin works in the copy of the project that
:mod:`tests.mutation.coverage` has made for it.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.mutation import tracing

HOME = Path(__file__).resolve().parents[2]
FOLDER = HOME / "recorded"


class _Recording:
    def __init__(self, worker: str) -> None:
        self._file = FOLDER / f"{worker}.json"
        self._lines: dict[str, dict[str, set[int]]] = {}
        self._scopes = ["collection"]
        self._tests: dict[str, dict[str, Any]] = {}
        self._place = HOME.parent / worker  # short, because the paths of sockets are
        self._place.mkdir(exist_ok=True)
        os.environ["TMPDIR"] = str(self._place)
        tempfile.tempdir = None
        self._tracer = tracing.Tracer(HOME, self._seen)
        self._tracer.start()

    def _seen(self, file: str, line: int) -> None:
        self._lines.setdefault(self._scopes[-1], {}).setdefault(file, set()).add(line)

    def _in(self, scope: str) -> Iterator[None]:
        self._scopes.append(scope)
        self._tell()
        yield
        self._scopes.pop()
        self._tell()

    def _tell(self) -> None:
        (self._place / tracing.SCOPE).write_text(self._scopes[-1])
        self._tracer.forget()
        self._tracer.start()  # a test may have traced for itself

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[Any]:
        inside = self._in(item.nodeid)
        next(inside)
        used = {name: made for name, made in getattr(item, "_fixtureinfo").name2fixturedefs.items() if made}  # noqa: B009
        self._tests[item.nodeid] = {
            "fixtures": [_key(made[-1]) for made in used.values()],
            "seconds": 0.0,
            "passed": True,
            "slow": item.get_closest_marker("slow") is not None,
        }
        result = yield
        next(inside, None)
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[Any]:
        inside = self._in(_key(fixturedef))
        next(inside)
        try:
            return (yield)
        finally:
            next(inside, None)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test = self._tests.get(report.nodeid)
        if test is not None:
            test["seconds"] += report.duration
            test["passed"] &= report.passed or report.when == "teardown"

    def pytest_sessionfinish(self) -> None:
        lines = {scope: {file: sorted(found) for file, found in files.items()} for scope, files in self._lines.items()}
        self._file.write_text(json.dumps({"tests": self._tests, "lines": lines}))


def _key(fixture: Any) -> str:
    return f"fixture {fixture.baseid} {fixture.argname}"


def pytest_configure(config: pytest.Config) -> None:
    worker = getattr(config, "workerinput", {}).get("workerid")
    if worker is not None:
        config.pluginmanager.register(_Recording(worker))
