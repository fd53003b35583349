"""A model of a party's own as the configuration and the party's settings name it. Nothing is loaded here.

    net.onnx                       ONNX
    net.pt, net.pth + factory      a state dict of torch, and the function that makes the module
    clf.skops                      scikit-learn, by skops
    net.pt2                        a program of torch.export
    clf.joblib, clf.pkl            scikit-learn, by pickle

The last two run code that lies in the file when they are loaded. `torch.export.load` falls back to pickle, and
evaluates text of the file. They are refused unless the owner says that it trusts the file.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from mpc.extras import missing
from parties.frame.errors import ConfigError

KINDS = {
    ".onnx": "ONNX",
    ".pt": "state dict",
    ".pth": "state dict",
    ".skops": "skops",
    ".pt2": "torch.export",
    ".joblib": "joblib",
    ".pkl": "pickle",
    ".pickle": "pickle",
}
"""The kinds of files by the ends of their names."""

RUN_CODE = ("torch.export", "joblib", "pickle")
"""The kinds that can run code when they are loaded."""

_PACKAGES = {"ONNX": "onnx", "torch.export": "torch", "state dict": "torch", "skops": "skops"}

PICKLE_WARNING = (
    "trust_pickle: loading this file can run any code that lies in it, with all rights of the party. Use it for files "
    "that you made yourself. An ONNX file, a skops file or a state dict with a factory needs no such trust"
)


class ModelSource(BaseModel):
    """The file that a party's model comes from, in the party's settings.

    Attributes:
        file: its path.
        digest: of its bytes, see :func:`file_digest`.
        factory: a function `package.module:function` without arguments that makes the module of a state dict.
        path: the folder that the factory's package is found in, besides the installed ones.
        trust_pickle: whether code that lies in the file may run.
        class_names: the classes or labels in their order, as text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: Path
    digest: str
    factory: str | None = Field(None, pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    path: Path | None = None
    trust_pickle: bool = False
    class_names: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The kind of the file, one of :data:`KINDS`."""
        return KINDS[self.file.suffix.lower()]

    @property
    def title(self) -> str:
        """What may be said of it to everybody, which is not its name."""
        return f"of its own ({self.kind})"

    @property
    def cacheable(self) -> bool:
        """Whether the digest says all that the model depends on. The code of a factory is not in it."""
        return self.factory is None


def missing_to_read(source: ModelSource) -> str:
    """Return what is wrong where the package that reads such a file is not installed, or nothing."""
    package = _PACKAGES.get(source.kind)
    return missing(package, f"a model {source.title}") if package else ""


def model_source(
    file: Path, factory: str | None, path: Path | None, trust_pickle: bool, class_names: tuple[str, ...]
) -> ModelSource:
    """Return the source of a model after the checks that need no library.

    Raises `ConfigError` for a file that is not there, of an unknown kind or without what its kind needs.
    """
    kind = KINDS.get(file.suffix.lower())
    if kind is None:
        raise ConfigError(f"model {file}: expected a name that ends in {', '.join(KINDS)}, found {file.suffix!r}")
    if not file.is_file():
        raise ConfigError(f"model {file}: expected a file, found {'a folder' if file.is_dir() else 'none'}")
    if (kind == "state dict") != (factory is not None):
        what = "the function that makes the module, `factory: package.module:function`," if factory is None else "none"
        raise ConfigError(
            f"model {file}: expected {what} with a {kind} file, found {'none' if factory is None else factory}"
        )
    if path is not None and factory is None:
        raise ConfigError(f"model {file}: expected `path` with a factory only, found {path}")
    if kind in RUN_CODE and not trust_pickle:
        raise ConfigError(
            f"model {file}: expected a file that cannot run code, found one by {kind}. Convert it to ONNX, skops or a "
            "state dict, or say `trust_pickle: true` (--trust_pickle) if you made the file yourself"
        )
    try:
        digest = file_digest(file)
    except OSError as error:
        raise ConfigError(f"model {file}: it cannot be read ({error.strerror or error})") from error
    return ModelSource(
        file=file.absolute(), digest=digest, factory=factory, path=path, trust_pickle=trust_pickle,
        class_names=class_names,
    )  # fmt: skip


def companions(file: Path) -> list[Path]:
    """Return the file and the one beside it that torch's exporter writes large constants of an ONNX file to."""
    beside = file.with_name(f"{file.name}.data")
    return [file, beside] if file.suffix.lower() == ".onnx" and beside.is_file() else [file]


def file_digest(file: Path) -> str:
    """Return SHA-256 over the digests of a file and its companion, in hex. Raises `OSError`."""
    digest = hashlib.sha256()
    for one in companions(file):
        part = hashlib.sha256()
        with one.open("rb") as content:
            while block := content.read(1 << 20):
                part.update(block)
        digest.update(part.digest())
    return digest.hexdigest()
