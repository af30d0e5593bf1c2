//! The 22 queries with the specification's validation parameters, and what their results' order
//! promises.

use std::borrow::Cow;

use thiserror::Error;

/// The number of queries; they are numbered from one.
pub const QUERY_COUNT: u8 = 22;

macro_rules! query_texts {
    ($($number:literal),*) => {
        [$(include_str!(concat!("../queries/q", $number, ".sql"))),*]
    };
}

const TEXTS: [&str; QUERY_COUNT as usize] = query_texts!(
    "01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12", "13", "14", "15", "16",
    "17", "18", "19", "20", "21", "22"
);

/// The threshold of query 11 at scale 1. The specification divides it by the scale, so that the
/// share of the rows that pass stays the same.
const Q11_FRACTION: &str = "0.0001";

/// What a result's `ORDER BY` and `LIMIT` determine, as far as a comparison needs it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ResultOrder {
    /// Zero-based columns of the `ORDER BY`, the most significant first. Rows that agree in all
    /// of them may come in any order.
    pub sort_keys: &'static [usize],
    /// The `LIMIT`, where there is one: of the rows tied at it, any may be returned.
    pub limit: Option<usize>,
}

/// The list of queries cannot be used.
#[derive(Debug, Error, Eq, PartialEq)]
pub enum QueryListError {
    /// Nothing is in it.
    #[error("the list of queries is empty: give numbers from 1 to {QUERY_COUNT}, such as '1,6,18'")]
    Empty,
    /// Something in it is neither a number nor a range.
    #[error("'{0}' is not a query: give numbers from 1 to {QUERY_COUNT}, such as '1,6,18'")]
    NotANumber(String),
    /// A number is not a query's.
    #[error("there is no query {0}: the queries are numbered from 1 to {QUERY_COUNT}")]
    OutOfRange(u64),
}

/// The numbers of all queries, in order.
pub fn all_queries() -> Vec<u8> {
    (1..=QUERY_COUNT).collect()
}

/// Parses a list such as `1,6,18` or `1-5,22`, keeping its order and dropping repetitions.
pub fn parse_queries(list: &str) -> Result<Vec<u8>, QueryListError> {
    let mut queries = Vec::new();
    for item in list
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
    {
        let (first, last) = match item.split_once('-') {
            Some((first, last)) => (query_number(first)?, query_number(last)?),
            None => (query_number(item)?, query_number(item)?),
        };
        if first > last {
            return Err(QueryListError::NotANumber(item.to_string()));
        }
        for number in first..=last {
            if !queries.contains(&number) {
                queries.push(number);
            }
        }
    }
    if queries.is_empty() {
        Err(QueryListError::Empty)
    } else {
        Ok(queries)
    }
}

fn query_number(text: &str) -> Result<u8, QueryListError> {
    let number: u64 = text
        .trim()
        .parse()
        .map_err(|_| QueryListError::NotANumber(text.trim().to_string()))?;
    match u8::try_from(number) {
        Ok(small) if (1..=QUERY_COUNT).contains(&small) => Ok(small),
        _ => Err(QueryListError::OutOfRange(number)),
    }
}

/// The SQL of a query at a scale, one statement without the closing semicolon; `None` for a
/// number that is not a query's.
pub fn query(number: u8, scale: f64) -> Option<Cow<'static, str>> {
    let text = TEXTS
        .get(usize::from(number).checked_sub(1)?)?
        .trim_end()
        .trim_end_matches(';');
    if number == 11 && scale != 1.0 {
        let fraction = format!("{:.12}", 0.0001 / scale);
        return Some(Cow::Owned(
            text.replace(Q11_FRACTION, fraction.trim_end_matches('0')),
        ));
    }
    Some(Cow::Borrowed(text))
}

/// The SQL of a query with its `LIMIT` raised to `limit`, to see the rows that are tied at the
/// cut; unchanged where there is no limit.
pub fn query_with_limit(number: u8, scale: f64, limit: usize) -> Option<Cow<'static, str>> {
    let text = query(number, scale)?;
    let Some(own) = result_order(number).limit else {
        return Some(text);
    };
    let cut = text
        .strip_suffix(&format!("limit {own}"))
        .map(|head| format!("{head}limit {limit}"));
    Some(cut.map_or(text, Cow::Owned))
}

