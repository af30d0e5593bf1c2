#!/usr/bin/env python3
"""Measures the Flight SQL door from outside, with the ADBC driver, against a server that it starts.

    cargo build --release --workspace && .ci/clients ~/.cache/skep/clients
    ~/.cache/skep/clients/python/bin/python benchmarks/flight_sql.py target/release/skep

Server and client share the machine. `--only` runs one part; `--rows` and `--tables` make it smaller. The
bounds are those that Skep promises; the exit code is 1 where one is not kept.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import adbc_driver_flightsql.dbapi as dbapi
import numpy
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

ROWS_PER_FILE = 1_000_000


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("skep", type=pathlib.Path)
    parser.add_argument("--only", choices=["small", "prepared", "rows", "metadata"])
    parser.add_argument("--rows", type=int, default=50_000_000)
    parser.add_argument("--tables", type=int, default=10_000)
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    return parser.parse_args()


class Server:
    def __init__(self, skep, directory, cores):
        log = open(directory / "server.log", "w+")
        command = [
            str(skep), "standalone", "--listen", "127.0.0.1:0", "--data-dir", str(directory / "data"),
            "--work-dir", str(directory / "work"), "--executors", "1", "--cores", str(cores),
            "--memory-limit", "4GiB", "--allow-root", str(directory),
        ]  # fmt: skip
        self.process = subprocess.Popen(command, stderr=log, env={"HOME": str(directory)})
        self.uri = None
        while self.uri is None:
            if self.process.poll() is not None:
                sys.exit(f"the server ended: see {log.name}")
            words = pathlib.Path(log.name).read_text().split()
            found = [word for word in words if word.startswith("flight://")]
            self.uri = found[0].replace("flight://", "grpc+tcp://") if found else None
            time.sleep(0.02)

    def connect(self):
        return dbapi.connect(self.uri, autocommit=True)

    def cpu_seconds(self):
        """Of all its threads, since it started."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Cpu:
    """What the server and this process, which is the client, take of the machine's cores."""

    def __init__(self, server):
        self.server, self.begin = server, (server.cpu_seconds(), time.process_time())

    def report(self, report, what, queries):
        ends = self.server.cpu_seconds(), time.process_time()
        for who, begin, end in zip(("server", "client"), self.begin, ends):
            report(f"{what}, CPU of the {who}", (end - begin) / queries * 1000, "ms")


