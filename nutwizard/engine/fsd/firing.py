"""The act: noted durably first, then upsmon is signalled, then it is seen whether upsd holds FSD.

The only place that fires. It looks at everything again that keeps a test away, and wants the host's name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from nutwizard.core import paths
from nutwizard.core.clients import few, same_address
from nutwizard.core.errors import Failed, UsageError
from nutwizard.core.facts import Door
from nutwizard.core.fsd.items import items
from nutwizard.core.fsd.moments import Mark, final_delay, logs_command, moments, times_of
from nutwizard.core.fsd.ready import Item, Ready, asked, blocked, flag_of
from nutwizard.core.fsd.record import Happened, Record
from nutwizard.engine.fsd.asking import upsd_says
from nutwizard.engine.fsd.records import Records, boot_now
from nutwizard.engine.host import Host, Lock
from nutwizard.engine.store import Store
from nutwizard.formats.safe import safe_text

#: Where upsmon lies; with a merged /usr they are one.
UPSMON = ("/usr/sbin/upsmon", "/sbin/upsmon")
#: Seconds for the command itself, and beyond POLLFREQ until FSD has to stand in ups.status.
COMMAND_LIMIT, GRACE = 10.0, 5.0
#: Seconds between two looks; how long a machine that is going down is watched, and when that is remarked on.
_LOOK, PATIENCE, _STILL = 0.25, 900.0, 60.0
_NOTHING = "Nothing was fired."


def fire(
    host: Host, ready: Ready, acknowledged: Collection[str], typed: str, tell: Callable[[str], None]
) -> Record:
    """Fire, after a last look. `acknowledged`: keys of items; `typed`: what was typed as the host's name.

    Raises UsageError and Failed where nothing was fired, and Failed where it was and nobody heard it; Locked
    while another run is at work.
    """
    found = items(ready)
    _allowed(host, ready, found, acknowledged, typed)
    lock = _locked(host)
    try:
        _still_so(host, ready)
        record = _noted(host, ready, found)
        _signal(host, record)
        _seen(host, ready, record)
        tell(f"FSD is set in upsd, {host.now() - record.at:.1f} s after the command.")
        return record
    finally:
        lock.release()


def _allowed(
    host: Host, ready: Ready, found: Sequence[Item], acknowledged: Collection[str], typed: str
) -> None:
    name = ready.look.facts.hostname
    if host.door is not Door.LIVE:
        raise UsageError("Nothing can be fired here: this is no real machine.", _NOTHING)
    if in_the_way := blocked(found):
        raise Failed(f"{in_the_way[0].title}: {in_the_way[0].evidence}", f"{_NOTHING} {in_the_way[0].fix}")
    if missed := [item.title for item in asked(found) if item.key not in acknowledged]:
        raise UsageError(f"Not acknowledged: {few(missed)}", _NOTHING)
    if not name or typed != name:
        raise UsageError(f"That is not the name of this host ({name or 'it has none'}).", _NOTHING)


def _locked(host: Host) -> Lock:
    """No change is made while the machine is told to go down. Raises Locked, Failed."""
    store = Store(host)
    try:
        store.prepare()
        return store.lock()
    except OSError as error:
        raise Failed(f"{paths.STATE} cannot be used: {error.strerror}", _NOTHING) from error


def _still_so(host: Host, ready: Ready) -> None:
    """What may have changed while a person was reading. Raises Failed."""
    told = upsd_says(host, ready.look.facts)
    for monitor in ready.watched:
        words = (told[0].get(monitor.ups, "") if told is not None else "").split()
        if "OL" not in words or {"OB", "FSD"} & set(words):
            said = f"ups.status of {monitor.ups} is now: {' '.join(words) or 'not told'}"
            raise Failed(safe_text(said), _NOTHING)
    if host.stat(flag_of(ready.look)) is not None:
        raise Failed(f"{flag_of(ready.look)} is there now", _NOTHING)
    if Store(host).unfinished() is not None:
        raise Failed("a change is half-way now", f"{_NOTHING} nutwizard recover")


def _noted(host: Host, ready: Ready, found: Sequence[Item]) -> Record:
    """The record, on the disk. Raises Failed where it cannot be kept: the report would be blind."""
    look = ready.look
    times = times_of(look, ready.watched[0].ups)
    record = Record(
        id=0,
        at=host.now(),
        boot=boot_now(host),
        role=look.role,
        host=look.facts.hostname,
        systems=tuple(each.system for each in ready.watched),
        nut=look.facts.nut.text,
        clients=ready.clients,
        logged_in=tuple(ready.others),
        moments=moments(times, len(ready.others)),
        offdelay=times.offdelay,
        ondelay=times.ondelay,
        logs_command=logs_command(look),
        acknowledged=tuple(f"{item.title}: {item.evidence}" for item in asked(found)),
    )
    try:
        return Records(host).begin(record)
    except OSError as error:
        raise Failed(f"the test cannot be noted in {paths.FSD}: {error.strerror}", _NOTHING) from error


def _signal(host: Host, record: Record) -> None:
    """`upsmon -c fsd`, as in the guide. Raises Failed."""
    records = Records(host)
    program = next((path for path in UPSMON if host.stat(path) is not None), UPSMON[0])
    records.note(record, Happened.FIRED)
    done = host.run([program, "-c", "fsd"], timeout=COMMAND_LIMIT)
    if done.code != 0:
        said = (done.err or done.out).strip().splitlines() or ["it says nothing"]
        ended = "did not end" if done.timed_out else f"ended with code {done.code}"
        why = safe_text(f"upsmon -c fsd {ended}: {said[-1][:200]}")
        records.note(record, Happened.FAILED, why)
        raise Failed(why, "No shutdown was set off. nutwizard check tells what is wrong with upsmon.")


def _seen(host: Host, ready: Ready, record: Record) -> None:
    """Exit code 0 only says that a signal was sent. Raises Failed when FSD does not come."""
    patience = (
        (record.expected(Mark.SET).last or 0) + times_of(ready.look, ready.watched[0].ups).pollfreq + GRACE
    )
    end = host.ticks() + patience
    told = None
    while host.ticks() < end:
        told = upsd_says(host, ready.look.facts)
        there = told is not None and any("FSD" in status.split() for status in told[0].values())
        if there or host.stat(flag_of(ready.look)) is not None:  # with short delays upsd may be gone by then
            Records(host).note(record, Happened.SEEN)
            return
        host.sleep(_LOOK)
    says = "no FSD stands in ups.status" if told is not None else "upsd does not answer"
    why = f"upsmon was signalled, and {says} after {patience:.0f} s"
    Records(host).note(record, Happened.FAILED, why)
    raise Failed(why, "It may still come. nutwizard check tells what is wrong with upsmon.")


def watch(host: Host, ready: Ready, record: Record, tell: Callable[[str], None]) -> None:
    """Tell what can be seen until the connection is lost, or PATIENCE is over. Nothing of it is needed."""
    watching = _Watch(host, ready, record, tell)
    while host.now() - record.at < PATIENCE:
        watching.look()
        host.sleep(_LOOK)


class _Watch:
    """What has been told so far."""

    def __init__(self, host: Host, ready: Ready, record: Record, tell: Callable[[str], None]) -> None:
        self._host, self._ready, self._record, self._tell = host, ready, record, tell
        self._there = list(record.logged_in)
        self._names = {own: client.name for client in record.clients for own in client.addresses}
        self._flag = self._silent = self._late = False
        self._last = record.expected(Mark.COMMAND).last or 0.0
        self._final = final_delay(ready.look)
        self._said = -1

    def look(self) -> None:
        """Once round."""
        seconds = self._host.now() - self._record.at
        told = upsd_says(self._host, self._ready.look.facts)
        if told is not None:
            self._gone([each for listed in told[1].values() for each in listed], seconds)
        elif not self._silent:
            self._silent = True
            self._tell(f"{seconds:5.1f} s  upsd has ended")
        if not self._flag and self._host.stat(flag_of(self._ready.look)) is not None:
            self._flag = True
            Records(self._host).note(self._record, Happened.FLAG)
            self._tell(f"{seconds:5.1f} s  {flag_of(self._ready.look)} is written; SHUTDOWNCMD is called now")
        self._count(seconds)

    def _gone(self, there: Sequence[str], seconds: float) -> None:
        for address in [each for each in self._there if not any(same_address(each, own) for own in there)]:
            self._there.remove(address)
            Records(self._host).note(self._record, Happened.LEFT, address)
            name = self._names.get(address, "")
            who = f"{name} ({address})" if name else address
            left = f"; {len(self._there)} still there" if self._there else ""
            self._tell(f"{seconds:5.1f} s  {who} has logged out{left}")
            if not self._there:  # from here on the end is known
                self._last = min(self._last, seconds + self._final + 1)

    def _count(self, seconds: float) -> None:
        """The seconds until the host's own SHUTDOWNCMD, at most, and then that nothing happens."""
        last = self._last
        left = round(last - seconds)
        if not self._flag and left >= 0 and left != self._said and (left <= 5 or left % 5 == 0):
            self._said = left
            waits = (
                f"waiting for {len(self._there)} client{'s' * (len(self._there) != 1)}; "
                if self._there
                else ""
            )
            self._tell(f"{seconds:5.1f} s  {waits}this host calls SHUTDOWNCMD in {left} s at the latest")
        if not self._late and seconds > last + _STILL:
            self._late = True
            self._tell(
                f"{seconds:5.1f} s  this host still runs. Guests may take minutes; if nothing is stopping"
                " (systemctl is-system-running): nutwizard fsd report says what to do"
            )
