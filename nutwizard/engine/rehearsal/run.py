"""Carry out a rehearsal: start the stage, follow what it tells, end it in time, and judge."""

from __future__ import annotations

import json
import os
import pwd
import re
import select
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nutwizard.core import paths
from nutwizard.core.errors import Failed
from nutwizard.core.rehearsal.cast import Cast
from nutwizard.core.rehearsal.form import Form
from nutwizard.core.rehearsal.model import play
from nutwizard.core.rehearsal.moments import Moment, Reader
from nutwizard.core.rehearsal.pace import Pace
from nutwizard.core.rehearsal.verdict import Verdict, judge
from nutwizard.core.upsmon import notify_messages
from nutwizard.engine.machine import ENVIRONMENT
from nutwizard.engine.rehearsal.borrowed import sockets_here
from nutwizard.engine.rehearsal.casting import Caster
from nutwizard.engine.rehearsal.forms import apart, python
from nutwizard.engine.rehearsal.modelled import modelled, unread
from nutwizard.engine.rehearsal.part import Play, to_line
from nutwizard.engine.rehearsal.sets import FileSet
from nutwizard.formats.nutfile import NutFile
from nutwizard.formats.redact import secrets_of

#: What stands before a secret in the words of programs and scripts, and the secret.
_SECRETS = re.compile(
    r"(?i)(\b(?:bearer|basic)\s+|\b(?:token|password|passwd|secret|api[_-]?key)\s*[=:]\s*|\s-u\s+[^\s:]+:"
    r"|://[^\s:/@]+:(?=[^\s@]+@))[^\s@]+"
)
#: Seconds between two looks whether the person has left.
_LOOK = 0.1


class Left(Exception):
    """The person has left: the rehearsal was ended before it was over."""


@dataclass(frozen=True)
class Rehearsed:
    """What came of it. `took`: seconds in all; `cut_off`: it had to be ended after `limit` seconds. `form`:
    who played it.
    """

    cast: Cast
    pace: Pace
    moments: tuple[Moment, ...]
    verdict: Verdict
    took: float
    limit: float
    cut_off: bool = False
    form: Form = Form.COPIES


def rehearse(
    caster: Caster,
    told: Callable[[Moment], None] = lambda moment: None,
    form: Form = Form.COPIES,
    left: Callable[[], bool] = lambda: False,
) -> Rehearsed:
    """Play it in this form. `told` gets each moment as it happens; `left`: whether the person has left.

    Raises Failed when the stage cannot be set up, Left when it was left.
    """
    if form is Form.MODEL:
        return _modelled(caster, told)
    if form is Form.BORROWED and os.geteuid() == 0:
        raise Failed("root does not play as a user: what it borrows would still be root's", "Nothing ran.")
    sets = caster.sets
    # Without root there is one user alone, who says nothing of who does it in life.
    users = {} if form is Form.BORROWED else {each.pw_uid: each.pw_name for each in pwd.getpwall()}
    users = users or {os.geteuid(): "", 0: ""}
    reader = Reader(
        {each.name: notify_messages(NutFile.parse(each.data(paths.UPSMON_CONF))) for each in sets}, users
    )
    masks = _masks(sets)
    moments: list[Moment] = []
    begun = time.monotonic()
    with _Running(replace(caster.play, sockets=sockets_here() if form is Form.BORROWED else None)) as running:
        for event in running.events(caster.limit, left):
            if event["kind"] == "stage" and event["what"] == "failed":
                raise Failed(
                    f"the rehearsal could not be set up: {_masked(event['text'], masks)}",
                    "Nothing was changed.",
                )
            for moment in reader.read({**event, "text": _masked(event.get("text", ""), masks)}):
                moments.append(moment)
                told(moment)
    if not running.whole and not running.cut_off:
        raise Failed("the rehearsal ended before it was over: it was killed", "Nothing was changed.")
    timed = reader.timed(moments)
    verdict, took = judge(caster.cast, timed), time.monotonic() - begun
    return Rehearsed(caster.cast, caster.pace, timed, verdict, took, caster.limit, running.cut_off, form)


def _modelled(caster: Caster, told: Callable[[Moment], None]) -> Rehearsed:
    """All of it at once: a model has nothing to wait for."""
    begun, masks = time.monotonic(), _masks(caster.sets)
    found = tuple(replace(m, text=_masked(m.text, masks)) for m in play(modelled(caster)))
    for moment in found:
        told(moment)
    cast = replace(caster.cast, unread=unread(caster))
    took = time.monotonic() - begun
    return Rehearsed(cast, caster.pace, found, judge(cast, found), took, caster.limit, form=Form.MODEL)


class _Running:
    """A stage that runs; it ends, and everything in it, with this or with this process."""

    def __init__(self, play: Play) -> None:
        self._play = play
        self.cut_off = self.whole = False

    def __enter__(self) -> _Running:
        form = Form.COPIES if self._play.sockets is None else Form.BORROWED
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            [*apart(form), *python("stage")],
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

    def events(self, limit: float, leaves: Callable[[], bool]) -> Iterator[Mapping[str, Any]]:
        """What it tells, until it has ended or `limit` seconds are over. Raises Left."""
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        end, rest = time.monotonic() + limit, b""
        while True:
            if leaves():
                raise Left
            left = end - time.monotonic()
            if left <= 0:
                self.cut_off = True
                return
            if not select.select([descriptor], [], [], min(left, _LOOK))[0]:
                continue
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


def _masks(sets: Sequence[FileSet]) -> tuple[str, ...]:
    found = {
        word for each in sets for file in each.files.values() for word in secrets_of(file.path, file.data)
    }
    return tuple(sorted((word for word in found if len(word) > 3), key=len, reverse=True))


def _masked(text: str, masks: Sequence[str]) -> str:
    """Without the secrets of the files, and what looks like one in what a script says."""
    for word in masks:
        text = text.replace(word, "(masked)")
    return _SECRETS.sub(lambda found: f"{found[1]}(masked)", text)
