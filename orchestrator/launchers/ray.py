"""The parties of one run spread over a Ray cluster, an actor for each, see `orchestrator.launchers.ray_party`.

The cluster is the one that `RAY_ADDRESS` names or that this machine belongs to, else one of this machine alone. Parties
go to its nodes in turn. A party whose settings name files outside of the run's folders stays on this machine. Each
listens at the address of its node, at the port that the plan gives it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import json
import logging
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from orchestrator.certificates import RunAuthority
from orchestrator.errors import LaunchError
from orchestrator.launchers import Exit, LogView, ProcessSpec
from orchestrator.launchers.forks import Forks
from orchestrator.launchers.ray_party import News, RayParty
from orchestrator.launchers.travel import AWAY, Luggage, Places
from parties.frame.errors import ConfigError
from parties.frame.plan import Plan, RunFolders
from parties.frame.private_files import write_private

START_S = 300.0  # for all actors to be there
ANSWER_S = 60.0  # for an actor to answer, beyond what it was asked to wait
_FOLLOW_S = 2.0
_BACK_S = 30.0


def unavailable() -> str | None:
    """Return why this machine cannot use Ray, or None when it can."""
    if importlib.util.find_spec("ray") is None:
        return "expected the package `ray`, found none; `pip install 'ray>=2.40,<3'` brings it"
    return None


@dataclass
class _Party:
    """What the launcher knows of one party."""

    name: str
    actor: Any
    node: str
    folder: str = ""  # on its node
    news: Any = None  # the answer that is on its way
    asked: float = 0.0
    known: dict[str, int] = field(default_factory=dict)
    exit: Exit | None = None
    taken: Luggage = field(default_factory=lambda: Luggage({}))
    accounts: list[Path] = field(default_factory=list)  # the folders of accounts that it took along
    is_asked: bool = False  # for its files
    is_back: bool = False  # with all of them


class RayLauncher:
    """Starts each process on a node of a cluster. `folders` are the run's on this machine."""

    def __init__(self, folders: RunFolders) -> None:
        self._folders = folders
        self._places = Places(folders.files, folders.logs, folders.files / "turns")
        self._parties: dict[str, _Party] = {}
        self._ray: Any = None
        self._plan: Plan | None = None
        self._nodes: dict[str, dict[str, Any]] = {}  # by party
        self._authority = RunAuthority(folders.run)

    def expect(self, plan: Plan) -> None:
        """Take in which parties there will be, and what their settings name. To be called before `open`."""
        self._plan = plan

    def open(
        self, forks: Forks, views: Sequence[LogView], environment: Mapping[str, str], dashboard: Sequence[str] = ()
    ) -> tuple[int, ...]:
        """Join the cluster. There are no panes, and each node starts its parties itself. Raises `LaunchError`."""
        import ray  # noqa: PLC0415  only this launcher needs it

        self._ray = ray
        try:
            with _own_signals():
                ray.init(
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    configure_logging=False,
                    namespace=self._folders.run,
                )
            listed: Any = ray.nodes  # which has no types
            alive: list[dict[str, Any]] = [node for node in listed() if node["Alive"]]
        except (ray.exceptions.RayError, ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise LaunchError(f"no Ray cluster could be used ({_first_line(error)})") from error
        own = ray.get_runtime_context().get_node_id()
        nodes = sorted(alive, key=lambda node: (node["NodeID"] != own, node["NodeID"]))
        turns = itertools.cycle(nodes)
        for process in self._expected.processes:
            _, outside = self._places.neutral(json.loads(process.settings.model_dump_json()), {})
            if outside and nodes[0]["NodeID"] != own:
                raise ConfigError(
                    f"launcher: expected files in the run's folders, which travel, found {outside[0]} in the settings "
                    f"of {process.name}, and this machine is no node of the Ray cluster."
                )
            self._nodes[process.name] = nodes[0] if outside else next(turns)
        return ()

    @property
    def _expected(self) -> Plan:
        if self._plan is None:
            raise RuntimeError("expected a launcher that knows the plan")
        return self._plan

    def start(self, specs: Sequence[ProcessSpec]) -> Mapping[str, int]:
        """Place the parties, give each its own files and a certificate for the key that it has made, and start them."""
        self._place(specs)
        keys = self._all([(spec.name, self._parties[spec.name].actor.make_key.remote()) for spec in specs], START_S)
        listening = [process for process in self._expected.processes if process.listens is not None]
        hosts = {one.listens: self._nodes[one.name]["NodeManagerAddress"] for one in listening if one.listens}
        together = max(Counter(node["NodeID"] for node in self._nodes.values()).values())
        starting = []
        for spec, (where, public_pem) in zip(specs, keys, strict=True):
            party = self._parties[spec.name]
            party.folder = where
            public = load_pem_public_key(public_pem)
            if not isinstance(public, Ed25519PublicKey):
                raise LaunchError("its key is no Ed25519 key", party=spec.name)
            settings, _ = self._places.neutral(json.loads(spec.settings.read_bytes()), hosts)
            party.taken, party.accounts = self._pack(spec.name, settings)
            self._note_away(party)
            own = f"{self._folders.run}/{spec.name}"
            certificates = {
                f"{own}/certificate.pem": self._authority.sign(spec.name, public),
                f"{own}/ca.pem": self._authority.certificate,
            }
            luggage = Luggage({**party.taken.files, **certificates}, party.taken.folders)
            starting.append((spec.name, party.actor.start.remote(spec.module, settings, luggage, together)))
        self._all(starting, START_S)
        for spec in specs:
            self._ask(self._parties[spec.name])
        return {}

    def _place(self, specs: Sequence[ProcessSpec]) -> None:
        """Make an actor for each party on its node."""
        actor = self._ray.remote(num_cpus=0, max_restarts=0, max_concurrency=4)(RayParty)
        at = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        for spec in specs:
            node = self._nodes[spec.name]
            placed = actor.options(scheduling_strategy=at(node["NodeID"], soft=False))
            handle = placed.remote(self._folders.run, spec.name)
            self._parties[spec.name] = _Party(spec.name, handle, node["NodeManagerAddress"])

    def _pack(self, name: str, settings: dict[str, Any]) -> tuple[Luggage, list[Path]]:
        """Return the party's own files, with the folders in the cache and of accounts that its settings name.

        The latter are returned besides.
        """
        top, run = self._folders.files, self._folders.run
        named, accounts = {top / run / name}, set()
        for text in _texts(self._places.in_settings(settings)):
            parts = Path(text).relative_to(top).parts if text.startswith(f"{top}/") else ()
            if len(parts) > 2 and parts[0] == "durable":
                accounts.add(top / parts[0] / parts[1])
            elif len(parts) > 1 and parts[0] == "cache":
                named.add(top / parts[0] / parts[1])
        packed = Luggage.packed(top, sorted(path for path in named | accounts if path.is_dir()))
        own = {key: content for key, content in packed.files.items() if not key.endswith("/settings.json")}
        folders = [
            str(path.relative_to(top)) for path in sorted(named | accounts) if path.suffix == "" or path.is_dir()
        ]
        return Luggage(own, tuple(folders)), sorted(accounts)

    def _all(self, futures: Sequence[tuple[str, Any]], within_s: float) -> list[Any]:
        """Return all answers. Raises `LaunchError` for the first party that gives none."""
        expires, answers = time.monotonic() + within_s, []
        for name, future in futures:
            try:
                answers.append(self._ray.get(future, timeout=max(0.0, expires - time.monotonic())))
            except self._ray.exceptions.RayError as error:
                raise LaunchError(f"it could not be started ({_first_line(error)})", party=name) from error
        return answers

    # -- while they run ------------------------------------------------------------------------------------------------

    def ended(self) -> Mapping[str, Exit]:
        """Take in what the parties have said, and return how those ended that have."""
        waiting = {
            party.news: party for party in self._parties.values() if party.exit is None and party.news is not None
        }
        if waiting:
            ready, _ = self._ray.wait(list(waiting), num_returns=len(waiting), timeout=0)
            for future in ready:
                self._take_in(waiting[future])
        now = time.monotonic()
        for party in waiting.values():
            if party.exit is None and now - party.asked > _FOLLOW_S + ANSWER_S:
                party.exit = Exit(lost=f"its actor at {party.node} has not answered for {ANSWER_S:g} s")
        return {name: party.exit for name, party in self._parties.items() if party.exit is not None}

    def _ask(self, party: _Party) -> None:
        party.news = party.actor.follow.remote(dict(party.known), _FOLLOW_S)
        party.asked = time.monotonic()

    def _take_in(self, party: _Party) -> None:
        try:
            news: News = self._ray.get(party.news, timeout=ANSWER_S)
        except self._ray.exceptions.RayError as error:
            party.exit = Exit(lost=f"its actor at {party.node} is gone ({_first_line(error)})")
            return
        for name, content in news.grown.items():
            party.known[name] = party.known.get(name, 0) + len(content)
            top, _, rest = name.partition("/")
            target = (self._folders.logs if top == "logs" else self._folders.files) / rest
            with contextlib.suppress(OSError), target.open("ab") as file:  # a full disk ends a run in the watch
                file.write(content)
        if news.ended is None:
            self._ask(party)
            return
        self._bring([party])
        party.exit = party.exit or (Exit(code=news.ended) if news.ended >= 0 else Exit(signal=-news.ended))

    def ask_to_end(self, name: str) -> None:
        self._parties[name].actor.ask_to_end.remote()

    # -- the end -------------------------------------------------------------------------------------------------------

    def bring_back(self, name: str | None = None) -> None:
        """End a party, or all, and bring back what they leave. What cannot be brought back is noted beside it."""
        self._bring([party for party in self._parties.values() if name in (None, party.name)])

    def _bring(self, parties: Sequence[_Party]) -> None:
        missing = [party for party in parties if not party.is_asked]
        futures = [(party, party.actor.bring_back.remote()) for party in missing]
        expires = time.monotonic() + _BACK_S
        for party, future in futures:
            party.is_asked = True
            try:
                brought: Luggage = self._ray.get(future, timeout=max(0.0, expires - time.monotonic()))
            except self._ray.exceptions.RayError as error:
                party.exit = party.exit or Exit(lost=f"its actor at {party.node} is gone ({_first_line(error)})")
                continue
            party.is_back = self._unpack(party, brought)

    def _unpack(self, party: _Party, brought: Luggage) -> bool:
        """Put what has come back into its place, and return whether that is all of it.

        Accounts that have changed here meanwhile are left alone. Those that the party kept then stay on its node.
        """
        top = self._folders.files
        brought.below(self._folders.run).unpack(top)
        brought.below("cache").unpack(top)
        accounts = brought.below("durable")
        for name in accounts.files:
            here = top / name
            if (here.read_bytes() if here.exists() else None) != party.taken.files.get(name):
                return False  # the note stays, and says where the others are
        accounts.unpack(top)
        for folder in party.accounts:
            (folder / AWAY).unlink(missing_ok=True)
        return True

    def _note_away(self, party: _Party) -> None:
        """Say in each folder of accounts that a party takes along where they are."""
        said = {"run": self._folders.run, "node": party.node, "folder": f"{party.folder}/files/durable"}
        for folder in party.accounts:
            write_private(folder / AWAY, json.dumps(said).encode() + b"\n")

    def keep_output(self, name: str) -> None:
        """Do nothing, because the output comes with the log."""

    def close(self) -> None:
        """Leave the cluster, which ends the actors."""
        if self._ray is None or not self._ray.is_initialized():
            return
        with _own_signals():
            forgetting = [party.actor.forget.remote() for party in self._parties.values() if party.is_back]
            self._ray.wait(forgetting, num_returns=len(forgetting), timeout=_BACK_S)
            for party in self._parties.values():
                self._ray.kill(party.actor, no_restart=True)
            self._ray.shutdown()


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__).strip().rstrip(".")[:200]


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep this process's own handlers, which Ray replaces."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            if handler is not None:
                signal.signal(number, handler)
