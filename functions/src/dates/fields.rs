//! The parts of dates and timestamps: `year`, `hour`, `dayofweek` and the like.

use super::read;
use crate::registry::Functions;
use crate::rows;
use crate::scalar::{Scalar, scalar};
use crate::value::{Date, Int, Text, Time};
use chrono::{Datelike, NaiveDate, NaiveDateTime, Timelike};
use datafusion::arrow::datatypes::DataType;
use datafusion::functions::datetime::expr_fn::date_part;
use datafusion::logical_expr::{Expr, lit};

fn of_date(
    (syntax, text): (&'static str, &'static str),
    part: fn(NaiveDate) -> u32,
    example: (&'static str, &'static str),
) -> Scalar {
    scalar(syntax, text)
        .example(example.0, example.1)
        .body(rows!(|date: Date| -> Int {
            Ok(read::to_date(date).map(|date| part(date) as i32))
        }))
}

fn of_time(
    (syntax, text): (&'static str, &'static str),
    part: fn(NaiveDateTime) -> u32,
    example: (&'static str, &'static str),
) -> Scalar {
    scalar(syntax, text)
        .example(example.0, example.1)
        .body(rows!(|time: Time| -> Int {
            Ok(read::to_time(time).map(|time| part(time) as i32))
        }))
}

/// As `date_part`, which scans know how to prune files by.
fn as_part(part: &str, types: &[DataType], args: &[Expr]) -> Option<Expr> {
    match (types, args) {
        ([DataType::Date32 | DataType::Timestamp(_, None)], [date]) => {
            Some(date_part(lit(part), date.clone()))
        }
        _ => None,
    }
}

pub(super) fn add(functions: &mut Functions) {
    add_years_and_months(functions);
    add_days_and_weeks(functions);
    add_times_of_day(functions);
    add_names(functions);
}

fn add_years_and_months(functions: &mut Functions) {
    functions.add(
        scalar("year(date)", "The year of a date.")
            .example("year('2016-07-30')", "2016")
            .body(rows!(|date: Date| -> Int {
                Ok(read::to_date(date).map(|date| date.year()))
            }))
            .rewritten(|types, args| as_part("year", types, args)),
    );
    functions.add(
        of_date(
            ("month(date)", "The month of a date, 1 to 12."),
            |date| date.month(),
            ("month('2016-07-30')", "7"),
        )
        .rewritten(|types, args| as_part("month", types, args)),
    );
    functions.add(
        of_date(
            ("day(date)", "The day of the month, 1 to 31."),
            |date| date.day(),
            ("day('2009-07-30')", "30"),
        )
        .aliases(&["dayofmonth"])
        .rewritten(|types, args| as_part("day", types, args)),
    );
    functions.add(of_date(
        ("quarter(date)", "The quarter of the year, 1 to 4."),
        |date| date.month0() / 3 + 1,
        ("quarter('2016-08-31')", "3"),
    ));
}

fn add_days_and_weeks(functions: &mut Functions) {
    functions.add(of_date(
        (
            "dayofweek(date)",
            "The day of the week, 1 for Sunday to 7 for Saturday.",
        ),
        |date| date.weekday().num_days_from_sunday() + 1,
        ("dayofweek('2009-07-30')", "5"),
    ));
    functions.add(of_date(
        (
            "weekday(date)",
            "The day of the week, 0 for Monday to 6 for Sunday.",
        ),
        |date| date.weekday().num_days_from_monday(),
        ("weekday('2009-07-30')", "3"),
    ));
    functions.add(of_date(
        ("dayofyear(date)", "The day of the year, 1 to 366."),
        |date| date.ordinal(),
        ("dayofyear('2016-04-09')", "100"),
    ));
    functions.add(
        of_date(
            (
                "weekofyear(date)",
                "The week of the year by ISO 8601: weeks begin on Mondays, the first has more than three days.",
            ),
            |date| date.iso_week().week(),
            ("weekofyear('2008-02-20')", "8"),
        )
        .aliases(&["week"]),
    );
}

fn add_times_of_day(functions: &mut Functions) {
    functions.add(of_time(
        ("hour(timestamp)", "The hour, 0 to 23."),
        |time| time.hour(),
        ("hour('2009-07-30 12:58:59')", "12"),
    ));
    functions.add(of_time(
        ("minute(timestamp)", "The minute, 0 to 59."),
        |time| time.minute(),
        ("minute('2009-07-30 12:58:59')", "58"),
    ));
    functions.add(of_time(
        ("second(timestamp)", "The second, 0 to 59."),
        |time| time.second(),
        ("second('2009-07-30 12:58:59')", "59"),
    ));
}

fn add_names(functions: &mut Functions) {
    functions.add(
        scalar(
            "dayname(date)",
            "The name of the day of the week, in three letters.",
        )
        .example("dayname(DATE '2008-02-20')", "Wed")
        .body(rows!(|date: Date| -> Text {
            Ok(read::to_date(date).map(|date| date.format("%a").to_string()))
        })),
    );
    functions.add(
        scalar(
            "monthname(date)",
            "The name of the month, in three letters.",
        )
        .example("monthname('2008-02-20')", "Feb")
        .body(rows!(|date: Date| -> Text {
            Ok(read::to_date(date).map(|date| date.format("%b").to_string()))
        })),
    );
}
