"""Write down what a notebook looks at, from inside its process: what inotify cannot tell.

One JSON array a line goes to a file that is opened for appending, so that forked workers write to the same one:

    ["f", path]      opened, or tried to; absolute, links not followed
    ["s", path]      looked at: os.stat and its kin
    ["l", path]      a directory listed by somebody else than the import system
    ["i", path]      a directory listed by the import system
    ["d", path]      a directory searched for distributions, by importlib.metadata
    ["m", name, [directories]]  a module looked for
    ["v", name]      an environment variable read; ["v", "*"] all of them
    ["p", what]      a program started
    ["n", where]     the network asked
    ["k", family]    an Internet socket made by Python code, each time
    ["w", path]      a file outside the tree opened for writing

Source of the events: https://docs.python.org/3/library/audit_events.html. What of them is a dependency is for the
driver to decide (`nachlass_bp.cache.record`).
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from importlib import metadata
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_IMPORT_SYSTEM = "<frozen importlib._bootstrap_external>"
_METADATA = metadata.__file__
_PROGRAMS = frozenset(
    {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn", "os.startfile"}
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Tracer:
    """The log and what has been written to it already. `failed` is set when a line could not be written."""

    def __init__(self, file: str, tree: str, ignored: Sequence[str]) -> None:
        self._file = file
        self._descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._tree = os.path.join(tree, "")  # noqa: PTH118 - in the way of every open(): strings
        self._ignored = tuple(os.path.join(path, "") for path in ignored)  # noqa: PTH118
        self._seen: set[Any] = set()
        self._places: dict[str, str] = {}
        self._busy = threading.local()
        self.cells_run = False
        self.has_ended = False
        self.failed = False

    # --- what there is to note ---

    def on_event(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Note one of `_HANDLERS`' events; may neither raise nor set off events that it would have to note itself."""
        if getattr(self._busy, "now", False):
            return
        self._busy.now = True
        try:
            _HANDLERS[event](self, event, arguments)
        except Exception:  # noqa: BLE001 - an argument of an unusual kind must not end the user's call
            self.failed = True
        finally:
            self._busy.now = False

    def looked_at(self, path: Any) -> None:
        """Note a call of os.stat or its kin."""
        if not isinstance(path, int) and not getattr(self._busy, "now", False):
            self._busy.now = True
            try:
                self._path("s", path)
            except (TypeError, ValueError):
                pass  # The call itself will say what is wrong with it.
            finally:
                self._busy.now = False

    def looked_for(self, name: str, directories: Sequence[str] | None) -> None:
        """Note a module that the import system looks for."""
        if ("m", name) in self._seen:
            return
        self._seen.add(("m", name))
        places = [self._place(entry) for entry in (sys.path if directories is None else directories)]
        inside = [place for place in places if place.startswith(self._tree)]
        if inside:
            self._line(["m", name, [place.rstrip("/") for place in inside]])

    def variable(self, name: str) -> None:
        """Note that a cell read a variable of the environment."""
        if self.cells_run:
            self._once("v", name)

    def program(self, what: str) -> None:
        """Note that a cell started a program."""
        if self.cells_run:
            self._once("p", what)

    # --- events ---

    def _on_open(self, _event: str, arguments: tuple[Any, ...]) -> None:
        path, mode, flags = arguments
        # Most of what is opened are modules of the environment.
        if path is None or isinstance(path, int) or (isinstance(path, str) and self._is_surely_ignored(path)):
            return
        is_write = (isinstance(mode, str) and not mode.startswith("r")) or (
            isinstance(flags, int) and bool(flags & _WRITING)
        )
        self._path("f", path, is_write=is_write or (isinstance(mode, str) and "+" in mode))

    def _on_sqlite(self, _event: str, arguments: tuple[Any, ...]) -> None:
        database = arguments[0]
        if isinstance(database, (str, bytes)) and os.fsdecode(database).startswith("file:"):
            database = os.fsdecode(database)[5:].partition("?")[0]
        if database not in {"", ":memory:", b"", b":memory:"}:
            self._path("f", database)

    def _on_list(self, _event: str, arguments: tuple[Any, ...]) -> None:
        path = arguments[0]
        if isinstance(path, int):
            return
        caller = sys._getframe(3).f_code.co_filename  # noqa: SLF001 - the documented way to the caller's frame
        absolute = self._absolute(path if path is not None else ".")
        if (absolute + "/").startswith(self._tree):
            # Each time: their number is held against what inotify counts.
            kind = "i" if caller == _IMPORT_SYSTEM else "d" if caller == _METADATA else "l"
            self._line([kind, absolute])
        elif caller not in {_IMPORT_SYSTEM, _METADATA} and not absolute.startswith(self._ignored):
            self._once("f", absolute)

    def _on_program(self, event: str, arguments: tuple[Any, ...]) -> None:
        self.program(str(arguments[0]) if event != "os.system" else "sh")

    def _on_connect(self, event: str, arguments: tuple[Any, ...]) -> None:
        address = arguments[1] if event in {"socket.connect", "socket.sendto", "socket.sendmsg"} else arguments[0]
        if event in {"socket.getaddrinfo", "socket.gethostbyname"}:
            host = arguments[0]
        elif isinstance(address, tuple) and address:
            host = address[0]
        else:
            return  # A socket of the file system.
        text = os.fsdecode(host) if isinstance(host, (str, bytes)) else ""
        if self.cells_run and text and not _is_this_machine(text):
            self._once("n", text)

    def _on_socket(self, _event: str, arguments: tuple[Any, ...]) -> None:
        if self.cells_run and arguments[1] in {socket.AF_INET, socket.AF_INET6}:
            # Each time: their number is held against what the filter counts.
            self._line(["k", str(int(arguments[1]))])

    # --- the log ---

    def _path(self, kind: str, path: Any, *, is_write: bool = False) -> None:
        text = os.fsdecode(path)
        key = (kind, text if text.startswith("/") else (os.getcwd(), text), is_write)  # noqa: PTH109
        if key in self._seen:
            return
        self._seen.add(key)
        absolute = self._absolute(text)
        if (absolute + "/").startswith(self._tree):
            self._line([kind, absolute])
        elif not absolute.startswith(self._ignored):
            self._line(["w" if is_write else kind, absolute])

    def _is_surely_ignored(self, path: str) -> bool:
        """Whether a path plainly lies in an ignored directory; one that has to be normalised to tell does not."""
        return (
            path.startswith(self._ignored) and not path.startswith(self._tree) and "/." not in path and "//" not in path
        )

    def _place(self, entry: Any) -> str:
        """Return an entry of a module search path, made absolute, with a `/` at its end."""
        if not (isinstance(entry, str) and entry.startswith("/")):  # It depends on the working directory.
            return self._absolute(entry or ".") + "/"
        place = self._places.get(entry)
        if place is None:
            place = self._places[entry] = self._absolute(entry) + "/"
        return place

    def _absolute(self, path: Any) -> str:
        return os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - of what may be no path at all

    def _once(self, kind: str, value: str) -> None:
        if (kind, value) not in self._seen:
            self._seen.add((kind, value))
            self._line([kind, value])

    def _line(self, line: list[Any]) -> None:
        if self.has_ended:
            return  # What the build asks of this process is not the notebook's.
        data = (json.dumps(line) + "\n").encode("utf-8", "surrogateescape")
        try:
            written = os.write(self._descriptor, data)
        except OSError:
            written = -1
        if written != len(data):
            self._again(data)

    def _again(self, data: bytes) -> None:
        """Write through a new descriptor: a notebook may have closed ours."""
        try:
            self._descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            self.failed = self.failed or os.write(self._descriptor, data) != len(data)
        except OSError:
            self.failed = True


