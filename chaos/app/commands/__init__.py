"""The commands, a family to a file. Each family adds its own to the command line."""
