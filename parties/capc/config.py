"""The configuration of a CaPC run (Choquette-Choo et al., ICLR 2021), from which a launcher plans it."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from pydantic import ConfigDict, model_validator

from mpc.dp.accountant import check_countable
from mpc.errors import ParameterError
from mpc.inference.models.bounds import check_weight_norm
from parties.capc.choices import Asking, Cryptography, Models, Outputs, Participants, Privacy, Waiting


def _refused_by(key: str, check: Callable[..., None], *values: Any) -> None:
    try:
        check(*values)
    except ParameterError as error:
        raise ValueError(f"{key}: {error}") from error


# The fields of the last base come first.
class CapcConfig(Waiting, Cryptography, Outputs, Models, Privacy, Asking, Participants):
    """Everything that one may choose about a CaPC run."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @property
    def sigma(self) -> Fraction:
        """The noise's standard deviation, exactly as written."""
        if self.dp_noise_scale is None:
            return Fraction(self.n_parties, 6)
        return Fraction(self.dp_noise_scale)

    @property
    def least(self) -> int:
        """How many answering parties must vote."""
        return self.n_parties if self.min_parties is None else self.min_parties

    @property
    def tries_again_s(self) -> float:
        """How long a querying party tries again after a loss."""
        if self.rejoin_s is not None:
            return self.rejoin_s
        return 4 * self.quorum_wait_s if self.least < self.n_parties else 0.0

    @property
    def noise_parts(self) -> int:
        """How many answering parties' parts make the whole noise. It is 0 where the guardian draws the noise."""
        return self.n_parties - self.colluding if self.noise_by == "parties" and self.sigma else 0

    @property
    def threshold_sigma(self) -> Fraction:
        """The standard deviation of the noise on the threshold, exactly as written. It is 0 without a threshold."""
        if not self.threshold:
            return Fraction(0)
        return self.sigma if self.threshold_noise_scale is None else Fraction(self.threshold_noise_scale)

    @property
    def patience_s(self) -> float:
        """How long a party waits for all its peers to appear. They train first, a few at a time on one machine."""
        return 300.0 + 10 * self.n_parties if self.connect_deadline_s is None else self.connect_deadline_s

    @model_validator(mode="after")
    def _follows_own_records(self) -> CapcConfig:
        """Take the number of parties and classes from own records where they are not given, or else compare them."""
        if self.data is None:
            return self
        if "dataset" in self.model_fields_set:
            raise ValueError(f"dataset: expected it or data, found both {self.dataset} and data")
        self._follow("num_classes", self.data.outputs, "classes or labels")
        if self.data.parties:
            self._follow("n_parties", len(self.data.parties) - 1, "parties, one of which asks,")
        return self

    def _follow(self, key: str, number: int, what: str) -> None:
        if key not in self.model_fields_set:
            self.__dict__[key] = number
        elif getattr(self, key) != number:
            raise ValueError(
                f"{key}: expected {number}, which follows from the {what} under data, found {getattr(self, key)}"
            )

    @model_validator(mode="after")
    def _countable(self) -> CapcConfig:
        """Refuse noise and delta that no accountant has a figure for, before exact fractions are made of them."""
        for key in ("dp_noise_scale", "threshold_noise_scale"):
            if (scale := getattr(self, key)) is not None:
                _refused_by(key, check_countable, scale)
        _refused_by("delta", check_countable, Fraction(0), self.delta)
        return self

    @model_validator(mode="after")
    def _consistent(self) -> CapcConfig:
        if max(self.qp_id) > self.n_parties:
            raise ValueError(
                f"qp_id: {max(self.qp_id)} is not one of the {self.n_parties + 1} data owners 0..{self.n_parties}"
            )
        if len(set(self.qp_id)) < len(self.qp_id):
            raise ValueError(f"qp_id: expected every data owner at most once, found {','.join(map(str, self.qp_id))}")
        if self.strategy != "given" and self.data is None and self.n_queries > self.unlabelled:
            raise ValueError(
                f"n_queries: expected at most the {self.unlabelled} unlabelled records, found {self.n_queries}"
            )
        self._check_outputs()
        if self.least != self.n_parties:
            self._check_quorum(self.least)
        if self.colluding and (self.noise_by == "guardian" or self.colluding >= self.n_parties):
            raise ValueError(
                f"colluding: expected fewer than the {self.n_parties} answering parties, and noise_by parties, "
                f"found {self.colluding} and {self.noise_by}"
            )
        if self.credit_abstentions:
            raise ValueError(
                "credit_abstentions: expected false, found true: the guardian draws the threshold's noise, so each "
                "abstention it is told of would bound the top count exactly"
            )
        if self.noise_parts and self.threshold:
            raise ValueError("noise_by: expected guardian with a threshold, whose check needs counts without noise")
        if self.noise_parts and 4 * self.sigma**2 < self.noise_parts:
            raise ValueError(
                f"noise_by: expected a dp_noise_scale of at least {self.noise_parts**0.5 / 2:.3g}, so that every part "
                f"has a scale of at least 1/2, found {float(self.sigma):g}"
            )
        _refused_by("weight_norm", check_weight_norm, self.weight_norm)
        if self.weight_bits is not None and self.fraction_bits + self.weight_bits >= self.ring_bits:
            raise ValueError(
                f"weight_bits: expected at most {self.ring_bits - self.fraction_bits - 1} with {self.fraction_bits} "
                f"fraction bits and {self.ring_bits} ring bits, found {self.weight_bits}"
            )
        if 2 * self.fraction_bits >= self.ring_bits:
            raise ValueError(
                f"fraction_bits: products carry twice {self.fraction_bits} fraction bits and do not fit a ring of "
                f"{self.ring_bits} bits"
            )
        return self

    def _check_quorum(self, least: int) -> None:
        """Refuse what fewer than all parties could not do, with the numbers."""
        if least > self.n_parties:
            raise ValueError(f"min_parties: expected at most the {self.n_parties} answering parties, found {least}")
        if self.preprocessing == "dealer":
            raise ValueError(
                f"min_parties: expected {self.n_parties}, which is all, with preprocessing dealer, found {least}"
            )
        if self.threshold > least:
            raise ValueError(
                f"threshold: expected at most the {least} of min_parties, who could not reach more, found "
                f"{self.threshold}"
            )
        if self.noise_parts and least < self.colluding + 2:
            raise ValueError(
                f"min_parties: expected at least {self.colluding + 2}, of whom {self.colluding} may show their part of "
                f"the noise, found {least}"
            )
        if self.tries_again_s < self.quorum_wait_s:
            raise ValueError(
                f"rejoin_s: expected at least the {self.quorum_wait_s:g} s of quorum_wait_s, found "
                f"{self.tries_again_s:g}"
            )
        if self.patience_s < self.quorum_wait_s:
            raise ValueError(
                f"quorum_wait_s: expected at most the {self.patience_s:g} s of connect_deadline_s, found "
                f"{self.quorum_wait_s:g}"
            )

    def _check_outputs(self) -> None:
        for key, path in (("labels_out", self.labels_out), ("model_out", self.model_out)):
            if path is not None and len(self.qp_id) > 1 and "{party}" not in path.name:
                raise ValueError(
                    f"{key}: expected {{party}} in the name of {path} with several asking parties, found none"
                )
        if self.labels_out is not None and self.labels_out.suffix != ".csv":
            raise ValueError(f"labels_out: expected a name that ends in .csv, found {self.labels_out}")
        if self.model_out is not None and self.strategy == "given":
            raise ValueError("model_out: expected a campaign, which trains a better model, found strategy given")
