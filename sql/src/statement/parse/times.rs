//! What the planner does not know of dates and times: `AT TIME ZONE` with a zone of any kind, timestamps of fewer
//! digits than microseconds have, and the standard's intervals of several fields.

use super::clauses::unsupported;
use super::interval_units::known_units;
use super::word_order::no_unit;
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, DateTimeField, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentList, FunctionArguments, Ident, Interval, ObjectName, UnaryOperator, Value,
    ValueWithSpan,
};
use skep_protocol::{ErrorCode, QueryError};

/// As many digits of a second as timestamps have.
const DIGITS_MAX: u64 = 6;

/// Rewrites an expression, where it is one of these.
///
/// # Errors
/// `Syntax` for an interval whose text does not fit its fields.
pub(super) fn rewrite(expression: &mut Expr) -> Result<(), QueryError> {
    let taken = std::mem::replace(expression, Expr::value(Value::Null));
    *expression = match taken {
        Expr::AtTimeZone {
            timestamp,
            time_zone,
        } => call("timezone", vec![*time_zone, *timestamp]),
        Expr::TypedString(mut typed) => match digits(&mut typed.data_type) {
            Some(digits) => rounded(Expr::TypedString(typed), digits),
            None => Expr::TypedString(typed),
        },
        Expr::Cast {
            kind,
            expr,
            mut data_type,
            format,
            array,
        } => {
            // Read as `INTERVAL 'text'` is, to whom a number alone counts seconds.
            if matches!(data_type, DataType::Interval { .. })
                && matches!(kind, CastKind::Cast | CastKind::DoubleColon)
                && let Expr::Value(ValueWithSpan {
                    value: Value::SingleQuotedString(text),
                    ..
                }) = expr.as_ref()
            {
                *expression = named(known_units(&with_named_times(text))?);
                return Ok(());
            }
            let digits = digits(&mut data_type);
            let cast = Expr::Cast {
                kind,
                expr,
                data_type,
                format,
                array,
            };
            match digits {
                Some(digits) => rounded(cast, digits),
                None => cast,
            }
        }
        Expr::Interval(interval) => fields_of(interval)?,
        other => other,
    };
    Ok(())
}

/// Takes the digits out of a type of timestamps, where they are fewer than timestamps have.
fn digits(data_type: &mut DataType) -> Option<u64> {
    let digits = match data_type {
        DataType::Timestamp(digits, _)
        | DataType::TimestampNtz(digits)
        | DataType::Datetime(digits) => digits.take(),
        _ => None,
    };
    digits.filter(|digits| *digits < DIGITS_MAX)
}

fn rounded(timestamp: Expr, digits: u64) -> Expr {
    let digits = Expr::value(Value::Number(digits.to_string(), false));
    call("skep_round_timestamp", vec![timestamp, digits])
}

fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let argument = |expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr));
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.into_iter().map(argument).collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// An interval as one whose parts are all named: `'1-2' YEAR TO MONTH` is `'1 year 2 month'`.
fn fields_of(interval: Interval) -> Result<Expr, QueryError> {
    let Interval {
        value,
        leading_field,
        last_field,
        ..
    } = &interval;
    match (leading_field, last_field, constant(value)) {
        (Some(first), Some(last), Some((text, is_negative))) => {
            let text = parts(&text, is_negative, first, last)?;
            Ok(named(text))
        }
        (Some(_), Some(_), None) => Err(unsupported(
            "an INTERVAL of several fields that is not a text",
        )),
        (Some(field), None, Some((text, is_negative))) if multiple(field).is_some() => {
            let Some((count, name)) = multiple(field) else {
                return Ok(Expr::Interval(interval));
            };
            let number: i64 = text.trim().parse().map_err(|_| {
                let text = format!("'{text}' is not a whole number of the field {field}");
                QueryError::new(ErrorCode::Syntax, text)
            })?;
            let number = match is_negative {
                true => number.checked_neg(),
                false => Some(number),
            };
            let number = number.and_then(|number| number.checked_mul(count));
            match number {
                Some(number) => Ok(named(format!("{number} {name}"))),
                None => Err(unsupported("an INTERVAL of so many years")),
            }
        }
        (Some(field), None, _) if !is_unit(field) => Err(no_unit(&field.to_string())),
        // Digits of the fields say how many there may be, not what they are.
        (Some(_), None, Some(_)) => Ok(Expr::Interval(Interval {
            leading_precision: None,
            fractional_seconds_precision: None,
            ..interval
        })),
        // Something that is computed counts the field.
        (Some(field), None, None) => {
            let one = named(format!("1 {field}"));
            let count = Box::new(Expr::Nested(value.clone()));
            let product = Expr::BinaryOp {
                left: count,
                op: datafusion::sql::sqlparser::ast::BinaryOperator::Multiply,
                right: Box::new(one),
            };
            Ok(Expr::Nested(Box::new(product)))
        }
        (None, None, Some((text, is_negative))) if text.contains(':') => {
            let sign = match is_negative {
                true => "-",
                false => "",
            };
            Ok(named(known_units(&with_named_times(&format!(
                "{sign}{text}"
            )))?))
        }
        (None, None, Some((text, false))) => Ok(named(known_units(&text)?)),
        _ => Ok(Expr::Interval(interval)),
    }
}

