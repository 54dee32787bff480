"""What the API server knows and decides, without doing any I/O."""
