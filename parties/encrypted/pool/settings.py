"""What each party of a pooled training is told."""

from __future__ import annotations

from pathlib import Path

from mpc.encrypted.joint_ridge import JointRidge
from mpc.encrypted.pooled import RidgeJob
from mpc.encrypted.programs.ridge import Ridge
from mpc.encrypted.threshold.session import digest_of
from parties.frame.settings import Address, PartySettings, Peer

OWNER_ROLE, TRAINER_ROLE = "owner", "trainer"


class PoolSettings(PartySettings):
    """What all parties know.

    Attributes:
        owners: their names, in order. The first one opens the result.
        signing: the Ed25519 keys that they sign shares with, in hex, in the same order.
        parameters: the name of the set.
        records: n', which all owners together have at most, rounded up.
        features: d, with the constant 1 and the numbers that pad it.
        sigma: the deviation of the noise that the trainer and the opener each add to a weight.
    """

    owners: tuple[str, ...]
    signing: tuple[str, ...]
    parameters: str
    records: int
    features: int
    targets: int
    regularisation: float
    largest_eigenvalue: float
    degree: int
    sigma: float

    @property
    def signing_keys(self) -> tuple[bytes, ...]:
        """The owners' Ed25519 keys, 32 bytes each, in order."""
        return tuple(map(bytes.fromhex, self.signing))

    @property
    def joint(self) -> JointRidge:
        """The training and its release."""
        choices, count = Ridge(self.regularisation, self.largest_eigenvalue, self.degree), len(self.owners)
        job = RidgeJob(self.parameters, self.records, self.features, self.targets, choices, count, count)
        return JointRidge(job, self.sigma)

    def agreed(self) -> dict[str, str]:
        """Return what all parties must agree on, as text by name. It is public."""
        names = (
            "parameters", "records", "features", "targets", "regularisation", "largest_eigenvalue", "degree", "sigma",
        )  # fmt: skip
        found = {"protocol": "securetrain", "encrypted": "pool", "owners": ", ".join(self.owners)}
        return found | {"signing": ", ".join(self.signing)} | {name: str(getattr(self, name)) for name in names}

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
