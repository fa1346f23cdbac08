"""Ask things of the operating system: limited processes, memory, temporary folders, logs, who reaches this server."""
