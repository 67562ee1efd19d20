"""Carry out a rehearsal: start the stage, follow what it tells, end it in time, and judge."""

from __future__ import annotations

import json
import os
import pwd
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nutwizard.core import paths
from nutwizard.core.errors import Failed
from nutwizard.core.facts import Role
from nutwizard.core.rehearsal.cast import Cast
from nutwizard.core.rehearsal.moments import Moment, Reader
from nutwizard.core.rehearsal.pace import Pace
from nutwizard.core.rehearsal.verdict import Verdict, judge
from nutwizard.core.upsmon import notify_messages
from nutwizard.engine.machine import ENVIRONMENT
from nutwizard.engine.rehearsal.casting import Caster
from nutwizard.engine.rehearsal.part import Play, to_line
from nutwizard.engine.rehearsal.sets import FileSet
from nutwizard.formats.nutfile import NutFile
from nutwizard.formats.redact import secrets_of

_START = "import sys; sys.path.insert(0, {!r}); from nutwizard.engine.rehearsal.stage import main; main()"
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
#: Each with the Debian package that has it.
_NEEDED = {"setpriv": "util-linux", "unshare": "util-linux", "ip": "iproute2", "logger": "bsdutils"}
#: Where systemd-shutdown(8) looks for what runs last.
_HOOKS = ("/lib/systemd/system-shutdown/nutshutdown", "/usr/lib/systemd/system-shutdown/nutshutdown")
_TRIAL = 10.0


@dataclass(frozen=True)
class Rehearsed:
    """What came of it. `took`: seconds in all; `cut_off`: it had to be ended after `limit` seconds."""

    cast: Cast
    pace: Pace
    moments: tuple[Moment, ...]
    verdict: Verdict
    took: float
    limit: float
    cut_off: bool = False


def lacking(role: Role = Role.HOST) -> str:
    """Why no rehearsal in namespaces is possible here; "" when one is."""
    if os.geteuid() != 0:
        return "only root may make the namespaces in which nothing outside is touched"
    for program, package in _NEEDED.items():
        if shutil.which(program, path=_PATH) is None:
            return f"{program} is missing: apt-get install {package}"
    if role is Role.HOST and not driver():
        return "dummy-ups, the driver that plays the UPS, is missing: apt-get install nut-server"
    try:
        done = subprocess.run(
            [*_apart(), "true"], capture_output=True, timeout=_TRIAL, check=False, env=ENVIRONMENT
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"the kernel makes no namespaces here ({error})"
    said = done.stderr.decode("utf-8", "replace").strip()
    return f"the kernel makes no namespaces here: {said}" if done.returncode != 0 else ""


def driver() -> str:
    """The path of dummy-ups; "" when it is not installed."""
    return next((f"{f}/dummy-ups" for f in paths.DRIVER_FOLDERS if os.access(f"{f}/dummy-ups", os.X_OK)), "")


def hook() -> str:
    """What cuts the power late in the shutdown of this computer; "" when it is not installed."""
    return next((path for path in _HOOKS if os.access(path, os.X_OK)), "")


def rehearse(caster: Caster, told: Callable[[Moment], None] = lambda moment: None) -> Rehearsed:
    """Play it. `told` gets each moment as it happens. Raises Failed when the stage cannot be set up."""
    sets = caster.sets
    users = {each.pw_uid: each.pw_name for each in pwd.getpwall()}
    reader = Reader(
        {each.name: notify_messages(NutFile.parse(each.data(paths.UPSMON_CONF))) for each in sets}, users
    )
    masks = _masks(sets)
    moments: list[Moment] = []
    begun = time.monotonic()
    with _Running(caster.play) as running:
        for event in running.events(caster.limit):
            if event["kind"] == "stage" and event["what"] == "failed":
                raise Failed(
                    f"the rehearsal could not be set up: {_masked(event['text'], masks)}",
                    "Nothing was changed.",
                )
            for moment in reader.read(event):
                moments.append(replace(moment, text=_masked(moment.text, masks)))
                told(moments[-1])
    if not running.whole and not running.cut_off:
        raise Failed("the rehearsal ended before it was over: it was killed", "Nothing was changed.")
    timed = reader.timed(moments)
    verdict, took = judge(caster.cast, timed), time.monotonic() - begun
    return Rehearsed(caster.cast, caster.pace, timed, verdict, took, caster.limit, running.cut_off)


class _Running:
    """A stage that runs; it ends, and everything in it, with this or with this process."""

    def __init__(self, play: Play) -> None:
        self._play = play
        self.cut_off = self.whole = False

    def __enter__(self) -> _Running:
        package = os.path.dirname(
            os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        )
        argv = [*_apart(), sys.executable, "-I", "-c", _START.format(package)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            argv,
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.DEVNULL,
            env=ENVIRONMENT,
            cwd="/",
            start_new_session=True,
        )
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(to_line(self._play))
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has died at once: the lack of an end tells
        return self

    def events(self, limit: float) -> Iterator[Mapping[str, Any]]:
        """What it tells, until it has ended or `limit` seconds are over."""
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        end, rest = time.monotonic() + limit, b""
        while True:
            left = end - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                self.cut_off = True
                return
            data = os.read(descriptor, 1 << 16)
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                event = json.loads(line)
                self.whole = self.whole or (event["kind"] == "stage" and event["what"] == "end")
                yield event

    def __exit__(self, *_: object) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        try:
            self._process.wait(2.0)
        except subprocess.TimeoutExpired:
            self._process.kill()  # unshare --kill-child: the kernel ends the stage with it
            self._process.wait(10.0)


def _apart() -> list[str]:
    """What runs a program as PID 1 of new namespaces that end with this process."""
    found = {name: shutil.which(name, path=_PATH) or name for name in ("setpriv", "unshare")}
    return [
        *(
            found["setpriv"],
            "--pdeathsig=KILL",
            found["unshare"],
            "--mount",
            "--net",
            "--uts",
            "--ipc",
            "--pid",
        ),
        *("--fork", "--kill-child", "--mount-proc"),
    ]


def _masks(sets: Sequence[FileSet]) -> tuple[str, ...]:
    found = {
        word for each in sets for file in each.files.values() for word in secrets_of(file.path, file.data)
    }
    return tuple(sorted((word for word in found if len(word) > 3), key=len, reverse=True))


def _masked(text: str, masks: Sequence[str]) -> str:
    for word in masks:
        text = text.replace(word, "(masked)")
    return text