/// What a query's result order promises.
pub fn result_order(number: u8) -> ResultOrder {
    let (sort_keys, limit): (&'static [usize], Option<usize>) = match number {
        1 => (&[0, 1], None),
        2 => (&[0, 2, 1, 3], Some(100)),
        3 => (&[1, 2], Some(10)),
        5 | 11 => (&[1], None),
        7 => (&[0, 1, 2], None),
        9 => (&[0, 1], None),
        10 => (&[2], Some(20)),
        13 => (&[1, 0], None),
        16 => (&[3, 0, 1, 2], None),
        18 => (&[4, 3], Some(100)),
        21 => (&[1, 0], Some(100)),
        4 | 8 | 12 | 15 | 20 | 22 => (&[0], None),
        _ => (&[], None),
    };
    ResultOrder { sort_keys, limit }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers;

    #[test]
    fn lists_keep_their_order_and_know_ranges() {
        assert_eq!(parse_queries("6, 1,18,6"), Ok(vec![6, 1, 18]));
        assert_eq!(parse_queries("20-22,1"), Ok(vec![20, 21, 22, 1]));
        assert_eq!(parse_queries("1-22"), Ok(all_queries()));
    }

    #[test]
    fn bad_lists_name_the_range() {
        for (list, error) in [
            ("", QueryListError::Empty),
            (",", QueryListError::Empty),
            ("0", QueryListError::OutOfRange(0)),
            ("1,23", QueryListError::OutOfRange(23)),
            ("999", QueryListError::OutOfRange(999)),
            ("one", QueryListError::NotANumber("one".to_string())),
            ("5-1", QueryListError::NotANumber("5-1".to_string())),
        ] {
            let found = parse_queries(list).expect_err(list);
            assert_eq!(found, error, "{list}");
            assert!(found.to_string().contains("1 to 22"), "{found}");
        }
    }

    #[test]
    fn query_11_scales_its_fraction() {
        assert_eq!(TEXTS[10].matches(Q11_FRACTION).count(), 1);
        assert!(query(11, 0.01).expect("q11").contains("* 0.01\n"));
        assert!(query(11, 10.0).expect("q11").contains("* 0.00001\n"));
        assert!(query(11, 1.0).expect("q11").contains("* 0.0001\n"));
        assert!(query(0, 1.0).is_none() && query(23, 1.0).is_none());
    }

    /// The table of sort keys is written by hand; the queries' own text is the authority.
    #[test]
    fn result_orders_agree_with_the_queries() {
        for number in all_queries() {
            let text = query(number, 1.0).expect("a query");
            let order = result_order(number);
            let header = answers::answer(number, 1.0)
                .expect("readable")
                .expect("kept")
                .columns;
            // The outermost ORDER BY is the only one at the start of a line.
            let Some((_, tail)) = text.rsplit_once("\norder by\n") else {
                assert!(
                    order.sort_keys.is_empty() && order.limit.is_none(),
                    "query {number}"
                );
                continue;
            };
            let (keys, limit) = match tail.split_once("\nlimit ") {
                Some((keys, limit)) => (keys, Some(limit.parse().expect("a number"))),
                None => (tail, None),
            };
            let keys: Vec<usize> = keys
                .split(',')
                .map(|key| key.trim().trim_end_matches(" desc"))
                .map(|key| {
                    header
                        .iter()
                        .position(|name| name == key)
                        .expect("an output column")
                })
                .collect();
            assert_eq!(
                order,
                ResultOrder {
                    sort_keys: order.sort_keys,
                    limit
                },
                "query {number}"
            );
            assert_eq!(order.sort_keys, keys, "query {number}");
        }
    }

    #[test]
    fn limits_can_be_raised() {
        assert!(
            query_with_limit(3, 1.0, 99)
                .expect("q03")
                .ends_with("limit 99")
        );
        assert_eq!(query_with_limit(1, 1.0, 99), query(1, 1.0));
    }
}
