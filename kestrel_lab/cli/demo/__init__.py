"""What `kestrel-lab demo` does, step by step."""
