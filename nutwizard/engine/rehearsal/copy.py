"""Makes the file system of one machine of a stage: a copy of this computer's in memory, its own files in it.

A copy may be written to anywhere; nothing of it reaches a disk. Its /run, /tmp, /dev and /proc are its own;
what would end a machine, or reach beyond it, is replaced by programs that only tell that they were called.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import stat

from nutwizard.core.rehearsal.moments import TAG
from nutwizard.engine.rehearsal import kernel
from nutwizard.engine.rehearsal.part import END, OWN, Part, Placed

#: The folder in memory that holds all copies; covered in the stage's own mount namespace.
STAGE = "/mnt"
SAID = f"{OWN}/said"
#: Their arguments are told, too: they say what would have been done, and hold no secret.
_ENDERS = (
    *("shutdown", "poweroff", "halt", "reboot", "init", "telinit", "systemctl", "loginctl"),
    *("pm-suspend", "pm-hibernate", "upsdrvctl"),
)
#: Of these what they would run might hold one: the first two words are told.
_RUNNERS = ("systemd-run", "qm", "pct", "ha-manager")
#: They reach beyond the machine, and their arguments may hold a password.
_MESSENGERS = (
    *("ssh", "scp", "sftp", "rsync", "curl", "wget", "mail", "mailx", "sendmail", "msmtp", "swaks"),
    *("pvesh", "pvecm", "virsh", "docker", "podman", "wakeonlan", "etherwake", "nc", "mosquitto_pub"),
)
#: Where programs lie that a script may call by their names.
PROGRAM_FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_TELLING = f'#!/bin/sh\nexec logger -t {TAG} -- "ran ${{0##*/}}${{*:+ $*}}"\n'
_TELLING_TWO = f'#!/bin/sh\nexec logger -t {TAG} -- "ran ${{0##*/}}${{1:+ $1}}${{2:+ $2}}"\n'
_TELLING_NAME = f'#!/bin/sh\nexec logger -t {TAG} -- "ran ${{0##*/}}"\n'
_WALL = f"""#!/bin/sh
said=$(if [ $# -gt 0 ]; then echo "$*"; else head -c 500; fi | tr '\\n' ' ')
exec logger -t {TAG} -- "wall $said"
"""
_REPORTING = """#!/bin/sh
tell() {{ logger -t {tag} -- "$*"; }}
last=
for last do :; done
tell begin $$ "${{NOTIFYTYPE:--}}" {name} "$last"
{folder}/{own} "$@" >>{said} 2>&1 </dev/null
code=$?
tell end $$ "$code"
exit "$code"
"""
_NODES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
_COVERED = ("sys", "irq", "bus", "fs", "acpi", "scsi")
#: File systems of no use in a copy, or that may hang when they are touched.
_SKIPPED = (
    *("proc", "sysfs", "devtmpfs", "devpts", "tmpfs", "ramfs", "cgroup", "cgroup2", "securityfs", "debugfs"),
    *("tracefs", "configfs", "pstore", "efivarfs", "bpf", "mqueue", "hugetlbfs", "autofs", "binfmt_misc"),
    *("nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "rpc_pipefs", "nsfs", "fusectl", "overlay", "squashfs"),
)


def prepare() -> None:
    """Cover STAGE with a file system in memory, seen by this mount namespace alone. Raises OSError."""
    kernel.mount("", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("rehearsal", STAGE, "tmpfs", kernel.MS_NODEV, "mode=700,size=512m,nr_inodes=400k")


def build(part: Part, number: int) -> None:
    """Make the machine's file system and move into it; called as PID 1 of its namespaces. Raises OSError.

    `number`: which of the stage's machines it is.
    """
    base = f"{STAGE}/{number}"
    root = f"{base}/root"
    os.mkdir(base)
    others = _other_mounts()
    _overlay(base, "0", "/", root)
    for n, (path, kind) in enumerate(others, 1):
        _also(base, str(n), path, kind, root)
    _own_folders(root)
    kernel.enter_root(root, "mnt")
    _guard_proc()
    os.mkdir("/run/nut")  # as tmpfiles.d(5) of Debian's packages makes it
    _own("/run/nut", "root", "nut")
    os.chmod("/run/nut", 0o770)
    socket.sethostname(part.name)
    replace_programs()
    for path in part.absent:
        remove(path)
    for file in part.files:
        put(file)
    add_names(part)
    for path in part.reported:
        report(path)


def put(file: Placed) -> None:
    """Write one file, and the folders above it that are missing. Raises OSError."""
    os.makedirs(os.path.dirname(file.path), exist_ok=True)
    remove(file.path)
    with open(os.open(file.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(file.data)
    _own(file.path, file.user, file.group)
    os.chmod(file.path, file.mode)


def _own(path: str, user: str, group: str) -> None:
    """Numbers stand for owners without a name; one that is not here stays root's."""
    with contextlib.suppress(LookupError):
        shutil.chown(path, user=int(user) if user.isdigit() else user)
    with contextlib.suppress(LookupError):
        shutil.chown(path, group=int(group) if group.isdigit() else group)


def _overlay(base: str, name: str, lower: str, target: str) -> None:
    for folder in ("upper", "work"):
        os.makedirs(f"{base}/{folder}{name}", mode=0o755)
    os.makedirs(target, exist_ok=True)
    options = f"lowerdir={lower},upperdir={base}/upper{name},workdir={base}/work{name}"
    kernel.mount("rehearsal", target, "overlay", kernel.MS_NODEV, options)


def _also(base: str, name: str, path: str, kind: str, root: str) -> None:
    """Show another file system of this computer at its place: as a copy, or else for reading alone."""
    target = f"{root}{path}"
    if not os.path.isdir(target):
        return
    try:
        if kind.startswith("fuse") or any(char in path for char in ":,\\"):
            raise OSError
        _overlay(base, name, path, target)
    except OSError:
        try:
            kernel.bind(path, target, read_only=True)
        except OSError:
            return  # its folder is empty then


def _other_mounts() -> list[tuple[str, str]]:
    """Mount point and kind of the file systems that hold files, those above first."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as stream:
        rows = [line.split(" ") for line in stream]
    found = {}
    for row in rows:
        path, kind = row[4].encode().decode("unicode_escape", "surrogateescape"), row[row.index("-") + 1]
        inside = path.split("/")[1]
        own = kind.startswith("fuse") and path != "/etc/pve"
        if inside not in ("", "proc", "sys", "dev", "run", "tmp", "mnt") and kind not in _SKIPPED and not own:
            found[path] = kind
    return sorted(found.items())


def _own_folders(root: str) -> None:
    for name, mode in (("run", "755"), ("tmp", "1777"), ("dev", "755"), ("sys", "755")):
        os.makedirs(f"{root}/{name}", exist_ok=True)
        flags = kernel.MS_NOSUID if name == "dev" else kernel.MS_NOSUID | kernel.MS_NODEV
        kernel.mount("rehearsal", f"{root}/{name}", "tmpfs", flags, f"mode={mode},size=64m,nr_inodes=20k")
    os.makedirs(f"{root}/mnt", exist_ok=True)
    kernel.mount("proc", f"{root}/proc", "proc", kernel.MS_NOSUID)
    previous = os.umask(0)
    for node, (major, minor) in _NODES.items():
        os.mknod(f"{root}/dev/{node}", stat.S_IFCHR | 0o666, os.makedev(major, minor))
    os.mkdir(f"{root}/dev/shm", 0o1777)
    os.mkdir(f"{root}/run/lock", 0o1777)
    os.mkdir(f"{root}{OWN}", 0o755)
    os.mkfifo(f"{root}{SAID}", 0o622)
    os.umask(previous)
    os.symlink("/proc/self/fd", f"{root}/dev/fd")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.symlink(f"/proc/self/fd/{number}", f"{root}/dev/{name}")


def _guard_proc() -> None:
    """What root could change there for the whole computer can only be read. A lost packet costs 3 s."""
    with open("/proc/sys/net/ipv4/tcp_syn_retries", "w", encoding="ascii") as stream:
        stream.write("1\n")
    for name in _COVERED:
        if os.path.isdir(f"/proc/{name}"):
            kernel.bind(f"/proc/{name}", f"/proc/{name}", read_only=True)
    if os.path.exists("/proc/sysrq-trigger"):  # not in every kernel
        kernel.bind("/dev/null", "/proc/sysrq-trigger")


def replace_programs() -> None:
    """Those that are there: a script that calls what this machine does not have is to fail as it would."""
    texts = {**dict.fromkeys(_ENDERS, _TELLING), **dict.fromkeys(_MESSENGERS, _TELLING_NAME), "wall": _WALL}
    texts |= dict.fromkeys(_RUNNERS, _TELLING_TWO)
    for name, text in texts.items():
        for folder in PROGRAM_FOLDERS:
            if os.path.lexists(f"{folder}/{name}"):
                put(Placed(f"{folder}/{name}", text.encode(), mode=0o755))
    put(Placed(END, _TELLING.encode(), mode=0o755))


def report(path: str) -> None:
    """Put in a program's place one that tells when it is called and how it ends; it lies beside it then."""
    folder, name = os.path.split(os.path.realpath(path))
    own, safe = f".{name}.rehearsed", "".join(c for c in name if c.isalnum() or c in "._-")
    if os.path.exists(f"{folder}/{own}"):
        return  # NOTIFYCMD and CMDSCRIPT are one program
    if not os.path.isfile(f"{folder}/{name}") or safe != name or not _plain(folder):
        return
    with open(f"{folder}/{name}", "rb") as stream:
        if stream.read(2) != b"#!":
            return  # a program of the system, which what reports may need itself
    found = os.stat(f"{folder}/{name}")
    os.rename(f"{folder}/{name}", f"{folder}/{own}")
    text = _REPORTING.format(tag=TAG, name=name, folder=folder, own=own, said=SAID)
    put(Placed(f"{folder}/{name}", text.encode()))
    os.chown(f"{folder}/{name}", found.st_uid, found.st_gid)
    os.chmod(f"{folder}/{name}", stat.S_IMODE(found.st_mode))


def _plain(path: str) -> bool:
    return all(char.isalnum() or char in "/._-" for char in path)


def add_names(part: Part) -> None:
    """The further lines of its /etc/hosts. Raises OSError."""
    with open("/etc/hosts", "a", encoding="utf-8") as stream:
        stream.write("".join(f"{line}\n" for line in part.names))


def remove(path: str) -> None:
    """Take a file or folder away, if it is there. Raises OSError."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)


def main() -> None:
    """Try what a play needs of the kernel, and say what it refuses. Runs as PID 1 of new namespaces."""
    try:
        prepare()
        kernel.unshare(kernel.NEW_MOUNTS)
        build(Part("trial", True, (), (), "", {}), 0)
    except OSError as error:
        os.write(2, f"{error.strerror or error}\n".encode())
        os._exit(1)
    os._exit(0)
