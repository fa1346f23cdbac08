"""Find what limits a step: the device's peaks, launches, bytes, arithmetic."""
