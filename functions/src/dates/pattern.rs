//! Patterns of Java's `DateTimeFormatter`, as Hive and Spark use them: `yyyy-MM-dd HH:mm:ss`.

use super::read;
use chrono::{Datelike, NaiveDate, NaiveDateTime, Timelike};
use datafusion::common::exec_err;
use datafusion::error::Result;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const DAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

/// A piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Field(char, usize),
}

/// A pattern that has been read.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    pieces: Vec<Piece>,
}

/// The pattern that was used last, so that it is read once.
#[derive(Default)]
pub struct Patterns(Option<Pattern>);

impl Patterns {
    /// Reads a pattern.
    ///
    /// # Errors
    /// As [`Pattern::read`].
    pub fn get(&mut self, text: &str) -> Result<&Pattern> {
        let known = self.0.take().filter(|known| known.text == text);
        let pattern = match known {
            Some(known) => known,
            None => Pattern::read(text)?,
        };
        Ok(self.0.insert(pattern))
    }
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// A letter that is no field, or a quote without an end.
    pub fn read(text: &str) -> Result<Self> {
        let mut pieces: Vec<Piece> = Vec::new();
        let literal = |pieces: &mut Vec<Piece>, letter: char| match pieces.last_mut() {
            Some(Piece::Literal(before)) => before.push(letter),
            _ => pieces.push(Piece::Literal(letter.to_string())),
        };
        let letters: Vec<char> = text.chars().collect();
        let mut index = 0;
        while let Some(&letter) = letters.get(index) {
            let rest = letters.get(index..).unwrap_or_default();
            if letter == '\'' {
                if rest.get(1) == Some(&'\'') {
                    literal(&mut pieces, '\'');
                    index += 2;
                    continue;
                }
                let Some(length) = rest.iter().skip(1).position(|other| *other == '\'') else {
                    return exec_err!("the pattern '{text}' has a quote without an end");
                };
                rest.iter()
                    .skip(1)
                    .take(length)
                    .for_each(|other| literal(&mut pieces, *other));
                index += length + 2;
            } else if letter.is_ascii_alphabetic() {
                if !"GyuYMLdDEaHhKkmsSnVzOXxZQqwWFe".contains(letter) {
                    return exec_err!("the pattern '{text}' has the unknown letter {letter}");
                }
                let count = rest.iter().take_while(|other| **other == letter).count();
                pieces.push(Piece::Field(letter, count));
                index += count;
            } else {
                if !matches!(letter, '[' | ']') {
                    literal(&mut pieces, letter);
                }
                index += 1;
            }
        }
        Ok(Self {
            text: text.to_owned(),
            pieces,
        })
    }

    /// A time in this form.
    pub fn format(&self, time: NaiveDateTime) -> String {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Field(letter, count) => text.push_str(&format_field(*letter, *count, time)),
            }
        }
        text
    }

    /// The time that a text in this form stands for.
    pub fn parse(&self, text: &str) -> Option<NaiveDateTime> {
        let mut rest = text;
        let mut found = Found::default();
        for (index, piece) in self.pieces.iter().enumerate() {
            match piece {
                Piece::Literal(literal) => {
                    // What the text lacks at its end was optional.
                    if rest.is_empty() && !self.is_needed(index) {
                        break;
                    }
                    rest = rest.strip_prefix(literal.as_str())?;
                }
                Piece::Field(letter, count) => {
                    let is_adjacent = matches!(
                        self.pieces.get(index + 1),
                        Some(Piece::Field(next, _)) if next.is_ascii_alphabetic()
                    );
                    rest = found.take(*letter, *count, is_adjacent, rest)?;
                }
            }
        }
        match rest.is_empty() {
            true => found.time(),
            false => None,
        }
    }

    fn is_needed(&self, _index: usize) -> bool {
        !self.text.contains('[')
    }
}

fn padded(value: i64, count: usize) -> String {
    format!("{value:0count$}")
}

fn named(name: &str, count: usize) -> String {
    match count {
        4 => name.to_owned(),
        5 => name.chars().take(1).collect(),
        _ => name.chars().take(3).collect(),
    }
}

