"""pyarrow.flight: the plain protocol, with the messages of Flight SQL as flightsql-dbapi has them."""

import base64
import os
import resource
import socket
import time

import pyarrow as pa
from flightsql import flightsql_pb2 as sql
from google.protobuf import any_pb2
from pyarrow import flight

from checks import CERTIFICATE, HOST_AND_PORT, PASSWORD, URI, USER, raises, run


def connect():
    if CERTIFICATE:
        with open(CERTIFICATE, "rb") as file:
            return flight.FlightClient(URI, tls_root_certs=file.read())
    return flight.FlightClient(URI)


def packed(message):
    any_message = any_pb2.Any()
    any_message.Pack(message)
    return any_message.SerializeToString()


def descriptor(message):
    return flight.FlightDescriptor.for_command(packed(message))


def bearer(client, user=USER or "ada", password=PASSWORD):
    header = client.authenticate_basic_token(user, password)
    return flight.FlightCallOptions(headers=[header])


def query(client, options, text):
    info = client.get_flight_info(descriptor(sql.CommandStatementQuery(query=text)), options)
    table = client.do_get(info.endpoints[0].ticket, options).read_all()
    assert table.schema.equals(info.schema), (table.schema, info.schema)
    return info, table


def check_basic_login_gives_a_bearer_token():
    with connect() as client:
        name, value = client.authenticate_basic_token(USER or "ada", PASSWORD)
        assert name == b"authorization" and value.startswith(b"Bearer "), (name, value)
        options = flight.FlightCallOptions(headers=[(name, value)])
        _, table = query(client, options, "SELECT 1 AS a")
        assert table.to_pydict() == {"a": [1]}
    # The token is good on another connection, where it finds the same session.
    with connect() as other:
        query(other, options, "SET skep.stage_tasks_max = 3")
    with connect() as third:
        _, table = query(third, options, "SHOW skep.stage_tasks_max")
        assert table["value"].to_pylist() == ["3"]


def check_basic_with_every_call():
    login = base64.b64encode(f"{USER or 'ada'}:{PASSWORD}".encode())
    options = flight.FlightCallOptions(headers=[(b"authorization", b"Basic " + login)])
    with connect() as client:
        for number in range(5):
            _, table = query(client, options, f"SELECT {number} AS a")
            assert table.to_pydict() == {"a": [number]}


def check_an_altered_token_is_refused():
    with connect() as client:
        name, value = client.authenticate_basic_token(USER or "ada", PASSWORD)
        for position in range(len(b"Bearer "), len(value), 7):
            letter = b"A" if value[position : position + 1] != b"A" else b"B"
            altered = value[:position] + letter + value[position + 1 :]
            options = flight.FlightCallOptions(headers=[(name, altered)])
            raises(flight.FlightUnauthenticatedError, lambda: query(client, options, "SELECT 1"))


def check_a_ticket_is_good_once_for_its_own_session():
    with connect() as client, connect() as other:
        options = bearer(client)
        info = client.get_flight_info(descriptor(sql.CommandStatementQuery(query="SELECT 1")), options)
        ticket = info.endpoints[0].ticket
        assert not info.endpoints[0].locations
        altered = bytearray(ticket.ticket)
        altered[-1] ^= 1
        raises(KeyError, lambda: client.do_get(flight.Ticket(bytes(altered)), options).read_all())
        client.do_get(ticket, options).read_all()
        raises(KeyError, lambda: client.do_get(ticket, options).read_all())


def check_cancelling_through_the_flight_info():
    with connect() as client:
        options = bearer(client)
        numbers = "(SELECT * FROM numbers)"
        text = f"SELECT a.id FROM {numbers} a, {numbers} b, {numbers} c, {numbers} d, {numbers} e"
        info = client.get_flight_info(descriptor(sql.CommandStatementQuery(query=text)), options)
        reader = client.do_get(info.endpoints[0].ticket, options)
        reader.read_chunk()
        request = flight.Action("CancelFlightInfo", encoded_field(info.serialize()))
        results = list(client.do_action(request, options))
        assert results[0].body.to_pybytes() == b"\x08\x01", "1 is cancelled"
        raises((flight.FlightCancelledError, KeyboardInterrupt), reader.read_all)


def encoded_field(body):
    """A message with a message in its first field: what CancelFlightInfo and RenewFlightEndpoint are sent."""
    length, encoded = len(body), b""
    while length > 0x7F:
        encoded += bytes([length & 0x7F | 0x80])
        length >>= 7
    return b"\x0a" + encoded + bytes([length]) + body


