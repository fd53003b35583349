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
    read, numbers = 0, 0
    for path in top.rglob("*"):
        if not path.is_file() or path.suffix in {".npz", ".pem"}:
            continue  # the parties' own data and certificates, in folders of mode 0700
        found = numbers_in(path.read_text())
        read, numbers = read + 1, numbers + len(found)
        for number in found:
            assert number not in written, path
            assert not any(form.startswith(number) for form in written if len(number) >= 16), path
    assert read >= 12
    assert numbers > 20  # that were compared


def test_the_search_finds_a_secret_that_is_there() -> None:
    log = "12:00:00 | INFO | share 1f2e3d4c5b6a7988 of 10"
    assert any(form in numbers_in(log) for form in forms("1f2e3d4c5b6a7988"))
    assert any(form in numbers_in(f"mask {int('88796a5b', 16)}") for form in forms("5b6a7988"))
