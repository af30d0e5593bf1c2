//! The bounds of all columns of a file in a compact form, in memory as in the catalog's database: a
//! large table has millions of them.
//!
//! The form is the format's number, then one entry per column: its id, a byte of flags, and what the
//! flags announce. Whole numbers are written with seven bits per byte, least significant first.

use super::bounds::{BoundValue, ColumnBounds};
use super::{ColumnId, bounds::Decimal};
use std::fmt;

/// The number of the form, which begins each value of it.
const FORMAT: u8 = 1;

const HAS_MIN: u8 = 1;
const HAS_MAX: u8 = 1 << 1;
const MIN_IS_EXACT: u8 = 1 << 2;
const MAX_IS_EXACT: u8 = 1 << 3;
const HAS_NULL_COUNT: u8 = 1 << 4;
const HAS_SIZE: u8 = 1 << 5;

const BOOLEAN: u8 = 0;
const INT: u8 = 1;
const UINT: u8 = 2;
const FLOAT: u8 = 3;
const DECIMAL: u8 = 4;
const TEXT: u8 = 5;
const BINARY: u8 = 6;

/// What is known of the columns of a file.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct FileBounds(Box<[u8]>);

impl FileBounds {
    /// The bounds as they are kept, if they are well formed.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let result = Self(bytes.into());
        let mut rest = result.entries()?;
        while !rest.0.is_empty() {
            rest.column()?;
        }
        Some(result)
    }

    /// As they are kept.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What is known of each column, in the order in which it was given.
    pub fn iter(&self) -> impl Iterator<Item = ColumnBounds> + '_ {
        let mut reader = self.entries().unwrap_or(Reader(&[]));
        std::iter::from_fn(move || reader.column())
    }

    /// What is known of some columns, in the order in which it was given. The others are passed over
    /// without being read, which saves most of the time where there are millions of files.
    pub fn select<'a>(
        &'a self,
        columns: &'a [ColumnId],
    ) -> impl Iterator<Item = ColumnBounds> + 'a {
        let mut reader = self.entries().unwrap_or(Reader(&[]));
        std::iter::from_fn(move || {
            loop {
                let column = reader.column_id()?;
                match columns.contains(&column) {
                    true => return reader.bounds(column),
                    false => reader.skip_bounds()?,
                }
            }
        })
    }

    /// What is known of one column.
    pub fn get(&self, column: ColumnId) -> Option<ColumnBounds> {
        self.select(&[column]).next()
    }

    fn entries(&self) -> Option<Reader<'_>> {
        match self.0.split_first() {
            None => Some(Reader(&[])),
            Some((&FORMAT, rest)) => Some(Reader(rest)),
            Some(_) => None,
        }
    }
}

impl fmt::Debug for FileBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> FromIterator<&'a ColumnBounds> for FileBounds {
    fn from_iter<I: IntoIterator<Item = &'a ColumnBounds>>(columns: I) -> Self {
        let mut bytes = vec![FORMAT];
        for column in columns {
            write_column(&mut bytes, column);
        }
        match bytes.len() {
            1 => Self::default(),
            _ => Self(bytes.into()),
        }
    }
}

impl FromIterator<ColumnBounds> for FileBounds {
    fn from_iter<I: IntoIterator<Item = ColumnBounds>>(columns: I) -> Self {
        let columns: Vec<ColumnBounds> = columns.into_iter().collect();
        columns.iter().collect()
    }
}

fn write_column(bytes: &mut Vec<u8>, column: &ColumnBounds) {
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    let flags = flag(column.min.is_some(), HAS_MIN)
        | flag(column.max.is_some(), HAS_MAX)
        | flag(column.min_is_exact, MIN_IS_EXACT)
        | flag(column.max_is_exact, MAX_IS_EXACT)
        | flag(column.null_count.is_some(), HAS_NULL_COUNT)
        | flag(column.size_bytes.is_some(), HAS_SIZE);
    write_number(bytes, column.column.0.into());
    bytes.push(flags);
    for value in [&column.min, &column.max].into_iter().flatten() {
        write_value(bytes, value);
    }
    for number in [column.null_count, column.size_bytes].into_iter().flatten() {
        write_number(bytes, number);
    }
}

fn write_value(bytes: &mut Vec<u8>, value: &BoundValue) {
    match value {
        BoundValue::Boolean(value) => bytes.extend([BOOLEAN, u8::from(*value)]),
        BoundValue::Int(value) => {
            bytes.push(INT);
            // Small numbers of either sign become small numbers without one.
            write_number(bytes, ((value << 1) ^ (value >> 63)).cast_unsigned());
        }
        BoundValue::UInt(value) => {
            bytes.push(UINT);
            write_number(bytes, *value);
        }
        BoundValue::Float(value) => {
            bytes.push(FLOAT);
            bytes.extend(value.to_le_bytes());
        }
        BoundValue::Decimal(value) => {
            bytes.push(DECIMAL);
            bytes.extend(value.get().to_le_bytes());
        }
        BoundValue::Text(value) => {
            bytes.push(TEXT);
            write_number(bytes, value.len() as u64);
            bytes.extend(value.as_bytes());
        }
        BoundValue::Binary(value) => {
            bytes.push(BINARY);
            write_number(bytes, value.len() as u64);
            bytes.extend(&**value);
        }
    }
}

