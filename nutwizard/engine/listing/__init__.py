"""The list of paths: every file and folder that NUT and nutwizard have to do with on this machine."""
