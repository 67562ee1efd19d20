"""The preconditions, each with its evidence: what is met, what is in the way, what is to be acknowledged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nutwizard.core.clients import few, same_address
from nutwizard.core.facts import Door, Role
from nutwizard.core.fsd.ready import Item, Person, Ready, Standing, flag_of, strangers
from nutwizard.core.links import Expected, Finding, LetIn, LinkId, LoggedIn, State
from nutwizard.core.outside import NO, YES

#: Per cent: a battery that holds less is told, where nothing says how long the shutdown takes.
CHARGED = 80
#: What a person says where nothing else hangs on the UPS.
NOTHING = "nothing"
_LATCHED = (
    "On this host, nut-server first and alone: systemctl restart nut-server; then nutwizard check: once no"
    " FSD stands there, systemctl restart nut-monitor"
)


def items(ready: Ready) -> tuple[Item, ...]:
    """Every precondition: what is in the way first, then what is to be acknowledged."""
    found = [*_blocking(ready), *_battery(ready), *_clients(ready), *_chain(ready), *_around(ready)]
    order = (Standing.BLOCKS, Standing.ASKED, Standing.MET)
    return tuple(sorted(found, key=lambda item: order.index(item.standing)))


def _either(key: str, title: str, wrong: str, yes: str, fix: str = "") -> Item:
    """Something that is so, or is in the way because of what is `wrong`."""
    if not wrong:
        return Item(key, title, Standing.MET, yes)
    return Item(key, title, Standing.BLOCKS, wrong, fix)


def _blocking(ready: Ready) -> Iterator[Item]:
    look = ready.look
    if look.facts.door is not Door.LIVE:
        yield Item(
            "machine", "this machine", Standing.BLOCKS,
            "it is no real machine: nothing can be fired here", "nutwizard rehearse plays it through",
        )  # fmt: skip
    not_root = "" if ready.root else "this user is not root"
    yield _either("root", "root", not_root, "this is root", "sudo nutwizard fsd")
    here = ", ".join(each.system for each in ready.watched)
    no = (
        ""
        if here
        else "upsmon.conf has no MONITOR line of this host's own upsd as primary: nobody would hear"
    )
    if look.role is not Role.HOST:
        no = "this machine follows another one's UPS: only that one, the host, can tell all"
    yield _either("host", "role", no, f"primary for {here}", "nutwizard step monitor")
    yield _either(
        "name", "host name", "" if look.facts.hostname else "/etc/hostname is empty",
        look.facts.hostname, "hostnamectl set-hostname NAME",
    )  # fmt: skip
    for monitor in ready.watched:
        yield _on_line(ready, monitor.ups)
    yield _latched(ready)
    yield _either(
        "unfinished",
        "changes by nutwizard",
        ready.unfinished,
        "none is half-way",
        "nutwizard recover",
    )
    yield from _upsmon(look.findings)


def _on_line(ready: Ready, ups: str) -> Item:
    words, title = ready.status(ups).split(), f"mains at {ups}"
    evidence = f"ups.status: {' '.join(words)}" if words else "upsd does not tell ups.status"
    good = "OL" in words and not {"OB", "FSD"} & set(words)
    return _either(f"status:{ups}", title, "" if good else evidence, evidence, "nutwizard check tells why")


def _latched(ready: Ready) -> Item:
    """FSD in upsd's memory, and the flag: either would act on its own after this test, or before it."""
    title = "a past shutdown"
    left = [each.ups for each in ready.watched if "FSD" in ready.status(each.ups).split()]
    if left:
        said = f"upsd still holds the order to shut down (FSD) for {', '.join(left)}"
        return Item("latched", title, Standing.BLOCKS, said, _LATCHED)
    flag = flag_of(ready.look)
    if flag and ready.look.facts.program(flag).kind == "file":
        fix = "upsmon removes it when it starts: systemctl restart nut-monitor"
        return Item("latched", title, Standing.BLOCKS, f"{flag} is there", fix)
    return Item("latched", title, Standing.MET, "nothing is left of it: no FSD in upsd, no flag of upsmon's")


def _upsmon(findings: Iterable[Finding]) -> Iterator[Item]:
    """Without upsmon nobody hears the signal."""
    for found in findings:
        if isinstance(found.link.target, LoggedIn):
            said = found.cause or found.evidence or found.state.value
            wrong = "" if found.state is State.PROVEN else said
            fix = found.fix or "nutwizard step services"
            yield _either(f"upsmon:{found.link.target.ups}", found.link.subject, wrong, said, fix)


def _battery(ready: Ready) -> Iterator[Item]:
    for monitor in ready.watched:
        values = ready.look.values.get(monitor.ups, {})
        charge, runtime = _number(values.get("battery.charge")), _number(values.get("battery.runtime"))
        title, key = f"battery of {monitor.ups}", f"battery:{monitor.ups}"
        fix = "Wait until it is charged: if the mains fail during the test, it has to last"
        if charge is None:
            yield Item(key, title, Standing.ASKED, "the UPS does not tell its charge", fix)
        elif (short := _short(charge, runtime, ready.needs)) != "":
            yield Item(key, title, Standing.ASKED, short, fix)
        else:
            enough = f"; the shutdown needs {ready.needs:.0f} s" if ready.needs is not None else ""
            yield Item(key, title, Standing.MET, _told(charge, runtime) + enough)


