"""The ADBC driver for Flight SQL: its DBAPI, which prepares every statement, and its low level."""

import datetime
import decimal
import time
import threading

import adbc_driver_flightsql
import adbc_driver_flightsql.dbapi as dbapi
import adbc_driver_manager
import pyarrow as pa
import pyarrow.parquet as pq
from adbc_driver_flightsql import ConnectionOptions, DatabaseOptions

from checks import CERTIFICATE, DATA, PASSWORD, URI, USER, raises, run


def connect(**more):
    options = dict(more)
    if USER:
        options.update(username=USER, password=PASSWORD)
    if CERTIFICATE:
        with open(CERTIFICATE) as file:
            options[DatabaseOptions.TLS_ROOT_CERTS.value] = file.read()
    return dbapi.connect(URI, db_kwargs=options, autocommit=True)


def rows(connection, sql, parameters=None):
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def check_one_row():
    with connect() as connection:
        assert rows(connection, "SELECT 1 AS a, 'x' AS b") == [(1, "x")]


def check_every_type_arrives_as_it_was_written():
    """What is read back is what the Parquet file holds, in the types that the documentation names."""
    written = pq.read_table(f"{DATA}/everything/part-0.parquet")
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM everything ORDER BY id")
        got = cursor.fetch_arrow_table()
    assert got.column_names == written.column_names
    for name in got.column_names:
        expected, column = written[name], got[name]
        if expected.type != column.type:
            expected = plain(expected).cast(column.type)
        assert column.combine_chunks() == expected.combine_chunks(), (
            f"{name}: {column} instead of {expected}"
        )
    for field in got.schema:
        text = str(field.type)
        assert "view" not in text and "dictionary" not in text and "large" not in text, field


def plain(column):
    if pa.types.is_dictionary(column.type):
        return column.cast(column.type.value_type)
    return column


def check_native_types_on_demand():
    with connect() as connection:
        rows(connection, "SET skep.flight.native_types = true")
        with connection.cursor() as cursor:
            cursor.execute("SELECT views, nanos FROM everything ORDER BY id")
            got = cursor.fetch_arrow_table()
        written = pq.read_table(f"{DATA}/everything/part-0.parquet")
        assert got.schema.field("nanos").type == pa.timestamp("ns"), got.schema
        assert got.schema.field("views").type == pa.string_view(), got.schema
        assert got["nanos"].combine_chunks() == written["nanos"].combine_chunks()


def check_parameters():
    with connect() as connection:
        assert rows(connection, "SELECT ? + 1", (41,)) == [(42,)]
        assert rows(connection, "SELECT $2, $1", ("first", 2)) == [(2, "first")]
        assert rows(connection, "SELECT id FROM everything WHERE text = $1 AND id < $2", ("b", 100)) == [(1,)]
        assert rows(connection, "SELECT count(*) FROM everything WHERE id IN (?, ?) LIMIT ?", (0, 1, 5)) == [(2,)]
        for value in (
            None,
            True,
            -5,
            2.5,
            "it's",
            b"\x00\xff",
            datetime.date(2024, 2, 29),
            datetime.datetime(2024, 2, 29, 12, 30, 1, 5),
        ):
            got = rows(connection, "SELECT ? AS p", (value,))
            assert got == [(value,)], (value, got)


def check_parameters_are_typed_from_the_plan():
    with connect() as connection, connection.cursor() as cursor:
        cursor.adbc_statement.set_sql_query(
            "SELECT id FROM everything WHERE id > ? AND text LIKE ? AND price BETWEEN ? AND ? LIMIT ?"
        )
        cursor.adbc_statement.prepare()
        handle = cursor.adbc_statement.get_parameter_schema()
        schema = pa.Schema._import_from_c(handle.address)
        types = [str(field.type) for field in schema]
        assert types == ["int64", "string", "decimal128(12, 2)", "decimal128(12, 2)", "int64"], types


def check_parameters_of_the_wrong_number_or_type():
    with connect() as connection:
        raises(dbapi.Error, lambda: rows(connection, "SELECT ? + 1", (1, 2)), "parameter")
        raises(dbapi.Error, lambda: rows(connection, "SELECT ? + 1"), "parameter")
        raises(dbapi.Error, lambda: rows(connection, "SELECT id FROM everything WHERE id = ?", ("x",)))
        assert rows(connection, "SELECT 1") == [(1,)]


