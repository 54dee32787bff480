"""One control loop a file: what is observed in, actions out."""
