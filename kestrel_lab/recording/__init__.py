"""The recording format: writer, reader, journal, seal, verify and repair."""
