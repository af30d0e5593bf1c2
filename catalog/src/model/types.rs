//! Which types hold all values of which others.
//!
//! Decision: Nested columns are matched by their fields' names and never lose one: fields have no ids, and one that
//! came back would be taken for the one before.

use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};
use std::sync::Arc;

/// Whether every value of `narrow` is a value of `wide`, another type, and files with `narrow` can be
/// read as `wide`: wider integers, DOUBLE for FLOAT, a higher precision of the same scale.
pub fn is_wider(wide: &DataType, narrow: &DataType) -> bool {
    let rank = |data_type: &DataType| match data_type {
        DataType::Int8 => Some(1),
        DataType::Int16 => Some(2),
        DataType::Int32 => Some(3),
        DataType::Int64 => Some(4),
        _ => None,
    };
    match (wide, narrow) {
        (DataType::Float64, DataType::Float32) => true,
        (DataType::Decimal128(wide, scale), DataType::Decimal128(narrow, other)) => {
            scale == other && wide > narrow
        }
        _ => rank(wide)
            .zip(rank(narrow))
            .is_some_and(|(wide, narrow)| wide > narrow),
    }
}

/// Whether files with `found` can be read as `wanted`: the same type or a wider one, timestamps of another
/// unit or zone (see [`crate::model::ColumnBounds::converted`] for what their bounds become), and within
/// structures the same of every field that both have, by their names. Fields that the files lack are
/// NULL, and those that only they have are passed over; but what has no field in common has nothing to
/// do with each other, and neither have fields whose names differ in their case alone.
pub fn can_read(wanted: &DataType, found: &DataType) -> bool {
    match (wanted, found) {
        (DataType::Struct(wanted), DataType::Struct(found)) => can_read_fields(wanted, found),
        (DataType::List(wanted), DataType::List(found)) => can_read_field(wanted, found),
        // Maps are read by the positions of what is in them.
        (DataType::Map(wanted, _), DataType::Map(found, _)) => is_same_entry(wanted, found),
        _ => is_same_or_wider(wanted, found),
    }
}

fn is_same_or_wider(wanted: &DataType, found: &DataType) -> bool {
    match (wanted, found) {
        // Which unit a file has, and whether it says that its times are those of UTC, depends on the program
        // that has written it. Digits that the unit of the table has no place for are cut.
        (DataType::Timestamp(_, _), DataType::Timestamp(_, _)) => true,
        (DataType::Date32, DataType::Date64) | (DataType::Date64, DataType::Date32) => true,
        _ => wanted == found || is_wider(wanted, found),
    }
}

/// Whether both are timestamps that mean the same and lose nothing.
fn is_same_timestamp(new: &DataType, old: &DataType) -> bool {
    match (new, old) {
        // A moment is the same in every zone.
        (DataType::Timestamp(new, new_zone), DataType::Timestamp(old, old_zone)) => {
            new == old && new_zone.is_some() == old_zone.is_some()
        }
        (DataType::Date32, DataType::Date64) | (DataType::Date64, DataType::Date32) => false,
        _ => true,
    }
}

fn can_read_fields(wanted: &Fields, found: &Fields) -> bool {
    let mut common = 0;
    let all_fit = wanted.iter().all(|field| match named(found, field.name()) {
        Some(same) => {
            common += 1;
            can_read_field(field, same)
        }
        None => {
            let is_like = |other: &FieldRef| other.name().eq_ignore_ascii_case(field.name());
            field.is_nullable() && !found.iter().any(is_like)
        }
    });
    all_fit && common > 0
}

fn can_read_field(wanted: &Field, found: &Field) -> bool {
    (wanted.is_nullable() || !found.is_nullable())
        && can_read(wanted.data_type(), found.data_type())
}

fn is_same_layout(wanted: &DataType, found: &DataType) -> bool {
    let is_same_field = |(wanted, found): (&FieldRef, &FieldRef)| {
        wanted.name() == found.name()
            && (wanted.is_nullable() || !found.is_nullable())
            && is_same_layout(wanted.data_type(), found.data_type())
    };
    match (wanted, found) {
        (DataType::Struct(wanted), DataType::Struct(found)) => {
            wanted.len() == found.len() && wanted.iter().zip(found).all(is_same_field)
        }
        (DataType::List(wanted), DataType::List(found)) => {
            is_same_layout(wanted.data_type(), found.data_type())
        }
        (DataType::Map(wanted, _), DataType::Map(found, _)) => is_same_entry(wanted, found),
        _ => is_same_or_wider(wanted, found),
    }
}

/// Programs disagree about what a map's keys and values are called.
fn is_same_entry(wanted: &Field, found: &Field) -> bool {
    let (DataType::Struct(wanted), DataType::Struct(found)) =
        (wanted.data_type(), found.data_type())
    else {
        return false;
    };
    wanted.len() == found.len()
        && wanted.iter().zip(found).all(|(wanted, found)| {
            (wanted.is_nullable() || !found.is_nullable())
                && is_same_layout(wanted.data_type(), found.data_type())
        })
}

