"""Words of Proxmox VE's firewall files that steps offer too."""

#: What a rule may write to the firewall's log, quiet ones first.
LOG_LEVELS = ("nolog", "info", "notice", "warning", "err", "crit", "alert", "emerg", "debug")
