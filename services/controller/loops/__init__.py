"""What each control loop observes, and which changes make it look: one shell, many loops."""
