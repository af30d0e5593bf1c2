//! Which types hold all values of which others.

use arrow::datatypes::DataType;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wider() {
        use DataType::{Decimal128, Float32, Float64, Int8, Int32, Int64, Utf8};
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
}
