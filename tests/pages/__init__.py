"""The pages and the command that shows them."""
