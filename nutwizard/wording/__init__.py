"""What every front end and command says, as lines with a tone: made here once, shown by each in its way."""
