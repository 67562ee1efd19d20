"""What no single step owns: styles, the script template, common pages."""