def check_many_rows_of_parameters():
    """A query runs once for each row; the results follow one another."""
    with connect() as connection, connection.cursor() as cursor:
        statement = cursor.adbc_statement
        statement.set_sql_query("SELECT id, text FROM everything WHERE id = ?")
        statement.prepare()
        bound = pa.record_batch([pa.array([2, 0, 7, 1])], names=["id"])
        array, schema = adbc_driver_manager.ArrowArrayHandle(), adbc_driver_manager.ArrowSchemaHandle()
        bound._export_to_c(array.address, schema.address)
        statement.bind(array, schema)
        stream, _ = statement.execute_query()
        reader = pa.RecordBatchReader._import_from_c(stream.address)
        assert reader.read_all()["id"].to_pylist() == [2, 0, 1]
        raises(
            dbapi.Error,
            lambda: cursor.executemany("SELECT id FROM everything WHERE id = ?", [(0,), (2,)]),
            "returns rows",
        )


def check_rows_are_written_with_parameters():
    """As many rows as there are values, in one statement and one transaction where they are a list."""
    day = datetime.date(2024, 2, 29)
    with connect() as connection, connection.cursor() as cursor:
        rows(connection, "DROP TABLE IF EXISTS written")
        rows(connection, "CREATE TABLE written (id BIGINT, text STRING, day DATE, price DECIMAL(10, 2))")
        insert = "INSERT INTO written VALUES (?, ?, ?, ?)"
        values = [(id, f"row {id}", day, decimal.Decimal("1.50")) for id in range(5000)]
        cursor.executemany(insert, values)
        assert cursor.rowcount == 5000, cursor.rowcount
        files = rows(connection, "SELECT files FROM information_schema.table_statistics WHERE table_name = 'written'")
        assert files[0][0] <= 2, files
        cursor.executemany(insert, [(None, None, None, None), (7000, "x", None, None)])
        cursor.execute("INSERT INTO written (text, id) VALUES (?, ? + 1), ('fixed', ?)", ("one more", 8000, 9000))
        found = rows(connection, "SELECT count(*), count(id), sum(price), max(id), count(DISTINCT day) FROM written")
        assert found == [(5004, 5003, decimal.Decimal("7500.00"), 9000, 1)], found
        # A query runs once for each row, one transaction after the other.
        cursor.executemany("INSERT INTO written SELECT id + 10000, ?, day, price FROM written WHERE id = ?", [("a", 1), ("b", 2)])
        found = rows(connection, "SELECT id, text, day FROM written WHERE id > 9500 ORDER BY id")
        assert found == [(10001, "a", day), (10002, "b", day)], found
        rows(connection, "DROP TABLE IF EXISTS chosen")
        rows(connection, "CREATE TABLE chosen AS SELECT id, ? AS word FROM written WHERE id < ?", ("w", 2))
        assert rows(connection, "SELECT * FROM chosen ORDER BY id") == [(0, "w"), (1, "w")]
        for sql, parameters, part in [
            (insert, ("no number", "x", day, 1), "no number"),
            ("INSERT INTO written VALUES (?, ?, ?)", (1, "x", day), "takes 4"),
            ("CREATE DATABASE for_nothing", (1,), "0 parameters"),
            (insert, None, "4 parameters"),
        ]:
            raises(connection.ProgrammingError, lambda: cursor.execute(sql, parameters), part)
        assert rows(connection, "SELECT count(*) FROM written") == [(5006,)]
        for sql, expected in [
            (insert, [pa.int64(), pa.string(), pa.date32(), pa.decimal128(10, 2)]),
            ("INSERT INTO written (text, day) SELECT ?, day FROM written WHERE id > ?", [pa.string(), pa.int64()]),
        ]:
            statement = adbc_driver_manager.AdbcStatement(connection.adbc_connection)
            with statement:
                statement.set_sql_query(sql)
                statement.prepare()
                handle = statement.get_parameter_schema()
                schema = pa.Schema._import_from_c(handle.address)
                assert schema.types == expected, schema


