"""What each party of a pooled training is told."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from mpc.encrypted.joint_logistic import JointLogistic
from mpc.encrypted.joint_ridge import JointRidge
from mpc.encrypted.packing import Packing
from mpc.encrypted.parameters import parameters_of
from mpc.encrypted.pooled import RidgeJob
from mpc.encrypted.programs.logistic import Logistic
from mpc.encrypted.programs.ridge import Ridge
from mpc.encrypted.threshold.session import digest_of
from mpc.encrypted.threshold.training import JointJob
from parties.frame.settings import Address, PartySettings, Peer, Strict

OWNER_ROLE, TRAINER_ROLE = "owner", "trainer"


class RidgeTold(Strict):
    """The choices of ridge regression, see :class:`mpc.encrypted.programs.ridge.Ridge`."""

    algorithm: Literal["ridge"] = "ridge"
    regularisation: float
    largest_eigenvalue: float
    degree: int


class LogisticTold(Strict):
    """The choices of logistic regression, see :class:`mpc.encrypted.programs.logistic.Logistic`.

    Attributes:
        rows: how many records each owner has at most, in order.
        norm: the largest norm of a prepared record.
    """

    algorithm: Literal["logistic"] = "logistic"
    rows: tuple[int, ...]
    norm: float
    learning_rate: float
    iterations: int
    sigmoid_degree: int
    stretch: int


class PoolSettings(PartySettings):
    """What all parties know.

    Attributes:
        owners: their names, in order. The first one opens the result.
        signing: the Ed25519 keys that they sign shares with, in hex, in the same order.
        parameters: the name of the set.
        records: n', which all owners together have at most, rounded up.
        features: d, with the constant 1 and the numbers that pad it.
        sigma: the deviation of the noise that the trainer and the opener each add to a weight.
        choices: of the algorithm.
        extractor: the digest of the extractor that all owners use, in hex, or nothing.
        preparation: the digest of the file that says how all owners prepare features, in hex. It has random bytes in
            it, so the digest tells nothing of it.
    """

    owners: tuple[str, ...]
    signing: tuple[str, ...]
    parameters: str
    records: int
    features: int
    targets: int
    sigma: float
    choices: RidgeTold | LogisticTold
    extractor: str = ""
    preparation: str

    @property
    def signing_keys(self) -> tuple[bytes, ...]:
        """The owners' Ed25519 keys, 32 bytes each, in order."""
        return tuple(map(bytes.fromhex, self.signing))

    @property
    def joint(self) -> JointRidge | JointLogistic:
        """The training and its release."""
        told, count = self.choices, len(self.owners)
        if isinstance(told, RidgeTold):
            ridge = Ridge(told.regularisation, told.largest_eigenvalue, told.degree)
            job = RidgeJob(self.parameters, self.records, self.features, self.targets, ridge, count, count)
            return JointRidge(job, self.sigma)
        packing = Packing.fit(self.records, self.features, parameters_of(self.parameters).slots)
        logistic = Logistic(told.learning_rate, told.iterations, told.sigmoid_degree, told.stretch)
        rows = JointJob(self.parameters, packing, logistic, told.rows, told.norm, targets=self.targets)
        return JointLogistic(rows, self.sigma)

    def agreed(self) -> dict[str, str]:
        """Return what all parties must agree on, as text by name. It is public."""
        chosen = self.choices.model_dump()
        found = {"protocol": "securetrain", "encrypted": "pool", "algorithm": chosen.pop("algorithm")}
        found |= {"owners": ", ".join(self.owners), "signing": ", ".join(self.signing)}
        found |= {name: str(getattr(self, name)) for name in ("parameters", "records", "features", "targets")}
        found |= {"extractor": self.extractor} if self.extractor else {}
        found["preparation"] = self.preparation
        return found | {name: str(value) for name, value in chosen.items()} | {"sigma": str(self.sigma)}

    @property
    def job_id(self) -> bytes:
        """32 bytes that name this run's training, to which shares of keys and results are bound."""
        words = [f"{name}={value}".encode() for name, value in sorted(self.agreed().items())]
        return digest_of("pooled run", self.session.encode(), *words)


class PoolOwnerSettings(PoolSettings):
    """What an owner knows. Its records and its signing key lie in its private folder.

    Attributes:
        number: its place among the owners.
        listen: where the opener listens for the other owners, or None.
        opener: the opener, or None for the opener itself.
        twin: for the opener, what the same training gives in the clear. Whoever starts a run of all parties on one
            machine has all records and can tell. It is for the report alone.
    """

    number: int
    trainer: Peer
    listen: Address | None
    opener: Peer | None
    output: Path | None
    twin: dict[str, float]


class PoolTrainerSettings(PoolSettings):
    """What the trainer knows."""

    listen: Address
