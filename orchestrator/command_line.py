"""The command by which a person calls the launcher: its name, and what it has beside runs of a protocol."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from parties.frame.errors import ConfigError

MOST_WORDS = 2


@dataclass(frozen=True)
class Program:
    """A program that is no run and that belongs to no protocol.

    Attributes:
        help: what it does, in a few words.
        module: holds `main(arguments, name)`, which returns the exit status. It is imported when it is asked for. A
            function of another name is given as `module:name`.
        group: what programs like it are for, such as `look at runs`.
    """

    help: str
    module: str
    group: str = ""

    def run(self, arguments: Sequence[str], name: str) -> int:
        """Run it with these arguments, called by this name. Return the exit status."""
        module, _, function = self.module.partition(":")
        status: int = getattr(import_module(module), function or "main")(arguments, name)
        return status


@dataclass(frozen=True)
class CommandLine:
    """What stands around the protocols.

    Attributes:
        name: what a person types.
        version: of the project.
        programs: by the word or the two words that call them.
        configs: the folder of the configurations that come along.
    """

    name: str = "run_protocol.py"
    version: str = "unknown"
    programs: Mapping[str, Program] = field(default_factory=dict)
    configs: Path = Path("configs")

    def config(self, given: str) -> Path:
        """Return the file that `--config` means, which may be one that comes along, by its name alone.

        Raises `ConfigError` where it is not there and may be meant for one that comes along.
        """
        path = Path(given)
        known = sorted(file.stem for file in self.configs.glob("*.yaml"))
        if not path.exists() and path.stem in known:
            if given == path.stem:
                return self.configs / f"{given}.yaml"
            hint = f"`--config {path.stem}` is the one that comes along."
        elif not path.exists() and known and given == path.stem:
            hint = f"Those that come along are {', '.join(known)}."
        else:
            return path
        raise ConfigError(f"config: expected a YAML file, found no file {given!r}. {hint}")


def leading_command(arguments: Sequence[str], known: Collection[str]) -> tuple[str, list[str]] | None:
    """Return the known command that the arguments begin with, the longest one, and the other arguments."""
    for count in range(MOST_WORDS, 0, -1):
        words = " ".join(arguments[:count])
        if len(arguments) >= count and words in known:
            return words, list(arguments[count:])
    return None
