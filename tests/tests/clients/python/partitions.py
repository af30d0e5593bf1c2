"""A judge that needs no other engine: forms of one query that must have the same rows, on every server of
FLIGHT_ADDRESSES. It finds what DuckDB has wrong, too, or cannot run.

- The rows of a query are those with a predicate, with NOT predicate, and with predicate IS NULL together
  (ternary logic partitioning, Rigger and Su 2020).
- As many rows pass a predicate in WHERE as rows for which it is true in SELECT (non-optimizing reference
  engine construction, Rigger and Su 2020).
- The rows with the optimizer's passes left out are the rows with them.

    FLIGHT_ADDRESSES=127.0.0.1:8090 FLIGHT_DATA=/tmp/d JUDGE_SEEDS=7 JUDGE_QUERIES=1000 python partitions.py
"""

import collections
import os
import pathlib
import random
import sys
import time

import adbc_driver_flightsql.dbapi as dbapi

import random_sql
import random_values
from random_collisions import Collisions
from random_sql import Maker, written_for
from random_values import Values
from rows import brief, execute, plain, same_rows

ADDRESSES = os.environ["FLIGHT_ADDRESSES"].split(",")
DATA = pathlib.Path(os.environ["FLIGHT_DATA"])
SEEDS = [int(seed) for seed in os.environ.get("JUDGE_SEEDS", "1,2").split(",")]
QUERIES = int(os.environ.get("JUDGE_QUERIES", "150"))
PATIENCE = float(os.environ.get("JUDGE_PATIENCE", "1000000"))

# A larger result is not compared: what is wrong shows in small ones, too.
ROWS_MAX = 20_000

# Of all queries, how many must have been compared: a judge that only sees errors judges nothing.
COMPARED_MIN = 0.6

WITHOUT_OPTIMIZER = "SET datafusion.optimizer.max_passes = 0"


class Form:
    """Columns of a relation, and a predicate over it."""

    def __init__(self, shown, source, predicate):
        self.shown, self.source, self.predicate = shown, source, predicate

    def whole(self):
        return f"SELECT {self.shown} FROM {self.source}"

    def parts(self):
        predicate = self.predicate
        return [f"{self.whole()} WHERE {part}" for part in (predicate, f"NOT ({predicate})", f"({predicate}) IS NULL")]


def of_joins(rng):
    maker = Maker(rng)
    source, scope = maker.joined(2)
    predicate = maker.subquery_predicate(scope) if maker.chance(0.4) else maker.predicate(scope, 2)
    if maker.chance(0.3):
        predicate = f"({predicate}) {maker.pick('AND', 'OR')} ({maker.predicate(scope, 1)})"
    kinds = [maker.pick("int", "str", "date", "dec") for _ in range(2)]
    shown = ", ".join(f"{maker.leaf(kind, scope)} AS c{number}" for number, kind in enumerate(kinds))
    return Form(shown, source, f"({predicate})")


def of_collisions(rng):
    maker = Collisions(rng)
    scope = maker.relation_named()
    shown = ", ".join(f"{text} AS {name}" for text, name, _ in maker.outputs(scope))
    return Form(shown, scope.text, f"({maker.boolean([scope], 2)})")


def of_values(rng):
    maker = Values(rng)
    table = rng.choice(list(random_values.TABLES))
    return Form(f"x.id, {maker.value(maker.kind())} AS c", f"{table} AS x", f"({maker.predicate(depth=2)})")


FORMS = [of_joins, of_collisions, of_values]


def rows_of(connection, sql):
    return [tuple(map(plain, row)) for row in execute(connection, written_for(sql, 1))]


def passed(connection, form):
    """How many rows pass the predicate in WHERE, and for how many it is true in SELECT."""
    where = rows_of(connection, f"SELECT count(*) FROM {form.source} WHERE {form.predicate}")
    select = rows_of(
        connection, f"SELECT coalesce(sum(CASE WHEN {form.predicate} THEN 1 ELSE 0 END), 0) FROM {form.source}"
    )
    return where, select


def differences(connection, form):
    """What of the forms differs: its name, and both sides."""
    whole = rows_of(connection, form.whole())
    if len(whole) > ROWS_MAX:
        return
    parts = [row for part in form.parts() for row in rows_of(connection, part)]
    if not same_rows(whole, parts, False):
        yield "partitions", whole, parts
    where, select = passed(connection, form)
    if not same_rows(where, select, False):
        yield "WHERE and SELECT", where, select
    filtered = rows_of(connection, form.parts()[0])
    try:
        execute(connection, WITHOUT_OPTIMIZER)
        plainly = rows_of(connection, form.parts()[0])
    except dbapi.Error:
        # A plan whose subqueries no rule has replaced cannot be run.
        return
    finally:
        execute(connection, "RESET datafusion.optimizer.max_passes")
    if not same_rows(filtered, plainly, False):
        yield "without the optimizer", filtered, plainly


def main():
    begun, counts, failures = time.monotonic(), collections.Counter(), 0
    errors = collections.Counter()
    for seed in SEEDS:
        rng = random.Random(seed)
        tables = {name: random_sql.table(rng, count) for name, count in random_sql.TABLES.items()}
        tables |= {name: random_values.table(rng, count) for name, count in random_values.TABLES.items()}
        directory = DATA / f"partitions-{seed}-{os.getpid()}"
        random_sql.write(tables, directory)
        connections = [(address, dbapi.connect(f"grpc+tcp://{address}", autocommit=True)) for address in ADDRESSES]
        database = f"partitions_{seed}_{os.getpid()}"
        for _, connection in connections:
            execute(connection, f"CREATE DATABASE IF NOT EXISTS {database}")
            execute(connection, f"USE {database}")
            for name in tables:
                location = f"STORED AS PARQUET LOCATION '{directory / name}'"
                execute(connection, f"CREATE EXTERNAL TABLE {name} {location}")
        for number in range(QUERIES):
            rng = random.Random(f"{seed}/{number}")
            form = rng.choice(FORMS)(rng)
            for address, connection in connections:
                if time.monotonic() - begun > PATIENCE:
                    counts["not asked"] += 1
                    continue
                try:
                    found = list(differences(connection, form))
                    counts["compared"] += 1
                except dbapi.Error as error:
                    counts["failed"] += 1
                    errors[str(error)[:150]] += 1
                    continue
                for what, one, other in found:
                    failures += 1
                    print(f"DIFFERENT  {what}: seed {seed}, query {number}, {address}\n{form.parts()[0]}")
                    print(f"  {brief(one)}\n  {brief(other)}\n", flush=True)
        for _, connection in connections:
            connection.close()
    for error, count in errors.most_common(10):
        print(f"{count:6} {error}")
    print(f"{dict(counts)}, {failures} differences, {time.monotonic() - begun:.1f} s")
    asked = counts["compared"] + counts["failed"]
    if asked and counts["compared"] < COMPARED_MIN * asked:
        print("FAILED  too few queries were compared")
        sys.exit(1)
    if failures:
        sys.exit(1)
    print("ok      forms of a query have the same rows")


if __name__ == "__main__":
    main()
