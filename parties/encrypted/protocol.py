"""Encrypted training as a run of two processes and as commands, in the form that a launcher asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mpc.errors import MpcError
from parties.encrypted.config import SecureTrainConfig
from parties.encrypted.model_run import report
from parties.encrypted.pool import report as pooled
from parties.encrypted.settings import OWNER, TRAINER, OwnerSettings, TrainerSettings
from parties.frame.charts import Headline
from parties.frame.errors import ConfigError
from parties.frame.plan import Command, Plan, Process, Run, Summary
from parties.frame.settings import Address, Peer

STEPS = {
    "1": "connect",
    "2": "the twin in the clear, and keys",
    "3": "encrypted records",
    "4": "training on ciphertexts",
    "5": "the encrypted model",
    "6": "decryption, compared with the twin",
}
_GROUP = "train under encryption"


def _command(name: str, about: str) -> Command:
    options = "".join(part.title() for part in name.split("_"))
    return Command(
        about, f"parties.encrypted.commands:{name}", f"parties.encrypted.options:{options}Options", group=_GROUP
    )


def _released(owner: Mapping[str, Any], seen: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return how the model left the encryption, and that it is the one which the twin gives."""
    if owner["leak"] is None:
        return [("verified", f"all decrypted weights are within the bound of {owner['bound']:.2g} of the twin's")]
    noise, to = float(seen["noise"]), "both parties" if seen["release_to"] == "both" else OWNER
    return [
        ("released", f"the weights with noise of a deviation of {noise:g} from each party, to {to}, and neither saw "
         "them without"),
        ("left of the encryption's error", f"at most {owner['leak']:.2g} nats of the key, by the derived bound"),
        ("compared", f"all weights are within {owner['bound']:.2g} of the twin's, which both noises can be off by"),
    ]  # fmt: skip


class SecureTrain:
    """Encrypted training, for the launcher."""

    name = "securetrain"
    Config = SecureTrainConfig

    @property
    def commands(self) -> Mapping[str, Command]:
        """One party's part at a time, by files."""
        return {
            "encrypt-dataset": _command("encrypt_dataset", "make keys and encrypt records, as their owner"),
            "train": _command("train", "train on encrypted records, or an encrypted model on your own"),
            "pool": Command(
                "add up what several owners have encrypted under one key",
                "parties.encrypted.ridge_commands:pool",
                "parties.encrypted.options:PoolOptions",
                group=_GROUP,
            ),
            "encrypt-model": _command("encrypt_model", "make keys and encrypt a model, to have it trained by others"),
            "decrypt-model": _command("decrypt_model", "decrypt a trained model, as the key's holder"),
            "inspect": _command("inspect", "show what an encrypted file says of itself"),
        }

    def plan(self, config: SecureTrainConfig, run: Run) -> Plan:
        """Return the parties, and write what each of them has into its private folder."""
        from parties.encrypted.model_run import planning  # noqa: PLC0415 - the launcher starts without the computation
        from parties.encrypted.planning import prepare  # noqa: PLC0415
        from parties.encrypted.pool import planning as pooling  # noqa: PLC0415

        try:
            if config.pool is not None:
                return pooling.plan(config, config.pool, run)
            if config.encrypted == "model":
                return planning.plan(config, run)
            job, notes = prepare(config, run.folders.party(OWNER))
        except MpcError as error:
            raise ConfigError(f"securetrain: {error}.") from error
        address = Address(host=run.host, port=run.start_port)

        def common(name: str) -> dict[str, Any]:
            return run.common_settings(name) | {
                "connect_deadline_s": config.connect_deadline_s,
                "message_deadline_s": config.message_deadline_s,
                "run_deadline_s": config.run_deadline_s,
                **job,
            }

        output = None if config.output_model is None else config.output_model.absolute()
        trainer = Peer(name=TRAINER, host=address.host, port=address.port)
        owner = OwnerSettings(**common(OWNER), trainer=trainer, output=output)
        return Plan(
            (
                Process(OWNER, "parties.encrypted.data_owner", owner, "Data owner"),
                Process(
                    TRAINER,
                    "parties.encrypted.project_owner",
                    TrainerSettings(**common(TRAINER), listen=address, owner=OWNER),
                    "Project owner",
                    address.port,
                ),
            ),
            reporter=OWNER,
            more_reporters=(TRAINER,),
            deadline_s=config.run_deadline_s,
            steps=STEPS,
            notes=(
                f"{TRAINER} sees that there are at most {job['records']} records of {job['features']} numbers, both "
                "padded to powers of two, and no record or label",
                *notes,
            ),
        )

    def summary(self, result: Mapping[str, Any]) -> Summary:
        """Show what the model is worth, and where the records are encrypted, that the twin stands for it."""
        owner, trainer, *more = result["reports"]
        if owner.get("encrypted") == "pool":
            return pooled.summary([owner, trainer, *more])
        if owner.get("encrypted") == "model":
            return report.summary(owner, trainer)
        return Summary(
            (
                ("accuracy", f"{owner['accuracy']:.4f} on {owner['held_out']} records that were held out"),
                ("scikit-learn in the clear", f"{owner['scikit_learn']:.4f}"),
                *_released(owner, trainer["seen"]),
                ("training", f"{trainer['training_seconds']:.2f} s on ciphertexts"),
                (f"{TRAINER} saw", ", ".join(f"{name} {value}" for name, value in trainer["seen"].items())),
            ),
            headlines=(
                Headline("accuracy", f"{owner['accuracy']:.4f}", f"scikit-learn {owner['scikit_learn']:.4f}"),
                Headline("training", f"{trainer['training_seconds']:.2f} s", "on ciphertexts"),
            ),
        )


PROTOCOL = SecureTrain()
