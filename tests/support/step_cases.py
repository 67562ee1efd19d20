"""Step cases: folders that describe a machine, what is answered, and what must come of it.

`tests/cases/steps/README.md` says what may stand in a folder.
"""

from __future__ import annotations

import dataclasses
import difflib
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from nutwizard.core import paths
from nutwizard.core.answers import AnswersSet, Given, Origin
from nutwizard.core.facts import (
    Address,
    Door,
    DriverOptions,
    Facts,
    FileFact,
    Kind,
    Lazy,
    Nut,
    Owner,
    Role,
    Served,
    UnitFact,
    UsbUps,
)
from nutwizard.core.guests import Guest
from nutwizard.core.plan import Act, ActKind, FileChange, Plan
from nutwizard.core.secret import Secret
from nutwizard.core.text import FileText
from nutwizard.core.units import ALL_DRIVERS, ENUMERATOR, ENUMERATOR_PATH, MONITOR, SERVER, driver_unit
from nutwizard.core.upssched import Timer
from nutwizard.core.upsschedcmd import script_text
from nutwizard.engine import registry
from nutwizard.engine.answers_file import read_answers
from nutwizard.engine.planner import Planner, Walk
from nutwizard.formats.sections import SectionFile
from tests.lab.startpoints import CLIENT_FILES, HOST_FILES, standalone_files
from tests.support.programs import programs_of

Stock = Callable[[str], Mapping[str, bytes]]

FOLDER = Path(__file__).parents[1] / "cases" / "steps"
DRIVERS = (
    "apcsmart",
    "blazer_ser",
    "blazer_usb",
    "clone",
    "dummy-ups",
    "mge-shut",
    "nutdrv_qx",
    "usbhid-ups",
)
#: Seconds since the epoch: files last written, units started, our writing, the units' start behind it.
WRITTEN, STARTED, APPLIED, RESTARTED = 1000.0, 2000.0, 5000.0, 6000.0
DRAWN = "Drawn-for-this-test_0123"
#: Proxmox VE's firewall files; those of a node lie below its name.
CLUSTER = {name.rsplit("/", 1)[1]: name for name in (paths.CLUSTER_FW, paths.HOST_FW)}
NODE = f"{paths.PVE}/nodes/pve"


@dataclass(frozen=True)
class Case:
    """One folder. Its parent's name is the step that is planned; `whole` and `services` plan every step."""

    folder: Path

    @property
    def name(self) -> str:
        return "/".join(self.folder.parts[-2:])

    @cached_property
    def spec(self) -> dict[str, Any]:
        """facts.yaml."""
        found: dict[str, Any] = yaml.safe_load((self.folder / "facts.yaml").read_text(encoding="utf-8"))
        return found

    @cached_property
    def expected(self) -> dict[str, Any]:
        """expected.yaml; nothing changes but what it names."""
        path = self.folder / "expected.yaml"
        return (yaml.safe_load(path.read_text(encoding="utf-8")) or {}) if path.exists() else {}

    @property
    def role(self) -> Role:
        return Role(self.spec["role"])

    @property
    def only(self) -> str:
        """The one step that edits; "" for all."""
        return "" if self.folder.parent.name in ("whole", "services") else self.folder.parent.name

    def literal(self, folder: str) -> dict[str, bytes]:
        """The files of `before` or `after`, by path on the machine."""
        top = self.folder / folder
        found = [path for path in sorted(top.rglob("*")) if path.is_file()]
        return {full(str(path.relative_to(top))): path.read_bytes() for path in found}

    def sources(self, work: Path) -> list[AnswersSet]:
        """What is given: answers.yaml, as typed where steps run alone, and what was saved earlier.

        Copied first, since a checkout's files have the modes of whoever made it. Raises AnswersError.
        """
        for path in self.folder.iterdir():
            if path.is_file():
                shutil.copyfile(path, work / path.name)
                (work / path.name).chmod(0o600)
        steps = {role: registry.steps_of(role) for role in Role}
        named = Origin.TYPED if "alone" in self.spec else Origin.NAMED
        files = (("answers.yaml", named), ("saved.yaml", Origin.SAVED))
        return [read_answers(str(work / name), steps, to) for name, to in files if (work / name).exists()]


def cases() -> list[Case]:
    """Every folder with a facts.yaml."""
    return [Case(path.parent) for path in sorted(FOLDER.glob("*/*/facts.yaml"))]


