"""The practice machine: a folder with a host's and a VM's files, units of its own, and a simulated UPS."""

from nutwizard.engine.practice.host import PracticeHost

__all__ = ["PracticeHost"]
