"""A session over data in memory, for the dialogue's tests: three steps of a host."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from nutwizard.core import paths
from nutwizard.core.answers import Origin, Proposed
from nutwizard.core.budget.reckon import reckon
from nutwizard.core.budget.result import Advice, Budget
from nutwizard.core.errors import Exit, Problem
from nutwizard.core.facts import Address, Door, Facts, Kind, Lazy, Owner, Role
from nutwizard.core.fields import Choice, Field, FieldKind, Spec
from nutwizard.core.links import Finding, Link, LinkId, Listens, Server, State
from nutwizard.core.page import Page
from nutwizard.core.plan import Act, ActKind, FileChange, Plan
from nutwizard.core.rehearsal.moments import Moment
from nutwizard.core.rehearsal.scenario import Scenario
from nutwizard.core.secret import Secret
from nutwizard.core.site import Client
from nutwizard.core.text import FileText
from nutwizard.engine.doctor import Examination
from nutwizard.engine.outcome import Outcome
from nutwizard.engine.rehearsal.ready import Prepared, Readiness
from nutwizard.engine.rehearsal.run import Rehearsed
from tests.support.budget_cases import machine

ROOT = Owner("root", "root", 0o640)
NUT = Owner("root", "nut", 0o640)
#: A password that may never be seen.
CANARY = "c4n4ry-Xq7"
OLD = b'[apc]\n    driver = usbhid-ups\n    port = auto\n    desc = "APC Back-UPS ES 700"\n'


def not_empty(value: str) -> str | None:
    return None if value else "it is empty"


FIELDS = {
    "driver": (
        Field("ups", Spec(FieldKind.TEXT, "UPS name", check=not_empty)),
        Field(
            "driver",
            Spec(FieldKind.CHOICE, "driver", choices=(Choice("usbhid-ups", "USB"), Choice("dummy-ups"))),
        ),
        Field("offdelay", Spec(FieldKind.INTEGER, "offdelay", unit="s", low=0, high=600, optional=True)),
        Field("ondelay", Spec(FieldKind.INTEGER, "ondelay", unit="s", low=0, high=600)),
    ),
    "listen": (Field("addresses", Spec(FieldKind.TEXTS, "addresses")),),
    "client_user": (
        Field("name", Spec(FieldKind.TEXT, "user name", check=not_empty)),
        Field("password", Spec(FieldKind.SECRET, "password", check=not_empty)),
        Field(
            "events",
            Spec(FieldKind.CHOICES, "events", choices=tuple(map(Choice, ("ONLINE", "ONBATT", "LOWBATT")))),
        ),
        Field("wall", Spec(FieldKind.BOOLEAN, "wall")),
    ),
}
PROPOSALS: dict[str, dict[str, Proposed]] = {
    "driver": {
        "ups": Proposed("apc", Origin.CURRENT, "from ups.conf"),
        "driver": Proposed("usbhid-ups", Origin.CURRENT, "from ups.conf"),
        "offdelay": Proposed(60, Origin.GUIDE),
        "ondelay": Proposed(70, Origin.GUIDE),
    },
    "listen": {"addresses": Proposed(("192.168.1.107", "127.0.0.1"), Origin.DETECTED, "address of vmbr0")},
    "client_user": {
        "name": Proposed("upsmonclient", Origin.GUIDE),
        "password": Proposed(Secret(None, paths.CLIENT_PASSWORD), Origin.GENERATED),
        "events": Proposed(("ONLINE", "ONBATT", "LOWBATT"), Origin.GUIDE),
        "wall": Proposed(False, Origin.GUIDE),
    },
    "monitor": {
        "server": Proposed("192.168.1.107", Origin.CURRENT),
        "port": Proposed(3493, Origin.CURRENT),
        "ups": Proposed("apc", Origin.CURRENT),
        "user": Proposed("upsmonclient", Origin.CURRENT),
        "password": Proposed(Secret(CANARY, paths.CLIENT_PASSWORD), Origin.CURRENT),
    },
}
PAGES = {
    "driver": Page(
        "When the battery is low, NUT shuts the host down and then tells the UPS to *cut* the **power**.\n\n"
        "- `offdelay`: how long the UPS waits before it does\n"
        "- `ondelay`: how long until it gives power again",
        {"ondelay": "It must be **greater** than `offdelay`."},
    ),
}


@dataclass(frozen=True)
class FakeOutcome(Outcome):
    id: int = 7


def finding(state: State, subject: str, **words: Any) -> Finding:
    return Finding(Link(LinkId.UPSD, subject, Listens(Server("127.0.0.1", 3493)), "listen"), state, **words)


@dataclass
class FakeSession:
    """Answers are kept; `plan` follows them; `apply` remembers that it was called."""

    practice: bool = False
    answers_path: str = paths.SAVED_ANSWERS
    host: Any = None
    door: Door = Door.LIVE
    settled: bool = False
    first: bool = False
    place: str = ""
    resumed: int = 0
    role: Role = Role.HOST
    named_clients: tuple[Client, ...] = ()
    steps: tuple[str, ...] = ("driver", "listen", "client_user")
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    previews: dict[str, dict[str, FileChange]] = field(default_factory=dict)
    applied: int = 0
    refusals: int = 0
    plan_error: Exception | None = None
    outages: list[str] = field(default_factory=list)
    ready: Readiness = field(default_factory=lambda: Readiness("dummy-ups is missing"))
    outcome: FakeOutcome = field(
        default_factory=lambda: FakeOutcome(
            Exit.DONE,
            "Everything is in place.",
            (
                finding(State.PROVEN, "upsd answers", evidence="VER answered", values={"ups.status": "OL"}),
                finding(
                    State.BROKEN,
                    "clients log in",
                    evidence="timed out",
                    cause="a firewall",
                    fix="open port 3493",
                ),
            ),
        )
    )

    @property
    def facts(self) -> Facts:
        addresses = (
            Address("lo", "127.0.0.1"),
            Address("eth1", "10.0.0.2", 24),
            Address("vmbr0", "192.168.1.107", 24, True),
        )
        return Facts(self.door, Kind.PVE, hostname="pve", pve="8.4", addresses=Lazy.of(addresses))

    def title(self, step: str) -> str:
        return {"driver": "UPS driver", "listen": "Listen address", "client_user": "Client user"}[step]

    def page(self, step: str) -> Page:
        return PAGES.get(step, Page("A page.", {}))

    def found(self) -> list[tuple[str, str, str]]:
        return [("NUT", "2.8.0", "dpkg"), ("UPS", "apc, usbhid-ups", "ups.conf")]

    def state(self, step: str) -> str:
        return "in place" if self.settled else "to do"

    def fields(self, step: str) -> tuple[Field, ...]:
        return FIELDS[step]

    def hints(self, step: str, given: Mapping[str, Any] | None = None) -> Mapping[str, tuple[Choice, ...]]:
        every = (Choice("0.0.0.0", "as the guide does"), Choice("192.168.1.107", "vmbr0"))
        return {"addresses": every} if step == "listen" else {}

    def proposals(self, step: str, given: Mapping[str, Any] | None = None) -> Mapping[str, Proposed]:
        typed = {**self.answers.get(step, {}), **(given or {})}
        return {**PROPOSALS[step], **{name: Proposed(value, Origin.TYPED) for name, value in typed.items()}}

    def preview(self, step: str, given: Mapping[str, Any]) -> Mapping[str, FileChange]:
        return self.previews.get(step, {})

    def answer(self, step: str, values: Mapping[str, Any]) -> tuple[Problem, ...]:
        off, on = values.get("offdelay"), values.get("ondelay")
        if off is not None and on is not None and on <= off:
            self.refusals += 1
            return (Problem(f"must be greater than offdelay ({off})", "driver.ondelay"),)
        self.answers[step] = dict(values)
        return ()

    def clients(self) -> tuple[Client, ...]:
        return self.named_clients

    def stay(self, place: str) -> None:
        self.place = place

    def start_over(self) -> None:
        self.answers, self.resumed = {}, 0

    def narrow(self, steps: Collection[str]) -> None:
        self.narrowed = tuple(steps)

    def step_notes(self, step: str) -> tuple[str, ...]:
        return ()

    def step_notice(self, step: str) -> str:
        return ""

    def by_hand(self, step: str) -> str:
        return ""

    def rule_state(self) -> str:
        return ""

    def switch_look(self) -> tuple[str, Plan | None]:
        return "", None

    def switch(self, on: bool, report: Callable[[str], None]) -> Outcome:
        raise NotImplementedError

    def step_changes(self, step: str) -> list[FileChange]:
        return list(self.plan().files) if step == "driver" else []

    def plan(self) -> Plan:
        if self.plan_error is not None:
            raise self.plan_error
        if self.settled:
            return Plan(self.role)
        off = self.answers.get("driver", {}).get("offdelay", 60)
        after = FileText(paths.UPS_CONF, OLD + f"    offdelay = {off}\n".encode())
        before = FileText(paths.UPS_CONF, OLD)
        copy = paths.UPS_CONF + ".orig"
        saved = FileText(paths.SAVED_ANSWERS, b"nutwizard: 1\n")
        return Plan(
            self.role,
            (
                FileChange(copy, copy, None, before, None, ROOT, ("driver",), copy_of=paths.UPS_CONF),
                FileChange(
                    paths.UPS_CONF,
                    paths.UPS_CONF,
                    before,
                    after,
                    ROOT,
                    NUT,
                    ("driver",),
                    ("nut cannot read it",),
                ),
                FileChange(paths.SAVED_ANSWERS, paths.SAVED_ANSWERS, None, saved, None, ROOT),
            ),
            (Act(ActKind.RESTART, "nut-server", "its configuration changes"),),
            ("The first start takes 20 s.",),
        )

    def budget(self) -> Budget:
        return reckon(machine({"guests": [{"id": 100}]}))

    def take(self, advice: Advice) -> tuple[Problem, ...]:
        return self.answer(advice.step, advice.values)

    def outage(self) -> str:
        return self.outages.pop(0) if self.outages else ""

    def apply(self, report: Callable[[str], None]) -> FakeOutcome:
        self.applied += 1
        report("restart nut-server")
        return self.outcome

    def readiness(self) -> Readiness:
        return self.ready

    def rehearse(
        self,
        scenario: Scenario,
        *,
        begins: Callable[[Prepared], None],
        told: Callable[[Moment], None],
        left: Callable[[], bool] = lambda: False,
    ) -> Rehearsed:
        raise NotImplementedError

    def examine(self, told: Callable[[Finding], None] | None = None) -> Examination:
        return Examination(self.outcome.findings, (), None, (), Facts(self.door, Kind.PLAIN))
