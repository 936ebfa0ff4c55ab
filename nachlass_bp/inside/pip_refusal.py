"""Cells don't install: `%pip`, `!pip` and `python -m pip` of the kernel's own Python lead to a program that refuses.

`!pip` finds it on PATH (`programs/pip`), before the pip of whatever Python the machine has. The program tells the
driver, by a file in the kernel's scratch directory, what it has refused.
"""

from __future__ import annotations

import importlib
import os
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_PROGRAM = Path(__file__).resolve().parent / "programs" / "pip"
_CHANGING = frozenset({"install", "uninstall"})
_NAMES = re.compile(r"python(3(\.\d+)?)?")
_COMMAND = re.compile(
    rf"""(?<![\w./-])(?:python(?:3(?:\.\d+)?)?|(["']?){re.escape(sys.executable)}\1)\s+(?:-[A-Za-z]+\s+)*?-m\s*pip3?(?![\w.])"""
)


def refuse_pip(shell: Any) -> None:
    """Lead what a cell may write to the program; what it does about it, `programs/pip` says."""
    program = shlex.quote(str(_PROGRAM))

    def pip(line: str) -> None:
        """Look at the packages that the notebook has; they come from requirements.txt."""
        shell.system(f"{program} {line}")

    shell.register_magic_function(pip, "line", "pip")
    # Where the shell has them from: to wrap its own methods would change the frame that {names} are looked up in.
    for module, name in (("ipykernel.zmqshell", "system"), ("IPython.core.interactiveshell", "getoutput")):
        place = importlib.import_module(module)
        setattr(place, name, _leading_to(program, getattr(place, name)))
    sys.addaudithook(_hook(Path(os.environ["JUPYTER_RUNTIME_DIR"]) / "refused-pip"))


def _leading_to(program: str, run: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda command: run(_COMMAND.sub(program.replace("\\", r"\\"), command))


def _hook(refused: Path) -> Callable[[str, tuple[Any, ...]], None]:
    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event != "subprocess.Popen" or not isinstance(arguments[1], list | tuple):
            return
        words = [os.fsdecode(word) for word in arguments[1] if isinstance(word, str | bytes | os.PathLike)]
        is_ours = words[1:3] == ["-m", "pip"] and (words[0] == sys.executable or _NAMES.fullmatch(words[0]))
        if is_ours and _CHANGING & {*words[3:]}:
            command = shlex.join(words[2:])
            with refused.open("a", encoding="utf-8") as file:
                file.write(f"{command}\n")
            raise RuntimeError(
                f"{command}: packages go into requirements.txt; nachlass does not let notebooks install."
            )

    return hook
