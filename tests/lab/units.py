"""Unit files as systemd.unit(5) describes them: where they lie, what they say, what enables them.

Only what the units of NUT and of the program under test use. Everything is read from disk at each question:
`daemon-reload` has nothing to do.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

ETC = Path("/etc/systemd/system")
FOLDERS = (ETC, Path("/run/systemd/system"), Path("/lib/systemd/system"))
SUFFIXES = (".service", ".target", ".path", ".socket", ".timer", ".mount")

Sections = dict[str, dict[str, list[str]]]


@dataclass(frozen=True)
class Unit:
    """One unit as its files define it; `load` is loaded, masked or not-found."""

    name: str
    load: str
    path: Path | None
    sections: Sections

    def words(self, section: str, key: str) -> list[str]:
        """All words of a list setting such as `After=`."""
        return [self.expand(word) for line in self.lines(section, key) for word in line.split()]

    def lines(self, section: str, key: str) -> list[str]:
        """The lines of a setting that may be repeated; an empty assignment has emptied the list before."""
        return self.sections.get(section, {}).get(key, [])

    def value(self, section: str, key: str, default: str = "") -> str:
        """The last assignment, which is the one that counts."""
        lines = self.lines(section, key)
        return lines[-1] if lines else default

    def expand(self, text: str) -> str:
        """Replace the specifiers of systemd.unit(5) that the units here use."""
        stem = self.name.rpartition(".")[0]
        prefix, _, instance = stem.partition("@")
        table = {
            "%": "%",
            "i": instance,
            "I": instance.replace("-", "/"),
            "n": self.name,
            "N": stem,
            "p": prefix,
        }
        parts = text.split("%")
        out, index = parts[0], 1
        while index < len(parts):
            part = parts[index]
            if part:
                out += table.get(part[0], "%" + part[0]) + part[1:]
            else:  # "%%"
                index += 1
                out += "%" + (parts[index] if index < len(parts) else "")
            index += 1
        return out


def full_name(name: str) -> str:
    """`nut-server` is short for `nut-server.service`."""
    return name if name.endswith(SUFFIXES) else name + ".service"


def load(name: str) -> Unit:
    """Read a unit by any of its names; its `name` is the one that systemd calls Id."""
    path = _find(name)
    if path is None:
        return Unit(name, "not-found", None, {})
    if path.is_symlink():
        target = os.path.realpath(path)
        if target == "/dev/null":
            return Unit(name, "masked", path, {})
        real = Path(target).name
        if "@." not in real and real != name:
            return load(real)
        path = Path(target)
    sections: Sections = {}
    for file in [path, *_drop_ins(name)]:
        _parse(file.read_text(encoding="utf-8", errors="replace"), sections)
    return Unit(name, "loaded", path, sections)


def names(unit: Unit) -> list[str]:
    """The unit's own name and, after it, its aliases."""
    links = [link for folder in FOLDERS if folder.is_dir() for link in folder.iterdir()]
    found = {link.name for link in links if _aliases(link, unit)}
    return [unit.name, *sorted(found - {unit.name})]


def file_state(name: str) -> str:
    """What `systemctl is-enabled` says: enabled, indirect, disabled, static, masked, alias, ""."""
    unit = load(name)
    if unit.load != "loaded":
        return "masked" if unit.load == "masked" else ""
    if unit.name != name:
        return "alias"
    if any(_links(name)):
        return "enabled"
    prefix, at, suffix = name.partition("@.")
    if at and any(link.startswith(f"{prefix}@") and link.endswith(f".{suffix}") for link in linked()):
        return "indirect"
    return "disabled" if "Install" in unit.sections else "static"


def wants(unit: Unit) -> list[str]:
    """What a start of the unit pulls in: Wants= and Requires=, the links in .wants and .requires."""
    pulled = [*unit.words("Unit", "Requires"), *unit.words("Unit", "Wants")]
    for folder in FOLDERS:
        for kind in ("requires", "wants"):
            links = folder / f"{unit.name}.{kind}"
            pulled += sorted(link.name for link in links.iterdir()) if links.is_dir() else []
    return list(dict.fromkeys(pulled))


