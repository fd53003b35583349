"""A worker that tries games: it counts catches, and misbehaves as the game's manner says. It notes each trial."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from parties.frame.errors import ConfigError
from parties.frame.trials import serve_trials


def figures(settings: dict[str, Any]) -> dict[str, float | int | None]:
    players, seed = settings.get("players", 3), settings["seed"]
    with Path(os.environ["TRIED"]).open("a") as file:
        file.write(f"{players} {seed} {os.getpid()}\n")
    if settings.get("who") == seed:
        manner = settings.get("manner")
        if manner == "raise":
            raise ConfigError("the ball is lost")
        if manner == "silent_exit":
            print("last words", file=sys.stderr, flush=True)
            os._exit(3)
        if manner == "hang":
            time.sleep(600)
    print("noise on standard output")
    time.sleep(settings.get("throw_s", 0))
    return {"catches": players * 10 + seed, "drops": None if seed == 1 else 0.5}


if __name__ == "__main__":
    sys.exit(serve_trials(figures, *sys.argv[1:3]))
