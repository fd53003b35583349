"""The page about decentralised aggregation: its programs run as they stand, and print what they say."""

from __future__ import annotations

import re

import pytest

from tests.copies import ROOT
from tests.page_blocks import blocks_of

PAGE = ROOT / "docs" / "commons.md"


def test_the_programs_of_the_page_run_and_print_what_they_say(capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for block in blocks_of(PAGE):
        if block.kind == "python":
            exec(compile(block.body, str(PAGE), "exec"), {})  # noqa: S102  (the page is ours)
            said += re.findall(r"# prints (.*)$", block.body, re.MULTILINE)
    assert len(said) == 2
    assert capsys.readouterr().out.splitlines() == said
