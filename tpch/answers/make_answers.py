#!/usr/bin/env python3
"""Computes the answers that `skep tpch run --verify answers` compares with, by DuckDB.

DuckDB shares no code with Skep, so that a wrong answer here and there would have to be the same
mistake made twice. It reads the very files that `skep tpch generate` wrote:

    skep tpch generate --scale 1 --output /data/tpch/sf1
    pip install duckdb
    python3 make_answers.py --data /data/tpch/sf1 --scale 1

The format is described in `tpch/src/answers.rs`.
"""

import argparse
import datetime
import decimal
import pathlib
import re

import duckdb

HERE = pathlib.Path(__file__).resolve().parent
TABLES = "customer lineitem nation orders part partsupp region supplier".split()


def query_text(number, scale):
    """The query's SQL, with the threshold of query 11 divided by the scale as specified."""
    text = (HERE.parent / "queries" / f"q{number:02}.sql").read_text().strip().rstrip(";")
    if number == 11:
        fraction = decimal.Decimal("0.0001") / decimal.Decimal(str(scale))
        text = text.replace("0.0001", f"{fraction:.12f}".rstrip("0"))
    return text


def sort_columns(text, names):
    """The positions of the columns in the outermost ORDER BY, which starts a line of its own."""
    found = re.search(r"\norder by\n((?:.|\n)*)$", text)
    if not found:
        return []
    keys = [key.strip().removesuffix(" desc") for key in found[1].split(",")]
    return [names.index(key) for key in keys]


def answer(connection, text):
    """Names, types and rows; where there is a LIMIT, all rows tied with the last one are kept."""
    limit = re.search(r"\nlimit (\d+)$", text)
    if limit:
        text = text[: limit.start()]
    result = connection.execute(text)
    names = [column[0] for column in result.description]
    types = [str(column[1]) for column in result.description]
    rows = result.fetchall()
    if limit and len(rows) > int(limit[1]):
        keys = sort_columns(text, names)
        end = int(limit[1])
        last = [rows[end - 1][key] for key in keys]
        while end < len(rows) and [rows[end][key] for key in keys] == last:
            end += 1
        rows = rows[:end]
    return names, types, rows


def kind(type_name):
    """The type as the answer files call it."""
    if type_name in ("DOUBLE", "FLOAT"):
        return "float"
    if type_name == "DATE":
        return "date"
    if type_name == "VARCHAR":
        return "text"
    if "INT" in type_name or type_name.startswith("DECIMAL"):
        return "number"
    raise SystemExit(f"no answer format for type {type_name}")


def field(value):
    """A value in the answer files' text form."""
    if value is None:
        return "\\N"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, decimal.Decimal):
        return f"{value:f}"
    if isinstance(value, datetime.date):
        return value.isoformat()
    return str(value).replace("\\", "\\\\").replace("|", "\\|").replace("\n", "\\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="the output directory of the generation")
    parser.add_argument("--scale", required=True, help="the scale of the data, such as 1 or 0.01")
    arguments = parser.parse_args()

    output = HERE / ("sf" + arguments.scale.replace(".", "_"))
    output.mkdir(exist_ok=True)
    connection = duckdb.connect()
    for table in TABLES:
        files = f"{arguments.data}/{table}/*.parquet"
        connection.execute(f"create view {table} as select * from read_parquet('{files}')")
    for number in range(1, 23):
        names, types, rows = answer(connection, query_text(number, arguments.scale))
        lines = ["|".join(f"{name}:{kind(type_)}" for name, type_ in zip(names, types))]
        lines += ["|".join(field(value) for value in row) for row in rows]
        (output / f"q{number:02}.txt").write_text("\n".join(lines) + "\n")
        print(f"q{number:02}: {len(rows)} rows")


if __name__ == "__main__":
    main()
