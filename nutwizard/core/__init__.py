"""Values and pure functions: what is known, what was decided, what would change. Nothing here touches the
machine.
"""