fn name_at(names: &[&'static str], index: u32) -> &'static str {
    names.get(index as usize).copied().unwrap_or_default()
}

fn format_field(letter: char, count: usize, time: NaiveDateTime) -> String {
    let hour = i64::from(time.hour());
    let year = i64::from(time.year());
    match letter {
        'G' => match (year > 0, count) {
            (true, 4) => "Anno Domini".to_owned(),
            (false, 4) => "Before Christ".to_owned(),
            (true, _) => "AD".to_owned(),
            (false, _) => "BC".to_owned(),
        },
        'y' | 'u' if count == 2 => padded(year.rem_euclid(100), 2),
        'y' | 'u' => padded(year, count),
        'Y' if count == 2 => padded(i64::from(time.iso_week().year()).rem_euclid(100), 2),
        'Y' => padded(i64::from(time.iso_week().year()), count),
        'M' | 'L' if count > 2 => named(name_at(&MONTHS, time.month0()), count),
        'M' | 'L' => padded(i64::from(time.month()), count),
        'd' => padded(i64::from(time.day()), count),
        'D' => padded(i64::from(time.ordinal()), count),
        'E' => named(name_at(&DAYS, time.weekday().num_days_from_monday()), count),
        'e' | 'F' if letter == 'F' => padded(i64::from(time.day0() % 7 + 1), count),
        'e' => padded(i64::from(time.weekday().num_days_from_sunday()) + 1, count),
        'Q' | 'q' => {
            let quarter = time.month0() / 3 + 1;
            match count {
                3 => format!("Q{quarter}"),
                4 => format!(
                    "{} quarter",
                    name_at(&["", "1st", "2nd", "3rd", "4th"], quarter)
                ),
                _ => padded(i64::from(quarter), count),
            }
        }
        'w' => padded(i64::from(time.iso_week().week()), count),
        'W' => padded(i64::from(time.day0() / 7 + 1), count),
        'a' => if hour < 12 { "AM" } else { "PM" }.to_owned(),
        'H' => padded(hour, count),
        'k' => padded(if hour == 0 { 24 } else { hour }, count),
        'K' => padded(hour % 12, count),
        'h' => padded(if hour % 12 == 0 { 12 } else { hour % 12 }, count),
        'm' => padded(i64::from(time.minute()), count),
        's' => padded(i64::from(time.second()), count),
        'n' => padded(i64::from(time.nanosecond()), count),
        'S' => {
            let nanos = format!("{:09}", time.nanosecond());
            nanos.chars().take(count).collect()
        }
        'V' => "Etc/UTC".to_owned(),
        'z' if count == 4 => "Coordinated Universal Time".to_owned(),
        'z' => "UTC".to_owned(),
        'O' => "GMT".to_owned(),
        'X' => "Z".to_owned(),
        'x' if count == 1 => "+00".to_owned(),
        'x' if count.is_multiple_of(2) => "+0000".to_owned(),
        'x' => "+00:00".to_owned(),
        'Z' if count == 4 => "GMT".to_owned(),
        'Z' if count == 5 => "Z".to_owned(),
        'Z' => "+0000".to_owned(),
        other => other.to_string(),
    }
}

/// What a text has said so far.
#[derive(Default)]
struct Found {
    year: Option<i32>,
    month: Option<u32>,
    day: Option<u32>,
    day_of_year: Option<u32>,
    hour: u32,
    is_afternoon: Option<bool>,
    minute: u32,
    second: u32,
    micro: u32,
    is_before_christ: bool,
    zone: Option<String>,
}

impl Found {
    /// Takes a field from the beginning of a text, and gives what is left of it.
    fn take<'a>(
        &mut self,
        letter: char,
        count: usize,
        is_adjacent: bool,
        text: &'a str,
    ) -> Option<&'a str> {
        let names = |names: &[&str]| {
            let wanted = |name: &str| named(name, count);
            names.iter().enumerate().find_map(|(index, name)| {
                let name = wanted(name);
                let start = text.get(..name.len())?;
                let found = start.eq_ignore_ascii_case(&name);
                found.then(|| (index as u32, text.get(name.len()..).unwrap_or_default()))
            })
        };
        match letter {
            'M' | 'L' if count > 2 => {
                let (month, rest) = names(&MONTHS)?;
                self.month = Some(month + 1);
                return Some(rest);
            }
            'E' => return names(&DAYS).map(|(_, rest)| rest),
            'a' => {
                let start = text.get(..2)?.to_ascii_uppercase();
                self.is_afternoon = Some(start == "PM");
                return matches!(start.as_str(), "AM" | "PM")
                    .then(|| text.get(2..))
                    .flatten();
            }
            'G' => {
                self.is_before_christ = text.starts_with("BC");
                return text.strip_prefix("AD").or_else(|| text.strip_prefix("BC"));
            }
            'V' | 'z' | 'O' | 'X' | 'x' | 'Z' => {
                let is_zone = |letter: char| letter.is_alphanumeric() || "+-:/_".contains(letter);
                let end = text.find(|letter| !is_zone(letter)).unwrap_or(text.len());
                let (zone, rest) = text.split_at_checked(end)?;
                self.zone = Some(zone.to_owned());
                return (!zone.is_empty()).then_some(rest);
            }
            _ => {}
        }
        let is_signed = matches!(letter, 'y' | 'u') && text.starts_with(['-', '+']);
        let sign = usize::from(is_signed);
        let digits = text
            .get(sign..)?
            .bytes()
            .take_while(u8::is_ascii_digit)
            .count();
        let length = match (is_adjacent, letter) {
            (true, _) => count.min(digits),
            (false, 'S') => digits.min(9),
            (false, 'y' | 'u') if count <= 2 => digits,
            (false, 'y' | 'u') => digits.min(count.max(6)),
            (false, _) => digits.min(count.max(2)),
        };
        let is_short = match letter {
            'y' | 'u' | 'S' if count == 1 => length == 0,
            'S' => length == 0,
            _ => length < count,
        };
        if is_short {
            return None;
        }
        let (number, rest) = text.split_at_checked(sign + length)?;
        self.set(letter, count, number)?;
        Some(rest)
    }

    fn set(&mut self, letter: char, count: usize, number: &str) -> Option<()> {
        if letter == 'S' {
            self.micro = read::fraction_micros(number)?;
            return Some(());
        }
        let value: i32 = number.parse().ok()?;
        let small = || u32::try_from(value).ok();
        match letter {
            'y' | 'u' if count == 2 && number.len() == 2 => self.year = Some(2000 + value),
            'y' | 'u' | 'Y' => self.year = Some(value),
            'M' | 'L' => self.month = small(),
            'Q' | 'q' => self.month = small().map(|quarter| quarter * 3 - 2),
            'd' => self.day = small(),
            'D' => self.day_of_year = small(),
            'H' | 'K' => self.hour = small()?,
            'h' | 'k' => self.hour = small()? % if letter == 'h' { 12 } else { 24 },
            'm' => self.minute = small()?,
            's' => self.second = small()?,
            _ => {}
        }
        Some(())
    }

    fn time(self) -> Option<NaiveDateTime> {
        let year = self.year.unwrap_or(1970);
        let year = if self.is_before_christ {
            1 - year
        } else {
            year
        };
        let date = match self.day_of_year {
            Some(day) => NaiveDate::from_yo_opt(year, day)?,
            None => NaiveDate::from_ymd_opt(year, self.month.unwrap_or(1), self.day.unwrap_or(1))?,
        };
        let hour = match self.is_afternoon {
            Some(true) => self.hour % 12 + 12,
            Some(false) => self.hour % 12,
            None => self.hour,
        };
        let time = date.and_hms_micro_opt(hour, self.minute, self.second, self.micro)?;
        match self.zone {
            None => Some(time),
            Some(zone) => {
                let zone = super::zones::parse(&zone)?;
                read::to_time(super::zones::to_utc(read::micros(time), &zone)?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time() -> NaiveDateTime {
        let date = NaiveDate::from_ymd_opt(2016, 4, 8).unwrap();
        date.and_hms_micro_opt(14, 5, 9, 120_000).unwrap()
    }

    #[test]
    fn times_are_formatted() {
        for (pattern, expected) in [
            ("y", "2016"),
            ("yy", "16"),
            ("yyyy-MM-dd", "2016-04-08"),
            ("MMM d, h:mm a", "Apr 8, 2:05 PM"),
            ("EEEE 'the' dd", "Friday the 08"),
            ("HH:mm:ss.SSS", "14:05:09.120"),
            ("D Q ''", "99 2 '"),
        ] {
            let pattern = Pattern::read(pattern).unwrap();
            assert_eq!(pattern.format(time()), expected);
        }
        assert!(Pattern::read("b").is_err());
        assert!(Pattern::read("'b").is_err());
    }

    #[test]
    fn texts_are_read() {
        for (pattern, text) in [
            ("yyyy-MM-dd HH:mm:ss.SSS", "2016-04-08 14:05:09.12"),
            ("yyyyMMddHHmmssSS", "2016040814050912"),
            ("MMM d yyyy h:mm:ss.SS a", "Apr 8 2016 2:05:09.12 PM"),
        ] {
            let pattern = Pattern::read(pattern).unwrap();
            assert_eq!(pattern.parse(text), Some(time()), "{text}");
        }
        let pattern = Pattern::read("yyyy-MM-dd").unwrap();
        for wrong in ["2016-4-8", "2016-04-08x", "", "2016-13-01"] {
            assert_eq!(pattern.parse(wrong), None, "{wrong}");
        }
    }
}
