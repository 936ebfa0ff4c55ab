"""Run by the peers' own Python: execute a notebook, or say which notebooks jupyter-cache would execute.

peer_worker.py papermill REPOSITORY NOTEBOOK
peer_worker.py jupyter-cache REPOSITORY NOTEBOOK       both: {"seconds": …, "stamps": {…}}; imports are not timed
peer_worker.py decide CACHE REPOSITORY NOTEBOOK…       ["NOTEBOOK", …], and executes them as it would
"""

from __future__ import annotations

import json
import logging
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat as untyped_nbformat

nbformat: Any = untyped_nbformat
_STAMP = re.compile(r"^bench (\w+) ([\d.]+)$", re.MULTILINE)


def papermill(repository: Path, notebook: str) -> dict[str, Any]:
    from papermill import execute_notebook  # noqa: PLC0415 - only what is measured is imported

    executed = repository.parent / "executed.ipynb"
    started = time.perf_counter()
    execute_notebook(repository / notebook, executed, kernel_name="python3", progress_bar=False, cwd=repository)
    return {"seconds": time.perf_counter() - started, "stamps": stamps(executed)}


def jupyter_cache(repository: Path, notebook: str) -> dict[str, Any]:
    from jupyter_cache import get_cache  # noqa: PLC0415
    from jupyter_cache.executors import load_executor  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as directory:
        started = time.perf_counter()
        cache = get_cache(directory)
        cache.add_nb_to_project(str(repository / notebook))
        result = load_executor("local-serial", cache).run_and_cache(timeout=None)
        seconds = time.perf_counter() - started
        assert result.succeeded, result
        record = cache.match_cache_file(str(repository / notebook))
        bundle = cache.get_cache_bundle(record.pk)
        executed = Path(directory) / "executed.ipynb"
        nbformat.write(bundle.nb, executed)
        return {"seconds": seconds, "stamps": stamps(executed)}


def decide(directory: str, repository: Path, notebooks: list[str]) -> list[str]:
    from jupyter_cache import get_cache  # noqa: PLC0415
    from jupyter_cache.executors import load_executor  # noqa: PLC0415

    cache = get_cache(directory)
    for record in cache.list_project_records():
        cache.remove_nb_from_project(record.pk)
    for notebook in notebooks:
        cache.add_nb_to_project(str(repository / notebook))
    wanted = [Path(record.uri).name for record in cache.list_unexecuted()]
    load_executor("local-serial", cache).run_and_cache(timeout=None)
    return sorted(wanted)


def stamps(executed: Path) -> dict[str, float]:
    text = "\n".join(
        output.get("text", "")
        for cell in nbformat.read(executed, as_version=4).cells
        for output in cell.get("outputs", [])
    )
    return {name: float(value) for name, value in _STAMP.findall(text)}


def main() -> None:
    logging.disable(logging.CRITICAL)
    what, *arguments = sys.argv[1:]
    if what == "decide":
        print(json.dumps(decide(arguments[0], Path(arguments[1]), arguments[2:])))
    else:
        tool = {"papermill": papermill, "jupyter-cache": jupyter_cache}[what]
        print(json.dumps(tool(Path(arguments[0]), arguments[1])))


if __name__ == "__main__":
    main()
