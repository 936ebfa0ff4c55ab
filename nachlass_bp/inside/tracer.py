"""Write down what a notebook looks at, from inside its process: what inotify cannot tell.

One JSON array a line goes to a file that is opened for appending, so that forked workers write to the same one:

    ["f", path]      opened, or tried to; absolute, links not followed
    ["s", path]      looked at: os.stat and its kin, and whatever fails if it is there, or if it isn't
    ["r", path]      moved or linked to another place, with all that is below it
    ["e", path]      one of these, outside the tree, that was there at the time
    ["l", path]      a directory listed by somebody else than the import system; outside the tree, too
    ["i", path]      a directory listed by the import system
    ["d", path]      a directory searched for distributions, by importlib.metadata
    ["m", name, [directories]]  a module looked for
    ["v", name]      an environment variable read; ["v", "*"] all of them
    ["p", what, [words]]        a program started; the words of its command that may be paths, absolute
    ["n", where]     the network asked, or a service of this machine that the notebook didn't start
    ["k", family]    an Internet socket made by Python code, each time
    ["w", path]      a file outside the tree opened for writing

Source of the events: https://docs.python.org/3/library/audit_events.html. What of them is a dependency is for the
driver to decide (`nachlass_bp.cache.record`).
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from importlib import metadata
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING, Any

from .listeners import is_ours, is_ours_unix

if TYPE_CHECKING:
    from collections.abc import Sequence

_IMPORT_SYSTEM = "<frozen importlib._bootstrap_external>"
_METADATA = metadata.__file__
_PROGRAMS = frozenset(
    {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn", "os.startfile"}
)
_OF_THE_MACHINE = frozenset(
    {
        ("fc-list", "--help"),
        ("fc-list", "--format=%{file}\\n"),  # matplotlib.font_manager
        ("lscpu", "--parse=core"),  # joblib and loky
        ("uname", "-p"),  # platform
    }
)
"""Commands by which packages ask what the machine has: they look at no file of a repository and at no network."""
_DIRECTORY_ARGUMENT = {"os.remove": 1, "os.rmdir": 1, "os.mkdir": 2, "os.chmod": 2, "os.chown": 3, "os.utime": 3}
"""Events of calls that fail if nothing is there, or if something is, and which argument is a directory's descriptor."""
_C_PROGRAMS = frozenset({"system", "popen", "fork", "vfork", "posix_spawn", "posix_spawnp"})
_C_VARIABLES = frozenset({"getenv", "secure_getenv", "environ"})
_SEPARATORS = str.maketrans(dict.fromkeys("\"'`|&;<>()=,", " "))
_MOST_WORDS = 1000
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Tracer:
    """The log and what has been written to it already. `failed` is set when a line could not be written."""

    def __init__(self, file: str, tree: str, ignored: Sequence[str]) -> None:
        self._file = file
        self._descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._tree = os.path.join(tree, "")  # noqa: PTH118 - in the way of every open(): strings
        self._ignored = tuple(os.path.join(path, "") for path in ignored)  # noqa: PTH118
        # That these are directories is no finding: what is below them was found.
        self._above = {each for path in (self._tree, *self._ignored) for each in _parents(path)}
        self._seen: set[Any] = set()
        self._places: dict[str, str] = {}
        self._busy = threading.local()
        self._process = os.getpid()
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

    def looked_at(self, path: Any, directory: int | None = None) -> None:
        """Note a call of os.stat or its kin; `directory` is the descriptor that a relative path begins at."""
        self._note("s", path, directory)

    def opened(self, path: Any, directory: int | None = None) -> None:
        """Note a call of os.open whose path begins at a directory's descriptor: its event doesn't tell."""
        if directory is not None:
            self._note("f", path, directory)

    def _note(self, kind: str, path: Any, directory: int | None) -> None:
        if not isinstance(path, int) and not getattr(self._busy, "now", False):
            self._busy.now = True
            try:
                self._path(kind, _at(path, directory))
            except (TypeError, ValueError, OSError):
                pass  # The call itself will say what is wrong with it.
            finally:
                self._busy.now = False

    def looked_for(self, name: str, directories: Sequence[str] | None) -> None:
        """Note a module that the import system looks for."""
        entries = sys.path if directories is None else directories
        key = ("m", name, *entries)
        if key in self._seen:
            return
        self._seen.add(key)
        places = [self._place(entry) for entry in entries]
        counted = [place for place in places if place.startswith(self._tree) or not place.startswith(self._ignored)]
        if counted:
            self._line(["m", name, [place.rstrip("/") for place in counted]])

    def variable(self, name: str) -> None:
        """Note that a cell read a variable of the environment."""
        if self.cells_run:
            self._once("v", name)

    def program(self, what: str, command: Any = ()) -> None:
        """Note that a cell started a program; what it looks at without opening it is, if anything, in its command."""
        if self.cells_run:
            words = sorted({self._absolute(word) for word in _words(command)})[:_MOST_WORDS]
            key = ("p", what, *words)
            if key not in self._seen:
                self._seen.add(key)
                self._line(["p", what, words])

    def forked(self, command: Any) -> None:
        """Note a program that `subprocess` starts, whose command its event has told, or who else uses its fork."""
        self._busy.now = True  # Looking for the program is not the notebook's.
        try:
            is_of_the_machine = self._asks_the_machine(command)
        finally:
            self._busy.now = False
        if not is_of_the_machine:
            self.program("program", command)

    # --- events ---

    def _on_open(self, _event: str, arguments: tuple[Any, ...]) -> None:
        path, mode, flags = arguments
        if isinstance(path, str) and path.startswith("/proc/") and path.endswith("/environ"):
            self.variable("*")
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

    def _on_touch(self, event: str, arguments: tuple[Any, ...]) -> None:
        directory = arguments[_DIRECTORY_ARGUMENT[event]] if event in _DIRECTORY_ARGUMENT else None
        if not isinstance(arguments[0], int):
            path = _at(arguments[0], directory)
            self._path("s", path, is_write=event == "os.mkdir" and not os.path.lexists(path))

    def _on_move(self, event: str, arguments: tuple[Any, ...]) -> None:
        source, target = arguments[0], arguments[1]
        if event != "os.symlink":
            self._path("r", _at(source, arguments[2]))
        target = _at(target, arguments[-1])
        # A directory is what it can't replace.
        if os.path.isdir(target) or not self._is_inside(target):  # noqa: PTH112 - strings
            self._path("s", target, is_write=True)

    def _on_list(self, _event: str, arguments: tuple[Any, ...]) -> None:
        path = arguments[0]
        caller = sys._getframe(3).f_code.co_filename  # noqa: SLF001 - the documented way to the caller's frame
        if isinstance(path, int):
            path = _at("", path)
            if (self._absolute(path) + "/").startswith(self._tree):
                return  # inotify tells of it.
        absolute = self._absolute(path if path is not None else ".")
        if (absolute + "/").startswith(self._tree):
            # Each time: their number is held against what inotify counts.
            kind = "i" if caller == _IMPORT_SYSTEM else "d" if caller == _METADATA else "l"
            self._line([kind, absolute])
        elif caller not in {_IMPORT_SYSTEM, _METADATA} and not (absolute + "/").startswith(self._ignored):
            self._once("l", absolute)

    def _on_program(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "os.system":
            self.program("sh", arguments[0])
        elif event == "subprocess.Popen":
            program, command, _, variables = arguments
            # Other variables may have another PATH.
            if variables is not None or program != command[0] or not self._asks_the_machine(command):
                self.program(str(program), command)
        else:
            self.program(str(arguments[0]), arguments[1] if len(arguments) > 1 else ())

    def _asks_the_machine(self, command: Any) -> bool:
        """Tell whether a command is one of `_OF_THE_MACHINE`, and none that the repository has put into its place."""
        if not isinstance(command, list) or not all(isinstance(word, str) for word in command):
            return False
        if tuple(command) not in _OF_THE_MACHINE:
            return False
        found = shutil.which(command[0])
        return found is None or not self._is_inside(os.path.realpath(found))

    def _on_library(self, _event: str, arguments: tuple[Any, ...]) -> None:
        name = arguments[0]
        if isinstance(name, (str, bytes)) and "/" in os.fsdecode(name):
            self._path("f", name)

    def _on_symbol(self, _event: str, arguments: tuple[Any, ...]) -> None:
        name = os.fsdecode(arguments[1]) if isinstance(arguments[1], (str, bytes)) else ""
        if name in _C_PROGRAMS or name.startswith("exec"):
            self.program("program")
        elif name in _C_VARIABLES:
            self.variable("*")

    def _on_connect(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.cells_run:
            return
        if event in {"socket.getaddrinfo", "socket.gethostbyname"}:
            host = os.fsdecode(arguments[0]) if isinstance(arguments[0], (str, bytes)) else ""
            if host and not _is_this_machine(host):
                self._once("n", host)
            return
        address = arguments[1]
        is_stream = getattr(arguments[0], "type", socket.SOCK_STREAM) == socket.SOCK_STREAM
        if isinstance(address, tuple) and address:
            host = os.fsdecode(address[0]) if isinstance(address[0], (str, bytes)) else ""
            if not _is_this_machine(host):
                self._once("n", host)
            # Others of this machine know things, too; a process of the notebook's own knows what the notebook knows.
            elif is_stream and not is_ours(int(address[1]), self._process):
                self._once("n", f"{host}:{address[1]}")
        elif isinstance(address, (str, bytes)) and is_stream and not is_ours_unix(address, self._process):
            self._once("n", os.fsdecode(address).replace("\0", "@"))

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
        elif not (absolute + "/").startswith(self._ignored) and not (kind == "s" and absolute in self._above):
            self._line(["w" if is_write else kind, absolute])
            if not is_write and os.path.lexists(absolute):
                self._line(["e", absolute])

    def _is_inside(self, path: Any) -> bool:
        return (self._absolute(path) + "/").startswith(self._tree)

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
    "os.rename": Tracer._on_move,  # noqa: SLF001
    "os.link": Tracer._on_move,  # noqa: SLF001
    "os.symlink": Tracer._on_move,  # noqa: SLF001
    **dict.fromkeys(("os.chdir", "os.truncate", *_DIRECTORY_ARGUMENT), Tracer._on_touch),  # noqa: SLF001
    "ctypes.dlopen": Tracer._on_library,  # noqa: SLF001
    "ctypes.dlsym": Tracer._on_symbol,  # noqa: SLF001
    **dict.fromkeys(_PROGRAMS, Tracer._on_program),  # noqa: SLF001
    **dict.fromkeys(
        ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"),
        Tracer._on_connect,  # noqa: SLF001
    ),
}


def _parents(path: str) -> Iterator[str]:
    here = path.rstrip("/")
    while here:
        here = here.rpartition("/")[0]
        yield here or "/"


def _at(path: Any, directory: Any) -> Any:
    """Return the path, absolute if it begins at a directory's descriptor.

    Raises:
        OSError: The descriptor is closed, or this is no Linux.
    """
    if directory is None or directory == -1:
        return path
    return os.path.join(os.readlink(f"/proc/self/fd/{directory}"), os.fsdecode(path))  # noqa: PTH115, PTH118


def _words(command: Any) -> Iterator[str]:
    parts = [command] if isinstance(command, (str, bytes, os.PathLike)) else command
    for part in parts if isinstance(parts, (list, tuple)) else ():
        if isinstance(part, (str, bytes, os.PathLike)):
            yield from os.fsdecode(part).translate(_SEPARATORS).split()


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
        self._note(args[0] if args else kwargs.get("path"), kwargs.get("dir_fd"))
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

        def __repr__(self) -> str:
            tracer.variable("*")
            return str(super().__repr__())

        def __reduce_ex__(self, protocol: Any) -> Any:  # Also what copy.deepcopy does.
            tracer.variable("*")
            return super().__reduce_ex__(protocol)

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
    own = [os.path.abspath(path) for path in own]  # noqa: PTH100
    # Paketo's buildpacks have the bytecode of all these elsewhere (PYTHONPYCACHEPREFIX), and made anew in each build.
    elsewhere = os.path.abspath(sys.pycache_prefix) if sys.pycache_prefix else None  # noqa: PTH100
    own += [elsewhere + path for path in own] if elsewhere else []
    tracer = _Current.tracer = Tracer(file, tree, own)
    sys.meta_path.insert(0, _Finder(tracer))
    sys.addaudithook(_hook(tracer))
    for name in ("stat", "lstat", "access", "readlink"):
        _wrap(os, name, tracer.looked_at)
    _wrap(os, "open", tracer.opened)
    # Neither multiprocessing nor loky goes through subprocess, and this function raises no event.
    launcher = sys.modules.get("_posixsubprocess") or __import__("_posixsubprocess")
    _wrap(launcher, "fork_exec", lambda command, _directory: tracer.forked(command))
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
    if module is os and accessor is not None and getattr(accessor, name, None) is function:
        setattr(accessor, name, call)