/// Whether a column of `old` may become one of `new` when files with both are there: the files can be
/// read as `new`, and no field within is lost. A field that were lost could come back as another one,
/// and would be taken for what the files of the past have under its name.
pub fn can_become(new: &DataType, old: &DataType) -> bool {
    can_read(new, old) && keeps_fields(new, old)
}

fn keeps_fields(new: &DataType, old: &DataType) -> bool {
    match (new, old) {
        (DataType::Struct(new), DataType::Struct(old)) => old.iter().all(|field| {
            named(new, field.name())
                .is_some_and(|same| keeps_fields(same.data_type(), field.data_type()))
        }),
        (DataType::List(new), DataType::List(old)) => {
            keeps_fields(new.data_type(), old.data_type())
        }
        (DataType::Map(new, _), DataType::Map(old, _)) => {
            match (new.data_type(), old.data_type()) {
                (DataType::Struct(new), DataType::Struct(old)) => new
                    .iter()
                    .zip(old)
                    .all(|(new, old)| keeps_fields(new.data_type(), old.data_type())),
                _ => true,
            }
        }
        _ => is_same_timestamp(new, old),
    }
}

/// The type as which files with either can be read, where there is one.
pub fn merge(left: &DataType, right: &DataType) -> Option<DataType> {
    match (left, right) {
        (DataType::Struct(left), DataType::Struct(right)) => merge_fields(left, right),
        (DataType::List(left), DataType::List(right)) => {
            let item = merge(left.data_type(), right.data_type())?;
            let is_nullable = left.is_nullable() || right.is_nullable();
            Some(DataType::List(Arc::new(
                left.as_ref()
                    .clone()
                    .with_data_type(item)
                    .with_nullable(is_nullable),
            )))
        }
        (DataType::Timestamp(left_unit, zone), DataType::Timestamp(right_unit, other)) => {
            let unit = match rank(left_unit) < rank(right_unit) {
                true => right_unit,
                false => left_unit,
            };
            (zone.is_some() == other.is_some()).then(|| DataType::Timestamp(*unit, zone.clone()))
        }
        _ if can_read(left, right) => Some(left.clone()),
        _ if can_read(right, left) => Some(right.clone()),
        _ => None,
    }
}

/// The finer the unit, the higher.
fn rank(unit: &TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 1,
        TimeUnit::Microsecond => 2,
        TimeUnit::Nanosecond => 3,
    }
}

fn merge_fields(left: &Fields, right: &Fields) -> Option<DataType> {
    let mut fields = Vec::new();
    for field in left {
        let merged = match named(right, field.name()) {
            Some(other) => field
                .as_ref()
                .clone()
                .with_data_type(merge(field.data_type(), other.data_type())?)
                .with_nullable(field.is_nullable() || other.is_nullable()),
            None => field.as_ref().clone().with_nullable(true),
        };
        fields.push(merged);
    }
    let new = right
        .iter()
        .filter(|field| named(left, field.name()).is_none());
    fields.extend(new.map(|field| field.as_ref().clone().with_nullable(true)));
    let merged = Fields::from(fields);
    let fits = can_read_fields(&merged, left) && can_read_fields(&merged, right);
    fits.then_some(DataType::Struct(merged))
}

