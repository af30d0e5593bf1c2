"""Random tables and random queries from a seed, in SQL whose meaning DuckDB and Skep define alike.

What the two define differently is not made: division of integers and decimals, casts that round, averages
and medians of decimals, the order of NULLs where none is asked for, collations, `date - date`. Doubles are
multiples of 0.25 and small, so that their sums and products are exact and may be compared, grouped and
sorted by; what is not exact (`avg`, `stddev`, `sqrt`) is only ever shown.

Where the two write the same thing differently, the text holds one of MARKS.
"""

import datetime
import decimal
import random

import pyarrow as pa
import pyarrow.parquet as pq

# A mark in the text of a query: how DuckDB writes it, and how Skep does.
MARKS = {
    "\x01SEMI": ("SEMI", "LEFT SEMI"),
    "\x01ANTI": ("ANTI", "LEFT ANTI"),
    "\x01DIV": ("//", "DIV"),
}

COLUMNS = [
    ("id", "int"),
    ("k", "int"),
    ("n", "int"),
    ("big", "int"),
    ("d", "dec"),
    ("e", "dec"),
    ("f", "dbl"),
    ("s", "str"),
    ("u", "str"),
    ("dt", "date"),
    ("ts", "ts"),
    ("b", "bool"),
]

TABLES = {"t0": 70, "t1": 40, "t2": 18, "t3": 0}

TYPES = ["int", "dec", "dbl", "str", "date", "ts", "bool"]

UNICODE = ["", "ä", "äöü", "日本語", "日本", "🙂", "a🙂b", "e\u0301", "é", "שלום", "Ω", "a b", "%", "_x", "naïve", "'q'"]

ASCII = ["", "a", "b", "ab", "abc", "B", "x y", " x", "0", "12", "-7", "zz", "a_b", "a%b"]


def schema():
    types = {
        "id": pa.int64(),
        "k": pa.int32(),
        "n": pa.int16(),
        "big": pa.int64(),
        "d": pa.decimal128(12, 2),
        "e": pa.decimal128(18, 4),
        "f": pa.float64(),
        "s": pa.string(),
        "u": pa.string(),
        "dt": pa.date32(),
        "ts": pa.timestamp("us"),
        "b": pa.bool_(),
    }
    return pa.schema([(name, types[name]) for name, _ in COLUMNS])


def table(rng, count):
    """A table with skewed keys and NULLs, and now and then a column that is NULL throughout."""
    empty = {name for name, _ in COLUMNS if name != "id" and rng.random() < 0.04}
    ids = rng.sample(range(-count, 2 * count + 1), count)

    def value(name, row):
        if name == "id":
            return ids[row]
        if name in empty or rng.random() < 0.12:
            return None
        if name == "k":
            return int(rng.paretovariate(0.9)) % 17 if rng.random() < 0.9 else rng.randint(-40, 40)
        if name == "n":
            return rng.randint(-6, 6)
        if name == "big":
            return rng.choice([rng.randint(-(10**12), 10**12), rng.randint(-9, 9), 2**31, -(2**31) - 1])
        if name == "d":
            return decimal.Decimal(rng.randint(-50000, 50000)).scaleb(-2) if rng.random() < 0.7 else decimal.Decimal("1.50")
        if name == "e":
            return decimal.Decimal(rng.randint(-(10**9), 10**9)).scaleb(-4) if rng.random() < 0.7 else decimal.Decimal("0.0000")
        if name == "f":
            return rng.randint(-200, 200) * 0.25 if rng.random() < 0.8 else 2.5
        if name == "s":
            return rng.choice(ASCII)
        if name == "u":
            return rng.choice(UNICODE)
        if name == "dt":
            return datetime.date(1999, 12, 20) + datetime.timedelta(days=rng.randint(0, 90) * rng.choice([1, 1, 1, 200]))
        if name == "ts":
            seconds = rng.randint(0, 400) * 3599
            moment = datetime.datetime(1969, 12, 28) if rng.random() < 0.3 else datetime.datetime(2024, 2, 27)
            return moment + datetime.timedelta(seconds=seconds, microseconds=rng.choice([0, 0, 1, 999999]))
        return rng.random() < 0.5

    columns = {name: [value(name, row) for row in range(count)] for name, _ in COLUMNS}
    return pa.table(columns, schema=schema())


