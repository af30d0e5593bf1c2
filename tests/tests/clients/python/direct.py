"""Results that a client reads from executors, with pyarrow at every endpoint's own address, and with ADBC,
which goes there by itself. The cluster has two executors in processes of their own."""

import base64
import threading
import time

import adbc_driver_flightsql.dbapi as dbapi
import pyarrow as pa
from adbc_driver_flightsql import DatabaseOptions
from flight import bearer, connect, descriptor, encoded_field, query, sql
from pyarrow import flight

from checks import CERTIFICATE, PASSWORD, SCHEME, URI, USER, raises, run

ALL = "SELECT id, word, amount FROM rows"


def session(client, user=USER or "ada", password=PASSWORD):
    options = bearer(client, user, password)
    query(client, options, "SET skep.flight.direct = true")
    query(client, options, "SET skep.scan_partition_bytes = 1")
    return options


def start(client, options, text):
    return client.get_flight_info(descriptor(sql.CommandStatementQuery(query=text)), options)


def executor_of(endpoint):
    location = endpoint.locations[0]
    assert str(location.uri.decode()).startswith(SCHEME + "://"), location
    if CERTIFICATE:
        with open(CERTIFICATE, "rb") as file:
            return flight.FlightClient(location, tls_root_certs=file.read())
    return flight.FlightClient(location)


def read(endpoint, options):
    with executor_of(endpoint) as executor:
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
            with executor_of(second) as executor:
                ticket = flight.Ticket(bytes(altered))
                # What is no client's ticket any more is taken for one of a node, which needs a certificate.
                part = "t" if CERTIFICATE else "ticket"
                raises(Exception, lambda: executor.do_get(ticket, options).read_all(), part)
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
        for headers in ([], [(b"authorization", b"Bearer bm9uc2Vuc2U.bm9uc2Vuc2U")]):
            nobody = flight.FlightCallOptions(headers=headers)
            raises(flight.FlightUnauthenticatedError, lambda: read(info.endpoints[0], nobody))
        for endpoint in info.endpoints:
            read(endpoint, options)
        wait_for(client, options, text, "FINISHED")


def check_executors_take_names_and_passwords():
    """By a handshake and with every call; the coordinator is asked, which slows down whoever guesses."""
    if not USER:
        return
    with connect() as client:
        options = session(client)
        query(client, options, "DROP USER IF EXISTS eve")
        query(client, options, "CREATE USER eve PASSWORD 'another secret'")
        text = ALL + " WHERE id >= 4"
        first, second = start(client, options, text).endpoints

        def basic(user, password):
            pair = base64.b64encode(f"{user}:{password}".encode())
            return flight.FlightCallOptions(headers=[(b"authorization", b"Basic " + pair)])

        with executor_of(first) as executor:
            header, token = executor.authenticate_basic_token(USER, PASSWORD)
            raises(flight.FlightUnauthenticatedError, lambda: executor.authenticate_basic_token(USER, "wrong"))
            raises(flight.FlightUnauthenticatedError, lambda: executor.authenticate_basic_token("nobody", PASSWORD))
            raises(flight.FlightUnauthorizedError, lambda: executor.do_get(first.ticket, basic("eve", "another secret")).read_all())
            raises(flight.FlightUnauthenticatedError, lambda: executor.do_get(first.ticket, basic(USER, "wrong")).read_all())
            executor.do_get(first.ticket, flight.FlightCallOptions(headers=[(header, token)])).read_all()
        read(second, basic(USER, PASSWORD))
        wait_for(client, options, text, "FINISHED")


def check_what_travels_with_tls_travels_in_no_other_way():
    if not CERTIFICATE:
        return
    with connect() as client:
        options = session(client)
        endpoint = start(client, options, ALL + " WHERE id >= 5").endpoints[0]
        plain = endpoint.locations[0].uri.decode().replace("grpc+tls", "grpc+tcp")
        with flight.FlightClient(plain) as executor:
            raises(Exception, lambda: executor.do_get(endpoint.ticket, options).read_all(), "over TLS alone")
            raises(Exception, lambda: executor.authenticate_basic_token(USER, PASSWORD), "over TLS alone")


def check_a_share_that_nobody_reads_ends_the_query():
    """The server of this test keeps results for five seconds."""
    with connect() as client:
        options = session(client)
        text = ALL + " WHERE id >= 6"
        info = start(client, options, text)
        read(info.endpoints[0], options)
        ended = wait_for(client, options, text, "CANCELED", 15)
        assert "nobody read" in str(describe(client, options, ended["query_id"])), ended
        raises(Exception, lambda: read(info.endpoints[1], options))


def describe(client, options, query_id):
    return query(client, options, f"DESCRIBE QUERY '{query_id}'")[1].to_pylist()


def check_a_share_that_is_renewed_waits_on():
    with connect() as client, connect() as other:
        options = session(client)
        text = ALL + " WHERE id >= 7"
        info = start(client, options, text)
        first, second = info.endpoints
        for _ in range(3):
            time.sleep(2)
            kept = [renewed(client, options, endpoint) for endpoint in (first, second)]
        assert kept[0].expiration_time.value > first.expiration_time.value, kept[0]
        # Another session has no say in it, and neither has nonsense.
        raises(Exception, lambda: renewed(other, bearer(other, USER or "ada", PASSWORD), second))
        nonsense = flight.FlightEndpoint(flight.Ticket(b"nonsense"), second.locations)
        raises(Exception, lambda: renewed(client, options, nonsense))
        assert sum(read(endpoint, options).num_rows for endpoint in kept) == 200_000 - 7
        wait_for(client, options, text, "FINISHED")
        raises(Exception, lambda: renewed(client, options, kept[0]))


def renewed(client, options, endpoint):
    body = endpoint.serialize()
    action = flight.Action("RenewFlightEndpoint", encoded_field(body))
    (result,) = client.do_action(action, options)
    return flight.FlightEndpoint.deserialize(result.body.to_pybytes())


def check_a_reader_that_goes_away_ends_the_query():
    with connect() as client:
        options = session(client)
        text = "SELECT a.id, repeat('x', 1000) AS t FROM rows a, numbers b"
        info = start(client, options, text)
        with executor_of(info.endpoints[0]) as executor:
            reader = executor.do_get(info.endpoints[0].ticket, options)
            reader.read_chunk()
            reader.cancel()
        wait_for(client, options, text, "CANCELED", 2)
        raises(Exception, lambda: read(info.endpoints[-1], options))


def check_cancelling_reaches_the_executors():
    with connect() as client:
        options = session(client)
        text = "SELECT a.id, repeat('y', 1000) AS t FROM rows a, numbers b"
        info = start(client, options, text)
        with executor_of(info.endpoints[0]) as executor:
            reader = executor.do_get(info.endpoints[0].ticket, options)
            reader.read_chunk()
            action = flight.Action("CancelFlightInfo", encoded_field(info.serialize()))
            results = list(client.do_action(action, options))
            assert results[0].body.to_pybytes() == b"\x08\x01", "1 is cancelled"
            raises((Exception, KeyboardInterrupt), reader.read_all)
        wait_for(client, options, text, "CANCELED", 2)


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
        wait_for(watcher, other, text, "CANCELED", 2)


def check_adbc_reads_every_endpoint():
    """At the addresses that it is told, with the token of its login, all of them at once."""
    login = {"username": USER, "password": PASSWORD} if USER else {}
    if CERTIFICATE:
        with open(CERTIFICATE) as file:
            login[DatabaseOptions.TLS_ROOT_CERTS.value] = file.read()
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
