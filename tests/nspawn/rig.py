"""A host and its guest with real systemd, and the administrator's computer that logs in to both."""

from __future__ import annotations

import contextlib
import json
import selectors
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

from tests.lab.dress import CHECKOUT
from tests.lab.lab import HOST_ADDRESS, VM_ADDRESS, wiring
from tests.lab.machine import interpreter

from .dress import HOST_NAME, UNITS, VM_NAME, specs
from .ground import Orders
from .nspawned import END_LIMIT, Nspawned, children

OPERATOR, OPERATOR_ADDRESS = "operator", "192.168.1.50"
READY_LIMIT = 60.0
_SSH = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "ConnectTimeout=5")
_KEY = "/mnt/key"
_RUN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from tests.nspawn.{} import main; "


class Rig:
    """`host` and `vm`, both off at first. Ends with the `with` block, or with the process that made it."""

    def __enter__(self) -> Rig:
        """Make trees and networks; raises RuntimeError with what stands in the way."""
        secret, public = _key_pair()
        keeper = _program("keeper", "sys.exit(main(sys.argv[1:]))")
        ground = _program("ground", "main()")
        pipe = subprocess.PIPE
        # No death signal: when the tests are killed the keeper still has to tidy up.
        self._keeper = subprocess.Popen(
            ["unshare", "-m", *keeper, *ground], stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
        )
        try:
            self._start(secret, public)
        except BaseException:
            with contextlib.suppress(RuntimeError):
                self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def processes(self) -> list[int]:
        """The keeper and everything below it."""
        found = [self._keeper.pid]
        for pid in found:
            found += children(pid)
        return found

    def login(self, machine: Nspawned, *command: str) -> list[str]:
        """The command line with which the administrator logs in as root, for a terminal of his computer."""
        ssh = ["ssh", "-tt", "-i", _KEY, *(f"-o{option}" for option in _SSH), f"root@{machine.address}"]
        network = f"--net=/proc/{self.ground}/root/run/netns/{OPERATOR}"
        enter = ["nsenter", f"--target={self.ground}", "-m", "-p", "-u", "-i", network]
        # nsenter outlives the terminal and collects ssh: an orphan that nobody collects would hold the rig.
        return ["env", "--ignore-signal=HUP", *enter, *ssh, *command]

    def close(self) -> None:
        """End both machines; returns when nothing is left. Raises RuntimeError where that is not so."""
        try:
            _, said = self._keeper.communicate(timeout=3 * END_LIMIT)
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            _, said = self._keeper.communicate(timeout=END_LIMIT)
        if self._keeper.returncode != 0:
            raise RuntimeError(f"the rig was not tidied up: {said.decode('utf-8', 'replace').strip()}")

    def _start(self, secret: bytes, public: bytes) -> None:
        guests = {VM_NAME: VM_ADDRESS, OPERATOR: OPERATOR_ADDRESS}
        network = dict(zip((HOST_NAME, *guests), wiring(guests), strict=True))
        self._send(Orders(machines=specs(secret, public), units=UNITS, network=network))
        self._await_ready()
        self.ground = self._find_ground()
        key = Path(f"/proc/{self.ground}/root{_KEY}")
        key.touch(mode=0o600)
        key.write_bytes(secret)
        self.host = Nspawned(HOST_NAME, HOST_ADDRESS, self.ground, self._send)
        self.vm = Nspawned(VM_NAME, VM_ADDRESS, self.ground, self._send)

    def _send(self, order: object) -> None:
        assert self._keeper.stdin is not None
        self._keeper.stdin.write(json.dumps(order).encode() + b"\n")
        self._keeper.stdin.flush()

    def _await_ready(self) -> None:
        assert self._keeper.stdout is not None
        assert self._keeper.stderr is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._keeper.stdout, selectors.EVENT_READ)
            answered = selector.select(READY_LIMIT)
        if not answered or self._keeper.stdout.readline() != b"ready\n":
            self._keeper.kill()
            words = self._keeper.stderr.read().decode("utf-8", "replace")
            raise RuntimeError(f"the rig does not stand: {words.strip() or 'no answer'}")

    def _find_ground(self) -> int:
        """Below the keeper is unshare, below that the ground."""
        ((ground,),) = [children(unshare) for unshare in children(self._keeper.pid)]
        return ground


def _program(module: str, call: str) -> list[str]:
    return [interpreter(), "-IS", "-c", _RUN.format(module) + call, str(CHECKOUT)]


def _key_pair() -> tuple[bytes, bytes]:
    with tempfile.TemporaryDirectory(prefix="nutwizard-rig-") as folder:
        path = Path(folder) / "key"
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
        subprocess.run(command, check=True, timeout=10.0, stdin=subprocess.DEVNULL)
        return path.read_bytes(), path.with_suffix(".pub").read_bytes()
