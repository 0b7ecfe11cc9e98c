"""One file a command. Each holds `command`; its docstring is its help. The core is imported when it runs."""
