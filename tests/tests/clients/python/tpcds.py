"""TPC-DS: the 99 queries have DuckDB's rows on every server of FLIGHT_ADDRESSES.

DuckDB's extension makes the data and knows the queries. Each query is compared without its last LIMIT, which
would choose among rows that its ORDER BY makes equal; with it, the rows must be among those without. Prints
the time of each query on every side. At a larger scale, by hand:

    FLIGHT_ADDRESSES=127.0.0.1:8090 FLIGHT_DATA=/tmp/d TPCDS_SCALE=1 python tpcds.py
"""

import os
import pathlib
import re
import statistics
import sys
import time

import adbc_driver_flightsql.dbapi as dbapi
import duckdb
import duckdb_extension_tpcds

from rows import brief, execute, plain, same_rows, sort_key

ADDRESSES = os.environ["FLIGHT_ADDRESSES"].split(",")
DATA = pathlib.Path(os.environ["FLIGHT_DATA"])
SCALE = os.environ.get("TPCDS_SCALE", "0.1")
ITERATIONS = int(os.environ.get("TPCDS_ITERATIONS", "1"))
ONLY = {int(number) for number in os.environ.get("TPCDS_QUERIES", "").split(",") if number}

# Rows of large tables are in several files, so that a cluster shares them out.
ROWS_PER_FILE = 100_000

# Averages and quotients are doubles in DuckDB and decimals of at least six digits in Skep.
DIGITS = 2e-6

LAST_LIMIT = re.compile(r"\s+LIMIT\s+\d+\s*;?\s*$", re.IGNORECASE)


def make(duck, directory):
    """The tables as Parquet files."""
    extension = next(pathlib.Path(duckdb_extension_tpcds.__file__).parent.glob("extensions/*/*.duckdb_extension"))
    duck.execute(f"LOAD '{extension}'")
    duck.execute(f"CALL dsdgen(sf = {SCALE})")
    names = [name for (name,) in duck.execute("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall()]
    for name in names:
        folder = directory / name
        folder.mkdir(parents=True)
        (rows,) = duck.execute(f"SELECT count(*) FROM {name}").fetchone()
        for number, first in enumerate(range(0, max(rows, 1), ROWS_PER_FILE)):
            source = f"SELECT * FROM {name} LIMIT {ROWS_PER_FILE} OFFSET {first}"
            duck.execute(f"COPY ({source}) TO '{folder}/part-{number}.parquet' (FORMAT parquet)")
    return names


def connect(address, names, directory):
    connection = dbapi.connect(f"grpc+tcp://{address}", autocommit=True)
    database = f"tpcds_{os.getpid()}"
    execute(connection, f"CREATE DATABASE {database}")
    execute(connection, f"USE {database}")
    for name in names:
        execute(connection, f"CREATE EXTERNAL TABLE {name} STORED AS PARQUET LOCATION '{directory / name}'")
    return connection


def timed(run):
    """The rows and the median time of a query in seconds."""
    times = []
    for _ in range(ITERATIONS):
        begun = time.monotonic()
        rows = run()
        times.append(time.monotonic() - begun)
    return [tuple(map(plain, row)) for row in rows], statistics.median(times)


def contains_all(rows, some):
    """Whether all of `some` are among `rows`."""
    left = sorted(rows, key=sort_key)
    kept, position = [], 0
    for row in sorted(some, key=sort_key):
        while position < len(left) and not same_rows([row], [left[position]], True, DIGITS):
            position += 1
        if position == len(left):
            return False
        kept.append(row)
        position += 1
    return len(kept) == len(some)


def difference(duck, connection, sql):
    """What is wrong with the rows of a query on a server, and the times of both sides."""
    whole = LAST_LIMIT.sub("", sql.strip().rstrip(";"))
    expected, duck_time = timed(lambda: duck.execute(whole).fetchall())
    limited = len(duck.execute(sql).fetchall())
    try:
        got, time_taken = timed(lambda: execute(connection, whole))
        first = [tuple(map(plain, row)) for row in execute(connection, sql)]
    except Exception as error:  # noqa: BLE001 - whatever a driver throws is an answer
        return f"error: {str(error)[:600]}", duck_time, None
    if not same_rows(expected, got, False, DIGITS):
        return f"duckdb: {brief(expected)}\n  skep: {brief(got)}", duck_time, time_taken
    if len(first) != limited or not contains_all(got, first):
        return f"with its LIMIT: {len(first)} rows instead of {limited}, or others", duck_time, time_taken
    return None, duck_time, time_taken


def main():
    directory = DATA / f"tpcds-{SCALE}-{os.getpid()}"
    duck = duckdb.connect()
    duck.execute("SET threads = 2")
    names = make(duck, directory)
    queries = duck.execute("SELECT query_nr, query FROM tpcds_queries() ORDER BY 1").fetchall()
    assert len(queries) == 99, len(queries)
    failures = 0
    for address in ADDRESSES:
        connection = connect(address, names, directory)
        totals = [0.0, 0.0]
        for number, sql in queries:
            if ONLY and number not in ONLY:
                continue
            found, duck_time, time_taken = difference(duck, connection, sql)
            shown = "   -  " if time_taken is None else f"{time_taken:6.3f}"
            print(f"q{number:02} {address} duckdb {duck_time:6.3f} s, skep {shown} s{'' if found is None else '  DIFFERENT'}")
            totals[0] += duck_time
            totals[1] += time_taken or 0.0
            if found is not None:
                failures += 1
                print(f"  {found}", flush=True)
        print(f"total {address} duckdb {totals[0]:.2f} s, skep {totals[1]:.2f} s, ratio {totals[1] / totals[0]:.2f}", flush=True)
        connection.close()
    if failures:
        print(f"FAILED  {failures} results differ")
        sys.exit(1)
    print("ok      rows are those of DuckDB")


if __name__ == "__main__":
    main()
