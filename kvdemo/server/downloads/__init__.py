"""Download models outside of the device's turn, each in a process that can be ended."""
