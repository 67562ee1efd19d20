"""Scenarios of the doctor's rules: a healthy machine as a folder, what is different from it, what is found.

`tests/cases/rules/README.md` says what may stand in a scenario.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from nutwizard.core import links
from nutwizard.core.facts import (
    UNREADABLE,
    Address,
    Daemon,
    Door,
    DriverOptions,
    Facts,
    FileFact,
    Kind,
    Lazy,
    Listener,
    Nut,
    Owner,
    Role,
    UnitFact,
    UsbUps,
)
from nutwizard.core.guests import Guest, Neighbour
from nutwizard.core.links import Finding, Link, LinkId, State
from nutwizard.core.logtexts import Kind as LogKind
from nutwizard.core.logtexts import Row
from nutwizard.core.programs import ProgramFact
from nutwizard.core.rules.rule import Look
from nutwizard.core.secret import Secret
from nutwizard.core.site import Site
from nutwizard.core.step import View
from nutwizard.core.text import FileText
from nutwizard.engine import registry

FOLDER = Path(__file__).parents[1] / "cases" / "rules"
HEALTHY = FOLDER / "healthy"
#: Seconds since the epoch: when the units started, and when the files were written before.
STARTED, WRITTEN = 1_000_000.0, 900_000.0
_OWNERS = {"/etc/nut/": "root:nut 0640", "/usr/sbin/": "root:root 0755"}
_SERVER = links.Server("127.0.0.1", 3493)


@dataclass(frozen=True)
class Scenario:
    """`name`: rule and scenario; `base`: a healthy machine; `spec`: what differs; `expect`: the findings."""

    name: str
    rule: str
    base: str
    spec: Mapping[str, Any]
    expect: frozenset[str]

    @property
    def look(self) -> Look:
        return look_at(self.base, self.spec)


def bases() -> list[str]:
    """The healthy machines."""
    return sorted(folder.name for folder in HEALTHY.iterdir() if folder.is_dir())


def scenarios() -> list[Scenario]:
    """Every scenario of every rule; a file `NWnn.yaml` holds those of one."""
    return [scenario for file in sorted(FOLDER.glob("NW*.yaml")) for scenario in _scenarios(file)]


def _scenarios(file: Path) -> Iterator[Scenario]:
    for spec in yaml.safe_load(file.read_text()):
        expect = frozenset(spec.pop("expect"))
        name = f"{file.stem}: {spec.pop('name')}"
        yield Scenario(name, file.stem, spec.pop("base"), spec, expect)


@cache
def _base(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    folder = HEALTHY / name
    facts = yaml.safe_load((folder / "facts.yaml").read_text())
    files = {
        f"/{file.relative_to(folder)}": file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != "facts.yaml"
    }
    files |= {path: text.encode() for path, text in facts.pop("files", {}).items()}
    return facts, files


def look_at(base: str, spec: Mapping[str, Any]) -> Look:
    """The machine of a base with what a scenario changes."""
    facts, files = deepcopy(_base(base))
    for path, change in spec.get("files", {}).items():
        files[path] = _changed(files.get(path, b""), change, path)
    for key, value in spec.items():
        if key not in ("files", "owners", "written"):
            facts[key] = _merged(facts.get(key), value)
    present = {path: data for path, data in files.items() if isinstance(data, bytes)}
    found = _facts(facts, present, {**spec.get("owners", {})}, spec.get("written", {}))
    view = View(found, Site(found_role(facts)), registry.asset)
    return Look(
        view,
        tuple(_finding(each) for each in facts.get("findings", ())),
        {
            name: {key: str(value) for key, value in values.items()}
            for name, values in facts["values"].items()
        },
        tuple(_row(each) for each in facts.get("log", ())),
    )


def found_role(facts: Mapping[str, Any]) -> Role:
    return Role(facts["role"])


def _merged(old: Any, new: Any) -> Any:
    """Mappings key by key (null takes a key out); everything else is replaced."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    merged = {key: _merged(old.get(key), new[key]) if key in new else old[key] for key in {**old, **new}}
    return {key: value for key, value in merged.items() if value is not None}


def _changed(data: bytes | None, change: Any, path: str) -> Any:
    """A text is the whole file, null no file, a mapping replaces texts (each must be there once)."""
    if not isinstance(change, dict):
        return change if change is None else change.encode()
    text = (data or b"").decode()
    for old, new in change.items():
        assert text.count(old) == 1, f"{path} has {old!r} {text.count(old)} times"
        text = text.replace(old, new)
    return text.encode()


