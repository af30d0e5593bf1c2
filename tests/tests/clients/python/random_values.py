"""Random tables of values at the ends of their types and random queries over them, from a seed: decimals of many
precisions and scales, doubles with NaN, infinities and both zeros, text that looks like numbers, dates and
times from year 1 to year 9999.

What the two define differently is not made: products of decimals whose digits would be reduced (Skep keeps 38
digits and at least six after the point; DuckDB fails), casts of text with a fraction to integers, the text of a
double, sums of doubles with infinities of both signs (their order decides about NaN).
"""

import datetime
import decimal
import math

import pyarrow as pa

from random_sql import Query

D = decimal.Decimal

# Name, Arrow's type, kind.
COLUMNS = [
    ("id", pa.int64(), "int"),
    ("a", pa.decimal128(4, 1), "dec"),
    ("c", pa.decimal128(9, 0), "dec"),
    ("d", pa.decimal128(18, 6), "dec"),
    ("w", pa.decimal128(38, 10), "wide"),
    ("i", pa.int32(), "int"),
    ("f", pa.float64(), "dbl"),
    ("g", pa.float32(), "dbl"),
    ("s", pa.string(), "str"),
    ("dt", pa.date32(), "date"),
    ("ts", pa.timestamp("us"), "ts"),
]

TABLES = {"v0": 60, "v1": 25, "v2": 0}

DATES = [(1, 1, 1), (1582, 10, 4), (1582, 10, 15), (1677, 9, 20), (1677, 9, 22), (1899, 12, 31), (1970, 1, 1),
         (2000, 2, 29), (2024, 2, 29), (2262, 4, 11), (2262, 4, 13), (9999, 12, 31)]

NUMBERS_AS_TEXT = ["0", "1", "-1", "007", "1.50", "1.5", "-0", "0.0", "12", "1e2", "", "x", "99999999999", "3.14159"]


def value(rng, name):
    if name != "id" and rng.random() < 0.12:
        return None
    day = datetime.date(*rng.choice(DATES))
    if name == "a":
        return D(rng.choice([rng.randint(-9999, 9999), 9999, -9999, 5, 0, 15])).scaleb(-1)
    if name == "c":
        return D(rng.choice([rng.randint(-50, 50), 999999999, -999999999, 0]))
    if name == "d":
        return D(rng.choice([rng.randint(-(10**9), 10**9), 10**18 - 1, 1, -1, 0, 1500000, 500000])).scaleb(-6)
    if name == "w":
        whole = rng.choice([rng.randint(-(10**30), 10**30), 10**37, -(10**37), 1, 15 * 10**9, 0])
        return D(whole).scaleb(-10, decimal.Context(prec=60))
    if name == "i":
        return rng.choice([rng.randint(-5, 5), 2**31 - 1, -(2**31), 0])
    if name in ("f", "g"):
        return rng.choice([0.0, -0.0, 1.5, -1.5, 2.0, math.nan, math.nan, math.inf, -math.inf, 1e10])
    if name == "s":
        return rng.choice(NUMBERS_AS_TEXT)
    if name == "dt":
        return day
    moment = datetime.time(*rng.choice([(0, 0, 0), (23, 59, 59, 999999), (12, 30, 15, 1)]))
    return datetime.datetime.combine(day, moment)


def table(rng, count):
    columns = {name: [row if name == "id" else value(rng, name) for row in range(count)] for name, _, _ in COLUMNS}
    return pa.table(columns, schema=pa.schema([(name, kind) for name, kind, _ in COLUMNS]))


