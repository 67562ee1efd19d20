"""Whether a command ends in the machine's shutdown: its words, and the scripts that it names."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from nutwizard.core.enders import (
    ENDERS,
    HARMLESS,
    KNOWN,
    OPTION,
    RESERVED,
    SHELLS,
    SOURCES,
    STRINGS,
    WRAPPERS,
    Ends,
    ending,
)
from nutwizard.core.programs import UNKNOWN, ProgramFact
from nutwizard.core.shellparts import assignment, commands_of, name_of, without_here_documents
from nutwizard.formats.shellwords import ShellReader, Word

#: Where a service's shell looks for a program (systemd.exec(5)).
PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
#: Scripts that call scripts are followed so far, and so many in all.
_DEEPEST, _MOST = 3, 16
_FUNCTION = re.compile(r"(?m)^[ \t]*(?:function[ \t]+)?([\w.-]+)[ \t]*\(\)")
_VARIABLE = re.compile(r'"?\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})"?')
#: In a script of another language than the shell's.
_CALLED = re.compile(
    r"^(?![ \t]*(?:#|//)).*\b(?:(?P<off>shutdown|poweroff|halt|power_?off)|reboot)\b", re.M | re.I
)


class Verdict(StrEnum):
    """What a command comes to."""

    OFF = "off"
    AGAIN = "again"
    NEVER = "never"
    UNSURE = "unsure"


@dataclass(frozen=True)
class Judged:
    """`wrong`: what keeps it from running, or lets others run what they like as root; `unsure`: what could
    not be looked into. Sentences name programs, never the words behind them.
    """

    verdict: Verdict
    wrong: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()


def judge(command: str, program: Callable[[str], ProgramFact], *, system: bool) -> Judged:
    """Judge a command that system(3) gives to sh as root.

    `system`: the machine runs, so that the system's own programs are to be there, too.
    """
    return _Judge(program, system).whole(command)


class _Judge:
    def __init__(self, program: Callable[[str], ProgramFact], system: bool) -> None:
        self._program, self._system = program, system
        self._wrong: dict[str, None] = {}
        self._unsure: dict[str, None] = {}
        self._values: dict[str, str] = {}
        self._read: set[str] = set()
        self._functions: set[str] = set()

    def whole(self, command: str) -> Judged:
        ends: set[Ends] = set()
        if ShellReader(command).unclosed is not None:
            self._wrong["a quote in it is opened and never closed: the shell refuses all of it"] = None
        else:
            self._text(command, 0, ends)
        if Ends.OFF in ends:
            verdict = Verdict.OFF
        elif Ends.AGAIN in ends:
            verdict = Verdict.AGAIN
        else:
            verdict = Verdict.UNSURE if self._unsure or self._wrong else Verdict.NEVER
        return Judged(verdict, tuple(self._wrong), tuple(self._unsure))

    def _text(self, text: str, depth: int, ends: set[Ends]) -> None:
        """Every command of a shell text. Which of them really run is not told apart."""
        if depth > _DEEPEST:
            self._unsure["it calls scripts from scripts too deeply to be followed"] = None
            return
        text = without_here_documents(text)
        self._functions.update(_FUNCTION.findall(text))
        for words in commands_of(ShellReader(text)):
            self._command(text, words, depth, ends)

    def _command(self, text: str, words: Sequence[Word], depth: int, ends: set[Ends]) -> None:
        rest = list(words)
        while rest:  # each turn drops a word
            value, name = rest[0].value, name_of(rest[0])
            if (found := assignment(rest[0])) is not None:
                self._values[found[0]] = found[1]
            elif name in WRAPPERS:
                rest = self._wrapped(rest, depth, ends)
                continue
            elif rest[0].computed:
                rest = self._computed(text, rest)
                if rest:
                    continue
                return
            elif value not in RESERVED:
                self._program_of(rest, depth, ends)
                return
            rest = rest[1:]

    def _wrapped(self, words: list[Word], depth: int, ends: set[Ends]) -> list[Word]:
        """The command behind a word that runs another command: behind options and what they take."""
        if name_of(words[0]) in STRINGS:
            for option, word in pairwise(words):
                if option.value == "-c":
                    self._text(word.value, depth + 1, ends)
                    return []
        rest = words[1:]
        while rest and OPTION.fullmatch(rest[0].value) and not rest[0].computed:
            rest = rest[1:]
        if not rest or name_of(rest[0]) in KNOWN:
            return rest
        # What an option takes, such as sudo's user, may still stand before the command.
        later = (at for at, word in enumerate(rest) if name_of(word) in ENDERS | SHELLS)
        return rest[next(later, 0) :]

    def _computed(self, text: str, words: list[Word]) -> list[Word]:
        """The words with a variable in front replaced by the value that the text gives it."""
        match = _VARIABLE.fullmatch(text[words[0].start : words[0].stop])
        value = self._values.get(match[1] or match[2]) if match else None
        known = ShellReader(value).commands if value else []
        if not known or known[0].words[0].computed:
            self._unsure["which program it calls is computed by the shell"] = None
            return []
        return [*known[0].words, *words[1:]]

    def _program_of(self, words: list[Word], depth: int, ends: set[Ends]) -> None:
        value, args = words[0].value, [word.value for word in words[1:]]
        name = name_of(words[0])
        if name in ENDERS:
            if self._system and value.startswith("/") and self._program(value).kind == "missing":
                self._unsure[f"there is no {_shown(value)} on this machine"] = None
            else:
                ends.add(ending(name, args))
        elif name in SHELLS or value in SOURCES:
            self._shell(words, depth, ends)
        elif name not in HARMLESS and value and value not in self._functions:
            path = value if value.startswith("/") else self._found(value, depth)
            if path:
                self._script(path, depth, ends, direct=True)

    def _shell(self, words: list[Word], depth: int, ends: set[Ends]) -> None:
        """`sh -c TEXT`, or `sh SCRIPT`."""
        for at, word in enumerate(words[1:], 1):
            if word.computed:
                self._unsure["what it gives to a shell is computed"] = None
                return
            if word.value.startswith("-") and "c" in word.value and at + 1 < len(words):
                self._text(words[at + 1].value, depth + 1, ends)
                return
            if not word.value.startswith(("-", "+")):
                self._script(word.value, depth, ends, direct=False)
                return

    def _found(self, name: str, depth: int) -> str:
        """Where the shell finds a program without a path; "" for what is not found."""
        if "/" in name:
            self._blame(depth, f"{_shown(name)} is no full path: write it from the root folder on")
            return ""
        for folder in PATH:
            if self._program(f"{folder}/{name}").kind not in ("missing", UNKNOWN):
                return f"{folder}/{name}"
        self._blame(depth, f"there is no program {_shown(name)} where a service looks ({':'.join(PATH)})")
        return ""

    def _script(self, path: str, depth: int, ends: set[Ends], *, direct: bool) -> None:
        """A program by its path: whether root can run it, who may change it, and what its text calls."""
        if path in self._read or len(self._read) >= _MOST:
            return
        self._read.add(path)
        fact, shown = self._program(path), _shown(path)
        if fact.kind == UNKNOWN:
            self._unsure[f"{shown} cannot be looked at"] = None
        elif fact.kind == "missing":
            self._blame(depth, f"there is no {shown}")
        elif fact.kind != "file":
            self._blame(depth, f"{shown} is a {fact.kind}, not a program")
        elif direct and not fact.runnable:
            self._blame(depth, f"{shown} is not executable. To make it so: chmod 755 {shlex.quote(path)}")
        else:
            if fact.exposed:
                self._wrong[_exposed(fact)] = None
            self._look_into(fact, depth, ends, direct=direct)

    def _look_into(self, fact: ProgramFact, depth: int, ends: set[Ends], *, direct: bool) -> None:
        if fact.content is None:
            self._unsure[f"{_shown(fact.path)} is a binary, or its text may not be read"] = None
            return
        text = fact.content.data.decode("utf-8", "replace")
        first = text.partition("\n")[0]
        words = first[2:].split(" ") if first.startswith("#!") and direct else []
        interpreter, *options = [word for word in words if word] or ["/bin/sh"]
        if self._system and self._program(interpreter).kind == "missing":
            # A carriage return behind the name is the usual reason, and would not be seen.
            named = _shown(interpreter.replace("\r", "\\r"))
            self._blame(
                depth, f"{_shown(fact.path)} needs the interpreter {named}, which is not on this machine"
            )
            return
        name = (options[0] if interpreter.endswith("/env") and options else interpreter).strip()
        if name.rpartition("/")[2] in SHELLS:
            self._text(text.replace("\r\n", "\n"), depth + 1, ends)
        elif called := list(_CALLED.finditer(text)):
            ends.add(Ends.OFF if any(found["off"] for found in called) else Ends.AGAIN)
        else:
            self._unsure[f"{_shown(fact.path)} is no shell script, and its text names no shutdown"] = None

    def _blame(self, depth: int, text: str) -> None:
        """What the command itself names has to be there; a script may look first whether it is."""
        (self._wrong if depth == 0 else self._unsure)[text] = None


def _exposed(fact: ProgramFact) -> str:
    shown, where = _shown(fact.path), _shown(fact.exposed)
    owner = fact.owner if fact.exposed == fact.path else fact.folders[fact.exposed]
    to_mend = shlex.quote(fact.exposed)
    repair = f"chown root:root {to_mend} && chmod go-w {to_mend}"
    what = "it" if where == shown else where
    return (
        f"{shown} would run as root, and others than root may change {what} ({owner}). To mend it: {repair}"
    )


def _shown(path: str) -> str:
    return path if len(path) <= 80 else f"{path[:77]}..."
