"""DuckDB as a judge of rows: random queries on random tables, from a seed, have the same rows there and on
every server of FLIGHT_ADDRESSES.

What the two define differently is not asked (`random_sql.py` says what that is), and what Skep refuses is
counted, not compared. A difference is printed with its seed and its number. More of them, by hand:

    FLIGHT_ADDRESSES=127.0.0.1:8090 FLIGHT_DATA=/tmp/d JUDGE_SEEDS=7 JUDGE_QUERIES=1000 python judge.py
"""

import collections
import os
import pathlib
import random
import sys
import time

import adbc_driver_flightsql.dbapi as dbapi
import duckdb

import random_sql
import random_values
from random_collisions import Collisions
from random_sql import Maker
from random_values import Values
from rows import brief, execute, plain, same_rows

ADDRESSES = os.environ["FLIGHT_ADDRESSES"].split(",")
DATA = pathlib.Path(os.environ["FLIGHT_DATA"])
SEEDS = [int(seed) for seed in os.environ.get("JUDGE_SEEDS", "1,2").split(",")]
QUERIES = int(os.environ.get("JUDGE_QUERIES", "150"))

# How long all of it may take, in seconds; what has not been asked by then is not asked.
PATIENCE = float(os.environ.get("JUDGE_PATIENCE", "1000000"))

# A larger result is not compared: what is wrong shows in small ones, too.
ROWS_MAX = 5000

# What makes the queries, and how often.
MAKERS = {Maker: 4, Collisions: 3, Values: 3}

# A quotient of decimals is a double in DuckDB and has at least six digits after the point in Skep.
DIGITS = 1.1e-6

# Of all queries, how many both must have answered: a judge that only sees errors judges nothing.
ANSWERED_MIN = 0.6

# What Skep does not do, and says so: a part of the message, and why. Rows that differ are never in here.
REFUSALS = {
    "not supported": "refused by name",
    "not implemented": "refused by name",
    "physical plan does not support": "a subquery where DataFusion has no join for it",
    "require unique expression names": "DataFusion calls columns by their expressions without the casts",
    "duplicate unqualified field name": "DataFusion calls aggregates by their expressions without the casts",
    "nested too deep to be sent": "a plan that is nested deeper than messages between nodes may be",
    "there are: grouping sets (": "the same expression in two of several grouping sets",
    "expects partition by expression to be ordered": "a window by a column that an equality makes constant",
}

# Of all queries, how many may be refused.
REFUSED_MAX = 0.05

# How each server is set before it is asked: plans of every kind, on data that is small.
SETTINGS = [
    [],
    [
        "SET datafusion.optimizer.hash_join_single_partition_threshold = 0",
        "SET datafusion.optimizer.hash_join_single_partition_threshold_rows = 0",
        "SET skep.scan_partition_bytes = 1",
    ],
    [
        "SET datafusion.optimizer.prefer_hash_join = false",
        "SET skep.scan_partition_bytes = 1",
        "SET datafusion.execution.target_partitions = 3",
    ],
    ["SET datafusion.execution.batch_size = 5", "SET datafusion.execution.target_partitions = 1"],
]


class Judged:
    """The rows of a query, or what was wrong."""

    def __init__(self, run):
        self.rows, self.error = None, None
        try:
            self.rows = [tuple(map(plain, row)) for row in run()]
        except Exception as error:  # noqa: BLE001 - whatever a driver throws is an answer
            self.error = str(error)

    def is_refused(self):
        return self.error is not None and any(part in self.error.lower() for part in REFUSALS)

    def brief(self):
        if self.error is not None:
            return "error: " + self.error[:600]
        return brief(self.rows)