def _short(charge: float, runtime: float | None, needs: float | None) -> str:
    """Why the battery may not last; "" where it does."""
    if needs is not None and runtime is not None:
        return f"{_told(charge, runtime)}, and the shutdown needs {needs:.0f} s" if runtime < needs else ""
    return f"{_told(charge, runtime)}: less than {CHARGED} %" if charge < CHARGED else ""


def _told(charge: float, runtime: float | None) -> str:
    return f"charge {charge:g} %" + (f", runtime {runtime:g} s" if runtime is not None else "")


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None


def _clients(ready: Ready) -> Iterator[Item]:
    """Who is to come is there, and nobody else; None of it can be told where upsd does not answer."""
    if ready.logged_in is None:
        yield Item(
            "clients", "clients", Standing.ASKED, "upsd does not tell who is logged in", "nutwizard check"
        )
        return
    for client in ready.clients:
        here = [each for each in ready.others if any(same_address(each, own) for own in client.addresses)]
        standing = Standing.MET if here else Standing.ASKED
        said = f"logged in from {', '.join(here)}" if here else "not logged in: it will not hear of the FSD"
        fix = "" if here else "There: nutwizard check"
        yield Item(f"client:{client.name}", f"client {client}", standing, said, fix)
    for address in strangers(ready):
        said = "logged in, and in no list of clients: it will shut down, too"
        yield Item(f"stranger:{address}", f"{address}", Standing.ASKED, said, "nutwizard step clients")
    if not ready.clients and not ready.others:
        yield Item("clients", "clients", Standing.MET, "none is expected, and none is logged in")


#: What has an item of its own.
_ELSEWHERE = (Expected, LetIn, LoggedIn)


def _chain(ready: Ready) -> Iterator[Item]:
    latched = _latched(ready).standing is Standing.BLOCKS
    own = [
        found
        for found in ready.look.findings
        if not isinstance(found.link.target, _ELSEWHERE)
        and found.link.step != "outside"
        and not (latched and found.link.id is LinkId.STALE)
    ]
    open_ones = [each for each in own if each.state not in (State.PROVEN, State.NOT_APPLICABLE)]
    for number, found in enumerate(open_ones, 1):
        said = (found.cause or found.evidence or found.state.value).partition("\n")[0]
        title = f"{found.link.id.value}: {found.link.subject}"
        yield Item(f"link:{number}:{found.link.id.value}", title, Standing.ASKED, said, found.fix)
    if own and not open_ones:
        yield Item("chain", "the chain", Standing.MET, f"{len(own)} links proven")
    if not own:
        yield Item("chain", "the chain", Standing.ASKED, "nothing of it is proven", "nutwizard check")


def _around(ready: Ready) -> Iterator[Item]:
    """What goes off besides, and who comes back by himself."""
    yield _people(ready.people)
    yield _loads(ready.loads)
    outside = ready.look.outside
    standing = Standing.MET if outside.restart == YES else Standing.ASKED
    words = {
        YES: "it starts by itself when its power comes back, as you answered",
        NO: "somebody has to press its button, as you answered",
    }
    said = words.get(
        outside.restart, "whether it starts by itself is not answered: be there to press its button"
    )
    fix = "" if standing is Standing.MET else "nutwizard step outside asks once, and remembers"
    yield Item("restart", "this machine afterwards", standing, said, fix)
    if guests := [each for each in ready.look.facts.guests() if not each.onboot]:
        names = few([f"{each.id} {each.name}".strip() for each in guests], 6)
        fix = "Options > Start at boot, or start them by hand"
        said = f"do not start with the host: {names}"
        yield Item("guests", "guests afterwards", Standing.ASKED, said, fix)
    elif ready.look.facts.guests():
        yield Item("guests", "guests afterwards", Standing.MET, "all start with the host")


def _people(people: tuple[Person, ...] | None) -> Item:
    title = "who else works here"
    if people is None:
        return Item("people", title, Standing.ASKED, "who is logged in cannot be told", "Ask them")
    if not people:
        return Item("people", title, Standing.MET, "nobody is logged in but you")
    said = f"logged in: {few([str(each) for each in people], 5)}"
    return Item("people", title, Standing.ASKED, said, "Tell them to save their work")


def _loads(loads: str) -> Item:
    title = "what else hangs on the UPS"
    if loads.lower() == NOTHING:
        return Item("loads", title, Standing.MET, "nothing, as you said")
    said = f"loses its power for some seconds: {loads}" if loads else "not told yet; it loses its power, too"
    return Item("loads", title, Standing.ASKED, said, "Unplug what must not lose its power")
