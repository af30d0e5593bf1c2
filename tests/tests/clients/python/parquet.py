"""Parquet files that Skep wrote, read by pyarrow; and files that pyarrow wrote, read by Skep."""

import datetime
import decimal
import os
import urllib.parse

import adbc_driver_flightsql.dbapi as dbapi
import pyarrow
import pyarrow.dataset
import pyarrow.parquet

from checks import DATA, URI, run

COLUMNS = """id INT, b BOOLEAN, t TINYINT, s SMALLINT, l BIGINT, f FLOAT, d DOUBLE, n DECIMAL(20,4),
    x STRING, v VARCHAR(10), y BINARY, da DATE, ts TIMESTAMP, tz TIMESTAMP WITH LOCAL TIME ZONE,
    a ARRAY<INT>, st STRUCT<p: INT, q: STRING>"""

FIRST = """1, true, 1, -2, 9223372036854775807, 0.5, -1.25, 12345.6789, 'ä€', 'ten', X'00ff',
    DATE '1969-12-31', TIMESTAMP '2024-02-29 12:34:56.789012',
    arrow_cast('2024-02-29T12:34:56Z', 'Timestamp(Microsecond, Some("UTC"))'),
    [1, NULL, 3], named_struct('p', 7, 'q', 'seven')"""

SECOND = "2" + ", NULL" * 15


def rows(connection, sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetch_arrow_table().to_pylist() if cursor.description else []


def expected():
    utc = datetime.timezone.utc
    first = {
        "id": 1, "b": True, "t": 1, "s": -2, "l": 2**63 - 1, "f": 0.5, "d": -1.25,
        "n": decimal.Decimal("12345.6789"), "x": "ä€", "v": "ten", "y": b"\x00\xff",
        "da": datetime.date(1969, 12, 31),
        "ts": datetime.datetime(2024, 2, 29, 12, 34, 56, 789012),
        "tz": datetime.datetime(2024, 2, 29, 12, 34, 56, tzinfo=utc),
        "a": [1, None, 3], "st": {"p": 7, "q": "seven"},
    }
    return [first, {name: None for name in first} | {"id": 2}]


def same(found, partition):
    wanted = [row | {"part": value} for row, value in zip(expected(), partition)]
    found = sorted(found, key=lambda row: row["id"])
    assert found == wanted, f"\n{found}\n{wanted}"


def check_pyarrow_reads_what_skep_wrote():
    with dbapi.connect(URI, autocommit=True) as connection:
        rows(connection, f"CREATE TABLE written ({COLUMNS}) PARTITIONED BY (part STRING)")
        rows(connection, f"INSERT INTO written SELECT {FIRST}, 'x/y=1'")
        rows(connection, f"INSERT INTO written SELECT {SECOND}, NULL")
        same(rows(connection, "SELECT * FROM written"), ["x/y=1", None])
        sql = "SELECT location FROM information_schema.tables WHERE table_name = 'written'"
        url = rows(connection, sql)[0]["location"]
    directory = urllib.parse.unquote(urllib.parse.urlparse(url).path)
    types = pyarrow.schema([("part", pyarrow.string())])
    partitioning = pyarrow.dataset.partitioning(types, flavor="hive")
    table = pyarrow.dataset.dataset(directory, format="parquet", partitioning=partitioning).to_table()
    same(table.to_pylist(), ["x/y=1", None])
    for field in table.schema:
        assert "view" not in str(field.type), field


def check_skep_reads_what_pyarrow_wrote():
    with dbapi.connect(URI, autocommit=True) as connection:
        rows(connection, f"CREATE TABLE types ({COLUMNS})")
        rows(connection, f"INSERT INTO types SELECT {FIRST} UNION ALL SELECT {SECOND}")
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM types ORDER BY id")
            table = cursor.fetch_arrow_table()
        for number, part in enumerate(["one two", "50%"]):
            directory = os.path.join(DATA, "theirs", "part=" + urllib.parse.quote(part, safe=" "))
            os.makedirs(directory)
            path = os.path.join(directory, "file.parquet")
            slice = table.slice(number, 1)
            index = slice.schema.get_field_index("x")
            coded = slice.set_column(index, "x", slice.column("x").dictionary_encode())
            pyarrow.parquet.write_table(coded, path, compression="zstd", version="2.6")
        location = os.path.join(DATA, "theirs")
        rows(connection, f"CREATE EXTERNAL TABLE theirs STORED AS PARQUET LOCATION '{location}'")
        same(rows(connection, "SELECT * FROM theirs"), ["one two", "50%"])
        found = rows(connection, "SELECT id FROM theirs WHERE part = '50%'")
        assert found == [{"id": 2}], found


run(globals())
