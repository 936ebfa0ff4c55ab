"""nbclient, with its messages shown as they come and the kernel's own account of a failure."""

from __future__ import annotations

import ast
import asyncio
import json
from collections.abc import Callable
from typing import Any

import nbformat
from nbclient import NotebookClient

from nachlass_bp.output import size_text

_v4: Any = nbformat.v4  # Half typed.
KEPT_BYTES = 256 * 1024 * 1024
"""Of outputs in the executed notebook: a person's plots and tables fit many times over, an endless loop's don't."""
_LOG_BYTES_PER_CELL = 64 * 1024
_PREFIX_BYTES = 12
"""What the log puts before each line."""
_INSIDE = "__import__('sys').modules['_nachlass_inside']"
_QUESTION_TIMEOUT_S = 60


class StreamingClient(NotebookClient):
    """Hand each line of output to `show(text)` while a cell runs, and remember how the last cell ended.

    `asked_to_exit` says whether it called `exit()`, `raised` what it raised. Outputs are kept in the notebook up to
    `kept_bytes` in all.
    """

    def __init__(
        self, notebook: Any, kernel: Any, show: Callable[[str], None], *, kept_bytes: int = KEPT_BYTES
    ) -> None:
        super().__init__(
            notebook,
            km=kernel,
            timeout=None,
            startup_timeout=60,
            # No output gets lost (inside/kernel_boot.py), however long a large one takes to arrive.
            raise_on_iopub_timeout=True,
            iopub_timeout=3600,
            store_widget_state=False,
            ipython_hist_file="",
            on_cell_executed=self._after_cell,
        )
        self._show = show
        self._partial: dict[str, str] = {}
        self._shown_bytes = 0
        self._room = self._left = kept_bytes
        self._is_full = False
        self.asked_to_exit = False
        self.raised: str | None = None

    def begin_cell(self) -> None:
        """Start counting the output of the next cell."""
        self._partial, self._shown_bytes = {}, 0

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        """Let nbclient keep the message in the notebook, and show it."""
        content = msg["content"]
        match msg["msg_type"]:
            case "stream":
                self._stream(content["text"], content["name"])
            case "execute_result" | "display_data":
                text = content["data"].get("text/plain", "")
                self._stream(f"{text}\n" if isinstance(text, str) else "".join(text) + "\n")
            case _:
                pass  # Status messages and such; nbclient deals with them.
        return super().process_message(msg, cell, cell_index)

    def output(self, outs: list[Any], msg: dict[str, Any], display_id: str | None, cell_index: int) -> Any:
        """Keep an output in the notebook; a failure's always, any other as long as there is room."""
        self._left -= _size_of(msg["content"])
        if self._left >= 0 or msg["msg_type"] == "error":
            return super().output(outs, msg, display_id, cell_index)
        if not self._is_full:
            self._is_full = True
            self._left = -1  # From here on, whatever the size.
            text = f"… (this notebook's output exceeds {size_text(self._room)}; from here on none of it is kept)\n"
            outs.append(_v4.new_output("stream", name="stderr", text=text))
            self._show(text.rstrip("\n"))
        return None

    def end_cell(self) -> None:
        """Show an unfinished last line."""
        for name in [name for name, text in self._partial.items() if text]:
            self._stream("\n", name)

    def _stream(self, text: str, name: str = "") -> None:
        """Show the whole lines of one of the cell's streams; each has its own unfinished line."""
        # A progress bar rewrites its line with carriage returns; the log gets its last state only.
        *lines, rest = (self._partial.get(name, "") + text).split("\n")
        self._partial[name] = rest.rpartition("\r")[2][-_LOG_BYTES_PER_CELL:]
        for line in lines:
            size = len(line) + _PREFIX_BYTES
            self._shown_bytes += size
            if self._shown_bytes - size <= _LOG_BYTES_PER_CELL:
                too_much = self._shown_bytes > _LOG_BYTES_PER_CELL
                shown = line.rstrip("\r").rpartition("\r")[2]
                self._show("… (the rest of this cell's output is left out of the log)" if too_much else shown)

    def _after_cell(self, *, execute_reply: dict[str, Any], **_: Any) -> None:
        content = execute_reply["content"]
        self.raised = content.get("ename") if content["status"] == "error" else None
        payload = content.get("payload", [])
        self.asked_to_exit = any(item.get("source") == "ask_exit" for item in payload)

    async def ask(self, expression: str) -> Any:
        """Evaluate `<module inside the kernel>.<expression>`, which returns JSON text, and decode it.

        Returns None when the kernel can't answer: what it would have said only makes a message better.
        """
        if self.kc is None:
            return None
        message_id = self.kc.execute(
            "", silent=True, store_history=False, user_expressions={"answer": f"{_INSIDE}.{expression}"}
        )
        try:
            reply = await asyncio.wait_for(self._reply_to(message_id), _QUESTION_TIMEOUT_S)
            answer = reply["content"]["user_expressions"]["answer"]
            return json.loads(ast.literal_eval(answer["data"]["text/plain"]))
        except (asyncio.TimeoutError, KeyError, ValueError, SyntaxError):
            return None

    async def close(self) -> None:
        """Close the connections to the kernel, dead or alive."""
        # nbclient leaves its watchers running when a cell doesn't come to its end.
        watchers = asyncio.all_tasks() - {asyncio.current_task()}
        for task in watchers:
            task.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)
        if self.kc is not None:
            self.kc.stop_channels()

    async def _reply_to(self, message_id: str) -> dict[str, Any]:
        client: Any = self.kc
        while True:
            reply: dict[str, Any] = await client.get_shell_msg(timeout=None)
            if reply["parent_header"].get("msg_id") == message_id:
                return reply


def _size_of(content: dict[str, Any]) -> int:
    """Return roughly the bytes that an output takes: its text, or all forms of what it displays."""
    return len(content.get("text", "")) + sum(len(str(form)) for form in content.get("data", {}).values())
