"""All effects, through a Host only: reading the machine, planning, transactions, probes."""
