"""The world that tests run in; imported by tests only."""
