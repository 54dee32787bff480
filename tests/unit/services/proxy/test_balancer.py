"""Who takes the next connection, and who rests."""

import random
from collections import Counter

from services.proxy.core import balancer as module
from services.proxy.core.balancer import Balancer, Load
from services.proxy.core.outliers import REST_INITIAL_S, REST_MAX_S, Outliers
from services.proxy.core.table import Backend, Front, Route

A, B, C = (Backend(f"10.244.1.{number}", 8080) for number in (1, 2, 3))


class World:
    """A balancer and what it looks at."""

    def __init__(self, *backends: Backend, affinity_s: int = 0) -> None:
        self.load = Load()
        self.outliers = Outliers()
        self.balancer = Balancer(
            self.route(*backends, affinity_s=affinity_s),
            self.load,
            self.outliers,
            random.Random(7),
        )

    def route(self, *backends: Backend, affinity_s: int = 0) -> Route:
        return Route("default/web", "", Front("10.96.0.1", 80), backends, affinity_s)

    def picks(self, count: int, now_s: float = 0.0) -> Counter[Backend | None]:
        return Counter(self.balancer.pick(f"client-{i}", now_s) for i in range(count))


def test_nobody_to_pick_means_refuse() -> None:
    assert World().balancer.pick("client", 0.0) is None


def test_equal_backends_share_evenly() -> None:
    shares = World(A, B, C).picks(3_000)
    assert all(700 < shares[backend] < 1_300 for backend in (A, B, C))


def test_the_busiest_of_three_gets_nothing() -> None:
    world = World(A, B, C)
    for _ in range(5):
        world.load.opened(A)
    assert world.picks(500)[A] == 0


def test_load_counts_down_to_nothing() -> None:
    load = Load()
    load.opened(A)
    load.opened(A)
    load.closed(A)
    assert load.of(A) == 1
    load.closed(A)
    assert load.of(A) == 0


def test_a_tried_backend_is_never_picked_again() -> None:
    world = World(A, B)
    assert {world.balancer.pick("client", 0.0, (A,)) for _ in range(50)} == {B}
    assert world.balancer.pick("client", 0.0, (A, B)) is None


def test_a_refusing_backend_rests_and_comes_back() -> None:
    world = World(A, B)
    until_s = world.outliers.refused(A, 10.0)
    assert set(world.picks(50, 10.1)) == {B}
    assert set(world.picks(50, until_s)) == {A, B}


def test_resting_backends_are_better_than_none() -> None:
    world = World(A)
    world.outliers.refused(A, 10.0)
    assert world.balancer.pick("client", 10.1) == A


def test_rest_doubles_with_each_failure_up_to_a_limit() -> None:
    outliers = Outliers()
    now_s, rests = 0.0, []
    for _ in range(12):
        until_s = outliers.refused(A, now_s)
        rests.append(until_s - now_s)
        now_s = until_s
    assert rests[:3] == [REST_INITIAL_S, 2 * REST_INITIAL_S, 4 * REST_INITIAL_S]
    assert rests[-1] == REST_MAX_S
    outliers.worked(A)
    assert not outliers


def test_failures_seen_at_once_count_as_one() -> None:
    outliers = Outliers()
    assert [outliers.refused(A, 1.0) for _ in range(4)] == [1.0 + REST_INITIAL_S] * 4


def test_who_left_the_table_is_forgotten() -> None:
    outliers = Outliers()
    outliers.refused(A, 0.0)
    outliers.retain({B})
    assert not outliers


def test_affinity_keeps_a_client_until_it_stays_away() -> None:
    world = World(A, B, C, affinity_s=60)
    first = world.balancer.pick("client", 0.0)
    assert {world.balancer.pick("client", float(now_s)) for now_s in range(0, 600, 59)} == {first}
    others = {world.balancer.pick("client", 1_000.0 * i) for i in range(1, 50)}
    assert others == {A, B, C}


def test_affinity_survives_a_swap_but_not_its_backend() -> None:
    world = World(A, B, C, affinity_s=60)
    kept = world.balancer.pick("client", 0.0)
    assert kept is not None
    left = [backend for backend in (A, B, C) if backend != kept]
    world.balancer.swap(world.route(kept, left[0], affinity_s=60))
    assert world.balancer.pick("client", 1.0) == kept
    world.balancer.swap(world.route(left[1], affinity_s=60))
    assert world.balancer.pick("client", 2.0) == left[1]


def test_affinity_remembers_a_bounded_number_of_clients() -> None:
    world = World(A, B, affinity_s=60)
    for number in range(module.CLIENTS_MAX + 10):
        world.balancer.pick(f"client-{number}", 0.0)
    assert len(world.balancer._clients) == module.CLIENTS_MAX
