"""What every test may rely on."""

import os
import shutil
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import NoReturn

import hypothesis
import pytest

from tests.support.debian_stock import StockUnavailableError, stock_files

NUT = ("upsd", "upsmon", "upssched", "upsc")
SYSTEMD = ("systemd-nspawn", "/lib/systemd/systemd", "dbus-daemon", "shutdown", "sshd", "tmux")
IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}

# A shared machine of two cores stalls now and then: how long one example takes is no property of the code.
hypothesis.settings.register_profile("nutwizard", deadline=None)
hypothesis.settings.load_profile("nutwizard")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test marked `lab` needs root and NUT, `nspawn` systemd too; without it is skipped, in CI it fails."""
    for mark, more in (("lab", ()), ("nspawn", SYSTEMD)):
        if item.get_closest_marker(mark) and (reason := _missing(more)):
            _cannot_run(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Whatever way a test was skipped: in CI that is a failure, but for those marked `may_skip`."""
    report = yield
    if IN_CI and report.skipped and not item.get_closest_marker("may_skip"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{reason}: in CI nothing is skipped"
    return report


def _missing(more: Iterable[str]) -> str | None:
    if os.geteuid() != 0:
        return "needs root"
    missing = [name for name in (*NUT, *more) if shutil.which(name, path=_PATH) is None]
    return f"not found: {', '.join(missing)}" if missing else None


# Debian's /sbin programs also for a user whose PATH lacks them.
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def _cannot_run(reason: str) -> NoReturn:
    if IN_CI:
        pytest.fail(f"{reason}: in CI nothing is skipped", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def debian_stock() -> Callable[[str], Mapping[str, bytes]]:
    """`debian_stock(version)`: Debian's NUT files; where they cannot be had, skipped, in CI a failure."""

    def files(version: str) -> Mapping[str, bytes]:
        try:
            return stock_files(version)
        except StockUnavailableError as error:
            _cannot_run(f"Debian's NUT {version}: {error}")

    return files
