"""No log, event, settings file or result holds a share, a mask or a key that a party drew."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.parties.capc.runs import running

MINIMUM_SECRETS = 200


def forms(secret: str) -> list[str]:
    """How a secret, given in hex, might be written: hex and decimal, in either byte order, shortened as a prefix."""
    value = int(secret, 16)
    raw = bytes.fromhex(secret) if len(secret) % 2 == 0 else value.to_bytes((len(secret) + 1) // 2, "big")
    reverse = int.from_bytes(raw, "little")
    return [f"{value:x}", f"{reverse:x}", str(value), str(reverse)]


def numbers_in(text: str) -> set[str]:
    """Every run of hex digits or decimals that is long enough to be a secret."""
    return set(re.findall(r"[0-9a-f]{8,}", text.lower()))


def files_of(top: Path) -> list[Path]:
    """Every file of a run but the parties' own data and certificates, which stand in folders of mode 0700."""
    return [path for path in sorted(top.rglob("*")) if path.is_file() and path.suffix not in {".npz", ".pem"}]


def found(path: Path, written: set[str]) -> list[str]:
    """The numbers in a file that are one of the forms, or the first 16 digits or more of one."""
    return [
        number
        for number in numbers_in(path.read_text())
        if number in written or (len(number) >= 16 and any(form.startswith(number) for form in written))
    ]


@pytest.mark.parametrize("aggregation", ["paillier", "direct"])
def test_nothing_that_a_party_drew_is_at_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, aggregation: str
) -> None:
    secrets_folder = tmp_path / "secrets"
    secrets_folder.mkdir()
    monkeypatch.setenv("SECRETS", str(secrets_folder))
    top = tmp_path / "top"
    wrapper = "tests.parties.capc.recorded"
    with running(top, "secrets", wrapper=wrapper, aggregation=aggregation, dp_noise_scale=2) as run:
        run.finish()
    secrets = {line for file in secrets_folder.iterdir() for line in file.read_text().split()}
    assert len(list(secrets_folder.iterdir())) == 4
    assert len(secrets) > MINIMUM_SECRETS
    written = {form for secret in secrets for form in forms(secret)}
    files = files_of(top)
    assert len(files) >= 12
    for path in files:
        assert not found(path, written), path
    planted = sorted(secrets, key=len)[-1]
    for path in files:  # the same search would have found it in every one of them
        with path.open("a") as file:
            file.write(f" {planted} ")
        assert found(path, written) == [planted], path


def test_the_search_finds_a_secret_that_is_there() -> None:
    log = "12:00:00 | INFO | share 1f2e3d4c5b6a7988 of 10"
    assert any(form in numbers_in(log) for form in forms("1f2e3d4c5b6a7988"))
    assert any(form in numbers_in(f"mask {int('88796a5b', 16)}") for form in forms("5b6a7988"))
