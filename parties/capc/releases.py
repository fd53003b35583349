"""The rule by which votes become labels, by name or from a function of a user's own.

What can be released is what the circuits of the last step compute and a theorem covers. These are the forms:

- ``argmax``: the class with the largest noisy count (:class:`mpc.capc.release.NoisyArgmax`).
- ``confident-argmax``: the same, where the largest count with noise of its own reaches a threshold
  (:class:`mpc.capc.confident.ConfidentArgmax`).
- ``majority``: for each of several labels, whether more than half say yes (:class:`mpc.capc.majority.NoisyMajority`).

A rule of a user's own chooses a form and its numbers from public facts. It never runs in a party, and it cannot release
anything else. It states what it releases and what that costs. Both are held against the form's theorem.
"""

from __future__ import annotations

import hashlib
import json
import math
from decimal import Decimal, InvalidOperation
from typing import Any

from pydantic import ValidationError

from mpc.capc.parameters import PublicParameters
from parties.capc.casting import public_parameters
from parties.capc.config import CapcConfig
from parties.capc.forms import FORMS, RELEASES
from parties.frame.errors import ConfigError
from parties.learning.extensions.calling import Call, Returned
from parties.learning.labels import Labelling
from parties.learning.parts import Dataset

_CHOICES = ("dp_noise_scale", "threshold", "threshold_noise_scale")
_SLACK = 1e-9  # of a stated cost, which was computed in floating point


def with_release(config: CapcConfig, dataset: Dataset) -> CapcConfig:
    """Return the configuration with the numbers of its release rule.

    A function of a user's own is called in a child process as ``function(parties, classes)``. It returns a mapping::

        form                    one of the forms
        dp_noise_scale          standard deviation of the noise on each count, in votes, above 0
        threshold               of confident-argmax, in votes
        threshold_noise_scale   of confident-argmax, in votes, above 0
        releases                what a query releases, as `parties.capc.forms` has it
        zcdp                    rho of zero-concentrated differential privacy of one query

    Raises `ConfigError` for a form that fits neither keys nor records, and for a statement that the theorem of the form
    does not cover.
    """
    name = config.release
    if name is None:
        return config
    if name in FORMS:
        if (form := form_of(config, dataset.labelling)) != name:
            raise ConfigError(f"release: expected {form}, which follows from threshold and labels, found {name}")
        return config
    for key in _CHOICES:
        if key in config.model_fields_set:
            raise ConfigError(
                f"{key}: expected none beside release {name}, which says it, found {getattr(config, key)}"
            )
    with Call(RELEASES, name, config.code_dir) as call:
        found = call.run(parties=config.n_parties, classes=config.num_classes)
    given = {key: getattr(config, key) for key in config.model_fields_set}
    try:
        chosen = CapcConfig.model_validate(given | _numbers(found))
    except ValidationError as error:
        raise found.refuse("numbers that a configuration may have", error.errors()[0]["msg"]) from error
    if (form := form_of(chosen, dataset.labelling)) != found.plain["form"]:
        raise found.refuse(f"form {form}, which follows from its threshold and the labels", found.plain["form"])
    _check_statement(found, public_parameters(chosen, dataset))
    return chosen


def form_of(config: CapcConfig, labelling: Labelling) -> str:
    """Return the form that follows from a configuration and the kind of labels."""
    if labelling == "labels":
        return "majority"
    return "confident-argmax" if config.threshold else "argmax"


def _numbers(found: Returned) -> dict[str, Any]:
    """Return the keys of the configuration that a rule says."""
    plain, form = found.plain, found.plain.get("form")
    if form not in FORMS:
        raise found.refuse(f"form as one of {', '.join(FORMS)}, which are what a theorem covers here", repr(form))
    wanted = {"form", "dp_noise_scale", "releases", "zcdp"}
    wanted |= {"threshold", "threshold_noise_scale"} if form == "confident-argmax" else set()
    if plain.keys() != wanted:
        raise found.refuse(", ".join(sorted(wanted)), ", ".join(sorted(plain)))
    if plain["releases"] not in (list(FORMS[form]), FORMS[form][0] if len(FORMS[form]) == 1 else None):
        raise found.refuse(
            f"releases {list(FORMS[form])}, which is all that a theorem covers of {form}", repr(plain["releases"])
        )
    scales = {key: _scale(found, key) for key in wanted & {"dp_noise_scale", "threshold_noise_scale"}}
    return scales | ({"threshold": plain["threshold"]} if "threshold" in wanted else {})


def _scale(found: Returned, key: str) -> Decimal:
    value = found.plain[key]
    try:
        scale = Decimal(str(value)) if not isinstance(value, bool) else None
    except InvalidOperation:
        scale = None
    if scale is None or not scale.is_finite() or scale <= 0:
        raise found.refuse(f"{key} as a number above 0", repr(value))
    return scale


def _check_statement(found: Returned, parameters: PublicParameters) -> None:
    """Refuse a rule that states a smaller cost than the theorem of its form gives, with both numbers.

    The cost of a query is rho of all its noisy integers that one record can change (:class:`mpc.dp.accountant.Cost`).
    """
    stated = found.plain["zcdp"]
    proven = math.fsum(cost.rho * cost.sensitivity * cost.count for cost in parameters.costs)
    if isinstance(stated, bool) or not isinstance(stated, int | float) or not stated >= proven * (1 - _SLACK):
        raise found.refuse(f"zcdp of at least {proven:.6g} a query, which the theorem gives", repr(stated))


def release_agreed(config: CapcConfig, labelling: Labelling) -> str:
    """Return the rule's name and a digest of what it says, for all to agree on, or nothing where there is no name."""
    if config.release is None:
        return ""
    said = [form_of(config, labelling), str(config.sigma), config.threshold, str(config.threshold_sigma)]
    return f"{config.release} {hashlib.sha256(json.dumps(said).encode()).hexdigest()}"
