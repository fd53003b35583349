"""Every back-end between members, whoever opens the session, and members in networks of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.parties.tensors.federations import LARGEST, PRODUCT, ROLES, federation
from tests.slow_networks import slow_networks, unavailable

UNIT = 2**-16
TWO = {"hospital": "computing", "laboratory": "computing"}
CASES: dict[str, tuple[dict[str, Any], str]] = {
    "dealer": (TWO | {"provider": "provider", "registry": "asking"}, "registry"),
    "dealer_mac": (TWO | {"provider": "provider", "registry": "asking"}, "registry"),
    "dealer_mac that another one opens": (dict(ROLES), "laboratory"),
    "replicated": (TWO | {"university": ["computing", "asking"], "registry": "outside"}, "university"),
    "two_party": ({"hospital": ["computing", "asking"], "laboratory": "computing", "registry": "outside"}, "hospital"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_each_back_end_gives_each_member_its_own(tmp_path: Path, case: str) -> None:
    roles, opener = CASES[case]
    with federation(tmp_path, roles, backend=case.split(maxsplit=1)[0], arguments={"steps": 3}) as here:
        here.serve(*(name for name, role in roles.items() if role != "asking"))
        for sessions in (1, 2):
            outputs = here.result(here.start_asking(opener))["outputs"]
            product = float(np.load(here.top / "registry.npz")["product"])
            assert product == pytest.approx(PRODUCT, abs=30 * UNIT)
            expected = {"hospital": {"largest": LARGEST}, "registry": {"product": product}}
            assert outputs == (expected | {"laboratory": {"product": product}, "university": {}})[opener]
            for name in roles:
                assert sum(line.reveal is None for line in here.records(name)) == sessions


@pytest.mark.slow
@pytest.mark.skipif(bool(unavailable()), reason=unavailable())
def test_members_in_networks_of_their_own_at_ten_milliseconds(tmp_path: Path) -> None:
    with (
        slow_networks(tuple(ROLES), 1000.0, 5.0) as apart,
        federation(tmp_path, hosts=apart.hosts, within=apart.within, arguments={"steps": 2}) as here,
    ):
        here.serve(*ROLES)
        for opener, expected in (("hospital", "largest"), ("laboratory", "product")):
            assert set(here.result(here.start_asking(opener))["outputs"]) == {expected}
