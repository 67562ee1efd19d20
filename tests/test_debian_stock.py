"""The files that tests take for Debian's are Debian's."""

import hashlib
import re
import subprocess
from collections.abc import Callable, Mapping

import pytest

from tests.support.debian_stock import NAMES, SUITES

Stock = Callable[[str], Mapping[str, bytes]]


@pytest.mark.parametrize("version", SUITES)
def test_every_file_is_there_and_starts_with_nothing_enabled(debian_stock: Stock, version: str) -> None:
    files = debian_stock(version)

    assert set(files) == set(NAMES)
    assert re.findall(rb"(?m)^MODE=.*$", files["nut.conf"]) == [b"MODE=none"]
    assert not re.search(rb"(?m)^\s*(MONITOR|LISTEN|\[)", b"\n".join(files.values()))


@pytest.mark.lab
def test_dpkg_agrees_about_the_installed_version(debian_stock: Stock) -> None:
    query = ["dpkg-query", "-W", "-f", "${Version}\n${Conffiles}\n", "nut-client", "nut-server"]
    listed = subprocess.run(query, capture_output=True, text=True, check=True, timeout=20).stdout
    files = debian_stock(listed.split("-", 1)[0])

    digests = dict(re.findall(r"^ /etc/nut/(\S+) ([0-9a-f]{32})$", listed, re.MULTILINE))

    assert {name: digests[name] for name in NAMES} == {
        name: hashlib.md5(content).hexdigest() for name, content in files.items()
    }