def full(name: str) -> str:
    """The path that a short name of a case stands for."""
    if name.startswith("/"):
        return name
    if name in CLUSTER:
        return CLUSTER[name]
    if name.startswith(("clients/", "clients.list", "outside.list")):
        return f"{paths.OWN}/{name}"
    if name.startswith("upssched-cmd"):
        return f"{paths.UPSSCHED_CMD}{name.removeprefix('upssched-cmd')}"
    return f"{paths.NUT}/{name}"


def short(path: str) -> str:
    return path.removeprefix(f"{paths.OWN}/") if of_clients(path) else path.rsplit("/", 1)[1]


def of_clients(path: str) -> bool:
    """Whether the step `clients` alone writes this file."""
    return path.startswith((f"{paths.CLIENTS}/", paths.CLIENTS_LIST))


def facts_of(case: Case, stock: Stock) -> Facts:
    """The machine of a case."""
    spec = case.spec
    contents = _contents(case, stock)
    managed = {path for step in registry.steps_of(case.role) for path in step.paths(case.role)}
    version = tuple(map(int, str(spec["nut"]).split(".")))
    options = {
        driver: DriverOptions(True, frozenset(names)) for driver, names in spec.get("options", {}).items()
    }
    ups_names = SectionFile.parse(contents.get(paths.UPS_CONF, b"")).names()
    return Facts(
        door=Door.LIVE if "units" in spec else Door.OFFLINE,
        kind=Kind.PVE if case.role is Role.HOST else Kind.VM,
        nut=Nut(version, "dpkg", {}, True, True, spec.get("upssched", "/usr/sbin/upssched"), DRIVERS),
        files={
            path: _file(path, contents.get(path), spec)
            for path in {*_looked_at(managed), *filter(of_clients, contents)}
        },
        units=_units(case.role, version, ups_names, spec["units"] or {}) if "units" in spec else {},
        touched=frozenset(map(full, spec.get("touched", ()))),
        addresses=Lazy.of(tuple(Address(**address) for address in spec.get("addresses", ()))),
        usb=Lazy.of(tuple(UsbUps(**device) for device in spec.get("usb", ()))),
        driver_options=lambda driver: options.get(driver, DriverOptions(False)),
        guests=Lazy.of(tuple(_guest(guest) for guest in spec.get("guests", ()))),
        firewall=Lazy.of(spec.get("firewall", "")),
        server=lambda address, port: _served(spec),
        program=programs_of(spec.get("programs", {})),
    )  # fmt: skip


def _guest(told: Mapping[str, Any]) -> Guest:
    kind = Kind(told.get("kind", "vm"))
    return Guest(
        told["id"], kind, told.get("name", ""), told.get("bridge", ""), tuple(told.get("addresses", ()))
    )


def _served(spec: Mapping[str, Any]) -> Served | None:
    """What upsd tells, where the case says that it runs: who is logged in."""
    told = spec.get("logged_in")
    return None if told is None else Served({"apc": ""}, {}, {"apc": tuple(told)})


def _looked_at(managed: Collection[str]) -> list[str]:
    """The paths that a run looks at: those that steps name, our own, and the copies beside NUT's."""
    own = (paths.SAVED_ANSWERS, paths.CLIENT_PASSWORD, paths.MONITOR_PASSWORD)
    nut = [path for path in managed if path.startswith(paths.NUT)]
    return [*managed, *own, *(path + ending for path in nut for ending in paths.COPIES)]


def _contents(case: Case, stock: Stock) -> dict[str, bytes]:
    base, version = case.spec.get("base", ""), str(case.spec["nut"])
    files: Mapping[str, bytes] = {}
    if base == "stock":
        names = HOST_FILES if case.role is Role.HOST else CLIENT_FILES
        files = {name: stock(version)[name] for name in names}
    elif base == "standalone":
        files = standalone_files(stock(version))
    elif base:
        files = Case(FOLDER / base).literal("before")
    found = {full(name): data for name, data in files.items()} | case.literal("before")
    if case.only == "driver" and paths.NUT_CONF not in case.literal("before"):
        found[paths.NUT_CONF] = b"MODE=netserver\n"
    if "script" in case.spec:
        found[paths.UPSSCHED_CMD] = script_of(case.spec["script"])
    for name, lines in case.spec.get("appended", {}).items():
        found[full(name)] = found.get(full(name), b"") + lines.encode()
    return found


def script_of(told: Mapping[str, Any]) -> bytes:
    """The script as this version writes it, with this `wall` and these `timers`."""
    timers = [Timer(**{"cancel": None, **row}) for row in told.get("timers", ())]
    template = registry.asset("upssched-cmd.sh")
    return script_text(template, told.get("system", "apc@localhost"), told.get("wall", False), timers)