_HANDLERS: dict[str, Any] = {
    "open": Tracer._on_open,  # noqa: SLF001
    "socket.__new__": Tracer._on_socket,  # noqa: SLF001
    "sqlite3.connect": Tracer._on_sqlite,  # noqa: SLF001
    "os.listdir": Tracer._on_list,  # noqa: SLF001
    "os.scandir": Tracer._on_list,  # noqa: SLF001
    **dict.fromkeys(_PROGRAMS, Tracer._on_program),  # noqa: SLF001
    **dict.fromkeys(
        ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"),
        Tracer._on_connect,  # noqa: SLF001
    ),
}


def _is_this_machine(host: str) -> bool:
    return host in {"localhost", "::1", "0.0.0.0", "::"} or host.startswith("127.")  # noqa: S104 - compared, not bound


class _Finder:
    """First on `sys.meta_path`: hears of every module that is looked for, and finds none."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        del target
        self._tracer.looked_for(fullname, list(path) if path is not None else None)
        return None


class _Call:
    """A function that notes its first argument; an object, so that as a class's attribute it is no method."""

    def __init__(self, function: Any, note: Any) -> None:
        self._function = function
        self._note = note
        self.__name__ = function.__name__
        self.__doc__ = function.__doc__
        self.__module__ = function.__module__
        self.__wrapped__ = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # Paths relative to a directory's descriptor are rare, and inotify sees what is opened by them.
        if kwargs.get("dir_fd") is None:
            self._note(args[0] if args else kwargs.get("path"))
        return self._function(*args, **kwargs)

    def __reduce__(self) -> str | tuple[Any, ...]:
        return getattr, (sys.modules["os"], self.__name__)


