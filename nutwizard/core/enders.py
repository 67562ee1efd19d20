"""Programs that shut a machine down, those that only run another program, and those that do neither."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum


class Ends(StrEnum):
    """What a call of a program does to the machine."""

    OFF = "off"
    AGAIN = "again"
    NOT = "not"


_BY_NAME = {"shutdown": Ends.OFF, "poweroff": Ends.OFF, "halt": Ends.OFF, "reboot": Ends.AGAIN}
#: The first word behind systemctl's and loginctl's options. Sleep to disk leaves nothing in memory.
_VERBS = {
    "poweroff": Ends.OFF, "halt": Ends.OFF, "hibernate": Ends.OFF, "hybrid-sleep": Ends.OFF,
    "reboot": Ends.AGAIN, "kexec": Ends.AGAIN, "soft-reboot": Ends.AGAIN,
}  # fmt: skip
_TARGETS = {
    "poweroff.target": Ends.OFF, "halt.target": Ends.OFF, "hibernate.target": Ends.OFF,
    "runlevel0.target": Ends.OFF, "reboot.target": Ends.AGAIN, "runlevel6.target": Ends.AGAIN,
}  # fmt: skip
_LEVELS = {"0": Ends.OFF, "6": Ends.AGAIN}
ENDERS = frozenset({*_BY_NAME, "systemctl", "loginctl", "init", "telinit", "pvesh"})
SHELLS = frozenset({"sh", "bash", "dash", "ash", "ksh", "zsh"})
#: They read a script into the shell that runs them.
SOURCES = frozenset({".", "source"})
#: They run the command behind them.
WRAPPERS = frozenset(
    "exec command builtin eval sudo doas su runuser nice ionice chrt nohup env setsid timeout stdbuf time"
    " systemd-run systemd-inhibit start-stop-daemon busybox flock unshare nsenter".split()
)
#: Of these: `-c` takes a text for the shell.
STRINGS = frozenset({"su", "runuser", "flock"})
#: The shell's words in front of a command.
RESERVED = frozenset("if then elif else while until do ! {".split())
#: What may stand between a wrapper and the command: options, numbers, durations, assignments.
OPTION = re.compile(r"-.*|\d+[smhd]?|[A-Za-z_]\w*=.*", re.DOTALL)
#: None of them shuts this machine down, whatever stands behind it: mostly messages, files and other machines.
HARMLESS = frozenset(
    ": [ [[ true false test echo printf logger wall write mail mailx sendmail msmtp notify-send ssh scp"
    " rsync curl wget nc ncat ping sleep sync date touch cat tee cp mv rm ln mkdir rmdir chmod chown"
    " grep sed awk cut head tail sort tr wc find basename dirname id hostname uname env kill pkill"
    " killall pgrep ps wait trap cd exit return export readonly local set unset shift read break"
    " continue for case esac fi done } function in umask ulimit alias type which hash mount umount"
    " swapoff fsfreeze upsc upscmd upsrw upsmon upssched upsdrvctl qm pct vzdump pvesm pvecm pvenode"
    " virsh docker podman lxc-stop service invoke-rc.d zpool zfs ip ifconfig nft iptables hdparm lsblk"
    " df du free top vmstat journalctl".split()
)
KNOWN = ENDERS | SHELLS | WRAPPERS | HARMLESS


def ending(name: str, args: Sequence[str]) -> Ends:
    """What one of the ENDERS does with these arguments."""
    words = [arg for arg in args if not arg.startswith("-")]
    if name in ("systemctl", "loginctl"):
        verb = words[0] if words else ""
        if verb in ("start", "isolate"):
            return next((_TARGETS[word] for word in words[1:] if word in _TARGETS), Ends.NOT)
        return _VERBS.get(verb, Ends.NOT)
    if name in ("init", "telinit"):
        return _LEVELS.get(words[0], Ends.NOT) if words else Ends.NOT
    if name == "pvesh":  # pvesh create /nodes/NODE/status --command shutdown
        calls = any(word.startswith("/nodes/") and word.endswith("/status") for word in words)
        given = [arg.rpartition("=")[2] for arg in args]
        return next((_BY_NAME[word] for word in given if word in _BY_NAME), Ends.NOT) if calls else Ends.NOT
    return _by_options(name, args)


def _by_options(name: str, args: Sequence[str]) -> Ends:
    """shutdown(8), poweroff(8), halt(8), reboot(8): an option may turn one into another, or into nothing."""
    short = "".join(arg[1:] for arg in args if arg.startswith("-") and not arg.startswith("--"))
    words = {arg for arg in args if arg.startswith("--")}
    idle = "ck" if name == "shutdown" else "w"
    if words & {"--help", "--wtmp-only", "--show", "--version"} or set(idle) & set(short):
        return Ends.NOT
    if name == "shutdown":
        return Ends.AGAIN if "r" in short or "--reboot" in words else Ends.OFF
    if words & {"--reboot"}:
        return Ends.AGAIN
    return Ends.OFF if "p" in short or words & {"--poweroff", "--halt"} else _BY_NAME[name]
