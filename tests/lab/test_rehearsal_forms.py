"""The other forms of a rehearsal with real NUT: as a user without root, and where NUT is out of sight."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from nutwizard.core.errors import Failed
from nutwizard.core.rehearsal.form import Form
from nutwizard.engine.rehearsal import run
from tests.support.rehearsal_cases import Case, cases, missing

from .dress import CHECKOUT
from .machine import wait_until

pytestmark = pytest.mark.lab

#: Somebody without rights.
USER = "daemon"
#: Seconds for all cases together.
LIMIT = 400.0
#: Plays every case as whoever calls it, and tells what was seen as the recordings have it.
PLAYER = """import json, sys
from concurrent.futures import ThreadPoolExecutor
sys.path.insert(0, sys.argv[1])
from nutwizard.core.facts import Role
from nutwizard.engine.rehearsal import forms, run
from tests.support.rehearsal_cases import cases, findings, told
form = forms.staging(Role.HOST).form
chosen = [case for case in cases() if not sys.argv[2:] or case.name in sys.argv[2:]]
def play(case):
    done = run.rehearse(case.caster(), form=form)
    return case.name, {
        "form": done.form.value,
        "cut_off": done.cut_off,
        "moments": [told(moment) for moment in done.moments],
        "findings": findings(done),
        "order": sorted(done.verdict.ended, key=lambda name: done.verdict.ended[name]),
    }
with ThreadPoolExecutor(4) as pool:
    print(json.dumps(dict(pool.map(play, chosen))))
"""
#: What a case says of owners cannot show where one user plays all.
OF_OWNERS = ("unreadable", "script-not-for-nut", "users-unreadable", "ups-conf-unreadable")
CASES = [case for case in cases() if case.name not in OF_OWNERS]


def as_user(*words: str, timeout: float) -> str:
    """What Python says, run as USER."""
    who = ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups"]
    done = subprocess.run(
        [*who, sys.executable, "-I", "-c", *words],
        capture_output=True, text=True, timeout=timeout, check=False, cwd="/",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def borrowed() -> Mapping[str, Any]:
    """Every case as a user without root plays it."""
    played: Mapping[str, Any] = json.loads(as_user(PLAYER, str(CHECKOUT), timeout=LIMIT))
    return played


def nobodys(pattern: str) -> str:
    """A pattern of a moment without the user, who is not told there."""
    return re.sub(r" (?:root|nut)(?= |$)", "", pattern)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_without_root(case: Case, borrowed: Mapping[str, Any]) -> None:
    """What a case is to show as root, it shows to a user, but for who does what."""
    seen = borrowed[case.name]
    shown = "\n".join(seen["moments"])
    assert (seen["form"], seen["cut_off"]) == ("borrowed", False), shown
    for pattern in case.expect["findings"]:
        assert any(re.search(pattern, one) for one in seen["findings"]), f"{seen['findings']}\n{shown}"
    assert len(seen["findings"]) == len(case.expect["findings"]), f"{seen['findings']}\n{shown}"
    assert missing(seen["moments"], [nobodys(each) for each in case.expect.get("moments", [])]) == [], shown
    for pattern in case.expect.get("not", ()):
        assert not [text for text in seen["moments"] if re.search(pattern, text)], shown
    if "order" in case.expect:
        assert seen["order"] == case.expect["order"], shown


def test_what_is_said_of_owners_does_not_show(borrowed: Mapping[str, Any]) -> None:
    """The form says so itself: a file that nut may not read is read there."""
    for name in OF_OWNERS:
        assert borrowed[name]["findings"] == []


#: What a script may try, each with what it says when it gets through.
ESCAPES = """#!/bin/sh
exec 2>/dev/null
cd / || exit
echo tried
(echo x >{outside}/written) && echo ESCAPED: written
(echo x >/etc/nutwizard-escaped) && echo in memory
mount -o remount,rw,bind / && echo ESCAPED: remounted
umount -l /etc && echo ESCAPED: unmounted
/usr/bin/python3 -I -c '
import socket, sys
for kind, address in ((socket.AF_INET, ("127.0.0.1", {port})), (socket.AF_UNIX, "{outside}/socket"),
                      (socket.AF_UNIX, "\\0nutwizard-test")):
    try:
        socket.socket(kind).connect(address)
    except OSError:
        continue
    print("ESCAPED: connected to", repr(address))
'
[ ! -e /proc/{pid} ] || echo ESCAPED: another process
echo 1 >/proc/sys/vm/drop_caches && echo ESCAPED: kernel
[ -z "$(ls -A /home)$(ls -A /root)" ] || echo ESCAPED: home
"""
#: Plays one case with another script, and prints what it said.
ESCAPER = """import sys
sys.path.insert(0, sys.argv[1])
from nutwizard.core.facts import Role
from nutwizard.engine.rehearsal import forms, run
from tests.support.rehearsal_cases import Case
files = {"/usr/sbin/upssched-cmd": sys.argv[2]}
case = Case("", {"scenario": "blip", "host": {"files": files}, "expect": {}})
done = run.rehearse(case.caster(), form=forms.staging(Role.HOST).form)
print(done.form.value)
for moment in done.moments:
    if moment.what.name == "SAID":
        print(moment.text)
