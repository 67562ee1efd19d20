"""The file system of one machine where no root is: this computer's own, for reading, in a user namespace.

No copy of `/` can be had there: the owners of its files are unknown in such a namespace, and a file of theirs
cannot be copied. So everything is made read-only, and over the few folders that NUT, the stand-ins and the
user's script are written to lies a layer in memory. The daemons run as the one user that exists there.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import stat
from collections.abc import Iterable
from dataclasses import replace

from nutwizard.core import paths
from nutwizard.engine.rehearsal import copy, kernel
from nutwizard.engine.rehearsal.part import OWN, Part, Placed

#: These are a machine's own, and empty at first.
_OWN_FOLDERS = ("/run", "/tmp", "/var/tmp", paths.NUT, "/var/lib/nut", "/sys")
#: Pipes of other programs may lie in them: these do not ask whether a mount is for reading.
_HIDDEN = ("/home", "/root", "/var/spool", "/mnt", "/media")
_NODES = ("null", "zero", "full", "random", "urandom", "tty")
_HOSTS = "/etc/hosts"
_LAYERS = "/run/layers"
#: A line of /proc/net/unix whose socket has a path, cut before it.
_WITH_PATH = 2


def build(part: Part, sockets: Iterable[str]) -> None:
    """Make this computer's file system the machine's; called as PID 1 of its namespaces. Raises OSError.

    `sockets`: of other programs here; a file system for reading alone would let a script talk to them.
    """
    kernel.mount("", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    homes = [each.pw_dir for each in pwd.getpwall() if each.pw_uid == 0 and each.pw_dir != "/"]
    hosts = _read(_HOSTS)
    kernel.make_read_only("/")
    kernel.mount("proc", "/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
    _memory("/run")
    os.mkdir(_LAYERS)
    for folder in _written(part):
        _layer(folder)
    for folder in dict.fromkeys((*_OWN_FOLDERS[1:], *_HIDDEN, *homes)):
        if os.path.isdir(folder):
            _memory(folder)
    _devices()
    _fill(part, hosts)
    for path in sockets:
        if os.path.exists(path) and stat.S_ISSOCK(os.stat(path).st_mode):
            kernel.bind("/dev/null", path)


def sockets_here() -> tuple[str, ...]:
    """The sockets that programs of this computer listen to, by their paths (proc(5), /proc/net/unix)."""
    with open("/proc/net/unix", encoding="utf-8", errors="surrogateescape") as stream:
        paths_told = (line.rstrip("\n").split(" /", 1) for line in stream)
        return tuple(sorted({f"/{found[1]}" for found in paths_told if len(found) == _WITH_PATH}))


def play_as() -> tuple[int, int]:
    """The user and group that NUT's daemons see themselves as: `nut` where it is known here."""
    with contextlib.suppress(KeyError):
        found = pwd.getpwnam("nut")
        return found.pw_uid, found.pw_gid
    return 65534, 65534


def _written(part: Part) -> list[str]:
    """The folders that something is put into, those above first. Raises OSError for a file right below /."""
    wanted = [*copy.PROGRAM_FOLDERS, "/etc"]
    for path in (*(file.path for file in part.files), *part.absent, *part.reported):
        wanted.append(os.path.dirname(path))
    found = set()
    for folder in map(_there, wanted):
        if folder == "/":
            raise OSError("a file right below / cannot be placed without root")
        if not any(f"{folder}/".startswith(f"{own}/") for own in (*_OWN_FOLDERS, *_HIDDEN)):
            found.add(folder)
    return sorted(found)


def _there(folder: str) -> str:
    """The folder, or the nearest one above it that exists."""
    path = os.path.realpath(folder)
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def _layer(folder: str) -> None:
    """Let new files be put into a folder and old ones be replaced; in memory, and here alone."""
    own = f"{_LAYERS}/{len(os.listdir(_LAYERS))}"
    for name in ("upper", "work"):
        os.makedirs(f"{own}/{name}", mode=0o755)
    options = f"lowerdir={folder},upperdir={own}/upper,workdir={own}/work,userxattr"
    kernel.mount("rehearsal", folder, "overlay", kernel.MS_NOSUID | kernel.MS_NODEV, options)


def _memory(folder: str) -> None:
    kernel.mount("rehearsal", folder, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755")


def _devices() -> None:
    """A /dev with what every program needs: nodes cannot be made here, so the real ones are shown."""
    os.mkdir("/run/dev")
    kernel.mount("rehearsal", "/run/dev", "tmpfs", kernel.MS_NOSUID, "mode=755")
    for name in _NODES:
        os.close(os.open(f"/run/dev/{name}", os.O_CREAT | os.O_WRONLY))
        kernel.bind(f"/dev/{name}", f"/run/dev/{name}")
    os.mkdir("/run/dev/shm")
    os.symlink("/proc/self/fd", "/run/dev/fd")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.symlink(f"/proc/self/fd/{number}", f"/run/dev/{name}")
    kernel.move("/run/dev", "/dev")
    os.rmdir("/run/dev")


def _fill(part: Part, hosts: bytes) -> None:
    """The machine's own files, and the programs that only tell; all belong to the one user there is."""
    for folder in ("/run/nut", "/run/lock", OWN):
        os.mkdir(folder)
    os.mkfifo(copy.SAID)
    # A lost packet costs 3 s then; not every kernel lets a user say so.
    retries = "/proc/sys/net/ipv4/tcp_syn_retries"
    with contextlib.suppress(OSError), open(retries, "w", encoding="ascii") as stream:
        stream.write("1\n")
    socket.sethostname(part.name)
    copy.put(Placed(_HOSTS, hosts))
    copy.replace_programs()
    for path in part.absent:
        copy.remove(path)
    for file in part.files:
        copy.put(replace(file, user="root", group="root"))
    copy.add_names(part)
    placed = {file.path for file in part.files}
    for path in part.reported:
        real = os.path.realpath(path)
        if real not in placed and os.path.isfile(real):
            copy.put(Placed(real, _read(real), mode=os.stat(real).st_mode & 0o777))
        copy.report(path)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return b""


def main() -> None:
    """Try what a play needs of the kernel, and say what it refuses. Runs as PID 1 of new namespaces."""
    from nutwizard.engine.rehearsal.stage import try_network

    try:
        kernel.unshare(kernel.NEW_MOUNTS)
        try_network()
        build(Part("trial", True, (), (), "", {}), ())
        pid = os.fork()
        if pid == 0:
            kernel.become(*play_as())
            os._exit(0)
        if os.waitpid(pid, 0)[1] != 0:
            raise OSError("a user namespace in a user namespace cannot be had")
    except OSError as error:
        os.write(2, f"{error.strerror or error}\n".encode())
        os._exit(1)
    os._exit(0)
