"""Command-line flags made from the fields of a configuration model.

A field whose `json_schema_extra` says `"flag": True` is a flag of the same name; its description, unit and default are
the help. A flag's value is read like the same text in a YAML file, so that both are equally strict. Other names of a
field (its validation alias) are flags and keys as well. A field with `"place": True` may also be given without its
flag, by its place after the command. A flag may be written with hyphens in place of underscores.
"""

from __future__ import annotations

import argparse
import inspect
import sys
import textwrap
from collections.abc import Collection, Sequence
from types import NoneType
from typing import Any, NoReturn, get_args

from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo

from orchestrator.sentences import suggestion
from orchestrator.yaml_text import read_scalar
from parties.frame.errors import ConfigError

BASIC = "basic flags"
_UNSET: Any = object()


class FlagParser(argparse.ArgumentParser):
    """argparse that raises `ConfigError` with one sentence instead of printing its usage and leaving."""

    def __init__(self, program: str, description: str = "", epilog: str = "", command: str = ""):
        super().__init__(
            prog=program,
            usage=f"%(prog)s {command}[--config FILE] [flags]",
            description=textwrap.fill(description, 100),
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            argument_default=_UNSET,
        )
        self._only_in_files: dict[str, str] = {}

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message.removeprefix('argument ').rstrip('.')}.")

    def add_model(self, model: type[BaseModel], title: str, only: Collection[str] | None = None) -> None:
        """Add a flag for each flagged field, or for `only` those fields, under `title` in the help.

        The fields of a base class stand under what its docstring says that they are about.
        """
        groups: dict[str, argparse._ArgumentGroup] = {}
        for name, field in model.model_fields.items():
            if only is not None and name not in only:
                continue
            if is_flag(field):
                about = BASIC if is_basic(field) else _about(model, name, title)
                if about not in groups:
                    groups[about] = self._group(about)
                _add_field(groups[about], name, field)
            else:
                self._only_in_files[f"--{name}"] = title

    def _group(self, title: str) -> argparse._ArgumentGroup:
        """Return the group of this title in the help. It is made when absent, the basic flags first."""
        for group in self._action_groups:
            if group.title == title:
                return group
        group = self.add_argument_group(title)
        if title == BASIC:
            self._action_groups.remove(group)
            self._action_groups.insert(0, group)
        return group

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # as argparse has it, without types
        """Return what was given and what is unknown, as argparse does. `--model-out` is `--model_out`."""
        given = sys.argv[1:] if args is None else args
        return super().parse_known_args([self._underscored(argument) for argument in given], namespace)

    def _underscored(self, argument: str) -> str:
        word, equals, value = argument.partition("=")
        name = f"--{word[2:].replace('-', '_')}"
        meant = (
            word.startswith("--") and word not in self._option_string_actions and name in self._option_string_actions
        )
        return f"{name}{equals}{value}" if meant else argument

    def read(self, arguments: list[str], words: Collection[str] = ()) -> dict[str, Any]:
        """Return the flags that were given, by name. Raises `ConfigError` for an unknown flag.

        `words` are the commands, which may be the first word alone.
        """
        given, unknown = self.parse_known_args(arguments)
        if unknown:
            known = [option for option in self._option_string_actions if option.startswith("--")]
            word = unknown[0].split("=", 1)[0]
            if word in words:
                raise ConfigError(f"{word}: a command, expected as the first word.")
            if word in self._only_in_files:
                section = self._only_in_files[word]
                raise ConfigError(f"{word}: no flag, expected in the YAML file under `{section}:`.")
            raise ConfigError(f"{word}: unknown flag{suggestion(word, known)}")
        return {name: value for name, value in vars(given).items() if value is not _UNSET}


class _Switch(argparse.Action):
    """A flag that is on by its name and off by the same name behind `no_`."""

    def __init__(self, option_strings: Sequence[str], dest: str, **more: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, **more)

    def __call__(self, _: Any, namespace: argparse.Namespace, __: Any, option: str | None = None) -> None:
        setattr(namespace, self.dest, not (option or "").startswith("--no_"))


def is_basic(field: FieldInfo) -> bool:
    extra = field.json_schema_extra
    return isinstance(extra, dict) and bool(extra.get("basic"))


def _about(model: type[BaseModel], name: str, title: str) -> str:
    """Return what the class that declares a field is about, in the words of its docstring, or only the title."""
    owner = next(kind for kind in model.__mro__ if name in inspect.get_annotations(kind))
    if owner is model:
        return title
    about = (owner.__doc__ or "").strip().partition("\n")[0].rstrip(".").removeprefix("Choices about ")
    return f"{title}, {about}" if about else title


def is_flag(field: FieldInfo) -> bool:
    extra = field.json_schema_extra
    return isinstance(extra, dict) and bool(extra.get("flag"))


def has_a_place(field: FieldInfo) -> bool:
    """Tell whether the field may be given without its flag, by its place after the command."""
    extra = field.json_schema_extra
    return isinstance(extra, dict) and bool(extra.get("place"))


def names_of(name: str, field: FieldInfo) -> tuple[str, ...]:
    """Return the field's own name, then its other names."""
    alias = field.validation_alias
    others = alias.choices if isinstance(alias, AliasChoices) else ()
    return (name, *(other for other in others if isinstance(other, str) and other != name))


def _add_field(group: argparse._ArgumentGroup, name: str, field: FieldInfo) -> None:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    unit = f" [{extra['unit']}]" if "unit" in extra else ""
    default = field.get_default()
    shown = f" (default {default_text(default)})" if default not in (None, False) else ""
    shown = " (on by default)" if default is True else shown
    text = f"{field.description or ''}{unit}{shown}".replace("%", "%%")
    options = [f"--{option}" for option in names_of(name, field)]
    if field.annotation is bool:
        options += [f"--no_{option.removeprefix('--')}" for option in options]
        group.add_argument(*options, dest=name, help=text, action=_Switch)
    else:
        choices = _choices(field.annotation)
        shape = "{" + ",".join(choices) + "}" if choices else name.rsplit("_", 1)[-1].upper()
        kind = str if _is_text(field) else read_scalar
        group.add_argument(*options, dest=name, help=text, metavar=shape, type=kind)
        if has_a_place(field):
            group.add_argument(
                name,
                nargs="?",
                default=argparse.SUPPRESS,
                metavar=name.upper(),
                type=kind,
                help=f"the same as {options[0]}",
            )


def default_text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _choices(annotation: Any) -> list[str]:
    """Return the words that the field takes, also where it may be None."""
    kinds = [kind for kind in get_args(annotation) if kind is not NoneType]
    if len(kinds) == 1 and not isinstance(kinds[0], str):
        return _choices(kinds[0])
    return kinds if kinds and all(isinstance(choice, str) for choice in kinds) else []


def _is_text(field: FieldInfo) -> bool:
    """Tell whether the field takes text and no number, so that `--session 007` stays what was typed."""
    kinds = set(get_args(field.annotation)) or {field.annotation}
    return not kinds & {int, float, bool} and not any("Decimal" in repr(kind) for kind in kinds)
