"""Where Debian keeps NUT's files (source: its packages' file lists), and where nutwizard keeps its own."""

from __future__ import annotations

NUT = "/etc/nut"
NUT_CONF = f"{NUT}/nut.conf"
UPS_CONF = f"{NUT}/ups.conf"
UPSD_CONF = f"{NUT}/upsd.conf"
UPSD_USERS = f"{NUT}/upsd.users"
UPSMON_CONF = f"{NUT}/upsmon.conf"
UPSSCHED_CONF = f"{NUT}/upssched.conf"
UPSSCHED_CMD = "/usr/sbin/upssched-cmd"
KILLPOWER = "/etc/killpower"
RUN_NUT = "/run/nut"
#: With a merged /usr these are one.
DRIVER_FOLDERS = ("/lib/nut", "/usr/lib/nut")

#: The cluster's file system (pmxcfs): its firewall, and this node's, which lies in /etc/pve/nodes/NODE.
PVE = "/etc/pve"
#: A link to the folder of this node, which pmxcfs itself makes: it is there exactly when that is mounted.
PVE_LOCAL = f"{PVE}/local"
CLUSTER_FW = f"{PVE}/firewall/cluster.fw"
HOST_FW = f"{PVE}/local/host.fw"

OWN = "/etc/nutwizard"
SAVED_ANSWERS = f"{OWN}/answers.yaml"
CLIENT_PASSWORD = f"{OWN}/client.password"
MONITOR_PASSWORD = f"{OWN}/monitor.password"
#: Which clients there are; and for each a folder with what a run of nutwizard there needs.
CLIENTS_LIST = f"{OWN}/clients.list"
CLIENTS = f"{OWN}/clients"
#: What no program can see of this site, as it was answered.
OUTSIDE = f"{OWN}/outside.list"
STATE = "/var/lib/nutwizard"
#: What was typed and is not written yet: the answers, a password file for each secret, and the place.
RESUME = f"{STATE}/resume"
RESUMED_ANSWERS = f"{RESUME}/answers.yaml"
RESUMED_PLACE = f"{RESUME}/place"
#: What comes next, as the last run said.
NEXT = f"{STATE}/next.txt"
#: How the links stood at the last check.
PROOF = f"{STATE}/proof.json"
#: The real tests of a forced shutdown: a folder for each.
FSD = f"{STATE}/fsd"
#: How long the parts of a shutdown took when they were measured.
MEASURED = f"{STATE}/measured.json"
#: What the last rehearsals showed.
REHEARSED = f"{STATE}/rehearsed.json"

#: The two names under which the guide's reader keeps the state before a change, in the order of our choice.
COPIES = (".orig", ".bkp")