def _environment_class(base: type, tracer: Tracer) -> type:
    """Return the class of `os.environ` that notes what is read."""

    class Environ(base):  # type: ignore[misc]  # os._Environ has no public name
        def __getitem__(self, key: Any) -> Any:
            if isinstance(key, (str, bytes)):
                tracer.variable(os.fsdecode(key))
            return super().__getitem__(key)

        def __contains__(self, key: object) -> bool:
            if isinstance(key, (str, bytes)):
                tracer.variable(os.fsdecode(key))
            return super().__contains__(key)  # type: ignore[no-any-return]

        def __iter__(self) -> Iterator[Any]:
            tracer.variable("*")
            return super().__iter__()  # type: ignore[no-any-return]

        def __len__(self) -> int:
            tracer.variable("*")
            return super().__len__()  # type: ignore[no-any-return]

    Environ.__name__, Environ.__qualname__ = base.__name__, base.__qualname__
    return Environ


class _Current:
    """The tracer of this process, None while nothing is traced."""

    tracer: Tracer | None = None


def cell_begins(_info: Any) -> None:
    """Count what is read and started from now on as the notebook's (IPython's `pre_run_cell` event)."""
    if _Current.tracer is not None:
        _Current.tracer.cells_run = True


def end_trace() -> str:
    """Stop attributing things to the notebook; say as JSON whether its trace is whole."""
    tracer = _Current.tracer
    if tracer is None:
        return json.dumps({"complete": False})
    tracer.cells_run, tracer.has_ended = False, True
    return json.dumps({"complete": not tracer.failed})


def trace(file: str, tree: str, own_directories: Sequence[str]) -> None:
    """Trace this process from now on, and what is forked from it.

    Args:
        file: Where the log goes.
        tree: The working tree.
        own_directories: Directories outside the tree that belong to the build, and no notebook's input.
    """
    own = [*own_directories, sys.prefix, sys.base_prefix, sys.exec_prefix, "/proc", "/sys", "/dev"]
    own += [path for path in sys.path if path and not (path + "/").startswith(os.path.join(tree, ""))]  # noqa: PTH118
    tracer = _Current.tracer = Tracer(file, tree, [os.path.abspath(path) for path in own])  # noqa: PTH100
    sys.meta_path.insert(0, _Finder(tracer))
    sys.addaudithook(_hook(tracer))
    for name in ("stat", "lstat", "access", "readlink"):
        _wrap(os, name, tracer.looked_at)
    # Neither multiprocessing nor loky goes through subprocess, and this function raises no event.
    launcher = sys.modules.get("_posixsubprocess") or __import__("_posixsubprocess")
    _wrap(launcher, "fork_exec", lambda _arguments: tracer.program("program"))
    for name in ("environ", "environb"):
        variables: Any = getattr(os, name)
        variables.__class__ = _environment_class(type(variables), tracer)


def _hook(tracer: Tracer) -> Callable[[str, tuple[Any, ...]], None]:
    """Return the audit hook. It is called for every `id()`, too: nothing may happen before the event is known."""

    def hook(
        event: str,
        arguments: tuple[Any, ...],
        handled: frozenset[str] = frozenset(_HANDLERS),
        note: Callable[[str, tuple[Any, ...]], None] = tracer.on_event,
    ) -> None:
        if event in handled:
            note(event, arguments)

    return hook


def _wrap(module: Any, name: str, note: Any) -> None:
    function = getattr(module, name)
    call = _Call(function, note)
    setattr(module, name, call)
    for functions in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks, os.supports_effective_ids):
        if function in functions:
            functions.add(call)
    # Python 3.10's pathlib keeps functions of its own.
    accessor = getattr(sys.modules.get("pathlib"), "_NormalAccessor", None)
    if module is os and accessor is not None and hasattr(accessor, name):
        setattr(accessor, name, call)