def _file(path: str, data: bytes | None, spec: Mapping[str, Any]) -> FileFact:
    told = spec.get("files", {}).get(short(path), {})
    actual = path.replace(f"{paths.PVE}/local", NODE)
    if data is None:
        return FileFact(path, told.get("kind", "missing"), actual)
    usual = "root:root 0755" if path == paths.UPSSCHED_CMD else "root:nut 0640"
    usual = "root:root 0600" if of_clients(path) else usual
    usual = "root:root 0644" if path == paths.OUTSIDE else usual
    usual = "root:www-data 0640" if path in CLUSTER.values() else usual
    owner = owner_of(told.get("owner", usual))
    return FileFact(path, "file", actual, FileText(path, data), owner, told.get("changed", WRITTEN))


def owner_of(text: str) -> Owner:
    """`user:group 0640`."""
    names, mode = text.split()
    user, group = names.split(":")
    return Owner(user, group, int(mode, 8))


def _units(
    role: Role, version: tuple[int, ...], ups: Sequence[str], told: Mapping[str, Any]
) -> dict[str, UnitFact]:
    """Debian's units of this version, all enabled and running since after the files were written."""
    drivers = (ALL_DRIVERS,) if version < (2, 8) else (*map(driver_unit, ups), ENUMERATOR, ENUMERATOR_PATH)
    names = (MONITOR,) if role is Role.CLIENT else (*drivers, SERVER, MONITOR)
    units = {name: UnitFact(name, "loaded", "active", "enabled", STARTED) for name in names}
    for name, changes in told.items():
        units[name] = dataclasses.replace(units.get(name, UnitFact(name)), **changes)
    return units


def walk(case: Case, facts: Facts, sources: Sequence[AnswersSet]) -> Walk:
    """Plan the case. Steps behind the one that edits are not asked."""
    steps = registry.steps_of(case.role)
    names = [step.name for step in steps]
    alone: Sequence[str] = case.spec.get("alone", ())
    if case.only and not alone:
        steps = steps[: names.index(case.only) + 1]
    planner = Planner(steps, facts, case.role, registry.asset)
    if not alone:
        return planner.walk(sources, edited=[case.only] if case.only else None)
    given = [source for source in sources if not _typed(source)]
    before, after = planner.walk(given, edited=()), planner.walk(sources, edited=())
    return planner.walk(sources, edited=planner.affected(alone, before, after))


def _typed(source: AnswersSet) -> bool:
    return any(
        given.origin is Origin.TYPED for section in source.sections.values() for given in section.values()
    )


def drawn(found: Walk, *origins: Origin) -> AnswersSet:
    """The passwords that an apply draws, typed: those that are pending, and come from these origins."""
    sections = {
        step: {
            name: Given(Secret(DRAWN, value.value.file), Origin.TYPED)
            for name, value in decided.items()
            if isinstance(value.value, Secret) and value.value.pending and value.origin in origins
        }
        for step, decided in found.decided.items()
    }
    return AnswersSet(found.role, "", sections)


def applied(facts: Facts, plan: Plan) -> Facts:
    """The machine after the plan: files written, acts done."""
    files = dict(facts.files)
    for change in plan.files:
        content = change.after
        files[change.path] = (
            FileFact(change.path, "file", change.actual, content, change.owner_after, APPLIED)
            if content is not None
            else FileFact(change.path, actual=change.path)
        )
    units = dict(facts.units)
    for act in plan.acts:
        units[act.unit] = _acted(units.get(act.unit, UnitFact(act.unit)), act)
    touched = facts.touched | {change.path for change in plan.files}
    return dataclasses.replace(facts, files=files, units=units, touched=touched)


def _acted(unit: UnitFact, act: Act) -> UnitFact:
    if act.kind in (ActKind.ENABLE, ActKind.DISABLE):
        return dataclasses.replace(unit, load="loaded", enabled=f"{act.kind.value}d")
    runs = act.kind in (ActKind.START, ActKind.RESTART, ActKind.RELEASE)
    since = RESTARTED if runs else None
    return dataclasses.replace(unit, load="loaded", active="active" if runs else "inactive", since=since)


def text_lines(data: bytes) -> list[str]:
    """The lines, without their ends; an empty file has none."""
    return data.decode().removesuffix("\n").split("\n") if data else []


def changed_lines(change: FileChange) -> list[str]:
    """Lines taken out (-) and put in (+), in order."""
    before, after = (text_lines(side.data) if side else [] for side in (change.before, change.after))
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    found = []
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag != "equal":
            found += [f"-{line}" for line in before[i1:i2]] + [f"+{line}" for line in after[j1:j2]]
    return found


def step_names() -> set[str]:
    """Every step of either role."""
    return {step.name for step in registry.all_steps()}
