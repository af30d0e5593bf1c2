//! The fields of dates and times by their names: `year`, `years`, `yr`, …

/// A field that `date_trunc` cuts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
}

const NAMES: &[(Unit, &[&str])] = &[
    (
        Unit::Microsecond,
        &[
            "microsecond",
            "microseconds",
            "us",
            "usec",
            "usecs",
            "usecond",
            "useconds",
        ],
    ),
    (
        Unit::Millisecond,
        &[
            "millisecond",
            "milliseconds",
            "ms",
            "msec",
            "msecs",
            "msecond",
            "mseconds",
        ],
    ),
    (Unit::Second, &["second", "seconds", "sec", "secs", "s"]),
    (Unit::Minute, &["minute", "minutes", "min", "mins", "m"]),
    (Unit::Hour, &["hour", "hours", "hr", "hrs", "h"]),
    (Unit::Day, &["day", "days", "d", "dayofmonth"]),
    (Unit::Week, &["week", "weeks", "w", "weekofyear"]),
    (Unit::Month, &["month", "months", "mon", "mons"]),
    (Unit::Quarter, &["quarter", "quarters", "qtr"]),
    (Unit::Year, &["year", "years", "yr", "yrs", "y"]),
    (Unit::Decade, &["decade", "decades", "dec", "decs"]),
    (Unit::Century, &["century", "centuries", "cent", "c"]),
    (
        Unit::Millennium,
        &["millennium", "millennia", "millenium", "mil", "mils"],
    ),
];

impl Unit {
    /// The field of a name, in any case of letters and perhaps in quotes.
    pub(super) fn named(name: &str) -> Option<Self> {
        let name = bare(name);
        let mut known = NAMES.iter();
        let found = known.find(|(_, names)| names.contains(&name.as_str()));
        found.map(|(unit, _)| *unit)
    }
}

/// The name in lower case, without quotes.
pub(super) fn bare(name: &str) -> String {
    name.trim_matches(['\'', '"']).to_ascii_lowercase()
}
