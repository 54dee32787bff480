"""Settings: flag over environment over default, and clear errors."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import pytest

from pybernetes.component.config import ConfigError, describe, option, parse


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Flags of a test."""

    listen: str = option("127.0.0.1:1", "where")
    name: str = option(dataclasses.MISSING, "who")  # type: ignore[arg-type]
    count: int = option(3, "how many")
    delay_s: float = option(0.5, "how long")
    leader_elect: bool = option(True, "whether")
    tls_ca: Path | None = option(None, "whom to trust")
    members: tuple[str, ...] = option((), "who else")
    token: str = option("", "secret", secret=True)


def read(*argv: str, **environ: str) -> Config:
    return parse(Config, "pybernetes-test", argv, environ)


def test_a_flag_wins_over_the_environment_and_that_over_the_default() -> None:
    assert read("--name=a").count == 3
    assert read("--name=a", PYBERNETES_TEST_COUNT="4").count == 4
    assert read("--name=a", "--count=5", PYBERNETES_TEST_COUNT="4").count == 5


def test_every_type_is_read() -> None:
    config = read(
        "--name=a", "--delay-s=2", "--leader-elect=false", "--tls-ca=/ca", "--members=a, b"
    )
    assert (config.delay_s, config.leader_elect) == (2.0, False)
    assert (config.tls_ca, config.members) == (Path("/ca"), ("a", "b"))
    assert read("--name=a", "--leader-elect").leader_elect is True


@pytest.mark.parametrize(
    ("argv", "environ", "message"),
    [
        ((), {}, "--name: Required value"),
        (("--name=a", "--count=x"), {}, "--count: Invalid value: 'x': must be an integer"),
        (("--name=a", "--leader-elect=maybe"), {}, "--leader-elect: Invalid value: 'maybe'"),
        (("--name=a", "--unknown=1"), {}, "unrecognized arguments: --unknown=1"),
        (("--name=a",), {"PYBERNETES_TEST_COUTN": "1"}, "PYBERNETES_TEST_COUTN: unknown setting"),
    ],
)
def test_bad_settings_are_named(
    argv: tuple[str, ...], environ: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError) as error:
        read(*argv, **environ)
    assert message in str(error.value)


def test_a_secret_is_never_described() -> None:
    described = describe(read("--name=a", "--token=hunter2"))
    assert described["token"] == "<hidden>"
    assert described["count"] == "3"