def check_columns_tell_their_types_and_comments():
    """What JDBC's getColumns, ODBC and Power BI show."""
    with connect() as client:
        options = bearer(client)
        query(client, options, "DROP TABLE IF EXISTS told")
        query(
            client,
            options,
            "CREATE TABLE told (id INT NOT NULL COMMENT 'the key', name VARCHAR(7), price DECIMAL(9, 3))"
            " PARTITIONED BY (day STRING COMMENT 'of sale')",
        )
        message = sql.CommandGetTables(table_name_filter_pattern="told", include_schema=True)
        info = client.get_flight_info(descriptor(message), options)
        table = client.do_get(info.endpoints[0].ticket, options).read_all()
        schema = pa.ipc.read_schema(pa.py_buffer(table.column("table_schema")[0].as_py()))
        told = {}
        for field in schema:
            names = ("TYPE_NAME", "PRECISION", "SCALE", "REMARKS")
            told[field.name] = [(field.metadata or {}).get(f"ARROW:FLIGHT:SQL:{name}".encode()) for name in names]
        assert told == {
            "id": [b"INT", b"10", b"0", b"the key"],
            "name": [b"VARCHAR", b"7", None, None],
            "price": [b"DECIMAL", b"9", b"3", None],
            "day": [b"STRING", None, None, b"of sale"],
        }, told
        assert not schema.field("id").nullable and schema.field("name").nullable


def check_messages_are_small_enough_for_any_client():
    with connect() as client:
        options = bearer(client)
        text = "SELECT repeat('x', 100000) AS t FROM numbers a, numbers b"
        info = client.get_flight_info(descriptor(sql.CommandStatementQuery(query=text)), options)
        reader = client.do_get(info.endpoints[0].ticket, options)
        rows = 0
        for chunk in reader:
            assert chunk.data.nbytes <= 4 << 20
            rows += chunk.data.num_rows
        assert rows == 1600


def check_statements_through_every_path_run_once():
    with connect() as client:
        options = bearer(client)
        query(client, options, "DROP DATABASE IF EXISTS by_flight")
        info = client.get_flight_info(
            descriptor(sql.CommandStatementQuery(query="CREATE DATABASE by_flight")), options
        )
        error = raises(
            pa.ArrowException,
            lambda: client.get_flight_info(
                descriptor(sql.CommandStatementQuery(query="CREATE DATABASE by_flight")), options
            ),
        )
        assert "by_flight" in str(error)
        assert client.do_get(info.endpoints[0].ticket, options).read_all().num_rows == 0
        writer, reader = client.do_put(
            descriptor(sql.CommandStatementUpdate(query="DROP DATABASE by_flight")), pa.schema([]), options
        )
        result = sql.DoPutUpdateResult()
        result.ParseFromString(reader.read().to_pybytes())
        writer.close()
        assert result.record_count == 0


def check_random_bytes_harm_nobody():
    host, port = HOST_AND_PORT.rsplit(":", 1)
    sockets = []
    for length in (1, 24, 1000, 100000):
        connection = socket.create_connection((host, int(port)))
        sockets.append(connection)
        try:
            connection.sendall(os.urandom(length))
        except OSError:
            pass
    with connect() as client:
        options = bearer(client)
        query(client, options, "SELECT 1")
        for garbage in (b"", b"\xff" * 100, os.urandom(1000)):
            kinds = (pa.ArrowInvalid, KeyError, flight.FlightServerError, NotImplementedError)
            wrong = flight.FlightDescriptor.for_command(garbage)
            raises(kinds, lambda: client.get_flight_info(wrong, options))
            raises(kinds, lambda: client.do_get(flight.Ticket(garbage), options).read_all())
            raises(kinds, lambda: list(client.do_action(flight.Action("CreatePreparedStatement", garbage), options)))
        raises(NotImplementedError, lambda: list(client.list_flights(options=options)))
        query(client, options, "SELECT 1")


def check_too_much_is_refused_at_once():
    with connect() as client:
        options = bearer(client)
        for length in (2 << 20, 70 << 20):
            text = "SELECT '" + "x" * length + "'"
            raises(Exception, lambda: query(client, options, text), "bytes")
        query(client, options, "SELECT 1")


def check_five_thousand_connections_keep_nobody_out():
    wanted = 5000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    host, port = HOST_AND_PORT.rsplit(":", 1)
    silent = []
    for _ in range(min(wanted, hard - 200)):
        connection = socket.socket()
        connection.setblocking(False)
        connection.connect_ex((host, int(port)))
        silent.append(connection)
        if len(silent) % 100 == 0:
            # The backlog of a listening port is short.
            time.sleep(0.02)
    with connect() as client:
        options = bearer(client)
        for _ in range(20):
            query(client, options, "SELECT 1")
    # Who says nothing is sent away.
    last = silent[-1]
    last.setblocking(True)
    last.settimeout(20)
    assert last.recv(1) == b""
    for connection in silent:
        connection.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def check_a_slow_reader_does_not_hold_up_others():
    with connect() as slow, connect() as quick:
        options = bearer(slow)
        text = "SELECT repeat('x', 1000) AS t FROM numbers a, numbers b, numbers c, numbers d"
        info = slow.get_flight_info(descriptor(sql.CommandStatementQuery(query=text)), options)
        reader = slow.do_get(info.endpoints[0].ticket, options)
        reader.read_chunk()
        others = bearer(quick)
        start = time.monotonic()
        for _ in range(20):
            query(quick, others, "SELECT count(*) FROM numbers")
        assert time.monotonic() - start < 20
        reader.cancel()


if __name__ == "__main__":
    run(globals())
