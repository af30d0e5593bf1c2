"""Rows of different engines, compared by value: what a number or a time is, whatever type a driver gives it."""

import datetime
import decimal
import math

# Doubles that are computed in another order differ in their last bits.
TOLERANCE = 1e-9


def plain(value):
    """A value as all engines write it: times without a zone in UTC, numbers without trailing zeros."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).replace(tzinfo=None) if value.tzinfo else value
    if isinstance(value, datetime.date):
        return datetime.datetime(value.year, value.month, value.day)
    if isinstance(value, decimal.Decimal):
        with decimal.localcontext(decimal.Context(prec=80)):
            return value.normalize() + 0
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return value + 0.0
    return value


def sort_key(row):
    def of(value):
        if value is None:
            return (0, 0)
        if isinstance(value, bool):
            return (1, value)
        if isinstance(value, (int, float, decimal.Decimal)):
            # Neighbours that the tolerance makes equal must not change places.
            number = float(value)
            if number != number:
                return (2, math.inf, 1, 0)
            # Exact numbers have an order among neighbours, too.
            exact = 0 if isinstance(value, float) else value
            return (2, number if math.isinf(number) else float(f"{number:.6g}") + 0.0, 0, exact)
        if isinstance(value, datetime.datetime):
            return (3, value)
        return (4, value if isinstance(value, str) else str(value))

    return [of(value) for value in row]


def same(left, right, digits=0.0):
    """Whether two values are equal. `digits` is how far a decimal that was rounded may be from a double."""
    if left is None or right is None:
        return left is right
    if isinstance(left, float) or isinstance(right, float):
        if isinstance(left, (str, bool)) or isinstance(right, (str, bool)):
            return left == right
        left, right = float(left), float(right)
        if left != left or right != right:
            return left != left and right != right
        return left == right or math.isclose(left, right, rel_tol=TOLERANCE, abs_tol=max(TOLERANCE, digits))
    if type(left) is type(right):
        return left == right
    either = (bool, str)
    return not isinstance(left, either) and not isinstance(right, either) and left == right


def same_rows(left, right, is_ordered, digits=0.0):
    if len(left) != len(right):
        return False
    if not is_ordered:
        left, right = sorted(left, key=sort_key), sorted(right, key=sort_key)
    return all(
        len(one) == len(other) and all(same(*pair, digits) for pair in zip(one, other))
        for one, other in zip(left, right)
    )


def execute(connection, sql):
    """All rows of a statement over the DB API."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def brief(rows):
    """The first rows of a result, for a message."""
    ordered = sorted(rows, key=sort_key)
    return f"{len(rows)} rows\n    " + "\n    ".join(map(str, ordered[:12]))
