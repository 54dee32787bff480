"""Whole clusters of the store in one thread and virtual time, from one seed.

The members are the real ones, from their log to their watch streams; only time, disk and network
are simulated. A run draws faults and requests from its seed, and checks after every step what
must be true of a store.
"""
