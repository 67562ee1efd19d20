"""The side of a session that switches the firewall's rule."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from nutwizard.core.answers import Origin, Proposed
from nutwizard.core.errors import AnswersError, UsageError
from nutwizard.core.facts import Role

if TYPE_CHECKING:
    from nutwizard.core.plan import Plan
    from nutwizard.engine.outcome import Outcome
    from nutwizard.engine.session import Session

_STEP = "firewall"


class Switches:
    """The rule that lets the clients in is switched by a small change of its own."""

    role: Role
    _shown: tuple[bool, Session] | None = None

    def proposals(self, step: str, given: Mapping[str, Any] | None = None) -> Mapping[str, Proposed]:
        """As `Session.proposals`."""
        raise NotImplementedError

    def beside(self, only: Collection[str]) -> Session:
        """As `Session.beside`."""
        raise NotImplementedError

    def renew(self) -> None:
        """As `Session.renew`."""
        raise NotImplementedError

    def rule_state(self) -> str:
        """The rule as the files have it: "on", "off", or "" where there is none."""
        return _state(self.beside((_STEP,))) if self.role is Role.HOST else ""

    def switch_look(self) -> tuple[str, Plan | None]:
        """The same, and what switching it would change; None where there is no rule. Raises as `switcher`."""
        if self.role is not Role.HOST:
            return "", None
        found = self.beside((_STEP,))
        state = _state(found)
        if not state:
            return "", None
        on = state == "off"
        self._shown = on, _answered(found, on)
        return state, found.plan()

    def switcher(self, on: bool) -> Session:
        """A session that is to switch the rule, and the saved answer with it where there is one.

        Raises UsageError where there is no rule, AnswersError when the files cannot be edited.
        """
        found = self.beside((_STEP,))
        if not _state(found):
            raise UsageError(
                "There is no rule for NUT in Proxmox VE's firewall files yet.",
                "Prepare it: nutwizard step firewall",
            )
        return _answered(found, on)

    def switch(self, on: bool, report: Callable[[str], None]) -> Outcome:
        """Switch the rule, as it was shown last, and look at the machine again.

        Raises as `switcher` and `Session.apply`; Failed where another hand was in the files meanwhile.
        """
        shown, self._shown = self._shown, None
        session = shown[1] if shown is not None and shown[0] == on else self.switcher(on)
        outcome = session.apply(report)
        self.renew()
        return outcome


def _state(session: Session) -> str:
    found = session.proposals(_STEP)
    if found["rules"].origin is not Origin.CURRENT:
        return ""
    return "on" if found["enabled"].origin is Origin.YOURS else "off"


def _answered(session: Session, on: bool) -> Session:
    if problems := session.answer(_STEP, {"enabled": on}):
        raise AnswersError(problems)
    session.called = f"firewall {'enable' if on else 'disable'}"
    return session
