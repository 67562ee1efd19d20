"""The questions before a forced shutdown: each thing acknowledged by itself, then the host's name, typed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from nutwizard.core.errors import Exit
from nutwizard.core.facts import Door
from nutwizard.core.fields import Choice, Field, FieldKind, Spec
from nutwizard.core.fsd.items import items
from nutwizard.core.fsd.ready import Item, Ready, asked, blocked
from nutwizard.engine.fsd.firing import fire, watch
from nutwizard.engine.fsd.records import Records
from nutwizard.engine.host import Host
from nutwizard.prompts.asker import Asker, Back
from nutwizard.wording import fsd as wording
from nutwizard.wording.layout import Line, Tone

_STOP = Choice("stop", "nothing is fired")
_GOES = Choice("acknowledge", "I know, and go on")
_CHANGE = Choice("change", "something else hangs on it now")


class _Stopped(Exception):
    """The person does not want it."""


def converse(host: Host, ready: Ready, asker: Asker) -> Exit:
    """Show, ask, fire, and watch until the connection is lost. Raises what `fire` raises."""
    practice = host.door is Door.PRACTICE
    try:
        asker.page(wording.ready_lines(ready, items(ready)))
        if blocked(items(ready)) and not practice:
            asker.page([Line(), Line(f"{wording.NOTHING} What is in the way has to go first.", Tone.TITLE)])
            return Exit.BROKEN
        ready, keys = _acknowledged(host, ready, asker)
        typed = _name(ready, asker)
    except (KeyboardInterrupt, Back, _Stopped):
        asker.say(f"\n{wording.NOTHING}")
        return Exit.INTERRUPTED
    if practice:
        asker.say(f"\n{wording.PRACTICE_END}")
        return Exit.DONE
    record = fire(host, ready, keys, typed, asker.say)
    try:
        with suppress(OSError):  # the terminal is gone
            asker.say(wording.GOES_ON)
            watch(host, ready, record, asker.say)
            asker.say(wording.STILL_HERE)
    except KeyboardInterrupt:
        asker.say(f"\n{wording.VIEW_ENDED}")
        return Exit.INTERRUPTED
    return Exit.FAILED


def _acknowledged(host: Host, ready: Ready, asker: Asker) -> tuple[Ready, frozenset[str]]:
    """What is known now, and the keys of what the person took upon himself. Raises _Stopped."""
    if not ready.loads:
        ready = _loads(host, ready, asker)
    done: set[str] = set()
    while (left := [item for item in asked(items(ready)) if item.key not in done]) != []:
        item = left[0]
        number = f"{len(done) + 1} of {len(done) + len(left)}"
        asker.page([Line(), Line(f"{number}  {item.title}", Tone.TITLE), *_about(item)])
        rows = (_GOES, *((_CHANGE,) if item.key == "loads" else ()), _STOP)
        picked = asker.choose("Go on all the same?", rows, _STOP.value)
        if picked == _STOP.value:
            raise _Stopped
        if picked == _CHANGE.value:
            ready = _loads(host, ready, asker)
        else:
            done.add(item.key)
    return ready, frozenset(done)


def _about(item: Item) -> list[Line]:
    return [Line(f"  {item.evidence}"), *([Line(f"  {item.fix}")] if item.fix else [])]


def _loads(host: Host, ready: Ready, asker: Asker) -> Ready:
    """Ask once what else loses its power, and remember it."""
    asker.page([Line(), Line(wording.LOADS)])
    field = Field("loads", Spec(FieldKind.TEXT, "what else hangs on the UPS", check=_something))
    text = " ".join(str(asker.ask(field, None, wording.LOADS, ())).split())
    with suppress(OSError):
        Records(host).keep_loads(text)
    return replace(ready, loads=text)


def _something(text: str) -> str | None:
    return None if text.strip() else 'Type its names, or "nothing".'


def _name(ready: Ready, asker: Asker) -> str:
    """The name of this host, letter by letter; nothing shorter fires."""
    name = ready.look.facts.hostname

    def wrong(text: str) -> str | None:
        return None if text == name else f"Type {name} to fire, Ctrl-C to leave."

    asker.page([Line(), Line(wording.WARNING), Line(wording.last_words(name))])
    return str(asker.ask(Field("name", Spec(FieldKind.TEXT, wording.NAME, check=wrong)), None, "", ()))
