"""The plain front end: one question after the other, in any terminal, over a pipe, with a screen reader."""