def write(tables, directory):
    """Each table as several files of different sizes, so that a cluster shares them out."""
    for name, whole in tables.items():
        folder = directory / name
        folder.mkdir(parents=True)
        cuts = sorted({0, whole.num_rows // 7, whole.num_rows // 2, whole.num_rows})
        if len(cuts) == 1:
            pq.write_table(whole, folder / "part-0.parquet")
        for number, (start, end) in enumerate(zip(cuts, cuts[1:])):
            pq.write_table(whole.slice(start, end - start), folder / f"part-{number}.parquet", row_group_size=16)


def written_for(sql, which):
    for mark, forms in MARKS.items():
        sql = sql.replace(mark, forms[which])
    return sql


class Query:
    """A query: its text, what its columns are, and whether the order of its rows is defined."""

    def __init__(self, sql, is_ordered):
        self.sql = sql
        self.is_ordered = is_ordered

    def for_duckdb(self):
        return written_for(self.sql, 0)

    def for_skep(self):
        return written_for(self.sql, 1)


class Maker:
    """Makes queries. A scope is what names may be used: a list of (text, type)."""

    def __init__(self, rng):
        self.rng = rng
        self.names = 0
        self.ctes = []

    # -- small decisions ------------------------------------------------------------------------------

    def chance(self, share):
        return self.rng.random() < share

    def pick(self, *options):
        return self.rng.choice(options)

    def name(self, prefix):
        self.names += 1
        return f"{prefix}{self.names}"

    # -- expressions ----------------------------------------------------------------------------------

    def literal(self, kind):
        rng = self.rng
        if kind == "int":
            return self.pick("0", "1", "2", "3", "(-1)", "7", str(rng.randint(-20, 20)).replace("-", "0 - "))
        if kind == "dec":
            return f"CAST('{rng.randint(-300, 300) / 4:.2f}' AS DECIMAL(12, 2))"
        if kind == "dbl":
            return f"CAST({rng.randint(-40, 40) * 0.25} AS DOUBLE)"
        if kind == "str":
            return "'" + rng.choice(ASCII + UNICODE).replace("'", "''") + "'"
        if kind == "date":
            return f"DATE '{datetime.date(2000, 1, 1) + datetime.timedelta(days=rng.randint(-20, 120))}'"
        if kind == "ts":
            return f"TIMESTAMP '{datetime.datetime(2024, 2, 27) + datetime.timedelta(hours=rng.randint(0, 500))}'"
        return self.pick("TRUE", "FALSE")

    def column(self, kind, scope):
        fitting = [text for text, known in scope if known == kind]
        return self.rng.choice(fitting) if fitting else None

    def leaf(self, kind, scope):
        column = self.column(kind, scope)
        if column is None or self.chance(0.2):
            if self.chance(0.06):
                return f"CAST(NULL AS {SQL_TYPES[kind]})"
            return self.literal(kind)
        return column

    def expr(self, kind, scope, depth=2):
        if depth <= 0 or self.chance(0.3):
            return self.leaf(kind, scope)
        if self.chance(0.3):
            return self.of_any_type(kind, scope, depth - 1)
        return getattr(self, "expr_" + kind)(scope, depth - 1)

    def of_any_type(self, kind, scope, depth):
        def some():
            return self.expr(kind, scope, depth)

        which = self.rng.randrange(5)
        if which == 0:
            otherwise = f" ELSE {some()}" if self.chance(0.7) else ""
            return f"CASE WHEN {self.predicate(scope, depth)} THEN {some()} WHEN {self.predicate(scope, depth)} THEN {some()}{otherwise} END"
        if which == 1:
            return f"coalesce({some()}, {some()})"
        if which == 2:
            return f"nullif({some()}, {some()})"
        if which == 3 and kind != "bool":
            return f"{self.pick('greatest', 'least')}({some()}, {some()})"
        by = self.pick("int", "str")
        return f"CASE {self.leaf(by, scope)} WHEN {self.literal(by)} THEN {some()} WHEN {self.literal(by)} THEN {some()} ELSE {some()} END"

    def expr_int(self, scope, depth):
        def some(kind="int"):
            return self.expr(kind, scope, depth)

        # What may grow is kept small, so that overflow is not what is tried here.
        def small():
            return f"({some()} % 1000)"

        return self.pick(
            lambda: f"({small()} {self.pick('+', '-', '*')} {small()})",
            lambda: f"({small()} % {self.rng.randint(2, 9)})",
            lambda: f"({small()} \x01DIV {self.rng.randint(2, 9)})" if self.chance(0.5) else f"abs({small()})",
            lambda: f"(- {small()})",
            lambda: f"length({some('str')})",
            lambda: f"strpos({some('str')}, {self.literal('str')})",
            lambda: f"CAST(extract({self.pick('year', 'month', 'day')} FROM {some('date')}) AS BIGINT)",
            lambda: f"CAST(extract({self.pick('hour', 'minute', 'dow', 'doy', 'quarter')} FROM {some('ts')}) AS BIGINT)",
            lambda: f"CAST({some('bool')} AS INT)",
            lambda: f"CAST(CAST({some()} AS VARCHAR) AS BIGINT)",
        )()

    def expr_dec(self, scope, depth):
        def some():
            return self.leaf("dec", scope)

        return self.pick(
            lambda: f"({some()} {self.pick('+', '-')} {some()})",
            lambda: f"({some()} * {some()})",
            lambda: f"(- {some()})",
            lambda: f"abs({some()})",
            lambda: f"CAST(({self.leaf('int', scope)} % 1000) AS DECIMAL(12, 2))",
        )()

    def expr_dbl(self, scope, depth):
        def some():
            return self.leaf("dbl", scope)

        return self.pick(
            lambda: f"({some()} {self.pick('+', '-', '*')} {some()})",
            lambda: f"{self.pick('floor', 'ceil', 'abs')}({some()})",
            lambda: f"CAST(({self.leaf('int', scope)} % 1000) AS DOUBLE)",
            lambda: f"CAST(CAST({self.leaf('bool', scope)} AS INT) AS DOUBLE)",
        )()

    def expr_str(self, scope, depth):
        def some():
            return self.expr("str", scope, depth)

        count = self.rng.randint(1, 4)
        return self.pick(
            lambda: f"({some()} || {some()})",
            lambda: f"concat({some()}, {some()})",
            lambda: f"concat_ws('-', {some()}, {some()})",
            lambda: f"{self.pick('upper', 'lower')}({self.ascii(scope)})",
            lambda: f"{self.pick('trim', 'ltrim', 'rtrim')}({some()})",
            lambda: f"substr({some()}, {count}, {self.rng.randint(0, 3)})",
            lambda: f"{self.pick('left', 'right')}({some()}, {count})",
            lambda: f"{self.pick('lpad', 'rpad')}({some()}, {count}, 'xy')",
            lambda: f"replace({some()}, 'a', 'bb')",
            lambda: f"repeat({some()}, {self.rng.randint(0, 3)})",
            lambda: f"reverse({self.ascii(scope)})",
            lambda: f"split_part({some()}, ' ', {self.rng.randint(1, 2)})",
            lambda: f"translate({some()}, 'ab', 'x')",
            lambda: f"md5({some()})",
            lambda: f"CAST({self.pick(*[self.leaf(kind, scope) for kind in ('int', 'dec', 'date', 'bool')])} AS VARCHAR)",
        )()

    def ascii(self, scope):
        """Text without letters whose case or clusters two Unicode tables may see differently."""
        fitting = [text for text, kind in scope if kind == "str" and text.endswith(".s")]
        return self.rng.choice(fitting) if fitting else "'aBc'"

    def expr_date(self, scope, depth):
        return self.pick(
            lambda: f"CAST({self.expr('ts', scope, depth)} AS DATE)",
            lambda: f"CAST(({self.leaf('date', scope)} {self.pick('+', '-')} INTERVAL '{self.rng.randint(1, 40)}' {self.pick('DAY', 'MONTH')}) AS DATE)",
            lambda: f"CAST(date_trunc('{self.pick('month', 'year', 'week', 'quarter')}', CAST({self.leaf('date', scope)} AS TIMESTAMP)) AS DATE)",
            lambda: f"CAST(CAST({self.leaf('date', scope)} AS VARCHAR) AS DATE)",
        )()

    def expr_ts(self, scope, depth):
        return self.pick(
            lambda: f"({self.leaf('ts', scope)} {self.pick('+', '-')} INTERVAL '{self.rng.randint(1, 40)}' {self.pick('DAY', 'HOUR', 'MONTH', 'SECOND')})",
            lambda: f"date_trunc('{self.pick('second', 'minute', 'hour', 'day', 'month')}', {self.leaf('ts', scope)})",
            lambda: f"CAST({self.leaf('date', scope)} AS TIMESTAMP)",
        )()

    def expr_bool(self, scope, depth):
        return f"({self.predicate(scope, depth)})"

    # -- predicates -----------------------------------------------------------------------------------

    def comparison(self, scope, depth):
        kind = self.rng.choice(TYPES[:6])

        def some():
            return self.expr(kind, scope, depth)

        def literals():
            listed = [self.literal(kind) for _ in range(self.rng.randint(1, 4))]
            return ", ".join(listed + (["NULL"] if self.chance(0.15) else []))

        text = self.leaf("str", scope)
        return self.pick(
            lambda: f"{some()} {self.pick('=', '<>', '<', '<=', '>', '>=')} {some()}",
            lambda: f"{some()} {self.pick('=', '<', '>=')} {self.literal(kind)}",
            lambda: f"{some()} {self.pick('', 'NOT ')}BETWEEN {some()} AND {some()}",
            lambda: f"{some()} IS {self.pick('', 'NOT ')}NULL",
            lambda: f"({some()} IS {self.pick('', 'NOT ')}DISTINCT FROM {some()})",
            lambda: f"{some()} {self.pick('', 'NOT ')}IN ({literals()})",
            lambda: f"{text} {self.pick('', 'NOT ')}LIKE {self.pick(repr('a%'), repr('%b%'), repr('_'), repr('%'), repr('__%'), repr('%語'))}",
            lambda: f"starts_with({text}, 'a')",
            lambda: self.leaf("bool", scope),
        )()

    def predicate(self, scope, depth=1):
        if depth <= 0:
            return self.comparison(scope, 0)
        return self.pick(
            lambda: self.comparison(scope, depth - 1),
            lambda: self.comparison(scope, depth - 1),
            lambda: f"({self.predicate(scope, depth - 1)} AND {self.predicate(scope, depth - 1)})",
            lambda: f"({self.predicate(scope, depth - 1)} OR {self.predicate(scope, depth - 1)})",
            lambda: f"NOT ({self.predicate(scope, depth - 1)})",
            lambda: f"(({self.comparison(scope, 0)}) IS {self.pick('', 'NOT ')}{self.pick('TRUE', 'FALSE', 'NULL')})",
        )()

    def subquery_predicate(self, scope):
        """EXISTS and IN, correlated or not, with NULLs on both sides."""
        alias = self.name("q")
        inner = self.columns_of(alias)
        source = f"{self.table()} AS {alias}"
        kind = self.pick("int", "int", "str", "date")
        outer, other = self.column(kind, scope), self.column(kind, inner)
        conditions = []
        if self.chance(0.5) and outer:
            conditions.append(f"{other} = {outer}")
            if self.chance(0.4):
                more = self.pick("int", "dbl")
                left, right = self.column(more, inner), self.column(more, scope)
                if right:
                    conditions.append(f"{left} {self.pick('<', '<>', '>=')} {right}")
        if self.chance(0.6):
            conditions.append(self.predicate(inner, 1))
        where = " WHERE " + " AND ".join(f"({condition})" for condition in conditions) if conditions else ""
        if self.chance(0.5):
            return f"{self.pick('', 'NOT ')}EXISTS (SELECT {self.pick('1', '*', alias + '.k')} FROM {source}{where})"
        kind = self.pick("int", "str", "date", "dec")
        left = self.expr(kind, scope, 1)
        return f"{left} {self.pick('', 'NOT ', 'NOT ')}IN (SELECT {self.column(kind, inner)} FROM {source}{where})"

    def scalar_subquery(self, scope):
        """One value: an aggregate, correlated by equality or not at all."""
        alias = self.name("q")
        inner = self.columns_of(alias)
        kind, aggregate = self.aggregate(inner, exact=True)
        outer = self.column("int", scope)
        conditions = []
        if outer and self.chance(0.6):
            conditions.append(f"{self.column('int', inner)} = {outer}")
        if self.chance(0.5):
            conditions.append(self.predicate(inner, 1))
        where = " WHERE " + " AND ".join(f"({condition})" for condition in conditions) if conditions else ""
        return kind, f"(SELECT {aggregate} FROM {self.table()} AS {alias}{where})"

    # -- aggregates and windows -----------------------------------------------------------------------

    def aggregate(self, scope, exact=False):
        def some(kind, depth=1):
            return self.expr(kind, scope, depth)

        any_kind = self.rng.choice(TYPES)
        plain = self.rng.choice(TYPES[:6])
        shown = [
            ("int", lambda: "count(*)"),
            ("int", lambda: f"count({some(any_kind)})"),
            ("int", lambda: f"count(DISTINCT {some(any_kind)})"),
            ("int", lambda: f"sum({some('int')} % 1000)"),
            ("int", lambda: f"sum(DISTINCT {some('int')} % 1000)"),
            ("dec", lambda: f"sum({self.leaf('dec', scope)})"),
            ("dbl", lambda: f"sum({self.leaf('dbl', scope)})"),
            (plain, lambda: f"{self.pick('min', 'max')}({some(plain)})"),
            ("bool", lambda: f"{self.pick('bool_and', 'bool_or')}({some('bool')})"),
            ("str", lambda: self.string_agg(scope)),
        ]
        if not exact:
            shown += [
                ("approx", lambda: f"avg({some('int')} % 1000)"),
                ("approx", lambda: f"avg({self.leaf('dbl', scope)})"),
                ("approx", lambda: f"avg(CAST({self.leaf('dec', scope)} AS DOUBLE))"),
                ("approx", lambda: f"{self.pick('stddev_samp', 'var_pop', 'stddev_pop', 'var_samp')}({self.leaf('dbl', scope)})"),
            ]
        kind, make = self.rng.choice(shown)
        text = make()
        if self.chance(0.2) and not text.startswith("string_agg"):
            text += f" FILTER (WHERE {self.predicate(scope, 1)})"
        return kind, text

    def string_agg(self, scope):
        text = self.column("str", scope)
        if not text:
            return "string_agg('x', ',')"
        return f"string_agg({text}, ',' ORDER BY {text} {self.pick('ASC', 'DESC')} NULLS LAST)"

    def window(self, scope):
        """A window whose result does not depend on the order of peers."""
        keys = [text for text, kind in scope if kind in ("int", "str", "date", "dec", "bool")]
        if not keys:
            return "int", "count(*) OVER ()"
        partition = self.rng.sample(keys, min(len(keys), self.pick(0, 1, 1, 2)))
        by = f"PARTITION BY {', '.join(partition)} " if partition else ""
        ids = [text for text, _ in scope if text.endswith(".id")]
        # Rows of a subquery can be alike, and then nobody knows which of them comes first.
        if len(ids) < len({text.split(".")[0] for text, _ in scope}):
            ids = []
        total = ", ".join(self.order_key(text) for text in self.shuffled(ids))
        first = self.rng.choice(keys)
        peers = f"ORDER BY {self.order_key(first)}"
        if total:
            ordered = f"{peers}, {total}"
        kind = self.pick("int", "dbl", "str", "dec", "date")
        value = self.leaf(kind, scope)
        if not total or self.chance(0.35):
            which, text = self.pick(
                ("int", "rank()"), ("int", "dense_rank()"), ("approx", "percent_rank()"), ("approx", "cume_dist()"),
                ("int", f"count({value})"), (kind, f"max({value})"), ("dbl", f"sum({self.leaf('dbl', scope)})"),
                ("int", f"sum({self.leaf('int', scope)} % 1000)"),
            )
            frame = ""
            if text.startswith(("count", "max", "sum")):
                frame = self.pick("", "", " GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING",
                                  " RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
                                  " RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW")
                number = self.column("int", scope)
                if number and self.chance(0.3):
                    peers = f"ORDER BY {number} {self.pick('ASC', 'DESC')} NULLS {self.pick('FIRST', 'LAST')}"
                    frame = f" RANGE BETWEEN {self.rng.randint(0, 3)} PRECEDING AND {self.rng.randint(0, 3)} FOLLOWING"
            return which, f"{text} OVER ({by}{peers}{frame})"
        low, high = self.rng.randint(0, 3), self.rng.randint(0, 3)
        frame = self.pick("", f" ROWS BETWEEN {low} PRECEDING AND {high} FOLLOWING",
                          " ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
                          f" ROWS BETWEEN CURRENT ROW AND {high} FOLLOWING",
                          f" ROWS BETWEEN {low + 2} PRECEDING AND {self.rng.randint(0, 2)} PRECEDING",
                          " ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING")
        which, text, framed = self.pick(
            ("int", "row_number()", False), ("int", f"ntile({self.rng.randint(1, 5)})", False),
            (kind, f"lag({value}, {self.rng.randint(0, 3)})", False),
            (kind, f"lead({value}, {self.rng.randint(0, 3)}, {self.literal(kind)})", False),
            (kind, f"first_value({value})", True), (kind, f"last_value({value})", True),
            (kind, f"nth_value({value}, {self.rng.randint(1, 3)})", True), (kind, f"min({value})", True),
            ("int", f"count({value})", True), ("int", f"sum({self.leaf('int', scope)} % 1000)", True),
            ("dec", f"sum({self.leaf('dec', scope)})", True), ("approx", f"avg({self.leaf('dbl', scope)})", True),
        )
        return which, f"{text} OVER ({by}{ordered}{frame if framed else ''})"

    def order_key(self, text):
        return f"{text} {self.pick('ASC', 'DESC')} NULLS {self.pick('FIRST', 'LAST')}"

    def shuffled(self, items):
        return self.rng.sample(items, len(items))

    # -- relations ------------------------------------------------------------------------------------

    def table(self):
        return self.rng.choices(list(TABLES), [8, 8, 6, 1])[0]

    def columns_of(self, alias):
        return [(f"{alias}.{name}", kind) for name, kind in COLUMNS]

    def relation(self, depth):
        """A relation's text and its columns."""
        alias = self.name("r")
        if self.ctes and self.chance(0.4):
            name, columns = self.rng.choice(self.ctes)
            return f"{name} AS {alias}", [(f"{alias}.{column}", kind) for column, kind in columns]
        if depth > 0 and self.chance(0.25):
            inner, columns = self.select(depth - 1, exact=True)
            return f"({inner}) AS {alias}", [(f"{alias}.{column}", kind) for column, kind in columns]
        return f"{self.table()} AS {alias}", self.columns_of(alias)

    def joined(self, depth):
        text, scope = self.relation(depth)
        for _ in range(self.pick(0, 0, 1, 1, 2) if depth > 1 else self.pick(0, 0, 1)):
            right, columns = self.relation(depth)
            kind = self.pick("INNER", "INNER", "LEFT", "RIGHT", "FULL", "\x01SEMI", "\x01ANTI")
            if self.chance(0.04):
                text += f" CROSS JOIN {right}"
                scope = scope + columns
                continue
            by = self.pick("int", "int", "int", "str", "date")
            left_key, right_key = self.column(by, scope), self.column(by, columns)
            alike = [(text, key) for key in (f"{right.split()[-1]}.{name}" for name in ("k", "n", "s"))
                     for text, _ in scope if text.rpartition(".")[2] == key.rpartition(".")[2]]
            known = {text for text, _ in columns}
            if self.chance(0.7) and alike and alike[0][1] in known:
                left_key, right_key = self.rng.choice(alike)
            if not left_key or not right_key:
                text += f" CROSS JOIN {right}"
                scope = scope + columns
                continue
            on = f"{left_key} = {right_key}"
            if self.chance(0.15):
                other = self.pick("int", "str")
                more_left, more_right = self.column(other, scope), self.column(other, columns)
                if more_left and more_right:
                    on += f" AND {more_left} = {more_right}"
            if self.chance(0.4):
                on += f" AND {self.predicate(scope + columns, 1)}"
            if self.chance(0.1):
                on = f"({left_key} IS NOT DISTINCT FROM {right_key})"
            text += f" {kind} JOIN {right} ON {on}"
            scope = scope if kind.startswith("\x01") else scope + columns
        return text, scope

    # -- selects --------------------------------------------------------------------------------------

    def select(self, depth, exact=False, kinds=None):
        """A SELECT and its columns; with `kinds`, of these types; with `exact`, without approximations."""
        source, scope = self.joined(depth)
        wheres = []
        if self.chance(0.4):
            wheres.append(self.predicate(scope, 2))
        if self.chance(0.3):
            part = self.subquery_predicate(scope)
            if self.chance(0.3):
                other = self.predicate(scope, 1)
                part = self.pick(f"({part}) OR ({other})", f"NOT (({part}) AND ({other}))", f"({part}) IS NOT TRUE")
            wheres.append(part)
        where = " WHERE " + " AND ".join(f"({part})" for part in wheres) if wheres else ""
        if kinds is None and self.chance(0.4):
            return self.grouped(source, scope, where, exact)
        outputs = []
        for kind in kinds or [self.rng.choice(TYPES) for _ in range(self.rng.randint(1, 4))]:
            outputs.append((kind, self.expr(kind, scope, 2)))
        if kinds is None and self.chance(0.25):
            found = self.window(scope)
            if not (exact and found[0] == "approx"):
                outputs.append(found)
        if kinds is None and self.chance(0.15):
            outputs.append(self.scalar_subquery(scope))
        has_approx = any(kind == "approx" for kind, _ in outputs)
        distinct = "DISTINCT " if self.chance(0.2) and not has_approx else ""
        columns, shown = self.named(outputs)
        text = f"SELECT {distinct}{shown} FROM {source}{where}"
        if not has_approx and self.chance(0.1):
            text += self.limited(columns)
        return text, columns

    def named(self, outputs):
        columns = [(f"c{number}", kind) for number, (kind, _) in enumerate(outputs)]
        shown = ", ".join(f"{text} AS c{number}" for number, (_, text) in enumerate(outputs))
        return columns, shown

    def limited(self, columns):
        """A limit that leaves no choice: all columns decide the order."""
        keys = ", ".join(self.order_key(name) for name, _ in self.shuffled(columns))
        offset = f" OFFSET {self.rng.randint(0, 8)}" if self.chance(0.4) else ""
        return f" ORDER BY {keys} LIMIT {self.rng.randint(0, 25)}{offset}"

    def grouped(self, source, scope, where, exact):
        keys = []
        for _ in range(self.pick(0, 1, 1, 2, 3)):
            kind = self.rng.choice(TYPES)
            text = self.expr(kind, scope, self.pick(0, 0, 1))
            column = self.column(kind, scope)
            if column and self.chance(0.6):
                text = column
            if text not in [known for _, known in keys] and "." in text:
                keys.append((kind, text))
        aggregates = [self.aggregate(scope, exact) for _ in range(self.rng.randint(1, 3))]
        texts = [text for _, text in keys]
        how = self.rng.random()
        group = ""
        extra = []
        if texts:
            group = f" GROUP BY {', '.join(texts)}"
            if how < 0.15:
                group = f" GROUP BY ROLLUP ({', '.join(texts)})"
            elif how < 0.27:
                group = f" GROUP BY CUBE ({', '.join(texts)})"
            elif how < 0.4:
                sets = [self.rng.sample(texts, self.rng.randint(0, len(texts))) for _ in range(self.rng.randint(1, 3))]
                if set().union(*sets) == set(texts):
                    group = f" GROUP BY GROUPING SETS ({', '.join('(' + ', '.join(one) + ')' for one in sets)})"
            if how < 0.4 and "(" in group and group.startswith((" GROUP BY ROLLUP", " GROUP BY CUBE")) and self.chance(0.5):
                extra.append(("int", f"grouping({self.rng.choice(texts)})"))
        having = ""
        if self.chance(0.25):
            kind, text = self.aggregate(scope, exact=True)
            having = f" HAVING {text} {self.pick('>', '<=', '<>')} {self.literal(kind)}" if kind != "bool" else f" HAVING {text}"
        outputs = keys + aggregates + extra
        columns, shown = self.named(outputs)
        return f"SELECT {shown} FROM {source}{where}{group}{having}", columns

    # -- whole queries --------------------------------------------------------------------------------

    def body(self):
        if self.chance(0.2):
            kinds = [self.rng.choice(TYPES) for _ in range(self.rng.randint(1, 3))]
            text, columns = self.select(1, exact=True, kinds=kinds)
            text = f"({text})"
            for _ in range(self.pick(1, 1, 2)):
                other, _ = self.select(1, exact=True, kinds=kinds)
                word = self.pick("UNION", "UNION ALL", "INTERSECT", "INTERSECT ALL", "EXCEPT", "EXCEPT ALL")
                text = f"({text} {word} ({other}))"
            return text[1:-1], columns
        return self.select(2)

    def query(self):
        self.names, self.ctes = 0, []
        with_ = ""
        if self.chance(0.25):
            listed = []
            for _ in range(self.pick(1, 1, 2)):
                text, columns = self.select(1, exact=True)
                name = self.name("w")
                listed.append(f"{name} AS ({text})")
                self.ctes.append((name, columns))
            with_ = f"WITH {', '.join(listed)} "
        text, columns = self.body()
        is_exact = all(kind != "approx" for _, kind in columns)
        if is_exact and self.chance(0.3):
            keys = ", ".join(self.order_key(name) for name, _ in self.shuffled(columns))
            tail = f" ORDER BY {keys}"
            if self.chance(0.6):
                tail += f" LIMIT {self.rng.randint(0, 30)}"
                if self.chance(0.5):
                    tail += f" OFFSET {self.rng.randint(0, 10)}"
            return Query(f"{with_}SELECT * FROM ({text}) AS z{tail}", True)
        return Query(with_ + text, False)


SQL_TYPES = {
    "int": "BIGINT",
    "dec": "DECIMAL(12, 2)",
    "dbl": "DOUBLE",
    "str": "VARCHAR",
    "date": "DATE",
    "ts": "TIMESTAMP",
    "bool": "BOOLEAN",
}
