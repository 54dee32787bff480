"""Back-off: from the number of the attempt to a delay, with jitter from a given generator."""

import random

_DOUBLINGS_MAX = 62  # beyond any delay we use; keeps the power small


def delay_s(attempt: int, *, initial_s: float, max_s: float, rng: random.Random) -> float:
    """Return how long to wait after failed attempt `attempt` (0 is the first), in seconds.

    Doubles from `initial_s` up to `max_s`, then takes off up to half at random, so that
    clients that failed together do not return together.
    """
    full = min(max_s, initial_s * float(2 ** min(max(attempt, 0), _DOUBLINGS_MAX)))
    return full * (0.5 + 0.5 * rng.random())