/// `1 day 04:05:06` as `1 day 04 hour 05 minute 06 second`.
fn with_named_times(text: &str) -> String {
    let parts = text.split_whitespace().map(|part| {
        let (sign, digits) = match part.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", part.strip_prefix('+').unwrap_or(part)),
        };
        let numbers: Vec<&str> = digits.split(':').collect();
        if !(2..=3).contains(&numbers.len()) {
            return part.to_owned();
        }
        let named = numbers.iter().zip(["hour", "minute", "second"]);
        let named: Vec<String> = named
            .map(|(number, name)| format!("{sign}{number} {name}"))
            .collect();
        named.join(" ")
    });
    parts.collect::<Vec<_>>().join(" ")
}

/// Whether an interval may be so many of a field.
fn is_unit(field: &DateTimeField) -> bool {
    known_units(&format!("1 {field}")).is_ok()
}

/// Fields that are a number of others, which are known.
fn multiple(field: &DateTimeField) -> Option<(i64, &'static str)> {
    Some(match field {
        DateTimeField::Quarter => (3, "month"),
        DateTimeField::Millennium | DateTimeField::Millenium => (1000, "year"),
        _ => return None,
    })
}

fn named(text: String) -> Expr {
    Expr::Interval(Interval {
        value: Box::new(Expr::value(Value::SingleQuotedString(text))),
        leading_field: None,
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    })
}

/// The text of a constant, and whether there is a minus before it.
fn constant(value: &Expr) -> Option<(String, bool)> {
    match value {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text)
            | Value::DoubleQuotedString(text)
            | Value::Number(text, _) => Some((text.clone(), false)),
            _ => None,
        },
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => constant(expr).map(|(text, is_negative)| (text, !is_negative)),
        _ => None,
    }
}

/// The fields of the standard's intervals from the largest on, and what stands between one and the next.
const FIELDS: [(DateTimeField, &str, char); 6] = [
    (DateTimeField::Year, "year", '-'),
    (DateTimeField::Month, "month", ' '),
    (DateTimeField::Day, "day", ' '),
    (DateTimeField::Hour, "hour", ':'),
    (DateTimeField::Minute, "minute", ':'),
    (DateTimeField::Second, "second", ' '),
];

/// How many of the fields are years and months, which do not go together with days.
const MONTH_FIELDS: usize = 2;

fn parts(
    text: &str,
    is_negative: bool,
    first: &DateTimeField,
    last: &DateTimeField,
) -> Result<String, QueryError> {
    let place = |wanted: &DateTimeField| {
        let singular = match wanted {
            DateTimeField::Years => DateTimeField::Year,
            DateTimeField::Months => DateTimeField::Month,
            DateTimeField::Days => DateTimeField::Day,
            DateTimeField::Hours => DateTimeField::Hour,
            DateTimeField::Minutes => DateTimeField::Minute,
            DateTimeField::Seconds => DateTimeField::Second,
            other => other.clone(),
        };
        FIELDS.iter().position(|(field, _, _)| *field == singular)
    };
    let invalid = || {
        let text = format!("'{text}' is not an interval {first} TO {last}");
        QueryError::new(ErrorCode::Syntax, text)
    };
    let (Some(from), Some(to)) = (place(first), place(last)) else {
        return Err(invalid());
    };
    if from >= to || (from < MONTH_FIELDS) != (to < MONTH_FIELDS) {
        return Err(invalid());
    }
    let trimmed = text.trim();
    let (is_negative, mut rest) = match trimmed.strip_prefix('-') {
        Some(rest) => (!is_negative, rest),
        None => (is_negative, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    let sign = match is_negative {
        true => "-",
        false => "",
    };
    let mut named = Vec::new();
    for (field, name, separator) in &FIELDS[from..=to] {
        let is_last = *field == FIELDS[to].0;
        let part = match is_last {
            true => std::mem::take(&mut rest),
            false => {
                let (part, behind) = rest.split_once(*separator).ok_or_else(invalid)?;
                rest = behind.trim_start();
                part
            }
        };
        if !is_number(part, *field == DateTimeField::Second) {
            return Err(invalid());
        }
        named.push(format!("{sign}{part} {name}"));
    }
    Ok(named.join(" "))
}

fn is_number(text: &str, has_fraction: bool) -> bool {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.split_once('.').filter(|_| has_fraction) {
        Some((whole, fraction)) => is_digits(whole) && is_digits(fraction),
        None => is_digits(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_names() {
        use DateTimeField::{Day, Hour, Minute, Month, Second, Year};
        for (text, first, last, expected) in [
            ("1-2", Year, Month, "1 year 2 month"),
            ("-1-2", Year, Month, "-1 year -2 month"),
            (
                "3 04:05:06.789",
                Day,
                Second,
                "3 day 04 hour 05 minute 06.789 second",
            ),
            ("3 04", Day, Hour, "3 day 04 hour"),
            ("10:30", Hour, Minute, "10 hour 30 minute"),
            ("+30:15", Minute, Second, "30 minute 15 second"),
        ] {
            assert_eq!(
                parts(text, false, &first, &last).unwrap(),
                expected,
                "{text}"
            );
        }
        let named = with_named_times("1 year -3 days -04:05:06.5 10:30");
        let expected = "1 year -3 days -04 hour -05 minute -06.5 second 10 hour 30 minute";
        assert_eq!(named, expected);
        let negative = parts("1-2", true, &Year, &Month).unwrap();
        assert_eq!(negative, "-1 year -2 month");
        for (text, first, last) in [
            ("1", Year, Month),
            ("1-2-3", Year, Month),
            ("1-x", Year, Month),
            ("1 2", Year, Day),
            ("1:2", Minute, Hour),
            ("", Day, Second),
        ] {
            let error = parts(text, false, &first, &last).unwrap_err();
            assert_eq!(error.code, ErrorCode::Syntax, "{text}");
        }
    }
}
