"""nbclient, with its messages shown as they come and the kernel's own account of a failure."""

from __future__ import annotations

import ast
import asyncio
import json
from collections.abc import Callable
from typing import Any

from nbclient import NotebookClient

_LOG_BYTES_PER_CELL = 64 * 1024
_INSIDE = "__import__('sys').modules['_nachlass_inside']"
_QUESTION_TIMEOUT_S = 60


class StreamingClient(NotebookClient):
    """Hand each line of output to `show(text)` while a cell runs, and remember when a cell asked to stop."""

    def __init__(self, notebook: Any, kernel: Any, show: Callable[[str], None]) -> None:
        super().__init__(
            notebook,
            km=kernel,
            timeout=None,
            startup_timeout=60,
            raise_on_iopub_timeout=True,
            iopub_timeout=30,
            store_widget_state=False,
            ipython_hist_file="",
            on_cell_executed=self._after_cell,
        )
        self._show = show
        self._partial: dict[str, str] = {}
        self._shown_bytes = 0
        self.asked_to_exit = False

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
            self._shown_bytes += len(line)
            if self._shown_bytes - len(line) <= _LOG_BYTES_PER_CELL:
                too_much = self._shown_bytes > _LOG_BYTES_PER_CELL
                shown = line.rstrip("\r").rpartition("\r")[2]
                self._show("… (the rest of this cell's output is left out of the log)" if too_much else shown)

    def _after_cell(self, *, execute_reply: dict[str, Any], **_: Any) -> None:
        payload = execute_reply["content"].get("payload", [])
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