def enable(unit: Unit) -> list[str]:
    """Make the links that [Install] asks for; the messages that systemctl prints."""
    said = []
    targets = [ETC / f"{target}.wants" / unit.name for target in unit.words("Install", "WantedBy")]
    targets += [ETC / f"{target}.requires" / unit.name for target in unit.words("Install", "RequiredBy")]
    for link in [*targets, *(ETC / alias for alias in unit.words("Install", "Alias"))]:
        if not link.is_symlink():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(str(unit.path))
            said.append(f"Created symlink {link} → {unit.path}.")
    return said


def disable(unit: Unit) -> list[str]:
    """Remove every link that enables the unit; the messages that systemctl prints."""
    said = []
    for link in _links(unit.name):
        link.unlink()
        said.append(f'Removed "{link}".')
    return said


def mask(name: str) -> list[str]:
    """Make a unit impossible to start; the message that systemctl prints."""
    link = ETC / name
    if link.is_symlink():
        return []
    link.symlink_to("/dev/null")
    return [f"Created symlink {link} → /dev/null."]


def unmask(name: str) -> list[str]:
    """Undo `mask`; the message that systemctl prints."""
    link = ETC / name
    if os.path.realpath(link) != "/dev/null":
        return []
    link.unlink()
    return [f'Removed "{link}".']


def files(pattern: str) -> list[str]:
    """Names of the unit files that match a shell pattern, templates and aliases too, in systemctl's order."""
    found = {file.name for folder in FOLDERS if folder.is_dir() for file in folder.iterdir()}
    matching = [name for name in found if name.endswith(SUFFIXES) and fnmatchcase(name, pattern)]
    return sorted(matching, key=lambda name: (name.rpartition(".")[2], name))


def linked() -> set[str]:
    """The names that any .wants or .requires folder of the administrator refers to."""
    if not ETC.is_dir():
        return set()
    folders = [folder for folder in ETC.iterdir() if folder.name.endswith((".wants", ".requires"))]
    return {link.name for folder in folders for link in folder.iterdir()}


def _find(name: str) -> Path | None:
    prefix, at, rest = name.partition("@")
    wanted = [name, f"{prefix}@.{rest.rpartition('.')[2]}"] if at else [name]
    for candidate in wanted:
        for folder in FOLDERS:
            path = folder / candidate
            if path.is_symlink() or path.is_file():
                return path
    return None


def _drop_ins(name: str) -> list[Path]:
    prefix, at, rest = name.partition("@")
    owners = [f"{prefix}@.{rest.rpartition('.')[2]}", name] if at else [name]
    found: dict[str, Path] = {}
    for owner in owners:
        for folder in reversed(FOLDERS):
            for path in sorted((folder / f"{owner}.d").glob("*.conf")):
                found[path.name] = path
    return [found[key] for key in sorted(found)]


def _aliases(link: Path, unit: Unit) -> bool:
    return (
        link.is_symlink()
        and unit.load == "loaded"
        and unit.path is not None
        and os.path.realpath(link) == os.path.realpath(unit.path)
    )


def _links(name: str) -> list[Path]:
    if not ETC.is_dir():
        return []
    folders = [folder for folder in ETC.iterdir() if folder.name.endswith((".wants", ".requires"))]
    return [folder / name for folder in sorted(folders) if (folder / name).is_symlink()]


def _parse(text: str, sections: Sections) -> None:
    section: dict[str, list[str]] = {}
    pending = ""
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith(("#", ";")) or not (line or pending):
            continue
        if line.endswith("\\"):
            pending += line[:-1] + " "
            continue
        line, pending = pending + line, ""
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), {})
        elif "=" in line:
            key, _, value = line.partition("=")
            if value.strip():
                section.setdefault(key.strip(), []).append(value.strip())
            else:
                section[key.strip()] = []