"""


def test_a_script_without_root_reaches_nothing() -> None:
    """Neither files that its user may write to, nor the kernel, nor a server, nor a process."""
    with tempfile.TemporaryDirectory(dir="/srv") as outside, ExitStack() as stack:
        os.chmod(outside, 0o777)
        listeners = [socket.socket(), socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)]
        places: list[tuple[str, int] | str] = [("127.0.0.1", 0), f"{outside}/socket", "\0nutwizard-test"]
        for listener, address in zip(listeners, places, strict=True):
            stack.enter_context(listener)
            listener.bind(address)
            listener.listen()
        os.chmod(f"{outside}/socket", 0o777)
        port = listeners[0].getsockname()[1]
        script = ESCAPES.format(outside=outside, port=port, pid=os.getpid())
        said = as_user(ESCAPER, str(CHECKOUT), script, timeout=60.0).splitlines()
        assert said[0] == "borrowed"
        assert said[1:] == ["tried", "in memory", "tried", "in memory"]
        assert os.listdir(outside) == ["socket"]
        assert not os.path.exists("/etc/nutwizard-escaped")


def test_the_escapes_do_get_through_elsewhere() -> None:
    """What the test above tries works where nothing is in its way: else it would show nothing."""
    with tempfile.TemporaryDirectory(dir="/srv") as outside, ExitStack() as stack:
        os.chmod(outside, 0o777)
        inner = stack.enter_context(socket.socket(socket.AF_UNIX))
        inner.bind(f"{outside}/socket")
        inner.listen()
        os.chmod(f"{outside}/socket", 0o777)
        script = ESCAPES.format(outside=outside, port=1, pid=os.getpid())
        done = subprocess.run(
            ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups", "sh", "-c", script],
            capture_output=True, text=True, timeout=30.0, check=False,
        )  # fmt: skip
        assert "ESCAPED: written" in done.stdout
        assert f"ESCAPED: connected to '{outside}/socket'" in done.stdout


#: Plays a power cut and tells what each moment is.
SLOW_PLAYER = """import sys
sys.path.insert(0, sys.argv[1])
from nutwizard.core.rehearsal.form import Form
from nutwizard.engine.rehearsal import run
from tests.support.rehearsal_cases import cases
case = next(case for case in cases() if case.name == "cut")
run.rehearse(case.caster(), lambda moment: print(moment.what.name, flush=True), Form.BORROWED)
"""


def stages() -> set[str]:
    """The processes of this checkout's stages."""
    found = set()
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            line = (folder / "cmdline").read_bytes() if folder.name.isdigit() else b""
            if b"nutwizard.engine.rehearsal.stage" in line and str(CHECKOUT).encode() in line:
                found.add(folder.name)
    return found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_without_root_nothing_is_left(number: signal.Signals) -> None:
    before = stages()
    who = ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups"]
    argv = [*who, sys.executable, "-I", "-c", SLOW_PLAYER, str(CHECKOUT)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/") as player:
        assert player.stdout is not None
        for line in player.stdout:
            if line == b"UPS\n":
                break
        own = stages() - before
        assert len(own) > 1
        player.send_signal(number)
        player.wait(10.0)
    wait_until(lambda: not (own & stages()) or None, 10.0)
    assert "nutwizard" not in Path("/proc/self/mountinfo").read_text()


def test_root_does_not_borrow() -> None:
    """What root borrows stays root's for the kernel, which would let a script write to /proc."""
    case = next(case for case in cases() if case.name == "cut")
    with pytest.raises(Failed, match="root does not play as a user"):
        run.rehearse(case.caster(), form=Form.BORROWED)


#: Starts a program where NUT is out of sight: no driver, no daemon.
HIDDEN = """mount -t tmpfs none /lib/nut
for program in upsmon upsd upsdrvctl; do mount --bind /dev/null /sbin/$program; done
exec "$@"
"""
#: The same as a user whose kernel makes no user namespaces.
REFUSED = """echo 0 >/proc/sys/user/max_user_namespaces
exec "$@"
"""
FORM = """import sys
sys.path.insert(0, sys.argv[1])
from nutwizard.core.facts import Role
from nutwizard.engine.rehearsal import forms
found = forms.staging(Role.HOST)
print(found.form.value, found.why)
"""


def form_of(*before: str) -> str:
    argv = [*before, sys.executable, "-I", "-c", FORM, str(CHECKOUT)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60.0, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_best_form_that_is_possible() -> None:
    """And why a better one is not."""
    user = ("setpriv", "--reuid", USER, "--regid", USER, "--clear-groups")
    assert form_of() == "copies"
    assert form_of(*user) == "borrowed only root may copy this computer with all its owners"
    hide = ("unshare", "--mount", "sh", "-ec", HIDDEN, "sh")
    assert form_of(*hide) == "model NUT is not installed here"
    assert form_of(*hide, *user) == "model NUT is not installed here"


def test_where_the_kernel_refuses_a_model_plays() -> None:
    """An unprivileged container: its root may not copy, and its users have no namespaces of their own."""
    inside = ("unshare", "--user", "--map-root-user")
    assert form_of(*inside).startswith("model the kernel allows no copies of this computer: mount overlay")
    user = ("unshare", "--user", "--map-user=1", "--keep-caps", "sh", "-ec", REFUSED, "sh")
    assert re.match("model only root may copy .* the kernel refuses: unshare", form_of(*user))
