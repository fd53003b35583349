"""The configuration of a service, under `tensors: serving:` in the YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from parties.frame.plan import PathInFile

LARGEST_BATCH = 4096


class ClientConfig(BaseModel):
    """One client."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    ask: int = Field(1, ge=1, le=LARGEST_BATCH, description="how many records it asks about at once")
    pause_ms: float = Field(0.0, ge=0, description="how long it waits between an answer and its next request")
    outputs: Annotated[Path, PathInFile] | None = Field(None, description="the file (.npz) that its answers go to")


class ServingConfig(BaseModel):
    """The keys under `serving:`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    owner: str = Field("owner", description="who has the model, shares it among the computing parties, and leaves")
    clients: dict[str, ClientConfig] = Field(
        {"client": ClientConfig.model_validate({})}, min_length=1, description="who asks, each about its own records"
    )
    max_batch: int = Field(64, ge=1, le=LARGEST_BATCH, description="records that are computed at once at most")
    max_wait_ms: float = Field(5.0, ge=0, description="how long a request may wait for others that fill its batch")
    small_batches: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (), description="more sizes of batches, which are quicker where fewer records wait"
    )
    workers: Annotated[int, Field(ge=1, le=16)] = Field(
        1, description="batches of each size that are computed at the same time"
    )
    queue: int = Field(1024, ge=1, description="records that may wait; a request beyond that is told to come again")
    quota: Annotated[int, Field(ge=1)] | None = Field(
        None, description="records that one client may ask about in all; default: any number"
    )
    pool: int = Field(
        8, ge=1, le=1024, description="batches of each size for which the provider prepares correlations ahead"
    )
    low_water: int = Field(4, ge=0, description="the provider prepares more when so few are left")
    return_s: float = Field(30.0, gt=0, description="how long a party that was lost may take to come back")
    answer_s: float = Field(60.0, gt=0, description="how long a client waits for an answer in all")
    restarts: int = Field(
        3, ge=0, description="how often a computing party or the provider is started again when killed"
    )

    @model_validator(mode="after")
    def _check(self) -> ServingConfig:
        if self.low_water >= self.pool:
            raise ValueError(f"low_water: expected less than the pool of {self.pool}, found {self.low_water}")
        if wrong := [size for size in self.small_batches if size >= self.max_batch]:
            raise ValueError(f"small_batches: expected less than max_batch {self.max_batch}, found {wrong[0]}")
        if self.queue < self.max_batch:
            raise ValueError(f"queue: expected at least max_batch {self.max_batch}, found {self.queue}")
        for name, client in self.clients.items():
            if client.ask > self.max_batch:
                raise ValueError(f"clients: {name} asks about {client.ask} at once, expected at most {self.max_batch}")
        return self

    @property
    def lanes(self) -> tuple[int, ...]:
        """The size of each lane's batches."""
        sizes = sorted({*self.small_batches, self.max_batch})
        return tuple(size for size in sizes for _ in range(self.workers))

    @property
    def names(self) -> tuple[str, ...]:
        """The parties that hold no share."""
        return (self.owner, *self.clients)
