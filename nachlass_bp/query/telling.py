"""`explain`, in words and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from nachlass_bp.cache.trace import Dependencies, Trace
from nachlass_bp.output import Output
from nachlass_bp.query.foresight import Forecast, Outlook
from nachlass_bp.query.words import counted, precision, when

_SOME = 5
"""As many names of each kind, unless the question was about one notebook."""


def tell(outlook: Outlook, output: Output) -> None:
    """Say what the next build would do, in its own words, and on what that rests."""
    if outlook.reinstalled is not None:
        output.step("The next build would install the packages anew, since:", outlook.reinstalled)
        output.step("What follows supposes that the same ones come of that.")
    if outlook.discarded is not None:
        output.step(f"The next build begins a new stage cache, because of this one {outlook.discarded}")
    for number, forecast in enumerate(outlook.forecasts):
        if number or outlook.reinstalled is not None:
            output.blank()
        output.step(f"{forecast.notebook}: {forecast.decision.text}")
        for line in _because(forecast):
            output.entry(line)
        if forecast.about is not None:
            output.entry("That run depended on")
            for line in _depended_on(forecast.about.trace, None if outlook.in_full else _SOME):
                output.entry(f"    {line}")


def _because(forecast: Forecast) -> Iterator[str]:
    for number, proviso in enumerate(forecast.provisos):
        yield f"{'and' if number else 'provided that'} {proviso}"
    if forecast.about is None:
        return
    run = f"its run of {when(forecast.about.trace)}"
    if forecast.decision.stored is not None:
        yield f"Nothing differs from {run}"
        return
    how = "used last" if forecast.is_last else "closest"
    yield f"Compared with {run}{f', of {forecast.runs} the one {how}' if forecast.runs > 1 else ''}:"
    yield from (f" - {difference}" for difference in forecast.differences)


def _depended_on(trace: Trace, most: int | None) -> Iterator[str]:
    dependencies = trace.dependencies
    if reason := precision(trace):
        yield f"everything: {reason}"
    for _, kind, names in _kinds(dependencies):
        if names:
            yield f"{kind}: {_enumerated(names, most)}"
    missing = sum(not found for names in dependencies.modules.values() for found in names.values())
    if missing:
        yield f"{counted(missing, 'import')} that the repository has no module for"
    if dependencies.names is not None:
        yield "the names of all files, for it started programs"
    if dependencies.env_names is not None:
        reason = ", for it looked at every one or started programs" if trace.mode == "trace" else ""
        yield f"the names of all variables{reason}"
    yield f"the network: {'it used it' if trace.record.network else 'no'}"
    yield "its code, Python and the versions of the installed packages"


def _kinds(dependencies: Dependencies) -> Iterator[tuple[str, str, Sequence[str]]]:
    """Yield each kind of thing that a run depended on, for programs and for people, with the names."""
    files, shapes = dependencies.files, dependencies.shapes
    variables, outside = dependencies.env, dependencies.external
    absent = [path for each in (files, shapes) for path in each if each[path] is None]
    yield "files", "files", [path for path in files if files[path] is not None]
    yield "absent_files", "the absence of", absent
    yield "looked_at", "kind and size of", [path for path in shapes if shapes[path] is not None]
    yield "listings", "the names in", [*dependencies.lists]
    yield "modules", "modules", modules(dependencies)
    yield "searched_for_packages", "packages installed in", [*dependencies.distributions]
    yield "patterns", "declared patterns", [*dependencies.patterns]
    yield "variables", "variables", [name for name in variables if variables[name] is not None]
    yield "unset_variables", "variables that weren't set", [name for name in variables if variables[name] is None]
    yield "outside", "outside the repository", [path for path in outside if outside[path] is not None]
    yield "listings_outside", "outside of it, the names in", [*dependencies.external_lists]
    yield "absent_outside", "outside of it, the absence of", [path for path in outside if outside[path] is None]


def modules(dependencies: Dependencies) -> list[str]:
    """Return where the imports of a run led in the repository."""
    found = {
        f"{directory}/{candidate}" if directory else candidate
        for directory, names in dependencies.modules.items()
        for candidates in names.values()
        for candidate in candidates
    }
    return sorted(found)


def _enumerated(names: Sequence[str], most: int | None) -> str:
    shown = [name or "the repository's root" for name in names[:most]]
    more = f" and {len(names) - len(shown)} more" if len(shown) < len(names) else ""
    return f"{', '.join(shown)}{more}"


def facts(outlook: Outlook) -> dict[str, Any]:
    """Return the same as `tell`, in full, for programs."""
    return {
        "packages_reinstalled": None if outlook.reinstalled is None else list(outlook.reinstalled),
        "store_discarded": outlook.discarded,
        "notebooks": [_facts_of(forecast) for forecast in outlook.forecasts],
    }


def _facts_of(forecast: Forecast) -> dict[str, Any]:
    trace = forecast.about.trace if forecast.about is not None else None
    return {
        "notebook": forecast.notebook,
        "decision": "run" if forecast.decision.stored is None else "reused",
        "text": forecast.decision.text,
        "provisos": list(forecast.provisos),
        "compared_with": trace.record.at if trace is not None else None,
        "differences": list(forecast.differences),
        "depended_on": _depended_on_facts(trace) if trace is not None else None,
    }


def _depended_on_facts(trace: Trace) -> dict[str, Any]:
    """Return names alone: neither contents nor values, nor digests of them."""
    dependencies = trace.dependencies
    return {
        "mode": trace.mode,
        "mode_reason": trace.mode_reason,
        **{key: list(names) for key, _, names in _kinds(dependencies)},
        "all_file_names": dependencies.names is not None or dependencies.tree is not None,
        "all_variable_names": dependencies.env_names is not None,
        "programs": trace.record.programs,
        "network": trace.record.network,
    }
