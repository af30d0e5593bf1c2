"""Users, passwords and TLS as clients see them. The server has the user `admin` alone."""

import time

import adbc_driver_flightsql.dbapi as dbapi

import adbc
from checks import PASSWORD, URI, raises, run


def connect(user, password):
    options = {"username": user, "password": password}
    if adbc.CERTIFICATE:
        with open(adbc.CERTIFICATE) as file:
            options[adbc.DatabaseOptions.TLS_ROOT_CERTS.value] = file.read()
    return dbapi.connect(URI, db_kwargs=options, autocommit=True)


def rows(user, password, sql):
    with connect(user, password) as connection:
        return adbc.rows(connection, sql)


def check_users_come_and_go():
    rows("admin", PASSWORD, "DROP USER IF EXISTS ada")
    rows("admin", PASSWORD, "CREATE USER ada PASSWORD 'first'")
    assert rows("ada", "first", "SELECT 1") == [(1,)]
    assert [row[:2] for row in rows("ada", "first", "SHOW USERS")] == [("ada", "NO")]
    assert len(rows("admin", PASSWORD, "SHOW USERS")) == 2
    raises(dbapi.Error, lambda: rows("ada", "first", "CREATE USER bob PASSWORD 'x'"), "administrators")
    with connect("ada", "first") as connection:
        assert adbc.rows(connection, "SELECT 2") == [(2,)]
        rows("admin", PASSWORD, "ALTER USER ada PASSWORD 'second'")
        # The token of before is good no more.
        raises(dbapi.Error, lambda: adbc.rows(connection, "SELECT 3"), "log in again")
    raises(dbapi.Error, lambda: rows("ada", "first", "SELECT 1"), "wrong user name or password")
    assert rows("ada", "second", "SELECT 1") == [(1,)]
    with connect("ada", "second") as connection:
        assert adbc.rows(connection, "SELECT 2") == [(2,)]
        rows("admin", PASSWORD, "DROP USER ada")
        raises(dbapi.Error, lambda: adbc.rows(connection, "SELECT 3"), "log in again")
    raises(dbapi.Error, lambda: rows("ada", "second", "SELECT 1"), "wrong user name or password")
    raises(dbapi.Error, lambda: rows("admin", PASSWORD, "DROP USER admin"), "last administrator")


def check_a_wrong_password_and_an_unknown_user_look_the_same():
    times = {}
    for user in ("admin", "nobody"):
        start = time.monotonic()
        error = raises(dbapi.Error, lambda: rows(user, "wrong", "SELECT 1"))
        times[user] = time.monotonic() - start
        assert "wrong user name or password" in str(error) and "UNAUTHENTICATED" in str(error).upper(), error
    assert rows("admin", PASSWORD, "SELECT 1") == [(1,)]
    assert 0.2 < times["admin"] / times["nobody"] < 5, times


def check_guessing_becomes_slow_and_locks_nobody_out():
    for _ in range(6):
        raises(dbapi.Error, lambda: rows("guessed", "wrong", "SELECT 1"))
    start = time.monotonic()
    raises(dbapi.Error, lambda: rows("guessed", "wrong", "SELECT 1"))
    assert time.monotonic() - start > 0.15
    assert rows("admin", PASSWORD, "SELECT 1") == [(1,)]


def check_nobody_gets_in_without_a_name():
    def anonymous():
        options = {}
        if adbc.CERTIFICATE:
            with open(adbc.CERTIFICATE) as file:
                options[adbc.DatabaseOptions.TLS_ROOT_CERTS.value] = file.read()
        with dbapi.connect(URI, db_kwargs=options, autocommit=True) as connection:
            adbc.rows(connection, "SELECT 1")

    raises(dbapi.Error, anonymous, "log in")


def check_passwords_are_not_in_the_list_of_queries():
    rows("admin", PASSWORD, "DROP USER IF EXISTS hidden")
    rows("admin", PASSWORD, "CREATE USER hidden PASSWORD 'sesame-street'")
    shown = rows("admin", PASSWORD, "SHOW QUERIES")
    assert any("CREATE USER hidden PASSWORD ***" in str(row) for row in shown)
    assert not any("sesame-street" in str(row) for row in shown)


def check_queries_of_others_are_not_for_everybody():
    rows("admin", PASSWORD, "CREATE USER IF NOT EXISTS eve PASSWORD 'eve'")
    query = rows("admin", PASSWORD, "SHOW QUERIES")[0][0]
    raises(dbapi.Error, lambda: rows("eve", "eve", f"KILL QUERY '{query}'"), "no running query")


if __name__ == "__main__":
    run(globals())
