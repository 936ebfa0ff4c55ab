"""Reading what a store holds as if somebody else had written it: whatever isn't exactly as we write it is damaged.

A store may be shared, restored by halves, or in the hands of somebody who means harm. Nothing here follows a link,
waits for a pipe, or returns a value of another kind than its reader expects.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import re
import shutil
import stat
import types
import typing
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar, cast

_DIGEST = re.compile(r"[0-9a-f]{64}")
_LARGEST = 1 << 62
"""No file, no memory and no number of cells is larger; arithmetic with less than that fails nowhere."""
_LONGEST_NAME_BYTES = 255
"""NAME_MAX of every file system on which notebooks run; asking about a longer one is an error."""

T = TypeVar("T")


class DamagedError(ValueError):
    """What was read isn't what a build of this format writes; the message says what is wrong, after "it is …"."""


def is_digest(text: object) -> bool:
    """Whether it is a sha256 as we write it: nothing else becomes the name of a file."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def is_inside(path: str) -> bool:
    """Whether it is a normalised relative path that leads out of no directory that it is put behind."""
    names = path.split("/")
    return (
        "\0" not in path
        and {"", ".", ".."}.isdisjoint(names)
        and all(len(os.fsencode(name)) <= _LONGEST_NAME_BYTES for name in names)
    )


def bytes_of(file: Path) -> bytes:
    """Return what a regular file holds.

    Raises:
        OSError: It can't be read, or is a link, a pipe or anything else.
    """
    # Opening a pipe would wait for a writer.
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as opened:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it isn't a regular file", str(file))
        return opened.read()


def is_regular(file: Path) -> bool:
    """Whether a file is there that is no link."""
    return stat.S_ISREG(_mode(file))


def is_directory(path: Path) -> bool:
    """Whether a directory is there that is no link."""
    return stat.S_ISDIR(_mode(path))


def a_link(path: Path) -> OSError:
    """Return the error for a link where none is followed: "too many levels of symbolic links" would tell nobody."""
    return OSError(errno.ELOOP, "it is a link, and here none is followed", str(path))


def _mode(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except OSError:
        return 0


def remove(path: Path) -> None:
    """Remove whatever is there, as far as that is possible; what a link leads to stays."""
    try:
        path.unlink()
    except OSError:
        shutil.rmtree(path, ignore_errors=True)


def json_of(text: str | bytes) -> Any:
    """Return what JSON says.

    Raises:
        DamagedError: It isn't JSON, or nested deeper than anything of ours.
    """
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise DamagedError("it is damaged") from error


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


def read(kind: Any, value: object, place: str = "") -> Any:  # noqa: PLR0911 - one branch per shape
    """Check what JSON said against a type: a dataclass, a mapping, a list, a union with None, a literal, a plain one.

    Args:
        kind: The type, as annotations have it.
        value: What JSON said.
        place: The fields that lead to it, for the message.

    Raises:
        DamagedError: It isn't of that type, has too many fields or too few.
    """
    if dataclasses.is_dataclass(kind):
        return _object(cast("type[object]", kind), value, place)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in {typing.Union, types.UnionType}:
        (inner,) = (each for each in arguments if each is not types.NoneType)
        return None if value is None else read(inner, value, place)
    if origin is Literal:
        return value if value in arguments else _wrong(place)
    if origin is list:
        return [read(arguments[0], each, place) for each in _a(list, value, place)]
    if origin is Mapping:
        found = _a(dict, value, place)
        return {_text(key, place): read(arguments[1], each, place) for key, each in found.items()}
    if kind is str:
        return _text(value, place)
    return _a(kind, value, place)


def _object(kind: type[T], value: object, place: str) -> T:
    found, hints = _a(dict, value, place), _hints(cast("Any", kind))
    if found.keys() != hints.keys():
        _wrong(f"{place}.{min(found.keys() ^ hints.keys())}".lstrip("."))
    return kind(**{name: read(hint, found[name], f"{place}.{name}".lstrip(".")) for name, hint in hints.items()})


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _a(kind: type[T], value: object, place: str) -> T:
    # `True` is an int for isinstance, and 1e999 a float.
    is_number = type(value) in {int, float}
    if type(value) is not kind or (is_number and not 0 <= cast("float", value) <= _LARGEST):
        _wrong(place)
    return value


def _text(value: object, place: str) -> str:
    text = _a(str, value, place)
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        _wrong(place)  # No file and no variable has such a name.
    return text


def require(condition: bool, place: str) -> None:  # noqa: FBT001 - it is read as a sentence
    """Insist on what a type can't say.

    Raises:
        DamagedError: It isn't so.
    """
    if not condition:
        _wrong(place)


def _wrong(place: str) -> NoReturn:
    raise DamagedError(f"it is damaged ({place})" if place else "it is damaged")