def _facts(
    given: Mapping[str, Any],
    files: Mapping[str, bytes],
    owners: Mapping[str, str],
    written: Mapping[str, float],
) -> Facts:
    role = found_role(given)
    managed = {path for step in registry.steps_of(role) for path in step.paths(role)}
    facts = {
        path: _file(path, data, owners.get(path) or _usual_owner(path), written.get(path, 0))
        for path, data in files.items()
    }
    programs = {path: _program(path, text) for path, text in given.get("programs", {}).items()}
    programs |= {
        path: ProgramFact(path, "file", fact.owner, {}, fact.content)
        for path, fact in facts.items()
        if path not in programs
    }
    version = tuple(map(int, given["version"].split(".")))
    drivers = tuple(given.get("drivers", ()))
    nut = Nut(version, "dpkg", given["packages"], True, True, given["upssched"], drivers)
    options = {name: frozenset(names) for name, names in given.get("driver_options", {}).items()}
    return Facts(
        door=Door.LIVE,
        kind=Kind(given["kind"]),
        system=given["system"],
        nut=nut,
        files={path: facts.get(path, FileFact(path, actual=path)) for path in {*managed, *facts}},
        units={name: _unit(name, text) for name, text in given["units"].items()},
        addresses=Lazy.of(tuple(map(_address, given["addresses"]))),
        listeners=Lazy.of(tuple(map(_listener, given.get("listeners", ())))),
        daemons=Lazy.of(tuple(_daemon(n, text) for n, text in enumerate(given.get("daemons", ()), 100))),
        booted=Lazy.of(float(given.get("booted", STARTED - 100))),
        usb=Lazy.of(tuple(map(_usb, given.get("usb", ())))),
        driver_options=lambda name: DriverOptions(name in options, options.get(name, frozenset())),
        guests=Lazy.of(tuple(map(_guest, given.get("guests", ())))),
        neighbours=Lazy.of(tuple[Neighbour, ...]()),
        firewall=Lazy.of(given.get("firewall", "")),
        read=lambda path: facts.get(path, FileFact(path, actual=path)),
        program=lambda path: programs.get(path, ProgramFact(path, "missing")),
    )


def _usual_owner(path: str) -> str:
    return next((owner for start, owner in _OWNERS.items() if path.startswith(start)), "root:root 0644")


def owner(text: str) -> Owner:
    """`user:group mode`."""
    who, mode = text.split()
    user, group = who.split(":")
    return Owner(user, group, int(mode, 8))


def _file(path: str, data: bytes, who: str, written: float) -> FileFact:
    if who == UNREADABLE:
        return FileFact(path, UNREADABLE, path)
    return FileFact(path, "file", path, FileText(path, data), owner(who), WRITTEN + written)


def _program(path: str, text: str) -> ProgramFact:
    """`[kind] user:group mode`, or a kind alone such as missing."""
    words = text.split()
    kind = words.pop(0) if len(words) != 2 else "file"
    return ProgramFact(path, kind, owner(" ".join(words)) if words else None)


def _unit(name: str, text: str) -> UnitFact:
    """`ACTIVE [ENABLED]`, or masked, not-found."""
    active, _, enabled = text.partition(" ")
    if active in ("masked", "not-found"):
        return UnitFact(name, active)
    return UnitFact(name, "loaded", active, enabled, STARTED if active == "active" else None)


def _address(text: str) -> Address:
    interface, address, *more = text.split()
    number, _, prefix = address.partition("/")
    return Address(interface, number, int(prefix), "bridge" in more)


def _listener(text: str) -> Listener:
    address, port, process = text.split()
    return Listener(address, int(port), process)


def _daemon(pid: int, text: str) -> Daemon:
    name, user = text.split()
    return Daemon(name, pid, user)


def _usb(text: str) -> UsbUps:
    """`VENDOR:PRODUCT [SERIAL] [user:group mode]`."""
    ids, *rest = text.split()
    vendor, product = ids.split(":")
    node = owner(" ".join(rest[-2:])) if len(rest) >= 2 else None
    serial = rest[0] if len(rest) in (1, 3) else ""
    return UsbUps(vendor, product, serial=serial, node=node)


def _guest(spec: Mapping[str, Any]) -> Guest:
    known: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in spec.items()}
    return Guest(**{**known, "kind": Kind(spec.get("kind", "vm"))})


def _finding(spec: Mapping[str, Any]) -> Finding:
    """`link`, `state`, and if wanted `evidence`, `cause`, `subject`, `target` (a class of core.links)."""
    targets: dict[str, links.Target] = {
        "Login": links.Login(_SERVER, "apc", "upsmon", Secret("x")),
        "Reachable": links.Reachable(_SERVER, "apc"),
        "DriverData": links.DriverData(_SERVER, "apc"),
        "Listens": links.Listens(_SERVER),
        "LoggedIn": links.LoggedIn(_SERVER, "apc"),
        "LetIn": links.LetIn(_SERVER, "apc", "192.168.1.10"),
    }
    target = targets[spec.get("target", "Listens")]
    link = Link(LinkId(spec["link"]), spec.get("subject", "it"), target, spec.get("step", "monitor"))
    return Finding(link, State(spec["state"]), spec.get("evidence", ""), spec.get("cause", ""))


def _row(spec: Mapping[str, Any]) -> Row:
    """`kind`, and if wanted `first`, `last`, `count`, `ups`."""
    first = float(spec.get("first", STARTED))
    return Row(
        LogKind(spec["kind"]), first, float(spec.get("last", first)), spec.get("count", 1),
        spec.get("ups", "apc"), "", "", "", "",
    )  # fmt: skip