def check_the_session_tells_of_itself():
    with connect() as connection:
        rows(connection, "CREATE DATABASE IF NOT EXISTS told")
        rows(connection, "USE told")
        (row,) = rows(connection, "SELECT current_database(), current_schema(), current_catalog(), current_user(), version()")
        assert row[:3] == ("told", "told", "skep") and row[3] and row[4].startswith("Skep "), row
        assert rows(connection, "SELECT current_user = current_user() AND current_catalog = 'skep'") == [(True,)]


def check_a_prepared_statement_follows_the_catalog():
    with connect() as connection, connection.cursor() as cursor:
        rows(connection, "DROP TABLE IF EXISTS followed")
        create = "CREATE EXTERNAL TABLE followed STORED AS PARQUET LOCATION '{}/{}'"
        rows(connection, create.format(DATA, "numbers"))
        cursor.adbc_prepare("SELECT count(*) FROM followed WHERE id >= ?")
        cursor.execute("SELECT count(*) FROM followed WHERE id >= ?", (0,))
        assert cursor.fetchall() == [(40,)]
        rows(connection, "DROP TABLE followed")
        rows(connection, create.format(DATA, "everything"))
        cursor.execute("SELECT count(*) FROM followed WHERE id >= ?", (0,))
        assert cursor.fetchall() == [(3,)]
        rows(connection, "DROP TABLE followed")
        raises(
            dbapi.Error,
            lambda: cursor.execute("SELECT count(*) FROM followed WHERE id >= ?", (0,)),
            "followed",
        )


def check_a_prepared_statement_follows_the_session():
    """Its plan is kept, and made again where the current database, a setting, a view or a file is another."""
    with connect() as connection, connection.cursor() as cursor:
        for database in ("first", "second"):
            rows(connection, f"CREATE DATABASE IF NOT EXISTS prepared_{database}")
            rows(connection, f"CREATE OR REPLACE VIEW prepared_{database}.v AS SELECT '{database}' AS name")
        statement = cursor.adbc_statement

        def prepare(sql):
            statement.set_sql_query(sql)
            statement.prepare()

        def again():
            stream, _ = statement.execute_query()
            return pa.RecordBatchReader._import_from_c(stream.address).read_all().to_pylist()

        rows(connection, "USE prepared_first")
        prepare("SELECT name FROM v")
        assert again() == again() == [{"name": "first"}]
        rows(connection, "USE prepared_second")
        assert again() == [{"name": "second"}]
        rows(connection, "CREATE OR REPLACE VIEW v AS SELECT 'changed' AS name")
        assert again() == [{"name": "changed"}]
        rows(connection, "CREATE TABLE IF NOT EXISTS grows (a INT)")
        prepare("SELECT count(*) AS n FROM grows")
        before = again()[0]["n"]
        rows(connection, "INSERT INTO grows VALUES (1)")
        assert again() == [{"n": before + 1}]
        rows(connection, "SET skep.sql.dialect = hive")
        prepare('SELECT "text" AS t')
        assert again() == [{"t": "text"}]
        prepare("SELECT now() AS t")
        assert again() != again(), "it is not the moment of the preparation"
        rows(connection, "RESET skep.sql.dialect")


def check_a_statement_without_rows_runs_once():
    with connect() as connection:
        rows(connection, "DROP DATABASE IF EXISTS once")
        with connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE once")
        raises(dbapi.Error, lambda: rows(connection, "CREATE DATABASE once"), "once")
        with connection.cursor() as cursor:
            cursor.adbc_statement.set_sql_query("DROP DATABASE once")
            assert cursor.adbc_statement.execute_update() <= 0


