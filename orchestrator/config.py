"""One run's configuration, read from a YAML file and flags before anything is started. Flags override the file.

The file has one section for the launcher and one with the protocol's name, and may have one about members:

    protocol: NAME
    run: {launcher: tmux, start_port: 23700, ...}
    NAME: {...}
    federation: {name: ..., members: [...]}

The first word may be an offline command of the protocol, which is then run in place of the parties. An unknown key, an
impossible value and a value of the wrong type are each one sentence (`ConfigError`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from orchestrator import sentences
from orchestrator.command_line import CommandLine, Program, leading_command
from orchestrator.flags import FlagParser, has_a_place, is_flag, names_of
from orchestrator.yaml_text import read_file
from parties.frame.errors import ConfigError
from parties.frame.members import Federation
from parties.frame.plan import FLAGS, FOLDER, Command, RunnableProtocol, is_federated

FEDERATION = "federation"
"""The section about the members of a federation."""

Model = TypeVar("Model", bound=BaseModel)


def _key(unit: str, basic: bool = False) -> dict[str, Any]:
    return {"flag": True, "unit": unit, "basic": basic}


class RunOptions(BaseModel):
    """How a run is started and watched, whatever it computes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    launcher: Literal["tmux", "process", "ray"] = Field(
        "tmux",
        description="panes to look at, plain processes, or processes on the nodes of a Ray cluster",
        json_schema_extra=_key("name", basic=True),
    )
    start_port: int = Field(
        23700,
        ge=1,
        le=65535,
        description="first of the ports that the parties listen on",
        json_schema_extra=_key("port"),
    )
    session: str | None = Field(
        None,
        description="name of the tmux session, and the first part of the run's name; default the protocol's",
        json_schema_extra=_key("name"),
    )
    attach: bool = Field(
        False, description="show the panes in this terminal while it runs", json_schema_extra={"flag": True}
    )
    progress: Literal["live", "lines", "none"] | None = Field(
        None,
        description="what to see while it runs: a live picture, plain lines, or nothing; default live on a terminal, "
        "lines elsewhere",
        json_schema_extra=_key("name", basic=True),
    )
    log_timing_file: Path | None = Field(
        None,
        description="file to add each step's seconds to; default timing.log beside the run's logs",
        json_schema_extra=_key("path"),
    )
    silence_s: float = Field(
        600,
        gt=0,
        description="the run ends when no party has said anything for so long",
        json_schema_extra=_key("seconds"),
    )
    files_dir: Path = Field(Path("files"), description="where runs keep their files", json_schema_extra=_key("path"))
    logs_dir: Path = Field(Path("logs"), description="where runs keep their logs", json_schema_extra=_key("path"))

    @field_validator("session")
    @classmethod
    def _usable_as_a_name(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{,39}", value):
            raise ValueError(f"expected 1 to 40 letters, digits, `_` or, not first, `-`, found {value!r}")
        return value


@dataclass(frozen=True)
class ChosenCommand:
    """An offline command and its own flags."""

    command: Command
    options: BaseModel


@dataclass(frozen=True)
class Configuration:
    """A protocol, its own configuration, and how to run it.

    Attributes:
        chosen: the command to run in place of the parties.
        report: the run whose report is to be written again, in place of a run.
        output: what standard output gets, which is text, the result document alone, or nothing.
        federation: the members whose parts the parties of this run play, if the file has such a section.
    """

    protocol: RunnableProtocol
    settings: BaseModel
    run: RunOptions
    chosen: ChosenCommand | None = None
    report: str | None = None
    output: Literal["text", "json", "none"] = "text"
    federation: Federation | None = None


def configure(
    arguments: list[str],
    protocols: Mapping[str, RunnableProtocol],
    line: CommandLine | None = None,
    more: Mapping[str, Any] | None = None,
) -> Configuration:
    """Return the configuration that the arguments and the file named by `--config` ask for. Raises `ConfigError`.

    `more` are keys of the protocol from a grid, which override both.
    """
    line = line or CommandLine()
    if not protocols:
        raise ConfigError("protocol: expected at least one in the folder `parties`, found none.")
    for argument in arguments:
        if not argument.isascii() and argument.encode(errors="replace").decode() != argument:
            raise ConfigError(f"{argument!a}: expected text in UTF-8, found other bytes.")
    arguments = _named_first(arguments, protocols)
    path, name = _file_and_protocol(arguments, line)
    document = read_file(path) if path else {}
    protocol = _protocol(name or document.get("protocol") or _owner(arguments, protocols), protocols)
    _check_sections(document, protocol, str(path))
    word, arguments = _command(arguments, protocol, protocols, line)
    parser = _command_parser(word, protocol, protocols, line) if word else _parser(protocol, protocols, line)
    given = parser.read(arguments, protocol.commands)
    chosen = None
    if word:
        command = protocol.commands[word]
        chosen = ChosenCommand(command, _merge(command.options, None, given, f"the flags of {word}"))
    where = f"{path} under `{protocol.name}:`"
    folder = path and path.absolute().parent
    settings = _merge(protocol.Config, document.get(protocol.name), given, where, folder, more or {})
    return Configuration(
        protocol=protocol,
        settings=settings,
        federation=_federation(document, protocol, settings, str(path)),
        run=_merge(RunOptions, document.get("run"), given, f"{path} under `run:`"),
        chosen=chosen,
        report=given.get("report"),
        output="json" if "json" in given else "none" if "quiet" in given else "text",
    )


def _named_first(arguments: list[str], protocols: Mapping[str, RunnableProtocol]) -> list[str]:
    """Return the arguments with a protocol's name in the first place, as in `NAME COMMAND`, as `--protocol NAME`."""
    if arguments and arguments[0] in protocols:
        name, *others = arguments
        return [*others, "--protocol", name]
    return arguments


def _owner(arguments: list[str], protocols: Mapping[str, RunnableProtocol]) -> str | None:
    """Return the protocol of a command that its word alone calls, where it is called."""
    word = arguments[0] if arguments else ""
    return next((name for name, one in protocols.items() if word in one.commands and one.commands[word].alone), None)


def _federation(
    document: Mapping[str, Any], protocol: RunnableProtocol, settings: BaseModel, path: str
) -> Federation | None:
    """Return the section about a federation's members, whom the protocol accepts, if there is one."""
    if document.get(FEDERATION) is None:
        return None
    if not is_federated(protocol):
        raise ConfigError(f"federation: expected a protocol whose parties may be members, found {protocol.name}.")
    federation = _merge(Federation, document[FEDERATION], {}, f"{path} under `{FEDERATION}:`")
    if unknown := federation.unknown_roles(protocol.roles):
        known = ", ".join(protocol.roles)
        raise ConfigError(f"role: expected one of {known}, found {unknown[0]!r} in {path} under `{FEDERATION}:`.")
    for member in federation.members:
        if member.host is None and any(protocol.roles[role].serves for role in member.role):
            raise ConfigError(f"host: expected host and port of {member.name}, which others connect to, found none.")
    protocol.check_federation(settings, federation)
    return federation


def _file_and_protocol(arguments: list[str], line: CommandLine) -> tuple[Path | None, str | None]:
    """Return the file of `--config`, and `--protocol`. They decide what the other flags are."""
    parser = FlagParser(line.name)
    parser.add_argument("--config", default=None)
    parser.add_argument("--protocol", default=None)
    words = [word for word in arguments if word not in ("-h", "--help")]
    chosen, _ = parser.parse_known_args(words)
    return None if chosen.config is None else line.config(chosen.config), chosen.protocol


def _command(
    arguments: list[str], protocol: RunnableProtocol, protocols: Mapping[str, RunnableProtocol], line: CommandLine
) -> tuple[str | None, list[str]]:
    """Return the command that is asked for, by its words or as a flag of its name, and the other arguments."""
    commands = protocol.commands
    for argument in arguments:
        if argument.startswith("--") and argument[2:] in commands:
            return argument[2:], [other for other in arguments if other != argument]
    if not arguments or arguments[0].startswith("-"):
        return None, arguments
    if found := leading_command(arguments, commands):
        return found
    word = arguments[0]
    owners = [name for name, other in protocols.items() if word in other.commands]
    if owners:
        raise ConfigError(f"{word}: a command of {owners[0]}, expected with --protocol {owners[0]}.")
    near = sentences.suggestion(word, [*commands, *line.programs])
    raise ConfigError(f"{word}: unknown command of {protocol.name}{near}")


STATUSES = """exit status:
  0    it ended well
  1    it failed, or standard output could not be written
  2    it cannot be run as configured
  130  it was interrupted (Ctrl-C); 128 + n for signal n
  A command may have a status of its own. A reader of standard output that leaves early is no failure."""

EXAMPLES = """examples:
  {0}                                     run with the defaults
  {0} --config FILE --launcher process    run what a YAML file says, without panes
  {0} --json > result.json                keep the result and see nothing else
  {0} --report RUN                        write the report of an earlier run again"""

ENVIRONMENT = {"TMUX_TMPDIR": "folder of the sockets of tmux", "NO_COLOR": "no colours, if it is set"}


def _parser(protocol: RunnableProtocol, protocols: Mapping[str, RunnableProtocol], line: CommandLine) -> FlagParser:
    commands = _commands(protocol, protocols, line)
    variables = _listed("environment:", {**ENVIRONMENT, **getattr(protocol, "environment", {})})
    parser = FlagParser(
        line.name,
        f"Run {protocol.name} among processes on this machine and show the result. "
        "Flags override the YAML file. What neither gives has the default.",
        "\n\n".join(part for part in (commands, EXAMPLES.format(line.name), STATUSES, variables) if part),
        "[COMMAND] " if commands else "",
    )
    _add_choices(parser, protocols, line)
    parser.add_argument(
        "--report",
        metavar="RUN",
        help="write the report of an earlier run, given by its name or by its folder, and run nothing",
    )
    parser.add_model(protocol.Config, protocol.name)
    parser.add_model(RunOptions, "run")
    return parser


def _commands(protocol: RunnableProtocol, protocols: Mapping[str, RunnableProtocol], line: CommandLine) -> str:
    """Return the commands of the protocol, those of others that need no name, and the programs, in groups."""
    groups: dict[str, dict[str, str]] = {}
    alone = {word: one for other in protocols.values() for word, one in other.commands.items() if one.alone}
    entries: list[tuple[str, Command | Program]] = [*(alone | {**protocol.commands}).items(), *line.programs.items()]
    for name, entry in entries:
        groups.setdefault(entry.group, {})[name] = entry.help
    tables = [_listed(f"commands to {group}:" if group else "commands:", lines) for group, lines in groups.items()]
    return "\n\n".join([*tables, "Each command has flags of its own, see COMMAND --help."]) if tables else ""


def _listed(heading: str, lines: Mapping[str, str]) -> str:
    return "\n".join([heading, *(f"  {name:18} {text}" for name, text in lines.items())]) if lines else ""


def _command_parser(
    word: str, protocol: RunnableProtocol, protocols: Mapping[str, RunnableProtocol], line: CommandLine
) -> FlagParser:
    command = protocol.commands[word]
    about = f"{command.help[:1].upper()}{command.help[1:]}. This starts no parties."
    places = [name.upper() for name, field in command.options.model_fields.items() if has_a_place(field)]
    parser = FlagParser(line.name, about, command=" ".join([word, *places, ""]))
    _add_choices(parser, protocols, line)
    parser.add_model(command.options, word)
    parser.add_model(RunOptions, "run")  # so that a run's own command line serves, with `--budget` added to it
    # A flag that the command has itself is the command's.
    others = [name for name in protocol.Config.model_fields if name not in command.options.model_fields]
    parser.add_model(protocol.Config, protocol.name, others)
    return parser


def _add_choices(parser: FlagParser, protocols: Mapping[str, RunnableProtocol], line: CommandLine) -> None:
    parser.add_argument("--config", metavar="FILE", help="YAML file to read first, or the name of one that comes along")
    parser.add_argument(
        "--protocol", metavar="{" + ",".join(protocols) + "}", help=f"what to run (default {next(iter(protocols))})"
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {line.version}", help="print the version")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON document and nothing else")
    parser.add_argument("--quiet", action="store_true", help="print nothing but a failure")


def _protocol(name: Any, protocols: Mapping[str, RunnableProtocol]) -> RunnableProtocol:
    if name is None:
        return next(iter(protocols.values()))
    if not isinstance(name, str) or name not in protocols:
        raise ConfigError(f"protocol: expected one of {', '.join(protocols)}, found {name!r}.")
    return protocols[name]


def _check_sections(document: Mapping[str, Any], protocol: RunnableProtocol, path: str) -> None:
    sections: dict[str, type[BaseModel]] = {
        "run": RunOptions,
        protocol.name: protocol.Config,
        FEDERATION: Federation,
    }
    for key, value in document.items():
        if key == "protocol":
            continue
        if key not in sections:
            owners = [section for section, model in sections.items() if key in model.model_fields]
            if owners:
                raise ConfigError(f"{key}: expected under `{owners[0]}:`, found at the top of {path}.")
            raise ConfigError(sentences.unknown_key(key, ["protocol", *sections], path))
        if value is not None and not isinstance(value, dict):
            raise ConfigError(f"{key}: expected keys and values, found {value!r} in {path}.")


def _merge(
    model: type[Model],
    section: dict[str, Any] | None,
    given: Mapping[str, Any],
    where: str,
    folder: Path | None = None,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> Model:
    """Return the model with the file's section overridden by the flags, and by `more`, a grid's values of keys.

    Errors say where a key came from. `folder` is the file's own, which the paths in it may be relative to.
    """
    values = dict(section or {})
    origins = dict.fromkeys(map(str, values), where)
    for name, field in model.model_fields.items():
        written = [key for key in names_of(name, field) if key in values]
        if len(written) > 1:
            raise ConfigError(f"{written[1]}: expected one of its names, found {written[0]} as well in {where}.")
        if written and written[0] != name:
            values[name], origins[name] = values.pop(written[0]), where
        if is_flag(field) and name in given:
            values[name] = given[name]
            origins[name] = f"--{name}"
    values |= more
    origins |= dict.fromkeys(more, "--grid")
    try:
        # Through JSON, strictly: a list is a tuple and text a path, but no text is a number and no number text.
        context = {FOLDER: folder, FLAGS: {name for name, origin in origins.items() if origin == f"--{name}"}}
        return model.model_validate_json(json.dumps(values), strict=True, context=context)
    except ValidationError as error:
        raise ConfigError(sentences.validation_sentence(error, origins, model.model_fields)) from error