fn write_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Reads from the front of what is left; `None` where that is not what it should be.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn column(&mut self) -> Option<ColumnBounds> {
        let column = self.column_id()?;
        self.bounds(column)
    }

    fn column_id(&mut self) -> Option<ColumnId> {
        Some(ColumnId(self.number()?.try_into().ok()?))
    }

    /// Passes over what [`Reader::bounds`] reads.
    fn skip_bounds(&mut self) -> Option<()> {
        let [flags] = self.bytes::<1>()?;
        let count = |flag: u8| u32::from(flags & flag != 0);
        for _ in 0..count(HAS_MIN) + count(HAS_MAX) {
            match self.bytes::<1>()? {
                [BOOLEAN] => drop(self.bytes::<1>()?),
                [INT | UINT] => drop(self.number()?),
                [FLOAT] => drop(self.bytes::<8>()?),
                [DECIMAL] => drop(self.bytes::<16>()?),
                [TEXT | BINARY] => drop(self.slice()?),
                _ => return None,
            }
        }
        for _ in 0..count(HAS_NULL_COUNT) + count(HAS_SIZE) {
            self.number()?;
        }
        Some(())
    }

    fn bounds(&mut self, column: ColumnId) -> Option<ColumnBounds> {
        let [flags] = self.bytes::<1>()?;
        let has = |flag: u8| flags & flag != 0;
        let mut value = |flag| match has(flag) {
            true => self.value().map(Some),
            false => Some(None),
        };
        let (min, max) = (value(HAS_MIN)?, value(HAS_MAX)?);
        let mut number = |flag| match has(flag) {
            true => self.number().map(Some),
            false => Some(None),
        };
        let (null_count, size_bytes) = (number(HAS_NULL_COUNT)?, number(HAS_SIZE)?);
        Some(ColumnBounds {
            column,
            min,
            max,
            min_is_exact: has(MIN_IS_EXACT),
            max_is_exact: has(MAX_IS_EXACT),
            null_count,
            size_bytes,
        })
    }

    fn value(&mut self) -> Option<BoundValue> {
        let [kind] = self.bytes::<1>()?;
        Some(match kind {
            BOOLEAN => BoundValue::Boolean(self.bytes::<1>()? != [0]),
            INT => {
                let number = self.number()?;
                BoundValue::Int((number >> 1).cast_signed() ^ -((number & 1).cast_signed()))
            }
            UINT => BoundValue::UInt(self.number()?),
            FLOAT => BoundValue::Float(f64::from_le_bytes(self.bytes()?)),
            DECIMAL => BoundValue::Decimal(Decimal::from(i128::from_le_bytes(self.bytes()?))),
            TEXT => BoundValue::Text(std::str::from_utf8(self.slice()?).ok()?.into()),
            BINARY => BoundValue::Binary(self.slice()?.into()),
            _ => return None,
        })
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let [byte] = self.bytes::<1>()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn slice(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (slice, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(slice)
    }

    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Vec<ColumnBounds> {
        let values = [
            BoundValue::Boolean(true),
            BoundValue::Boolean(false),
            BoundValue::Int(i64::MIN),
            BoundValue::Int(-1),
            BoundValue::Int(i64::MAX),
            BoundValue::UInt(u64::MAX),
            BoundValue::Float(-0.1),
            BoundValue::Decimal(i128::MIN.into()),
            BoundValue::Text("ü\"".into()),
            BoundValue::Text("".into()),
            BoundValue::Binary([0, 255].as_slice().into()),
        ];
        let bounded = |(id, value): (u32, &BoundValue)| ColumnBounds {
            min: Some(value.clone()),
            max: id.is_multiple_of(2).then(|| value.clone()),
            min_is_exact: id.is_multiple_of(3),
            max_is_exact: id.is_multiple_of(2),
            null_count: Some(u64::from(id) * 100),
            size_bytes: id.is_multiple_of(5).then_some(u64::MAX),
            ..ColumnBounds::unknown(ColumnId(id * 1_000))
        };
        let unknown = ColumnBounds::unknown(ColumnId(u32::MAX));
        (0..).zip(&values).map(bounded).chain([unknown]).collect()
    }

    #[test]
    fn every_kind_of_value_comes_back() {
        let columns = columns();
        let bounds: FileBounds = columns.iter().collect();
        assert_eq!(bounds.iter().collect::<Vec<_>>(), columns);
        let again = FileBounds::from_bytes(bounds.as_bytes()).unwrap();
        assert_eq!(again, bounds);
        for column in &columns {
            assert_eq!(bounds.get(column.column).as_ref(), Some(column));
        }
        assert_eq!(bounds.get(ColumnId(7)), None);
        let last = columns.last().unwrap();
        let wanted = [last.column, columns[2].column];
        let some: Vec<ColumnBounds> = bounds.select(&wanted).collect();
        assert_eq!(some, [columns[2].clone(), last.clone()]);
    }

    #[test]
    fn nothing_known_takes_no_room() {
        let none: FileBounds = Vec::<ColumnBounds>::new().into_iter().collect();
        assert_eq!(none.as_bytes(), [] as [u8; 0]);
        assert_eq!(FileBounds::from_bytes(&[]), Some(none));
    }

    #[test]
    fn what_is_damaged_is_refused_wherever_it_is_cut() {
        let bounds: FileBounds = columns().iter().collect();
        let bytes = bounds.as_bytes();
        let mut whole = 0;
        for length in 1..bytes.len() {
            match FileBounds::from_bytes(&bytes[..length]) {
                // A cut between two columns looks like fewer columns.
                Some(fewer) => {
                    whole += 1;
                    assert!(bounds.iter().take(whole - 1).eq(fewer.iter()));
                }
                None => continue,
            }
        }
        assert_eq!(whole, columns().len());
        assert_eq!(FileBounds::from_bytes(&[9, 1, 0]), None);
        assert_eq!(FileBounds::from_bytes(&[FORMAT, 1, HAS_MIN, 77]), None);
    }
}
