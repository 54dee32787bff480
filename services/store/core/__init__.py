"""The store as pure data: every replica applies the same commands and ends with the same state."""