class Values:
    """Makes queries over such tables."""

    def __init__(self, rng):
        self.rng = rng

    def pick(self, *options):
        return self.rng.choice(options)

    def column(self, kind, alias="x"):
        return f"{alias}.{self.rng.choice([name for name, _, known in COLUMNS if known == kind and name != 'id'])}"

    def literal(self, kind):
        rng = self.rng
        if kind in ("dec", "wide"):
            return self.pick("1.5", "-0.25", "0.000001", "100", "999.9", "(-7.125)", "0.0")
        if kind == "int":
            return self.pick("0", "1", "(-1)", "2147483647", "3")
        if kind == "dbl":
            return self.pick("CAST(0 AS DOUBLE)", "CAST('-0.0' AS DOUBLE)", "CAST('NaN' AS DOUBLE)", "CAST(1.5 AS DOUBLE)",
                             "CAST('Infinity' AS DOUBLE)")
        if kind == "str":
            return f"'{rng.choice(NUMBERS_AS_TEXT)}'"
        day = datetime.date(*rng.choice(DATES)).isoformat()
        return f"DATE '{day}'" if kind == "date" else f"TIMESTAMP '{day} {self.pick('00:00:00', '12:30:15.000001')}'"

    def value(self, kind, alias="x"):
        """An expression of a kind whose value is exact."""
        def column():
            return self.column(kind, alias)

        if kind == "dec":
            narrow = f"{alias}.a"
            return self.pick(
                column, column,
                lambda: f"({column()} {self.pick('+', '-')} {column()})",
                lambda: f"({narrow} * {self.pick(f'{alias}.d', f'{alias}.c', narrow)})",
                lambda: f"({column()} {self.pick('+', '-', '*')} {self.pick('1.5', '0.25', '-2', '10')})",
                lambda: f"(- {column()})",
                lambda: f"abs({column()})",
                lambda: f"CAST({column()} AS DECIMAL({self.pick('20, 1', '22, 3', '30, 0')}))",
                lambda: f"round({column()}, {self.rng.randint(0, 3)})",
                lambda: f"({narrow} % {self.pick('3', '0.7', '2.5')})",
                lambda: f"coalesce({column()}, {column()})",
                lambda: f"greatest({column()}, {column()})",
                lambda: f"CASE WHEN {self.predicate(alias, 0)} THEN {column()} ELSE {column()} END",
            )()
        if kind == "int":
            return self.pick(column, lambda: f"({column()} % {self.pick('7', '3')})", lambda: f"CAST({alias}.c AS BIGINT)")()
        if kind == "dbl":
            return self.pick(
                column, column, lambda: f"(- {column()})", lambda: f"({column()} * 0)", lambda: f"abs({column()})",
                lambda: f"nullif({column()}, {self.literal(kind)})", lambda: f"coalesce({column()}, {self.literal(kind)})",
            )()
        if kind == "str":
            return self.pick(column, lambda: f"trim({column()})")()
        if kind == "date":
            return self.pick(column, lambda: f"CAST({self.column('ts', alias)} AS DATE)")()
        if kind == "ts":
            return self.pick(
                column, column, lambda: f"CAST({self.column('date', alias)} AS TIMESTAMP)",
                lambda: f"date_trunc('{self.pick('day', 'hour', 'month', 'year')}', {column()})",
            )()
        return column()

    def comparison(self, alias):
        kind = self.pick("dec", "dec", "wide", "int", "dbl", "dbl", "str", "date", "ts")
        left = self.value(kind, alias)
        right = self.pick(lambda: self.value(kind, alias), lambda: self.literal(kind))()
        if kind == "dec" and self.rng.random() < 0.3:
            right = self.pick(f"{alias}.w", f"{alias}.i")
        if kind == "ts" and self.rng.random() < 0.3:
            right = self.column("date", alias)
        many = ", ".join(self.literal(kind) for _ in range(self.rng.randint(1, 4)))
        return self.pick(
            lambda: f"{left} {self.pick('=', '<>', '<', '<=', '>', '>=')} {right}",
            lambda: f"{left} {self.pick('=', '<>', '<', '<=', '>', '>=')} {right}",
            lambda: f"({left} IS {self.pick('', 'NOT ')}DISTINCT FROM {right})",
            lambda: f"{left} {self.pick('', 'NOT ')}IN ({many})",
            lambda: f"{left} BETWEEN {self.literal(kind)} AND {right}",
            lambda: f"{left} IS {self.pick('', 'NOT ')}NULL",
        )()

    def predicate(self, alias="x", depth=1):
        if depth <= 0:
            return self.comparison(alias)
        one, other = self.predicate(alias, depth - 1), self.predicate(alias, depth - 1)
        return self.pick(one, one, f"({one} AND {other})", f"({one} OR {other})", f"NOT ({one})")

    def aggregate(self):
        kind = self.pick("dec", "dec", "wide", "int", "dbl", "str", "date", "ts")
        value = self.value(kind)
        options = [
            f"min({value})", f"max({value})", f"count({value})", f"count(DISTINCT {value})",
        ]
        if kind == "dec":
            # No sum of these leaves 38 digits, in DuckDB either.
            options += [f"sum({self.pick('x.a', 'x.c', 'x.d')})", f"sum(x.a * 2)"]
        if kind == "int":
            options += [f"sum({value})"]
        text = self.rng.choice(options)
        return text + (f" FILTER (WHERE {self.predicate()})" if self.rng.random() < 0.2 else "")

    def source(self):
        table = self.rng.choices(list(TABLES), [8, 4, 1])[0]
        where = f" WHERE {self.predicate()}" if self.rng.random() < 0.6 else ""
        return f"{table} AS x{where}"

    def kind(self):
        return self.pick("dec", "dec", "wide", "int", "dbl", "dbl", "str", "date", "ts")

    def shown(self):
        columns = [f"{self.value(self.kind())} AS c{number}" for number in range(self.rng.randint(1, 4))]
        return f"SELECT {self.pick('', 'DISTINCT ')}{', '.join(columns)} FROM {self.source()}"

    def quotient(self):
        return f"SELECT x.id, {self.column('dec')} / {self.pick('3', '0.7', 'nullif(x.a, 0)', '1.000001')} AS q FROM {self.source()}"

    def grouped(self):
        keys = [self.value(self.kind()) for _ in range(self.pick(0, 1, 1, 2))]
        shown = [f"{key} AS k{number}" for number, key in enumerate(keys)]
        shown += [f"{self.aggregate()} AS c{number}" for number in range(self.rng.randint(1, 3))]
        group = f" GROUP BY {', '.join(keys)}" if keys else ""
        return f"SELECT {', '.join(shown)} FROM {self.source()}{group}"

    def joined(self):
        kind = self.kind()
        other = kind if kind not in ("dec", "wide") else self.pick("dec", "wide", "int")
        left, right = self.column(kind), self.column(other, "y")
        how = self.pick("INNER", "LEFT", "FULL")
        return f"SELECT x.id, y.id AS other FROM v0 AS x {how} JOIN v1 AS y ON {left} = {right}"

    def within(self):
        kind = self.kind()
        return (
            f"SELECT x.id FROM v0 AS x WHERE {self.column(kind)} {self.pick('', 'NOT ')}IN "
            f"(SELECT {self.column(kind, 'y')} FROM v1 AS y WHERE {self.predicate('y', 0)})"
        )

    def windowed(self):
        kind = self.pick("dec", "dbl", "dbl", "date", "ts")
        key = self.column(kind)
        return self.pick(
            f"SELECT x.id, count(*) OVER (PARTITION BY {key}) AS c FROM {self.source()}",
            f"SELECT x.id, rank() OVER (ORDER BY {key} {self.pick('ASC', 'DESC')} NULLS LAST) AS c FROM {self.source()}",
            f"SELECT x.id, {self.pick('min', 'max')}({key}) OVER (ORDER BY x.id ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING) AS c "
            f"FROM {self.source()}",
        )

    def combined(self):
        kind = self.kind()
        other = kind if kind not in ("dec", "wide") else self.pick("dec", "wide")
        word = self.pick("UNION", "UNION ALL", "INTERSECT", "EXCEPT", "EXCEPT ALL", "INTERSECT ALL")
        return f"SELECT {self.column(kind)} AS c FROM v0 AS x {word} SELECT {self.column(other)} FROM v1 AS x"

    def ordered(self):
        key = self.column(self.kind())
        order = f"{key} {self.pick('ASC', 'DESC')} NULLS {self.pick('FIRST', 'LAST')}, x.id"
        return f"SELECT x.id FROM {self.source()} ORDER BY {order} LIMIT {self.rng.randint(0, 30)}"

    def query(self):
        make = self.rng.choices(
            [self.shown, self.grouped, self.joined, self.within, self.windowed, self.combined, self.ordered, self.quotient],
            [4, 5, 3, 2, 3, 2, 2, 1],
        )[0]
        return Query(make(), make == self.ordered)
