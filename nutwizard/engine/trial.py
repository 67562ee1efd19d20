"""Try upssched and the script as the user nut, with an event that no AT line knows: nothing happens at it."""

from __future__ import annotations

from nutwizard.core import paths
from nutwizard.core.chain import Trial
from nutwizard.core.facts import Door
from nutwizard.core.rules.events import as_nut, calls_upssched, script_of
from nutwizard.core.rules.rule import Look
from nutwizard.core.upsschedcmd import CHECK_WORD, is_unmodified, knows_check
from nutwizard.engine.host import Completed, Host
from nutwizard.formats.safe import safe_text

#: An event type that no version of NUT has, so that no AT line can be for it.
EVENT = "NUTWIZARD_CHECK"
#: Seconds for each of the two; upssched reads its file and ends, our script ends at once.
LIMIT = 3.0


def try_events(host: Host, look: Look) -> Trial:
    """Run upssched as upsmon does, and our own script with a word that it ends at; both as user nut.

    A script of the user's own is not run: nobody knows what a word does there.
    """
    if not calls_upssched(look) or not look.upssched.entries("AT"):
        return Trial()
    if host.door is Door.OFFLINE:
        return Trial("not tried: nothing runs below another root")
    if not host.may_write():
        return Trial("not tried: only root may become user nut")
    if not as_nut(look):
        return Trial("not tried: upsmon.conf has another RUN_AS_USER than nut")
    system = next((monitor.system for monitor in look.monitors), "ups@localhost")
    done = run_upssched(host, look, system, EVENT, timeout=LIMIT)
    if wrong := said_wrong(done, "upssched"):
        return Trial(wrong=wrong)
    return _try_script(host, look, (f"{look.facts.nut.upssched} (it reads {paths.UPSSCHED_CONF})",))


def run_upssched(
    host: Host, look: Look, system: str, event: str, *variables: str, timeout: float
) -> Completed:
    """Run upssched as user nut as upsmon does at an event of this UPS; further `variables`: NAME=VALUE."""
    words = ("/usr/bin/env", f"UPSNAME={system}", f"NOTIFYTYPE={event}", *variables)
    return host.run([*words, look.facts.nut.upssched, f"test of {event}"], timeout=timeout, user="nut")


def _try_script(host: Host, look: Look, ran: tuple[str, ...]) -> Trial:
    script = script_of(look)
    if script is None:
        return Trial(ran=ran)
    path = script.path
    if script.content is None or not knows_check(script.content.data):
        ours = script.content is not None and is_unmodified(script.content.data)
        why = "is of an earlier nutwizard (nutwizard step actions renews it)" if ours else "is your own"
        return Trial(ran=(*ran, f"{path} {why}; user nut may run it, and it was not run"))
    done = host.run([path, CHECK_WORD], timeout=LIMIT, user="nut")
    if done.code != 0:
        return Trial(wrong=said_wrong(done, path) or f"{path} ended with code {done.code} as user nut")
    return Trial(ran=(*ran, path))


def said_wrong(done: Completed, what: str, limit: float = LIMIT) -> str:
    """What went wrong, "" when nothing did. upssched ends with 0 also where it has complained."""
    said = next((line.strip() for line in reversed(done.err.splitlines()) if line.strip()), "")
    said = safe_text(said)[:200]
    if done.timed_out:
        return f"{what} did not end within {limit:.0f} s as user nut"
    if done.code != 0:
        return f"{what} ended with code {done.code} as user nut: {said or 'no reason given'}"
    return f"as user nut: {said}" if any(word in said for word in _COMPLAINTS) else ""


#: What upssched says when it cannot do its work (seen with 2.7.4 to 2.8.5), and ends with 0 or 1.
_COMPLAINTS = (
    "Can't open",
    "must be set before",
    "Permission denied",
    "not found",
    "Parse error",
    "invalid directive",
)
