"""A run on one screen, from any terminal, by `python -m orchestrator.dashboard --run NAME`.

It only reads what the run writes. It ends when the run does. Where there is no terminal it prints the picture once.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.live import Live

from orchestrator import record
from orchestrator.errors import in_a_sentence
from orchestrator.record import Record
from orchestrator.scene import Scene
from orchestrator.streams import plain_console, steady_streams
from parties.frame.errors import ConfigError
from parties.frame.plan import RunFolders

POLL_S = 0.5
WIDTH, HEIGHT = 100, 40  # where no terminal says its own


class Dashboard:
    """Follows the files of a run."""

    def __init__(self, folders: RunFolders) -> None:
        self._folders = folders
        self._record = record.read(folders)
        self._files = record.event_files(folders, self._record.parties)
        self.scene = Scene(f"{self._record.protocol} · {folders.run}", self._record.panes, self._record.started)
        self.look()

    def look(self) -> bool:
        """Take in what is new. Return false when there will be nothing more."""
        self._record = record.read(
            self._folders
        )  # before the events, because those of a run that is over are all there
        news = [(event, name) for name, file in self._files.items() for event in file.read_new()]
        for event, name in sorted(news, key=lambda pair: pair[0].t):
            self.scene.states[name].apply(event)
            self.scene.tell(name, event)
        self.scene.lost = self._record.lost
        for loss in self._record.lost:
            self.scene.states[loss.party].outcome = "lost"
        if not self._record.over:
            if all(state.outcome in ("finished", "lost") for state in self.scene.states.values()):
                self.scene.outcome = "finished"
            return True
        self.scene.outcome = "ended" if self._record.outcome == "running" else self._record.outcome
        self.scene.verdict = _verdict(self._record)
        return False

    @property
    def now(self) -> float:
        """The time of the picture, which is that of the end once the run has ended."""
        return self._record.ended or time.time()


def _verdict(ended: Record) -> str:
    failed = ended.failed
    if failed is None:
        return "" if ended.outcome != "running" else "The run ended without saying how."
    subject = f"{failed.party} failed" + (f" in step {failed.step}" if failed.step else "") + ": "
    return (subject if failed.party else "") + failed.reason + (f" (see {failed.log})" if failed.log else "")


def show(dashboard: Dashboard, console: Console) -> None:
    """Draw until the run has ended. The last picture stays."""

    def picture() -> object:
        width, height = console.size
        return dashboard.scene.draw(width, height - 1, dashboard.now)

    if console.is_terminal:
        with Live(console=console, screen=True, refresh_per_second=2, get_renderable=picture):  # type: ignore[arg-type]
            while dashboard.look():
                time.sleep(POLL_S)
    console.print(dashboard.scene.draw(console.size.width, console.size.height - 1, dashboard.now))


def main(arguments: Sequence[str] | None = None, name: str = "python -m orchestrator.dashboard") -> int:
    """Show the run and return 0, or 2 for a run that is not there."""
    parser = argparse.ArgumentParser(prog=name, description="Look at a run while it lasts.")
    parser.add_argument("--run", metavar="NAME", help="the run's name; default the one that was started last")
    parser.add_argument("--files_dir", type=Path, default=Path("files"), help="where runs keep their files")
    parser.add_argument("--logs_dir", type=Path, default=Path("logs"), help="where runs keep their logs")
    with steady_streams():
        return _show_run(parser.parse_args(arguments))


def _show_run(chosen: argparse.Namespace) -> int:
    console = plain_console(WIDTH, HEIGHT)
    try:
        run = chosen.run or record.latest(chosen.logs_dir)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # Ctrl-C gives the terminal back first
        with contextlib.suppress(KeyboardInterrupt):
            show(Dashboard(RunFolders(chosen.files_dir, chosen.logs_dir, run)), console)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(in_a_sentence(error), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
