"""Debian's own NUT configuration files, taken from Debian's packages when a test asks for them.

They are GPL text, so none of them is committed. The packages come from the mirror that this machine's apt is
set up with, through an apt whose folders are its own: it works without root and changes nothing here.
"""

import functools
import io
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

SUITES = {"2.7.4": "bullseye", "2.8.0": "bookworm", "2.8.1": "trixie"}
NAMES = ("nut.conf", "ups.conf", "upsd.conf", "upsd.users", "upsmon.conf", "upssched.conf")

_PACKAGES = ("nut-client", "nut-server")
_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
_RELEASES = {"oldoldstable", "oldstable", "stable", "testing", "sid", "unstable", "forky", *SUITES.values()}
_TIME_LIMIT = 180.0  # seconds for one command


class StockUnavailableError(Exception):
    """Debian's files cannot be had on this machine; the text says why."""


@functools.cache
def stock_files(version: str) -> Mapping[str, bytes]:
    """The six files of NUT `version` (a key of SUITES) as Debian ships them, by name.

    Fetched once per machine (some 10 MB for each version) and kept in the user's cache folder.
    Raises StockUnavailableError without Debian's apt and keys, without the network, or for another version.
    """
    suite = SUITES[version]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nutwizard-tests"
    kept = cache / suite
    if not kept.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{suite}-", dir=cache) as work:
            _keep(_fetch(suite, version, Path(work)), Path(work) / "files", kept)
    return {name: (kept / name).read_bytes() for name in NAMES}


def _keep(files: Mapping[str, bytes], new: Path, kept: Path) -> None:
    """All files or none: a run that is cut short, or one beside this, leaves no half-filled folder."""
    new.mkdir()
    for name, content in files.items():
        (new / name).write_bytes(content)
    try:
        new.rename(kept)
    except OSError:
        if not kept.is_dir():
            raise


def _fetch(suite: str, version: str, work: Path) -> dict[str, bytes]:
    problems = []
    for mirror in _mirrors():
        try:
            packages = _download(mirror, suite, work)
        except StockUnavailableError as error:
            problems.append(str(error))
            continue
        files = {name: content for package in packages for name, content in _conf_files(package, version)}
        if missing := set(NAMES) - files.keys():
            raise StockUnavailableError(f"{suite}'s packages lack {', '.join(sorted(missing))}")
        return files
    raise StockUnavailableError("; ".join(problems) or "apt has no Debian source on this machine")


def _mirrors() -> list[str]:
    """Where apt gets Debian's main archive, then where the same mirrors keep suites that have left it."""
    target = "$(REPO_URI) $(RELEASE) $(COMPONENT)"
    lines = _output(
        "apt-get", "indextargets", "--no-release-info", "--format", target, "Created-By: Packages"
    )
    rows = [line.split() for line in lines.decode().splitlines()]
    current = [row[0] for row in rows if len(row) == 3 and row[1] in _RELEASES and row[2] == "main"]
    archived = [f"{uri.rstrip('/').removesuffix('/debian')}/debian-archive/debian/" for uri in current]
    return list(dict.fromkeys(current + archived))


def _download(mirror: str, suite: str, work: Path) -> list[Path]:
    """The packages' files, fetched by an apt whose every folder lies in `work`."""
    for folder in ("state/lists/partial", "cache/archives/partial", "packages"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    (work / "status").touch()
    (work / "sources.list").write_text(f"deb [signed-by={_KEYS}] {mirror} {suite} main\n")
    # Of the machine's configuration only the way to the network: the rest may run commands after an update.
    network = _output("apt-config", "dump", "--format", '%F "%v";%n', "Acquire").decode()
    (work / "apt.conf").write_text(network + _private_configuration(work))
    environment = os.environ | {"APT_CONFIG": str(work / "apt.conf"), "LC_ALL": "C"}
    _output("apt-get", "-q", "--error-on=any", "update", cwd=work / "packages", env=environment)
    _output("apt-get", "-q", "download", *_PACKAGES, cwd=work / "packages", env=environment)
    return sorted((work / "packages").glob("*.deb"))


def _private_configuration(work: Path) -> str:
    settings = {
        "Dir::Etc::parts": "/dev/null",
        "Dir::Etc::main": "/dev/null",
        "Dir::Etc::sourcelist": work / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::State": work / "state",
        "Dir::State::status": work / "status",
        "Dir::Cache": work / "cache",
        "APT::Sandbox::User": "root",  # apt's own user could not enter the folder
        "Acquire::Languages": "none",
        "Acquire::http::Timeout": 20,
        "Acquire::Retries": 2,
    }
    return "".join(f'{key} "{value}";\n' for key, value in settings.items())


def _conf_files(package: Path, version: str) -> Iterable[tuple[str, bytes]]:
    found = _output("dpkg-deb", "--field", str(package), "Version").decode().strip()
    if not found.startswith(f"{version}-"):
        raise StockUnavailableError(f"{package.name} is {found}, not {version}")
    with tarfile.open(fileobj=io.BytesIO(_output("dpkg-deb", "--fsys-tarfile", str(package)))) as archive:
        for member in archive:
            folder, _, name = member.name.rpartition("/")
            content = archive.extractfile(member) if folder == "./etc/nut" and name in NAMES else None
            if content is not None:
                yield name, content.read()


def _output(*command: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> bytes:
    try:
        done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, timeout=_TIME_LIMIT, check=True)
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        raise StockUnavailableError(f"{' '.join(command[:3])}: {said[0] if said else error}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StockUnavailableError(str(error)) from error
    return done.stdout
