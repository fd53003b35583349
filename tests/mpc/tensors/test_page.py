"""The page for users: its programs run as they stand."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from tests.copies import ROOT
from tests.page_blocks import blocks_of

PAGE = ROOT / "docs" / "tensors.md"


def test_the_programs_of_the_page_run(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    for block in blocks_of(PAGE):
        if block.kind == "python":
            body = block.body
            if not find_spec("mpc.tensors.backends.memory"):
                body = body.replace('dealer="carol"', 'backend="clear"')
            exec(compile(body, str(PAGE), "exec"), names)  # noqa: S102  (the page is ours)
    printed = capsys.readouterr().out
    assert abs(float(printed.split()[0]) + 0.25 / 3) < 1e-3
    sentence = "multiply #2: needs 74 bits (a product of 36 and 36 bits), ring has 64; "
    assert sentence + "lower fraction_bits to 11 or clip to 2^9" in printed
    assert f"`{sentence}lower fraction_bits to 11 or clip to 2^9`" in PAGE.read_text()
    result = names["result"]
    assert set(result.outputs["alice"]) == {"weights", "guard"}
    assert set(result.outputs["bob"]) == {"guard"}
