"""How contents and texts from outside are shown: what front ends need of the format layer."""

from nutwizard.formats.redact import DiffLine, diff
from nutwizard.formats.safe import safe_text

__all__ = ["DiffLine", "diff", "safe_text"]
