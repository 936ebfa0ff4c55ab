"""The `web` process: read the settings, load the model once, then let gunicorn fork workers that share its memory."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
from typing import NoReturn

from . import publication, tokens
from . import settings as settings_
from .errors import StageError
from .manifest import ManifestError
from .settings import SettingsError
from .slots import NoScratchError, scratch_root

EX_CONFIG = 78
EX_UNAVAILABLE = 69


def main() -> int:
    """Serve until SIGTERM; return the exit status.

    A mistake in the environment or a model that can't be loaded ends in one message and a status that is not 0.
    """
    # As process 1 of a container we would otherwise ignore SIGTERM until gunicorn handles it.
    signal.signal(signal.SIGTERM, _stop)
    try:
        settings = settings_.from_environ(os.environ)
        os.environ.pop(tokens.VARIABLE, None)  # The model's code has no use for it.
        scratch = scratch_root()
    except (SettingsError, NoScratchError) as error:
        return _explain(str(error), EX_CONFIG)
    # Imported only now, so that a wrong setting is told at once; and before the stages are loaded, because from then on
    # the notebooks' directories come first on sys.path.
    from . import master, service, ui  # noqa: PLC0415

    try:
        # Before the stages, which take their time.
        published = publication.load(settings.published_notebooks) if settings.published_notebooks else None
    except (ManifestError, OSError) as error:
        return _explain(f"The published notebooks can't be read: {error}", EX_CONFIG)
    page = ui.load() if settings.has_page else None
    try:
        loaded = dataclasses.replace(service.load(settings.manifest), published=published, page=page)
    except (ManifestError, OSError) as error:
        return _explain(f"The manifest can't be read: {error}", EX_CONFIG)
    except StageError as error:
        return _explain(service.describe(error, settings.manifest), EX_UNAVAILABLE)
    return master.serve(loaded, settings, scratch)


def _explain(problem: str, status: int) -> int:
    sys.stderr.write(f"nachlass: {problem}\n")
    return status


def _stop(_signal: int, _frame: object) -> NoReturn:
    sys.exit(0)