class Sides:
    """DuckDB and the servers, with the same tables."""

    def __init__(self, seed):
        self.seed = seed
        rng = random.Random(seed)
        tables = {name: random_sql.table(rng, count) for name, count in random_sql.TABLES.items()}
        tables |= {name: random_values.table(rng, count) for name, count in random_values.TABLES.items()}
        directory = DATA / f"judge-{seed}-{os.getpid()}"
        random_sql.write(tables, directory)
        self.duck = duckdb.connect()
        self.duck.execute("SET threads = 2")
        self.servers = []
        for address in ADDRESSES:
            connection = dbapi.connect(f"grpc+tcp://{address}", autocommit=True)
            self.servers.append((address, connection))
        database = f"judge_{seed}_{os.getpid()}"
        for _, connection in self.servers:
            execute(connection, f"CREATE DATABASE IF NOT EXISTS {database}")
            execute(connection, f"USE {database}")
        for name, table in tables.items():
            self.duck.register(f"{name}_arrow", table)
            self.duck.execute(f"CREATE TABLE {name} AS SELECT * FROM {name}_arrow")
            for _, connection in self.servers:
                execute(
                    connection,
                    f"CREATE EXTERNAL TABLE IF NOT EXISTS {name} STORED AS PARQUET LOCATION '{directory / name}'",
                )

    def configure(self, settings):
        for _, connection in self.servers:
            execute(connection, "RESET ALL")
            for setting in settings:
                execute(connection, setting)

    def judge(self, query):
        return Judged(lambda: self.duck.execute(query.for_duckdb()).fetchall())

    def answers(self, query):
        for address, connection in self.servers:
            yield address, Judged(lambda: execute(connection, query.for_skep()))

    def differences(self, query):
        """What differs, and what became of the query."""
        judged = self.judge(query)
        if judged.rows is not None and len(judged.rows) > ROWS_MAX:
            return [], "too large", judged
        digits = DIGITS if " / " in query.sql else 0.0
        found, outcome = [], "answered" if judged.error is None else "both failed"
        for address, answer in self.answers(query):
            if judged.error is not None:
                # What DuckDB does not do says nothing of us; an error of both is the same answer.
                outcome = outcome if answer.error is not None else "DuckDB failed"
            elif answer.is_refused():
                outcome = "refused"
            elif answer.error is not None or not same_rows(judged.rows, answer.rows, query.is_ordered, digits):
                found.append((address, judged, answer))
        return found, outcome, judged

    def close(self):
        self.duck.close()
        for _, connection in self.servers:
            connection.close()


def main():
    begun, counts, failures, errors = time.monotonic(), collections.Counter(), 0, collections.Counter()
    is_loud = "JUDGE_LOUD" in os.environ
    for seed in SEEDS:
        sides = Sides(seed)
        for number in range(QUERIES):
            if time.monotonic() - begun > PATIENCE:
                counts["not asked"] += 1
                continue
            if number % 25 == 0:
                settings = SETTINGS[number // 25 % len(SETTINGS)]
                sides.configure(settings)
            rng = random.Random(f"{seed}/{number}")
            maker = rng.choices(list(MAKERS), list(MAKERS.values()))[0]
            query = maker(rng).query()
            found, outcome, judged = sides.differences(query)
            counts[outcome] += 1
            if judged.error is not None and is_loud:
                errors["duckdb: " + judged.error.split("\n")[0][:150]] += 1
            if outcome == "refused" and is_loud:
                for _, answer in sides.answers(query):
                    errors["skep: " + str(answer.error)[:200]] += 1
            for address, expected, answer in found:
                failures += 1
                print(f"DIFFERENT  seed {seed}, query {number}, {address}, {settings}\n{query.for_skep()}")
                print(f"  duckdb: {expected.brief()}\n  skep:   {answer.brief()}\n", flush=True)
        sides.close()
    for error, count in errors.most_common(30):
        print(f"{count:6} {error}")
    total = sum(counts.values())
    print(f"{dict(counts)} of {total} queries, {failures} differences, {time.monotonic() - begun:.1f} s")
    asked = total - counts["not asked"]
    if asked and counts["answered"] < ANSWERED_MIN * asked:
        print("FAILED  too few queries were answered by both")
        sys.exit(1)
    if counts["refused"] > REFUSED_MAX * max(asked, 100):
        print("FAILED  too many queries were refused")
        sys.exit(1)
    if failures:
        sys.exit(1)
    print("ok      rows are those of DuckDB")


if __name__ == "__main__":
    main()