fn named<'f>(fields: &'f Fields, name: &str) -> Option<&'f FieldRef> {
    fields.iter().find(|field| field.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::DataType::{Decimal128, Float32, Float64, Int8, Int32, Int64, Utf8};

    #[test]
    fn what_is_wider() {
        for (wide, narrow) in [
            (Int64, Int32),
            (Int32, Int8),
            (Float64, Float32),
            (Decimal128(20, 2), Decimal128(10, 2)),
        ] {
            assert!(is_wider(&wide, &narrow), "{wide} {narrow}");
            assert!(!is_wider(&narrow, &wide), "{narrow} {wide}");
            assert!(!is_wider(&wide, &wide), "{wide}");
        }
        assert!(!is_wider(&Decimal128(20, 3), &Decimal128(10, 2)));
        assert!(!is_wider(&Float64, &Int32) && !is_wider(&Utf8, &Int32));
    }

    fn structure(fields: &[(&str, DataType)]) -> DataType {
        let field =
            |(name, data_type): &(&str, DataType)| Field::new(*name, data_type.clone(), true);
        DataType::Struct(fields.iter().map(field).collect())
    }

    fn list(item: DataType) -> DataType {
        DataType::List(Arc::new(Field::new_list_field(item, true)))
    }

    fn map(value: DataType) -> DataType {
        let entries = DataType::Struct(Fields::from(vec![
            Field::new("key", Utf8, false),
            Field::new("value", value, true),
        ]));
        DataType::Map(Arc::new(Field::new("entries", entries, false)), false)
    }

    #[test]
    fn structures_are_read_by_the_names_of_their_fields() {
        let xy = structure(&[("x", Int32), ("y", Utf8)]);
        for (wanted, found) in [
            (structure(&[("y", Utf8), ("x", Int32)]), xy.clone()),
            (structure(&[("x", Int64)]), xy.clone()),
            (structure(&[("z", Utf8), ("x", Int32)]), xy.clone()),
            (
                list(structure(&[("x", Int64), ("z", Utf8)])),
                list(xy.clone()),
            ),
            (
                structure(&[("s", structure(&[("x", Int64)]))]),
                structure(&[("s", xy.clone())]),
            ),
            (map(Int64), map(Int32)),
            (map(xy.clone()), map(xy.clone())),
        ] {
            assert!(can_read(&wanted, &found), "{wanted} {found}");
        }
        for (wanted, found) in [
            // Two fields of one type that have changed places are not each other.
            (
                map(structure(&[("y", Utf8), ("x", Int32)])),
                map(xy.clone()),
            ),
            (structure(&[("a", Int32), ("b", Utf8)]), xy.clone()),
            (structure(&[("X", Int32), ("y", Utf8)]), xy.clone()),
            (structure(&[("x", Utf8)]), xy.clone()),
            (structure(&[("x", Int8), ("y", Utf8)]), xy.clone()),
            (Int32, xy.clone()),
            (list(Int32), list(Int64)),
            (map(Utf8), map(Int32)),
        ] {
            assert!(!can_read(&wanted, &found), "{wanted} {found}");
        }
        let required = DataType::Struct(vec![Field::new("x", Int32, false)].into());
        assert!(!can_read(&required, &xy) && can_read(&structure(&[("x", Int32)]), &required));
    }

    #[test]
    fn timestamps_of_any_unit_and_zone_are_read() {
        use TimeUnit::{Microsecond, Millisecond, Nanosecond};
        let plain = |unit| DataType::Timestamp(unit, None);
        let zoned = |unit| DataType::Timestamp(unit, Some("UTC".into()));
        let berlin = DataType::Timestamp(Microsecond, Some("Europe/Berlin".into()));
        for found in [
            plain(Millisecond),
            plain(Nanosecond),
            zoned(Nanosecond),
            berlin.clone(),
        ] {
            for wanted in [plain(Microsecond), zoned(Microsecond)] {
                assert!(can_read(&wanted, &found), "{wanted} {found}");
                assert!(can_read(&map(wanted.clone()), &map(found.clone())));
            }
        }
        assert!(!can_read(&plain(Microsecond), &DataType::Date32));
        assert!(can_read(&DataType::Date32, &DataType::Date64));
        // What is there already keeps its meaning.
        assert!(can_become(&berlin, &zoned(Microsecond)));
        assert!(!can_become(&plain(Microsecond), &zoned(Microsecond)));
        assert!(!can_become(&plain(Microsecond), &plain(Nanosecond)));
        let nested = (map(plain(Microsecond)), map(plain(Nanosecond)));
        assert!(!can_become(&nested.0, &nested.1));
        // Files that are to say what the type is lose nothing.
        let merged = merge(&plain(Millisecond), &plain(Nanosecond));
        assert_eq!(merged, Some(plain(Nanosecond)));
        assert_eq!(merge(&plain(Microsecond), &zoned(Microsecond)), None);
    }

    #[test]
    fn a_column_never_loses_a_field() {
        let x = structure(&[("x", Int32)]);
        let xy = structure(&[("y", Utf8), ("x", Int64)]);
        assert!(can_become(&xy, &x) && can_become(&list(xy.clone()), &list(x.clone())));
        assert!(can_read(&x, &structure(&[("x", Int32), ("y", Utf8)])));
        assert!(!can_become(&x, &structure(&[("x", Int32), ("y", Utf8)])));
        assert!(can_become(&Int64, &Int32) && can_become(&Int64, &Int64));
        assert!(!can_become(&Int32, &Int64));
    }

    #[test]
    fn what_files_have_together() {
        let left = structure(&[("x", Int32), ("y", Utf8)]);
        let right = structure(&[("z", Utf8), ("x", Int64)]);
        let both = structure(&[("x", Int64), ("y", Utf8), ("z", Utf8)]);
        assert_eq!(merge(&left, &right), Some(both.clone()));
        assert_eq!(merge(&list(left.clone()), &list(right)), Some(list(both)));
        assert_eq!(merge(&left, &structure(&[("x", Utf8)])), None);
        let all = structure(&[("x", Int32), ("y", Utf8), ("a", Utf8)]);
        assert_eq!(merge(&left, &structure(&[("a", Utf8)])), Some(all));
        assert_eq!(merge(&left, &structure(&[("X", Int32)])), None);
        assert_eq!(merge(&Int32, &Int64), Some(Int64));
        assert_eq!(merge(&Int32, &Utf8), None);
    }
}
