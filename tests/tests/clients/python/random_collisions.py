"""Random queries in which names collide, from a seed: subqueries over the table and the columns of the query
around them, in every place and under every operator; aliases called like tables and columns; tables of a WITH
called like those that they read; USING and NATURAL.

What DuckDB and Skep define differently is left out: a name of an outer query that an inner one hides is only
ever written where both resolve it to the inner one.
"""

from random_sql import COLUMNS, Maker, Query

# What joins merge and subqueries compare.
KEYS = [("k", "int"), ("n", "int"), ("s", "str"), ("dt", "date"), ("id", "int")]

KINDS = dict(COLUMNS)


class Scope:
    """A relation in FROM: how it is written, its qualifier, and whether its columns may stand without it."""

    def __init__(self, text, qualifier, is_alone=True):
        self.text, self.qualifier, self.is_alone = text, qualifier, is_alone


class Collisions(Maker):
    """Makes queries whose names collide."""

    def relation_named(self):
        """A relation whose name is a table's, its own or another one's."""
        table = self.table()
        return self.pick(
            lambda: Scope(table, table),
            lambda: Scope(table, table),
            lambda: Scope(f"{table} AS {(other := self.table())}", other),
            lambda: Scope(f"{table} AS {(alias := self.pick('a', 'b', 'x'))}", alias),
            lambda: Scope(f"(SELECT * FROM {table} WHERE {self.predicate(self.bare(), 1)}) AS {table}", table),
            lambda: Scope(
                f"(SELECT id, n AS k, k AS n, big, d, e, f, u AS s, s AS u, dt, ts, b FROM {table}) AS {table}", table
            ),
        )()

    def bare(self):
        return list(COLUMNS)

    def columns_in(self, scope):
        """The columns of a relation, with and without its name."""
        qualified = [(f"{scope.qualifier}.{name}", kind) for name, kind in COLUMNS]
        if scope.is_alone:
            return qualified + self.bare()
        return qualified

    # -- subqueries -----------------------------------------------------------------------------------

    def inner(self, outers):
        """FROM and WHERE of a subquery within `outers`, and what may be named in it."""
        scope = self.relation_named()
        columns = self.columns_in(scope)
        visible = [outer for outer in outers if outer.qualifier != scope.qualifier]
        conditions = []
        if visible and self.chance(0.5):
            outer = self.rng.choice(visible)
            name, kind = self.rng.choice(KEYS)
            own = self.rng.choice([text for text, known in columns if known == kind])
            operator = self.pick("=", "=", "=", "<>", "<", ">=")
            conditions.append(f"{own} {operator} {outer.qualifier}.{name}")
        if self.chance(0.6):
            conditions.append(self.predicate(columns, 1))
        if self.chance(0.15):
            conditions.append(self.boolean([scope] + visible, 0))
        where = " WHERE " + " AND ".join(f"({part})" for part in conditions) if conditions else ""
        return f"{scope.text}{where}", columns, scope

    def subquery_of(self, kind, outers):
        """A subquery with one column of a type."""
        source, columns, _ = self.inner(outers)
        value = self.rng.choice([text for text, known in columns if known == kind])
        shapes = [
            lambda: f"SELECT {value} FROM {source}",
            lambda: f"SELECT {value} FROM {source}",
            lambda: f"SELECT DISTINCT {value} FROM {source}",
            lambda: f"SELECT {self.pick('min', 'max')}({value}) FROM {source}",
            lambda: f"SELECT {self.pick('min', 'max')}({value}) FROM {source} GROUP BY {self.pick('n', 'b', 's')}"
            if "AS " not in source
            else f"SELECT {value} FROM {source}",
        ]
        if kind == "int":
            shapes.append(lambda: f"SELECT count(*) FROM {source}")
        return self.rng.choice(shapes)()

    def scalar(self, kind, outers):
        """A subquery of one row at most."""
        source, columns, scope = self.inner(outers)
        value = self.rng.choice([text for text, known in columns if known == kind])
        shapes = [
            lambda: f"(SELECT {self.pick('min', 'max')}({value}) FROM {source})",
            lambda: f"(SELECT {value} FROM {source} ORDER BY {scope.qualifier}.id {self.pick('ASC', 'DESC')} LIMIT 1)",
        ]
        if kind == "int":
            shapes += [
                lambda: f"(SELECT count({value}) FROM {source})",
                lambda: f"(SELECT coalesce(sum({value} % 100), 0) + count(*) FROM {source})",
            ]
        return self.rng.choice(shapes)()

    def test(self, outers):
        """One predicate with a subquery."""
        scope = outers[0]
        kind = self.pick("int", "int", "str", "date")
        left = self.rng.choice([text for text, known in self.columns_in(scope) if known == kind])
        if self.chance(0.15):
            left = self.literal(kind)
        return self.pick(
            lambda: f"{left} IN ({self.subquery_of(kind, outers)})",
            lambda: f"{left} IN ({self.subquery_of(kind, outers)})",
            lambda: f"{left} NOT IN ({self.subquery_of(kind, outers)})",
            lambda: f"{self.pick('', 'NOT ')}EXISTS ({self.subquery_of(kind, outers)})",
            lambda: f"{left} {self.pick('=', '<', '>=', '<>')} {self.pick('ANY', 'ALL')} ({self.subquery_of(kind, outers)})",
            lambda: f"{left} {self.pick('=', '<', '>', '<>')} {self.scalar(kind, outers)}",
        )()

    def boolean(self, outers, depth):
        """A condition with subqueries somewhere inside."""
        plain = self.predicate(self.columns_in(outers[0]), 1)
        if depth <= 0:
            return self.test(outers)

        def some():
            return self.boolean(outers, depth - 1)

        return self.pick(
            some,
            lambda: f"({plain}) OR {some()}",
            lambda: f"{some()} OR {some()}",
            lambda: f"({plain}) AND ({some()})",
            lambda: f"NOT (({plain}) OR {some()})",
            lambda: f"NOT ({some()})",
            lambda: f"({some()}) IS {self.pick('', 'NOT ')}{self.pick('TRUE', 'FALSE', 'NULL')}",
            lambda: f"CASE WHEN {some()} THEN {self.pick('TRUE', plain)} ELSE {self.pick('FALSE', some())} END",
            lambda: f"coalesce({some()}, {self.pick('TRUE', 'FALSE')})",
        )()

    # -- queries --------------------------------------------------------------------------------------

    def outputs(self, scope):
        """Some columns under the names of others."""
        chosen = self.rng.sample(KEYS, self.rng.randint(1, 3))
        names = self.shuffled([name for name, _ in KEYS])
        prefix = f"{scope.qualifier}." if self.chance(0.5) or not scope.is_alone else ""
        return [(f"{prefix}{name}", names[at], kind) for at, (name, kind) in enumerate(chosen)]

    def filtered(self):
        scope = self.relation_named()
        shown = ", ".join(f"{text} AS {name}" for text, name, _ in self.outputs(scope))
        return f"SELECT {shown} FROM {scope.text} WHERE {self.boolean([scope], 2)}"

    def shown(self):
        scope = self.relation_named()
        shown = ", ".join(f"{text} AS {name}" for text, name, _ in self.outputs(scope))
        kind = self.pick("int", "str", "date")
        value = self.pick(lambda: f"({self.boolean([scope], 1)})", lambda: self.scalar(kind, [scope]))()
        return f"SELECT {shown}, {value} AS x FROM {scope.text}"

    def grouped_by(self):
        scope = self.relation_named()
        key = f"{scope.qualifier}.{self.pick('k', 'n', 's')}"
        aggregate = self.pick("count(*)", f"min({scope.qualifier}.id)", f"sum({scope.qualifier}.n)")
        return self.pick(
            lambda: f"SELECT {key} AS n, {aggregate} AS k FROM {scope.text} GROUP BY {key} "
            f"HAVING {aggregate} IN ({self.subquery_of('int', [])}) OR {aggregate} > {self.rng.randint(0, 9)}",
            lambda: f"SELECT ({(test := self.test([scope]))}) AS x, {aggregate} AS k FROM {scope.text} GROUP BY ({test})",
            lambda: f"SELECT {key} AS k, count(CASE WHEN {self.boolean([scope], 1)} THEN 1 END) AS c "
            f"FROM {scope.text} GROUP BY {key}",
            lambda: f"SELECT {key} AS k, {aggregate} AS c FROM {scope.text} WHERE {self.boolean([scope], 1)} GROUP BY {key}",
        )()

    def joined_on(self):
        left, right = Scope("t0 AS a", "a", False), Scope(f"{self.table()} AS b", "b", False)
        kind = self.pick("INNER", "LEFT", "RIGHT")
        on = f"a.{self.pick('k', 'n')} = b.{self.pick('k', 'n')}"
        where = f" WHERE {self.boolean([left, right], 1)}" if self.chance(0.6) else ""
        if kind == "INNER" and self.chance(0.5):
            on += f" AND ({self.boolean([self.pick(left, right)], 1)})"
        return f"SELECT a.id AS k, b.id AS n, a.s AS s FROM {left.text} {kind} JOIN {right.text} ON {on}{where}"

    def merged(self):
        """Joins whose keys become one column."""
        names = self.rng.sample([name for name, _ in KEYS[:4]], self.pick(1, 1, 2))
        using = ", ".join(names)
        sides = []
        for side in "abc"[: self.pick(2, 2, 3)]:
            columns = f"{using}, id AS id_{side}, f AS f_{side}"
            source = f"(SELECT {columns} FROM {self.table()} WHERE {self.predicate(self.bare(), 1)}) AS {side}"
            sides.append(source)
        text = sides[0]
        for side in sides[1:]:
            kind = self.pick("INNER", "LEFT", "RIGHT", "FULL", "FULL")
            text += f" NATURAL {kind} JOIN {side}" if self.chance(0.4) else f" {kind} JOIN {side} USING ({using})"
        name = names[0]
        return self.pick(
            lambda: f"SELECT {using}, id_a, id_b FROM {text}",
            lambda: f"SELECT * FROM {text}",
            lambda: f"SELECT {name} AS id_a, id_a AS {name} FROM {text} WHERE {name} = {self.literal(KINDS[name])}",
            lambda: f"SELECT {name}, count(*) AS c, count(id_b) AS d FROM {text} GROUP BY {name}",
            lambda: f"SELECT {name}, a.{name} AS one, b.{name} AS other FROM {text} WHERE {name} IS NOT NULL",
            lambda: f"SELECT count(DISTINCT {name}) AS c FROM {text} WHERE {name} IN ({self.subquery_of(KINDS[name], [])})",
        )()

    def lateral(self):
        """The rows of a subquery that depends on the row beside it."""
        left = Scope("t0 AS a", "a", False)
        source, columns, scope = self.inner([left])
        value = self.rng.choice([text for text, known in columns if known == "int"])
        inner = self.pick(
            lambda: f"SELECT {value} AS x FROM {source} ORDER BY {scope.qualifier}.id LIMIT {self.rng.randint(1, 3)}",
            lambda: f"SELECT max({value}) AS x FROM {source}",
            lambda: f"SELECT count(*) AS x FROM {source}",
            lambda: f"SELECT {value} AS x FROM {source}",
        )()
        kind = self.pick("CROSS JOIN LATERAL ({}) AS l", "LEFT JOIN LATERAL ({}) AS l ON TRUE", ", LATERAL ({}) AS l")
        return f"SELECT a.id AS k, l.x AS n FROM t0 AS a{'' if kind[0] == ',' else ' '}{kind.format(inner)}"

    def query(self):
        self.names, self.ctes = 0, []
        text = self.rng.choices(
            [self.filtered, self.shown, self.grouped_by, self.joined_on, self.merged, self.lateral],
            [8, 3, 3, 3, 4, 1],
        )[0]()
        if self.chance(0.15):
            table = self.table()
            text = f"WITH {table} AS (SELECT * FROM {self.table()} WHERE {self.predicate(self.bare(), 1)}) {text}"
        if self.chance(0.2) and not text.startswith("WITH"):
            text = f"SELECT * FROM ({text}) AS {self.pick('t0', 'k', 'z')}"
        return Query(text, False)
