"""One line of Proxmox VE's firewall files: an alias, an entry of a set, a rule. As pve-firewall reads it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nutwizard.formats.pvelines import NAME
from nutwizard.formats.pvewords import LOG_LEVELS

#: What a rule may do; `MACRO(ACTION)` does it for the ports of a known service.
ACTIONS = ("ACCEPT", "DROP", "REJECT")
_TYPES = ("IN", "OUT", "FORWARD", "GROUP")
_MACRO = re.compile(r"([A-Za-z][A-Za-z0-9]*)\((ACCEPT|DROP|REJECT)\)")
#: One blank stands before the value, and -i and -p have one dash.
_OPTION = re.compile(r"-(i|p|-?(?:source|dest|proto|dport|sport|log|icmp-type)) (\S+)\s*")
_INTERFACE = re.compile(r"[a-zA-Z][a-zA-Z0-9_]{1,20}([:.]\d+)?", re.ASCII)
_PORT = re.compile(r"\d{1,5}(:\d{1,5})?|[A-Za-z][A-Za-z0-9_.-]*", re.ASCII)
_MOST_PORTS = 15


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule. `type`: IN, OUT, FORWARD or GROUP; `action`: ACCEPT, DROP, REJECT, or the group's name.

    The others are as written, "" where the rule does not say. `macro`: the service that brings its own ports.
    """

    enabled: bool
    type: str
    action: str
    macro: str = ""
    interface: str = ""
    source: str = ""
    dest: str = ""
    proto: str = ""
    dport: str = ""
    sport: str = ""
    log: str = ""
    comment: str = ""

    def __str__(self) -> str:
        """The line as Proxmox VE writes it."""
        words = [f"{'' if self.enabled else '|'}{self.type}"]
        words.append(f"{self.macro}({self.action})" if self.macro else self.action)
        options = (
            ("-i", self.interface),
            ("-source", self.source),
            ("-dest", self.dest),
            ("-p", self.proto),
            ("-dport", self.dport),
            ("-sport", self.sport),
            ("-log", self.log),
        )
        words += [f"{name} {value}" for name, value in options if value]
        return " ".join(words) + (f" # {self.comment}" if self.comment else "")


def read_alias(text: str) -> tuple[str, str] | None:
    """(name, address or network) of a line of [ALIASES]; exactly one blank or tab stands between them."""
    found = re.fullmatch(r"(\S+)\s(\S+)", _code(text))
    return (found[1], found[2]) if found else None


def read_entry(text: str) -> tuple[bool, str]:
    """(nomatch, address, network or alias) of a line of a set. The text may be anything."""
    found = re.fullmatch(r"(!?)\s*(\S+)", _code(text))
    return (bool(found[1]), found[2]) if found else (False, _code(text))


def read_rule(text: str) -> Rule:
    """A line of [RULES] or of a group. Raises ValueError when pve-firewall refuses the line."""
    code, _, comment = text.partition("#")
    enabled = not code.startswith("|")
    head = re.match(r"(\S+)\s+(\S+)\s*", code.removeprefix("|"))
    if head is None:
        raise ValueError("it is no rule: TYPE ACTION stand first, and a | right before them")
    kind, action, rest = head[1].upper(), head[2], code.removeprefix("|")[head.end() :]
    if kind not in _TYPES:
        raise ValueError(f"{_few(head[1])} is none of {', '.join(_TYPES)}")
    options, rest = _options(rest)
    if rest:
        raise ValueError(f"it cannot be read from here on: {_few(rest)}")
    if kind == "GROUP" and set(options) - {"i"}:
        raise ValueError("a line of a group takes -i alone")
    macro = _MACRO.fullmatch(action)
    if kind != "GROUP" and action not in ACTIONS and macro is None:
        raise ValueError(f"{_few(action)} is none of {', '.join(ACTIONS)}")
    rule = Rule(
        enabled,
        kind,
        macro[2] if macro and kind != "GROUP" else action,
        macro[1] if macro and kind != "GROUP" else "",
        options.get("i", ""),
        options.get("source", ""),
        options.get("dest", ""),
        options.get("p", options.get("proto", "")),
        options.get("dport", ""),
        options.get("sport", ""),
        options.get("log", ""),
        comment.strip(),
    )
    _check(rule)
    return rule


def is_name(word: str) -> bool:
    """Whether a word is the name of an alias, maybe with its scope, and not an address."""
    return NAME.fullmatch(word.removeprefix("dc/").removeprefix("guest/")) is not None


def _options(rest: str) -> tuple[dict[str, str], str]:
    """The options by name, and what is left behind the last that can be read."""
    found: dict[str, str] = {}
    while option := _OPTION.match(rest):
        found[option[1].removeprefix("-")] = option[2]
        rest = rest[option.end() :]
    return found, rest


def _check(rule: Rule) -> None:
    if rule.interface and not _INTERFACE.fullmatch(rule.interface):
        raise ValueError(f"{_few(rule.interface)} is no name of an interface")
    if rule.log and rule.log not in LOG_LEVELS:
        raise ValueError(f"{_few(rule.log)} is no log level")
    for ports in (rule.dport, rule.sport):
        words = ports.split(",") if ports else []
        if len(words) > _MOST_PORTS or not all(map(_PORT.fullmatch, words)):
            raise ValueError(f"{_few(ports)} is no port")
        if words and not rule.proto and not rule.macro:
            raise ValueError("a port needs a protocol: -p tcp")


def _code(text: str) -> str:
    """The line without its comment and the blanks before it."""
    return text.partition("#")[0].rstrip()


def _few(text: str) -> str:
    return text.strip()[:60]
