"""The console script: refuses what cannot work, and turns every foreseen failure into text and an exit status."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command `nachlass` and exit with its status."""
    if sys.platform == "win32":
        # Before any other import: the rest of the package needs fcntl.
        sys.exit(
            "nachlass runs on Linux and macOS; on Windows, use it inside WSL2 (https://learn.microsoft.com/windows/wsl)."
        )
    from nachlass_cli.commands import run_command  # noqa: PLC0415 - see above

    sys.exit(run_command(sys.argv[1:]))
