"""The subcommands of `mvr`: their arguments, what they do and what they print."""
