"""The steps of the guide, one module and one page each."""
