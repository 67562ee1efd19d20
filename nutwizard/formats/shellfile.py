"""nut.conf: sourced by `sh` in Debian's wrappers (as root) and read by systemd as an EnvironmentFile."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nutwizard.formats.shellwords import EXPORTS, Command, ShellReader, Word

MODES = ("none", "standalone", "netserver", "netclient")
"""What Debian's wrappers of upsd and upsmon accept as MODE; with another word both exit 1, silently."""

_ASSIGNED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=")
_BARE = re.compile(r"[A-Za-z0-9_.,:/@%+-]*")
_BLANKS = "blanks around the = make the shell take the name for a command"
_CODE = "it is set inside shell code that need not run"
_COMPUTED = "the value is computed by the shell: what stands there is run as root at every start"
_CARRIAGE = "the line ends as on Windows (CR LF), and the shell takes the CR for a part of the value"
_RUNNERS = frozenset({".", "source", "eval"})


@dataclass(frozen=True, slots=True)
class _Setting:
    """One place that sets a name, or tries to; a new assignment replaces the text from `start` to `stop`."""

    start: int
    stop: int
    value: str | None
    fault: str | None
    command: Command


class ShellFile:
    """A file of shell assignments that can be edited."""

    def __init__(self, data: bytes) -> None:
        self._read(data.decode("latin-1"))

    @classmethod
    def parse(cls, data: bytes) -> ShellFile:
        """The document of any bytes; nothing is an error."""
        return cls(data)

    def to_bytes(self) -> bytes:
        """The file."""
        return self._text.encode("latin-1")

    def get(self, name: str) -> str | None:
        """What `sh` has at the end: the last assignment, quotes taken off. None: not set, or not certain."""
        if self._reader.opaque is not None or self._reader.unclosed is not None:
            return None
        done = [found for found in self._settings(name) if found.fault != _BLANKS]
        return done[-1].value if done else None

    def line(self, name: str) -> int | None:
        """The line, from 1, where the name is set last, or where somebody tried to; None when nowhere."""
        found = self._settings(name)
        return self._line(found[-1].start) if found else None

    def problem(self, name: str) -> str | None:
        """Why the value does not work or is not certain, as one sentence with the line; None: all is well.

        For MODE it must also be one that Debian's wrappers know. Quotes, `export`, a comment behind are fine.
        """
        reader = self._reader
        if reader.unclosed is not None:
            return f"Line {self._line(reader.unclosed)}: a quote or bracket is opened and never closed."
        if reader.opaque is not None:
            return f"Line {self._line(reader.opaque)}: a here-document; what the file sets is not certain."
        if reader.invalid is not None:
            return f"Line {self._line(reader.invalid)}: a syntax error; the shell gives up here."
        found = self._settings(name)
        if not found:
            return f"{name} is not set."
        for setting in found:
            if setting.fault and (setting is found[-1] or setting.fault == _BLANKS):
                return f"Line {self._line(setting.start)}: {setting.fault}."
        if name == "MODE" and found[-1].value not in MODES:
            return f"Line {self._line(found[-1].start)}: MODE must be one of {', '.join(MODES)}."
        runner = self._runner(found[-1].stop)
        return f"Line {runner}: other code is run here, which may change {name}." if runner else None

    def set(self, name: str, value: str) -> None:
        """Have `NAME=value` as the assignment that counts; no change where it does and has no problem.

        Takes the place of the last one, spelled right or not; else stands at the end. A comment behind it
        moves to a line of its own, since systemd takes it for a part of the value. Raises ValueError, and
        changes nothing, for a value that would need quotes and for a file whose end is inside quotes.
        """
        if not _BARE.fullmatch(value) or not _ASSIGNED.fullmatch(name + "="):
            raise ValueError(f"the value for {name} would need quotes in nut.conf")
        if self.get(name) == value and self.problem(name) is None:
            return
        before, unclosed = self._text, self._reader.unclosed
        if unclosed is not None:
            raise ValueError(
                f"{name} cannot be set: a quote opened on line {self._line(unclosed)} never ends"
            )
        self._mute_broken(name)
        found = self._settings(name)
        if found and found[-1].fault != _CODE:
            self._replace(found[-1], f"{name}={value}")
        else:
            gap = "" if not self._text or self._text.endswith("\n") else "\n"
            gap += "\n" * self._text.endswith("\\")  # which joins the line that comes next
            self._read(f"{self._text}{gap}{name}={value}\n")
        if self.get(name) != value:
            self._read(before)
            raise ValueError(f"{name} cannot be set: the end of the file is not read as plain assignments")

    def _read(self, text: str) -> None:
        self._text = text
        self._reader = ShellReader(text)

    def _line(self, position: int) -> int:
        return self._text.count("\n", 0, position) + 1

    def _settings(self, name: str) -> list[_Setting]:
        found = [self._setting(name, command) for command in self._reader.commands]
        return [setting for setting in found if setting is not None]

    def _setting(self, name: str, command: Command) -> _Setting | None:
        """What a command does to the name; None when nothing."""
        words = command.words
        exported = words[0].value in EXPORTS
        # Behind `export` quoted names are names too; elsewhere a quote makes an assignment a command.
        raw = [word.value if exported else self._text[word.start : word.stop] for word in words]
        if raw[0] == "unset" and name in raw:
            return _Setting(command.start, command.stop, None, _CODE, command)
        first = 1 if exported else 0
        if raw[first : first + 1] == [name] and raw[first + 1 : first + 2] and raw[first + 1].startswith("="):
            return _Setting(command.start, command.stop, None, _BLANKS, command)
        places = [at for at, text in enumerate(raw) if text.startswith(name + "=")]
        if not places:
            return None
        if not command.plain:
            return _Setting(command.start, command.stop, None, _CODE, command)
        if not exported and not _ASSIGNED.match(raw[0]):
            return None  # an argument of some command
        at = places[-1]
        torn = raw[at] == name + "=" and raw[at + 1 : at + 2] and not _ASSIGNED.match(raw[at + 1])
        if torn or not all(_ASSIGNED.match(text) or exported for text in raw):
            return _Setting(command.start, command.stop, None, _BLANKS, command)
        whole = exported and len(words) == 2
        return self._assignment(name, words[at], command, command.start if whole else words[at].start)

    def _assignment(self, name: str, word: Word, command: Command, start: int) -> _Setting:
        value = word.value[len(name) + 1 :]
        if word.computed:
            return _Setting(start, word.stop, None, _COMPUTED, command)
        if "\r" in value:
            return _Setting(start, word.stop, None, _CARRIAGE, command)
        return _Setting(start, word.stop, value, None, command)

    def _runner(self, behind: int) -> int | None:
        """The line of a command behind that position that runs code from elsewhere."""
        for command in self._reader.commands:
            word = command.words[0]
            if command.start >= behind and self._text[word.start : word.stop] in _RUNNERS:
                return self._line(command.start)
        return None

    def _mute_broken(self, name: str) -> None:
        """Make comments of the broken spellings, but for the last setting, which is going to be replaced."""
        parts: list[str] = []
        done = len(self._text)
        for setting in reversed(self._settings(name)[:-1]):
            if setting.fault == _BLANKS:
                old = self._text[setting.start : setting.stop]
                new = "#" + old if setting.command.alone and "\n" not in old else ":"
                parts += [self._text[setting.stop : done], new]
                done = setting.start
        self._read(self._text[:done] + "".join(reversed(parts)))

    def _replace(self, setting: _Setting, assignment: str) -> None:
        start, stop, comment = setting.start, setting.stop, setting.command.comment
        text = self._text
        if text[start:stop].endswith("\n"):  # a backslash at the end of the line
            stop -= 1
        if comment is None or not setting.command.alone or stop > comment:
            self._read(text[:start] + assignment + text[stop:])
            return
        ends = text.find("\n", comment)
        ends = len(text) if ends < 0 else ends
        self._read(f"{text[:start]}{text[comment:ends]}\n{assignment}{text[ends:]}")
