"""Results that a client reads from executors, with pyarrow at every endpoint's own address, and with ADBC,
which goes there by itself. The cluster has two executors in processes of their own."""

import threading
import time

import adbc_driver_flightsql.dbapi as dbapi
import pyarrow as pa
from flight import bearer, connect, descriptor, encoded_cancel, query, sql
from pyarrow import flight

from checks import PASSWORD, URI, USER, raises, run

ALL = "SELECT id, word, amount FROM rows"


def session(client, user=USER or "ada", password=PASSWORD):
    options = bearer(client, user, password)
    query(client, options, "SET skep.flight.direct = true")
    query(client, options, "SET skep.scan_partition_bytes = 1")
    return options


def start(client, options, text):
    return client.get_flight_info(descriptor(sql.CommandStatementQuery(query=text)), options)


def read(endpoint, options):
    with flight.FlightClient(endpoint.locations[0]) as executor:
        return executor.do_get(endpoint.ticket, options).read_all()


def states(client, options, text):
    _, table = query(client, options, "SHOW QUERIES")
    rows = table.to_pylist()
    return [row for row in rows if row["sql"] == text]


def wait_for(client, options, text, state, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = states(client, options, text)
        if found and found[0]["state"] == state:
            return found[0]
        time.sleep(0.05)
    raise AssertionError(f"never {state}: {found}")


def check_every_row_comes_from_one_executor():
    with connect() as client:
        options = session(client)
        text = ALL + " WHERE id >= 0"
        info = start(client, options, text)
        places = {str(endpoint.locations[0].uri) for endpoint in info.endpoints}
        assert len(info.endpoints) == 2 and len(places) == 2, info.endpoints
        assert all(endpoint.expiration_time is not None for endpoint in info.endpoints)
        assert states(client, options, text)[0]["state"] == "RUNNING"
        tables = [read(endpoint, options) for endpoint in info.endpoints]
        for table in tables:
            assert table.num_rows > 0
            assert table.schema.equals(info.schema), (table.schema, info.schema)
        got = pa.concat_tables(tables).sort_by("id")
        query(client, options, "SET skep.flight.direct = false")
        _, expected = query(client, options, ALL + " ORDER BY id")
        assert got.combine_chunks().equals(expected.combine_chunks())
        ended = wait_for(client, options, text, "FINISHED")
        assert ended["rows"] == expected.num_rows, ended


def check_types_are_those_that_were_told():
    """Views and dictionaries are gone there, too."""
    with connect() as client:
        options = session(client)
        text = "SELECT * FROM everything"
        info = start(client, options, text)
        assert all(endpoint.locations for endpoint in info.endpoints)
        got = pa.concat_tables([read(endpoint, options) for endpoint in info.endpoints])
        assert got.schema.equals(info.schema), (got.schema, info.schema)
        query(client, options, "SET skep.flight.direct = false")
        _, expected = query(client, options, text + " ORDER BY id")
        assert got.sort_by("id").combine_chunks().equals(expected.combine_chunks())


def check_an_order_is_kept():
    with connect() as client:
        options = session(client)
        for text in (ALL + " ORDER BY amount, id", ALL + " ORDER BY amount, id LIMIT 10"):
            info = start(client, options, text)
            assert len(info.endpoints) == 1, info.endpoints
            endpoint = info.endpoints[0]
            if endpoint.locations:
                table = read(endpoint, options)
            else:
                table = client.do_get(endpoint.ticket, options).read_all()
            assert table.equals(table.sort_by([("amount", "ascending"), ("id", "ascending")]))
            assert table.num_rows in (10, 200_000), table.num_rows
            wait_for(client, options, text, "FINISHED")


def check_a_statement_without_executors_comes_from_the_coordinator():
    with connect() as client:
        options = session(client)
        for text in ("SELECT 1 AS a", "SHOW TABLES", "EXPLAIN SELECT 1", "CREATE DATABASE IF NOT EXISTS direct"):
            info = start(client, options, text)
            assert len(info.endpoints) == 1 and not info.endpoints[0].locations, text
            client.do_get(info.endpoints[0].ticket, options).read_all()


def check_groups_come_from_executors_too():
    with connect() as client:
        options = session(client)
        text = "SELECT word, count(*) AS n, sum(amount) AS s FROM rows GROUP BY word"
        info = start(client, options, text)
        got = pa.concat_tables([read(endpoint, options) for endpoint in info.endpoints])
        query(client, options, "SET skep.flight.direct = false")
        _, expected = query(client, options, text)
        assert got.sort_by("word").select(["word", "n"]).combine_chunks().equals(
            expected.sort_by("word").select(["word", "n"]).combine_chunks()
        )
        wait_for(client, options, text, "FINISHED")


def check_a_ticket_is_good_once_and_altered_by_no_bit():
    with connect() as client:
        options = session(client)
        info = start(client, options, ALL + " WHERE id >= 1")
        first, second = info.endpoints
        for position in range(0, len(second.ticket.ticket), 5):
            altered = bytearray(second.ticket.ticket)
            altered[position] ^= 1
            with flight.FlightClient(second.locations[0]) as executor:
                ticket = flight.Ticket(bytes(altered))
                raises(Exception, lambda: executor.do_get(ticket, options).read_all(), "ticket")
        read(first, options)
        raises(KeyError, lambda: read(first, options), "read")
        # At the coordinator it stands for nothing.
        raises(Exception, lambda: client.do_get(second.ticket, options).read_all())
        read(second, options)
        wait_for(client, options, ALL + " WHERE id >= 1", "FINISHED")


def check_a_result_is_for_its_user():
    if not USER:
        return
    with connect() as client:
        options = session(client)
        query(client, options, "DROP USER IF EXISTS eve")
        query(client, options, "CREATE USER eve PASSWORD 'another secret'")
        eve = bearer(client, "eve", "another secret")
        text = ALL + " WHERE id >= 2"
        info = start(client, options, text)
        raises(flight.FlightUnauthorizedError, lambda: read(info.endpoints[0], eve), "another user")
        nobody = flight.FlightCallOptions()
        raises(flight.FlightUnauthenticatedError, lambda: read(info.endpoints[0], nobody))
        for endpoint in info.endpoints:
            read(endpoint, options)
        wait_for(client, options, text, "FINISHED")


def check_a_reader_that_goes_away_ends_the_query():
    with connect() as client:
        options = session(client)
        text = "SELECT a.id, repeat('x', 1000) AS t FROM rows a, numbers b"
        info = start(client, options, text)
        with flight.FlightClient(info.endpoints[0].locations[0]) as executor:
            reader = executor.do_get(info.endpoints[0].ticket, options)
            reader.read_chunk()
            reader.cancel()
        wait_for(client, options, text, "CANCELED", 5)
        raises(Exception, lambda: read(info.endpoints[-1], options))


def check_cancelling_reaches_the_executors():
    with connect() as client:
        options = session(client)
        text = "SELECT a.id, repeat('y', 1000) AS t FROM rows a, numbers b"
        info = start(client, options, text)
        with flight.FlightClient(info.endpoints[0].locations[0]) as executor:
            reader = executor.do_get(info.endpoints[0].ticket, options)
            reader.read_chunk()
            action = flight.Action("CancelFlightInfo", encoded_cancel(info))
            results = list(client.do_action(action, options))
            assert results[0].body.to_pybytes() == b"\x08\x01", "1 is cancelled"
            raises((Exception, KeyboardInterrupt), reader.read_all)
        wait_for(client, options, text, "CANCELED", 5)


def check_an_error_on_an_executor_is_the_querys():
    with connect() as client:
        options = session(client)
        text = "SELECT 1 / (id - 150000) AS x FROM rows"
        info = start(client, options, text)

        def all_of_them():
            for endpoint in info.endpoints:
                read(endpoint, options)

        raises(Exception, all_of_them, "by zero")
        failed = wait_for(client, options, text, "FAILED", 5)
        assert "by zero" in str(failed), failed


def check_a_closed_session_ends_its_queries():
    with connect() as client, connect() as watcher:
        options, other = session(client), bearer(watcher)
        text = "SELECT a.id, repeat('z', 1000) AS t FROM rows a, numbers b"
        start(client, options, text)
        wait_for(watcher, other, text, "RUNNING")
        list(client.do_action(flight.Action("CloseSession", b""), options))
        wait_for(watcher, other, text, "CANCELED", 5)


def check_adbc_reads_every_endpoint():
    """At the addresses that it is told, with the token of its login, all of them at once."""
    login = {"username": USER, "password": PASSWORD} if USER else {}
    with dbapi.connect(URI, db_kwargs=login, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("SET skep.scan_partition_bytes = 1")
        cursor.execute("SET skep.flight.direct = true")
        cursor.execute(ALL)
        table = cursor.fetch_arrow_table()
        assert table.num_rows == 200_000 and sorted(table["id"].to_pylist()) == list(range(200_000))
        cursor.execute("SELECT id FROM rows WHERE id < ?", (100,))
        assert sorted(row[0] for row in cursor.fetchall()) == list(range(100))


def check_readers_at_the_same_time():
    with connect() as client:
        options = session(client)
        text = ALL + " WHERE id >= 3"
        info = start(client, options, text)
        counts = []
        work = lambda endpoint: counts.append(read(endpoint, options).num_rows)
        threads = [threading.Thread(target=work, args=(endpoint,)) for endpoint in info.endpoints]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(counts) == 200_000 - 3, counts
        wait_for(client, options, text, "FINISHED")


if __name__ == "__main__":
    run(globals())