def check_metadata():
    with connect() as connection:
        everything = connection.adbc_get_objects().read_all().to_pylist()
        assert [catalog["catalog_name"] for catalog in everything] == ["skep"]
        schemas = {s["db_schema_name"]: s["db_schema_tables"] for s in everything[0]["catalog_db_schemas"]}
        tables = {table["table_name"]: table for table in schemas["default"]}
        columns = [column["column_name"] for column in tables["everything"]["table_columns"]]
        assert columns[:2] == ["id", "text"], columns
        assert tables["everything"]["table_type"] == "TABLE"
        only = connection.adbc_get_objects(
            depth="tables", table_name_filter="num%", db_schema_filter="default"
        ).read_all().to_pylist()
        names = [t["table_name"] for s in only[0]["catalog_db_schemas"] for t in s["db_schema_tables"]]
        assert names == ["numbers"], names
        assert "TABLE" in connection.adbc_get_table_types()
        schema = connection.adbc_get_table_schema("everything")
        assert schema.field("id").type == pa.int64()
        assert schema.field("price").metadata[b"ARROW:FLIGHT:SQL:TYPE_NAME"] == b"DECIMAL"
        info = connection.adbc_get_info()
        assert info["vendor_name"] == "Skep", info


def check_the_current_schema():
    with connect() as connection:
        assert connection.adbc_current_catalog == "skep"
        assert connection.adbc_current_db_schema == "default"
        rows(connection, "CREATE DATABASE IF NOT EXISTS elsewhere")
        connection.adbc_current_db_schema = "elsewhere"
        assert connection.adbc_current_db_schema == "elsewhere"
        raises(dbapi.Error, lambda: rows(connection, "SELECT * FROM everything"), "everything")
        raises(dbapi.Error, lambda: setattr(connection, "adbc_current_db_schema", "nowhere"))


def check_the_schema_without_running():
    with connect() as connection, connection.cursor() as cursor:
        schema = cursor.adbc_execute_schema("SELECT id, price, views FROM everything")
        assert schema.field("views").type == pa.string(), schema
        cursor.execute("SELECT id, price, views FROM everything")
        assert cursor.fetch_arrow_table().schema.equals(schema)


def check_errors_are_typed():
    with connect() as connection:
        error = raises(dbapi.ProgrammingError, lambda: rows(connection, "SELEC 1"))
        assert "line 1" in str(error) or "1:1" in str(error), error
        raises(dbapi.Error, lambda: rows(connection, "SELECT * FROM nowhere"), "nowhere", "NOT_FOUND")
        raises(dbapi.Error, lambda: rows(connection, "SELECT 1; SELECT 2"), "one statement")
        raises(dbapi.Error, lambda: rows(connection, "SELECT 1 / (id - id) FROM everything"))
        assert rows(connection, "SELECT 1") == [(1,)]


def check_a_large_result():
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT a.id, b.text FROM numbers a, numbers b1, numbers b2, everything b")
        assert cursor.fetch_arrow_table().num_rows == 40 * 40 * 40 * 3


def check_a_row_over_the_limit_is_the_drivers_error_and_nobody_elses():
    """A single row is never split; whoever wants it asks for larger messages."""
    size = 20 << 20
    sql = f"SELECT repeat('x', {size}) AS t"
    with connect() as connection:
        raises(dbapi.Error, lambda: rows(connection, sql), "larger than max")
        assert rows(connection, "SELECT 1") == [(1,)]
    with connect(**{DatabaseOptions.WITH_MAX_MSG_SIZE.value: str(256 << 20)}) as connection:
        assert len(rows(connection, sql)[0][0]) == size
        raises(dbapi.Error, lambda: rows(connection, f"SELECT '{'x' * (70 << 20)}'"), "too large")
        assert rows(connection, "SELECT 1") == [(1,)]


ENDLESS = (
    "SELECT count(*) FROM numbers a, numbers b, numbers c, numbers d, numbers e, numbers f, numbers g"
    " WHERE a.id + b.id + c.id + d.id + e.id + f.id + g.id = -1"
)


def running(connection, text):
    found = rows(connection, "SHOW QUERIES")
    return [row for row in found if any(text in str(cell) for cell in row) and "RUNNING" in row]


