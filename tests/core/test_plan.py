"""The transactions in which a plan is applied."""

from __future__ import annotations

import pytest

from nutwizard.core import paths
from nutwizard.core.facts import Role
from nutwizard.core.plan import Act, ActKind, FileChange, Plan

ACT = Act(ActKind.RESTART, "nut-server.service", "upsd.conf changed")


def file(path: str, actual: str = "") -> FileChange:
    return FileChange(path, actual or path, None, None, None, None)


NUT, SAVED = file(paths.UPSD_CONF), file(paths.SAVED_ANSWERS)
CLUSTER, HOST = file(paths.CLUSTER_FW), file(paths.HOST_FW, "/etc/pve/nodes/pve1/host.fw")
#: A path of NUT's that leads into the cluster's files, and the other way round.
INTO, OUT_OF = file(paths.UPS_CONF, "/etc/pve/ups.conf"), file("/etc/pve/ups.conf", paths.UPS_CONF)


def plan(*files: FileChange, acts: tuple[Act, ...] = ()) -> Plan:
    return Plan(Role.HOST, files, acts, ("a note",))


@pytest.mark.parametrize(
    "whole",
    [
        plan(),
        plan(acts=(ACT,)),
        plan(NUT, SAVED, acts=(ACT,)),
        plan(CLUSTER, HOST),
        plan(INTO),
    ],
)
def test_one_part(whole: Plan) -> None:
    assert whole.parts == (whole,)


def test_the_clusters_files_come_last_and_alone() -> None:
    whole = plan(NUT, CLUSTER, SAVED, HOST, acts=(ACT,))
    assert whole.parts == (plan(NUT, SAVED, acts=(ACT,)), Plan(Role.HOST, (CLUSTER, HOST)))


def test_acts_come_before_the_clusters_files() -> None:
    assert plan(HOST, acts=(ACT,)).parts == (plan(acts=(ACT,)), Plan(Role.HOST, (HOST,)))


def test_where_a_link_leads_counts() -> None:
    assert plan(NUT, INTO, OUT_OF).parts == (plan(NUT, OUT_OF), Plan(Role.HOST, (INTO,)))


def test_what_the_cluster_keeps() -> None:
    assert HOST.clustered
    assert FileChange(paths.HOST_FW, "", None, None, None, None).clustered
    assert not file("/etc/pvex").clustered