def run(connection, sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def once(cursor, sql):
    """One statement as most drivers run it: GetFlightInfo and DoGet."""
    cursor.adbc_statement.set_sql_query(sql)
    stream, _ = cursor.adbc_statement.execute_query()
    return pa.RecordBatchReader._import_from_c(stream.address).read_all()


def small_queries(server, report):
    with server.connect() as connection, connection.cursor() as cursor:
        for _ in range(200):
            once(cursor, "SELECT 1")
        times, cpu = [], Cpu(server)
        for _ in range(2000):
            start = time.perf_counter()
            once(cursor, "SELECT 1")
            times.append((time.perf_counter() - start) * 1000)
        times.sort()
        report("SELECT 1, warm connection, median", times[1000], "ms", at_most=2)
        report("SELECT 1, warm connection, 99th percentile", times[1980], "ms")
        cpu.report(report, "SELECT 1, warm connection", 2000)
        times = []
        for _ in range(500):
            start = time.perf_counter()
            run(connection, "SELECT 1")
            times.append((time.perf_counter() - start) * 1000)
        report("the same, prepared and closed each time, median", statistics.median(times), "ms")
    counts, stop, cpu = [0] * 16, time.monotonic() + 10, Cpu(server)

    def work(number):
        with server.connect() as connection, connection.cursor() as cursor:
            while time.monotonic() < stop:
                once(cursor, "SELECT 1")
                counts[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report("SELECT 1 with 16 connections", sum(counts) / 10, "queries/s", at_least=1000)
    cpu.report(report, "SELECT 1 with 16 connections", sum(counts))


def median_ms(count, call):
    times = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


def prepared_queries(server, directory, report):
    """The same query as text and prepared, in turns, so that both meet the same machine."""
    files = directory / "prepared"
    files.mkdir()
    pq.write_table(pa.table({"id": list(range(100)), "note": ["x"] * 100}), files / "part-0.parquet")
    joined = (
        "SELECT a.id, count(*) AS n, max(b.note) AS m FROM p a JOIN p b ON a.id = b.id"
        " LEFT JOIN p c ON b.id = c.id + 1 WHERE a.id BETWEEN 3 AND 30 AND b.note LIKE 'x%'"
        " GROUP BY a.id HAVING count(*) > 0 ORDER BY n DESC, a.id LIMIT 5"
    )
    with server.connect() as connection:
        run(connection, f"CREATE EXTERNAL TABLE p STORED AS PARQUET LOCATION '{files}'")
        for name, sql in (("SELECT 1", "SELECT 1"), ("a join of three tables", joined)):
            with connection.cursor() as plain, connection.cursor() as prepared:
                prepared.adbc_statement.set_sql_query(sql)
                prepared.adbc_statement.prepare()

                def again():
                    stream, _ = prepared.adbc_statement.execute_query()
                    return pa.RecordBatchReader._import_from_c(stream.address).read_all()

                for _ in range(50):
                    assert once(plain, sql).equals(again())
                ratios, as_text = [], []
                for _ in range(10):
                    as_text.append(median_ms(40, lambda: once(plain, sql)))
                    ratios.append(median_ms(40, again) / as_text[-1])
                report(f"{name}, as text, median", statistics.median(as_text), "ms")
                report(f"{name}, prepared, of that", statistics.median(ratios) * 100, "%")


def make_rows(directory, rows):
    directory.mkdir()
    random = numpy.random.default_rng(7)
    for part in range(-(-rows // ROWS_PER_FILE)):
        count = min(ROWS_PER_FILE, rows - part * ROWS_PER_FILE)
        table = pa.table(
            {
                "id": numpy.arange(count) + part * ROWS_PER_FILE,
                "amount": random.random(count),
                "code": random.integers(0, 1000, count, dtype=numpy.int32),
                "word": pa.array(random.integers(0, 10_000, count)).cast(pa.string()),
            }
        )
        pq.write_table(table, directory / f"part-{part:04}.parquet", compression="snappy")


def streamed_rows(server, directory, rows, report):
    files = directory / "rows"
    make_rows(files, rows)
    with server.connect() as connection:
        run(connection, f"CREATE EXTERNAL TABLE rows STORED AS PARQUET LOCATION '{files}'")
        ratios = []
        for _ in range(3):
            start = time.perf_counter()
            read = sum(batch.num_rows for batch in ds.dataset(files).to_batches())
            own = time.perf_counter() - start
            assert read == rows
            with connection.cursor() as cursor:
                start, cpu = time.perf_counter(), Cpu(server)
                cursor.execute("SELECT id, amount, code, word FROM rows")
                got = sum(batch.num_rows for batch in cursor.fetch_record_batch())
                adbc = time.perf_counter() - start
            assert got == rows
            ratios.append(own / adbc)
            report("pyarrow reads Parquet", rows / own / 1e6, "million rows/s")
            report("ADBC reads the result", rows / adbc / 1e6, "million rows/s")
            cpu.report(report, "ADBC reads the result", 1)
        report("speed of ADBC, of pyarrow's", statistics.median(ratios) * 100, "%", at_least=60)
    resident = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    peak = [line for line in resident.splitlines() if line.startswith("VmHWM")][0]
    print(f"the server's memory at its highest: {peak.split(':')[1].strip()}")


def metadata_calls(server, directory, tables, report):
    one = directory / "one"
    one.mkdir()
    pq.write_table(pa.table({"id": [1], "note": ["x"]}), one / "part-0.parquet")
    with server.connect() as connection, connection.cursor() as cursor:
        for number in range(tables):
            once(cursor, f"CREATE EXTERNAL TABLE t{number:05} STORED AS PARQUET LOCATION '{one}'")
        calls = {
            "GetTables, all": lambda: connection.adbc_get_objects(depth="tables"),
            "GetTables with columns, all": lambda: connection.adbc_get_objects(depth="all"),
            "GetTables, one by its name": lambda: connection.adbc_get_objects(
                depth="all", table_name_filter="t00042"
            ),
            "GetDbSchemas": lambda: connection.adbc_get_objects(depth="db_schemas"),
        }
        for name, call in calls.items():
            times = []
            for _ in range(5):
                start = time.perf_counter()
                call().read_all()
                times.append((time.perf_counter() - start) * 1000)
            report(f"{name} of {tables} tables, median", statistics.median(times), "ms", at_most=200)


def main():
    options = arguments()
    failed = []

    def report(what, value, unit, at_most=None, at_least=None):
        kept = (at_most is None or value <= at_most) and (at_least is None or value >= at_least)
        bound = f" (at most {at_most})" if at_most else f" (at least {at_least})" if at_least else ""
        print(f"{what}: {value:.2f} {unit}{bound}{'' if kept else '  NOT KEPT'}", flush=True)
        if not kept:
            failed.append(what)

    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        server = Server(options.skep, directory, options.cores)
        try:
            if options.only in (None, "small"):
                small_queries(server, report)
            if options.only in (None, "prepared"):
                prepared_queries(server, directory, report)
            if options.only in (None, "rows"):
                streamed_rows(server, directory, options.rows, report)
            if options.only in (None, "metadata"):
                metadata_calls(server, directory, options.tables, report)
        finally:
            server.process.terminate()
            server.process.wait()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
