"""`nutwizard firewall ACTION`: explain who is let in, switch the rule, tell the way by hand. None asks."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from nutwizard import commands, opening
from nutwizard.core import checks, paths
from nutwizard.core.errors import Exit, NeedsRoot, UsageError
from nutwizard.core.facts import Door, Role
from nutwizard.engine import aftermath

if TYPE_CHECKING:
    from nutwizard.core.firewallpolicy import Policy
    from nutwizard.engine.detect import Sources
    from nutwizard.engine.host import Host

STEP = "firewall"


def run(args: argparse.Namespace) -> Exit:
    """The action that was asked for."""
    opening.loaded()
    if args.action == "explain":
        return explain(args)
    return manual(args) if args.action == "manual" else switch(args, on=args.action == "enable")


def explain(args: argparse.Namespace) -> Exit:
    """Say what becomes of a packet and which line decides. Needs the two files, nothing else."""
    for option, address in (("--from", args.source), ("--to", args.to)):
        if address is not None and not checks.is_ip(address):
            raise UsageError(f"{option}: {address[:60]} is no IP address")
    host, sources = opening.open_host(args)
    policy = _policy(host)
    from nutwizard.core.firewallours import found_here
    from nutwizard.core.firewallverdict import Packet, verdict

    port = args.port or _port(host)
    found = found_here(policy, port)
    at, local = _interface(host, sources)
    interface = args.interface or (found.interface if found else "") or at
    packet = Packet(args.source, port, interface, args.to or "", local)
    said = verdict(policy, packet, host.now())
    if args.json:
        from nutwizard import as_json

        commands.show_text(as_json.verdict(packet, said, practice=host.door is Door.PRACTICE))
    else:
        from nutwizard.wording.firewalled import verdict_text

        commands.show_text(verdict_text(packet, said))
    return Exit.DONE if said.lets_in else Exit.BROKEN


def switch(args: argparse.Namespace, *, on: bool) -> Exit:
    """Switch the rule of the group, as a small change of its own."""
    host, sources = opening.open_host(args)
    opening.writing(host, on_battery=args.on_battery)
    _host_role(args, host, sources)
    save = host.stat(paths.SAVED_ANSWERS) is not None
    first = opening.open_session(
        host, sources, Role.HOST, save=save, only=(STEP,), on_battery=args.on_battery
    )
    session = first.switcher(on)
    plan = session.plan()
    if not args.json and not plan.empty:
        commands.show_text(commands.plan_words(plan))
    from nutwizard.engine.outcome import Outcome

    word = "on" if on else "off"
    outcome = Outcome(Exit.DONE, f"The rule is {word} already: nothing to do.")
    if not plan.empty:
        outcome = session.apply(opening.say)
    commands.report(args, session, plan, outcome)
    aftermath.told(host)
    return outcome.code


def manual(args: argparse.Namespace) -> Exit:
    """Print what leads to the same in the web console and with pvesh."""
    host, sources = opening.open_host(args)
    opening.read_only(host)
    _host_role(args, host, sources)
    session = opening.open_session(host, sources, Role.HOST, only=(STEP,))
    commands.show_text(session.by_hand(STEP))
    return Exit.DONE


def _host_role(args: argparse.Namespace, host: Host, sources: Sources) -> None:
    if opening.proposed_role(args, host, sources) is Role.CLIENT:
        raise UsageError(
            f"{host.label} is a client: the firewall is that of the host with the UPS.",
            "Run it there, or insist with --role host",
        )


def _policy(host: Host) -> Policy:
    """The two files as they are. Raises NeedsRoot, UsageError where there is no /etc/pve."""
    from nutwizard.core.firewallpolicy import read_policy
    from nutwizard.engine.firewall import host_file

    try:
        node = host_file(host)
        place = host.stat(paths.PVE)
        if place is None or place.kind != "directory":
            raise UsageError(f"{paths.PVE} is not there: {host.label} is no Proxmox VE host.")
        if host.door is Door.LIVE and host.stat(paths.PVE_LOCAL, follow=False) is None:
            raise UsageError(f"{paths.PVE} is not mounted: pve-cluster is not running.")
        cluster, own = (host.read(path) if host.stat(path) else b"" for path in (paths.CLUSTER_FW, node))
    except PermissionError as error:
        where = error.filename if isinstance(error.filename, str) else paths.PVE
        raise NeedsRoot(f"{where}: {error.strerror}") from None
    except OSError as error:
        where = error.filename if isinstance(error.filename, str) else f"{paths.CLUSTER_FW} or host.fw"
        raise UsageError(f"{where}: {error.strerror}") from None
    return read_policy(cluster, own, node)


def _port(host: Host) -> int:
    """The port on which upsd listens by its file, else NUT's own."""
    from nutwizard.core.server import listen_lines
    from nutwizard.core.site import NUT_PORT
    from nutwizard.formats.nutfile import NutFile

    try:
        data = host.read(paths.UPSD_CONF) if host.stat(paths.UPSD_CONF) else b""
    except OSError:
        return NUT_PORT
    lines = listen_lines(NutFile.parse(data))
    return lines[0][1] if 1 <= lines[0][1] <= 65535 else NUT_PORT


def _interface(host: Host, sources: Sources) -> tuple[str, tuple[str, ...]]:
    """The first bridge of this host, and the networks that it is in itself."""
    from nutwizard.core.allowed import BRIDGE

    if host.door is Door.OFFLINE:
        return BRIDGE, ()
    own = [address for address in sources.addresses() if not address.loopback]
    bridge = next((address.interface for address in own if address.bridge), BRIDGE)
    return bridge, tuple(f"{a.address}/{a.prefix}" for a in own if a.interface == bridge)
