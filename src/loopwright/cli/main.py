"""The ``loopwright`` command: finds a subcommand's module by name and says what is near a typo."""

from __future__ import annotations

import importlib
import io
import sys
from difflib import get_close_matches

import click

COMMANDS = {
    "train": "Train what a config says.",
    "val": "Validate a checkpoint with a config's validation part.",
    "test": "Test a checkpoint with a config's test part.",
    "plan": "Show the whole run before it starts.",
    "config": "Show, explain, compare and dump configs without running them.",
    "inspect": "Say what a checkpoint holds and whether it is whole.",
    "verify-resume": "Prove that a run resumes to the last bit.",
    "fingerprint": "Compare the initial parameters of runs.",
    "data": "Check and repair annotations.",
    "report": "Write one HTML file about a finished run.",
    "compare": "Compare runs.",
    "runs": "List the runs below a folder.",
    "new": "Write a starter project.",
}


class Commands(click.Group):
    """Subcommands whose modules are imported only when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            near = get_close_matches(name, COMMANDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"No such command {name!r}.{hint}", ctx)
        module = importlib.import_module(f"loopwright.cli.{name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The one-line helps from the table, so that ``--help`` imports nothing."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="loopwright")
def main() -> None:
    """Train vision models from configs: see the run first, run it fast, never lose it.

    \b
    loopwright plan config.py                    what will happen
    loopwright train config.py                   do it
    loopwright train config.py --resume          go on after a kill
    loopwright config show config.py --why optim_wrapper.optimizer.lr
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal may not know a name's characters
        sys.stdout.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    sys.exit(main())
