"""Command line: one file a command under `commands/`. It parses, checks, calls the core and renders; nothing more."""
