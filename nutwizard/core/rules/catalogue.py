"""Every rule, by its number."""

from __future__ import annotations

from nutwizard.core.rules import access, battery, devices, driving, ending, events, form, services, serving
from nutwizard.core.rules.rule import Rule

#: The modules that hold rules.
_MODULES = (access, battery, devices, driving, ending, events, form, services, serving)


def all_rules() -> tuple[Rule, ...]:
    """Every rule, by its number."""
    return tuple(sorted((rule for module in _MODULES for rule in module.RULES), key=lambda rule: rule.id))