def wait_for(what, condition, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError(f"never: {what}")


def check_cancelling_reaches_the_engine():
    """The thread that waits is in the driver, so another one cancels."""
    with connect() as connection, connect() as watcher:
        with connection.cursor() as cursor:
            failure = []

            def work():
                try:
                    cursor.execute(ENDLESS)
                    cursor.fetchall()
                except Exception as error:
                    failure.append(error)

            thread = threading.Thread(target=work)
            thread.start()
            wait_for("it runs", lambda: running(watcher, "g.id = -1"))
            cursor.adbc_cancel()
            thread.join(10)
            assert not thread.is_alive()
            assert failure, "it was not cancelled"
            wait_for("it has ended", lambda: not running(watcher, "g.id = -1"), 1.5)


def check_killing_ends_a_query_that_never_pauses():
    with connect() as connection, connect() as other:
        failure = []

        def work():
            try:
                with connection.cursor() as cursor:
                    cursor.execute(ENDLESS)
                    cursor.fetchall()
            except Exception as error:
                failure.append(str(error))

        thread = threading.Thread(target=work)
        thread.start()
        wait_for("it runs", lambda: running(other, "g.id = -1"))
        start = time.monotonic()
        rows(other, f"KILL QUERY '{running(other, 'g.id = -1')[0][0]}'")
        thread.join(10)
        assert not thread.is_alive() and "killed" in failure[0], failure
        idle = lambda: all(row[7] == 0 for row in rows(other, "SHOW EXECUTORS"))
        wait_for("the executors have nothing to do", idle, 5)
        assert time.monotonic() - start < 3, time.monotonic() - start


def check_ingest_in_every_mode():
    """Text, bytes, views, dictionaries and all the rest of the table of every type."""
    data = pq.read_table(f"{DATA}/everything/part-0.parquet")
    with connect() as connection, connection.cursor() as cursor:
        rows(connection, "DROP TABLE IF EXISTS ingested")
        # What no table holds is an error that names the column.
        for field in data.schema:
            odd = data.select([field.name])
            if pa.types.is_time(field.type):
                # Tables hold times of day in microseconds.
                assert cursor.adbc_ingest("times", odd, mode="replace") == odd.num_rows
                held = [row[0] for row in rows(connection, "SELECT * FROM times")]
                given = [value.replace(microsecond=value.microsecond) if value else value for value in odd.column(0).cast(pa.time64("us"), safe=False).to_pylist()]
                assert sorted(map(str, held)) == sorted(map(str, given)), (held, given)
                rows(connection, "DROP TABLE times")
                data = data.drop_columns([field.name])
            if pa.types.is_decimal256(field.type):
                raises(dbapi.Error, lambda: cursor.adbc_ingest("odd", odd, mode="create"), f"'{field.name}'")
                data = data.drop_columns([field.name])
        raises(dbapi.Error, lambda: cursor.adbc_ingest("ingested", data, mode="append"), "ingested", "NOT_FOUND")
        assert cursor.adbc_ingest("ingested", data, mode="create") == 3
        raises(dbapi.Error, lambda: cursor.adbc_ingest("ingested", data, mode="create"), "already", "ALREADY_EXISTS")
        assert cursor.adbc_ingest("ingested", data, mode="append") == 3
        assert rows(connection, "SELECT count(*) FROM ingested") == [(6,)]
        assert cursor.adbc_ingest("ingested", data, mode="replace") == 3
        for name in ("ingested", "everything"):
            cursor.execute(f"SELECT * FROM {name} ORDER BY id")
            got = cursor.fetch_arrow_table()
            expected = got if name == "ingested" else expected
            if name == "everything":
                for column in data.column_names:
                    assert got[column].combine_chunks() == expected[column].cast(
                        got[column].type
                    ).combine_chunks(), column
        rows(connection, "DROP TABLE ingested")
        assert cursor.adbc_ingest("ingested", data, mode="create_append") == 3
        assert cursor.adbc_ingest("ingested", data, mode="create_append") == 3
        assert rows(connection, "SELECT count(*) FROM ingested") == [(6,)]


def check_ingest_into_another_schema_and_what_it_refuses():
    data = pa.table({"B": ["x", None], "a": pa.array([1, 2], pa.int8())})
    with connect() as connection, connection.cursor() as cursor:
        rows(connection, "DROP DATABASE IF EXISTS ingests CASCADE")
        rows(connection, "CREATE DATABASE ingests")
        where = {"catalog_name": "skep", "db_schema_name": "ingests"}
        assert cursor.adbc_ingest("t", data, mode="create", **where) == 2
        assert rows(connection, "SELECT a, b FROM ingests.t ORDER BY a") == [(1, "x"), (2, None)]
        wider = pa.table({"a": [3], "c": [4]})
        raises(dbapi.Error, lambda: cursor.adbc_ingest("t", wider, mode="append", **where), "'c'")
        other = pa.table({"a": [[3]]})
        raises(dbapi.Error, lambda: cursor.adbc_ingest("t", other, mode="append", **where), "'a'")
        odd = pa.table({"d": pa.array([1], pa.duration("s"))})
        raises(dbapi.Error, lambda: cursor.adbc_ingest("odd", odd, mode="create", **where), "'d'", "Duration")
        raises(dbapi.Error, lambda: cursor.adbc_ingest("t", data, mode="append", catalog_name="other"), "other")
        assert rows(connection, "SELECT count(*) FROM ingests.t") == [(2,)]


def check_ingest_into_a_temporary_table():
    """The session sees it in front of others of its name, and nobody else does."""
    data = pa.table({"a": [1, 2]})
    with connect() as connection, connection.cursor() as cursor, connect() as other:
        rows(connection, "DROP TABLE IF EXISTS passing")
        raises(dbapi.Error, lambda: cursor.adbc_ingest("passing", data, mode="append", temporary=True), "passing")
        assert cursor.adbc_ingest("passing", data, mode="create", temporary=True) == 2
        assert cursor.adbc_ingest("passing", data, mode="append", temporary=True) == 2
        assert cursor.adbc_ingest("passing", data, mode="append") == 2, "the name stands for it"
        assert rows(connection, "SELECT count(*) FROM passing") == [(6,)]
        raises(dbapi.Error, lambda: rows(other, "SELECT count(*) FROM passing"), "passing")
        assert cursor.adbc_ingest("passing", data, mode="replace", temporary=True) == 2
        assert rows(connection, "SELECT count(*) FROM passing") == [(2,)]


def check_ingest_of_a_stream_at_low_level():
    """Batches are made as they are sent, and those of a stream that breaks are not half written."""
    schema = pa.schema([("k", pa.int64())])

    def batches(count, breaks):
        for number in range(count):
            yield pa.record_batch([pa.array(range(number * 1000, number * 1000 + 1000))], schema=schema)
        if breaks:
            raise RuntimeError("the source broke")

    def ingest(table, count, breaks=False):
        with connection.cursor() as cursor:
            statement = cursor.adbc_statement
            statement.set_options(
                **{"adbc.ingest.target_table": table, "adbc.ingest.mode": "adbc.ingest.mode.create"}
            )
            reader = pa.RecordBatchReader.from_batches(schema, batches(count, breaks))
            stream = adbc_driver_manager.ArrowArrayStreamHandle()
            reader._export_to_c(stream.address)
            statement.bind_stream(stream)
            return statement.execute_update()

    with connect() as connection:
        rows(connection, "DROP TABLE IF EXISTS streamed")
        assert ingest("streamed", 500) == 500_000
        assert rows(connection, "SELECT count(*), count(DISTINCT k) FROM streamed") == [(500_000, 500_000)]
        rows(connection, "DROP TABLE IF EXISTS broken")
        raises(Exception, lambda: ingest("broken", 50, breaks=True))
        raises(dbapi.Error, lambda: rows(connection, "SELECT * FROM broken"), "broken")


def check_a_closed_connection_closes_its_session():
    connection = connect()
    rows(connection, "SELECT 1")
    connection.close()


def check_pandas_and_polars():
    import pandas
    import polars

    with connect() as connection:
        frame = pandas.read_sql("SELECT id, text FROM everything ORDER BY id", connection)
        assert list(frame["text"]) == ["a", "b", None] or list(frame["text"])[:2] == ["a", "b"]
        frame = polars.read_database("SELECT id, text FROM everything ORDER BY id", connection)
        assert frame["text"].to_list() == ["a", "b", None]
        assert frame["id"].to_list() == [0, 1, 2]


if __name__ == "__main__":
    run(globals())
