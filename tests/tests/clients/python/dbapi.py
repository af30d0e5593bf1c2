"""flightsql-dbapi: the DBAPI and the SQLAlchemy dialect that Superset uses."""

import flightsql
import flightsql.sqlalchemy  # It registers the dialect.
import pyarrow.parquet as pq
import sqlalchemy
from flightsql import FlightSQLClient

from checks import DATA, HOST_AND_PORT, PASSWORD, USER, raises, run

HOST, PORT = HOST_AND_PORT.rsplit(":", 1)


def client():
    login = {"user": USER, "password": PASSWORD} if USER else {}
    return FlightSQLClient(host=HOST, port=int(PORT), insecure=True, **login)


def engine():
    login = f"{USER}:{PASSWORD}@" if USER else ""
    url = f"datafusion+flightsql://{login}{HOST}:{PORT}?insecure=true&feature-sqlalchemy-prepared-statements=on"
    return sqlalchemy.create_engine(url)


def check_the_dbapi():
    with flightsql.connect(client()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 AS a, 'x' AS b")
        assert [list(row) for row in cursor.fetchall()] == [[1, "x"]]
        cursor.execute("DROP DATABASE IF EXISTS by_dbapi")
        cursor.execute("CREATE DATABASE by_dbapi")
        cursor.execute("DROP DATABASE by_dbapi")


def check_every_type_arrives():
    with flightsql.connect(client()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM everything ORDER BY id")
        names = [column[0] for column in cursor.description]
        found = [dict(zip(names, row)) for row in cursor.fetchall()]
    expected = pq.read_table(f"{DATA}/everything/part-0.parquet").to_pylist()
    assert [row["id"] for row in found] == [row["id"] for row in expected]
    for name in names:
        for got, row in zip(found, expected):
            assert is_same(got[name], row[name]), (name, got[name], row[name])


def is_same(got, expected):
    """The driver goes through pandas, where NULL is not a number and lists are arrays."""
    if expected is None:
        return got is None or got != got
    if isinstance(expected, (list, dict)):
        return str(getattr(got, "tolist", lambda: got)()) == str(expected)
    return got == expected or str(got).startswith(str(expected))


def check_parameters_as_unions():
    """The driver sends every parameter in a dense union."""
    with flightsql.connect(client()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM everything WHERE id >= ? AND text = ?", (0, "b"))
        assert [list(row) for row in cursor.fetchall()] == [[1]]
        cursor.execute("SELECT ? + 1, ?, ?", (2, 1.5, True))
        assert [list(row) for row in cursor.fetchall()] == [[3, 1.5, True]]


def check_metadata():
    with flightsql.connect(client()) as connection:
        assert "everything" in connection.flightsql_get_table_names("default")
        assert "default" in connection.flightsql_get_schema_names()
        names = [column["name"] for column in connection.flightsql_get_columns("everything", "default")]
        assert names[:2] == ["id", "text"], names
        assert connection.flightsql_get_primary_keys("everything") == []
        assert connection.flightsql_get_foreign_keys("everything") == []


def check_sqlalchemy():
    with engine().connect() as connection:
        rows = connection.execute(sqlalchemy.text("SELECT id, text FROM everything ORDER BY id"))
        assert [row[1] for row in rows][:2] == ["a", "b"]
        bound = sqlalchemy.text("SELECT id FROM everything WHERE text = :t").bindparams(t="b")
        assert [tuple(row) for row in connection.execute(bound)] == [(1,)]


def check_sqlalchemy_reflects():
    inspector = sqlalchemy.inspect(engine())
    assert "default" in inspector.get_schema_names()
    assert "everything" in inspector.get_table_names(schema="default")
    columns = {column["name"] for column in inspector.get_columns("everything", schema="default")}
    assert {"id", "text", "price"} <= columns
    numbers = sqlalchemy.Table(
        "numbers", sqlalchemy.MetaData(), sqlalchemy.Column("id", sqlalchemy.Integer), schema="default"
    )
    statement = sqlalchemy.select(sqlalchemy.func.count()).select_from(numbers).where(numbers.c.id < 10)
    with engine().connect() as connection:
        assert connection.execute(statement).scalar() == 10


def check_errors():
    with flightsql.connect(client()) as connection, connection.cursor() as cursor:
        raises(Exception, lambda: cursor.execute("SELECT * FROM nowhere"), "nowhere")


if __name__ == "__main__":
    run(globals())
