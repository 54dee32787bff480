from services.store import passwords


def test_only_the_password_that_was_stored_matches() -> None:
    stored = passwords.hashed("secret")
    assert passwords.matches("secret", stored)
    assert not passwords.matches("Secret", stored)
    assert not passwords.matches("", stored)


def test_nothing_matches_where_no_password_is_stored() -> None:
    assert not passwords.matches("", b"")


def test_equal_passwords_are_stored_differently() -> None:
    assert passwords.hashed("secret") != passwords.hashed("secret")
    assert b"secret" not in passwords.hashed("secret")
