//! The types of decimal arithmetic, by the rules of Hive and Spark, which are SQL Server's.
//!
//! A result has all digits that it can need, up to 38 in all. Where it needs more, it gives up digits after the
//! point, but keeps six of them, and rounds; numbers that are too large then are an error.

use datafusion::arrow::datatypes::DataType;

/// How many digits a decimal has at most.
pub const DIGITS_MAX: u8 = 38;

/// How many digits after the point are kept where a type would have more than [`DIGITS_MAX`].
const SCALE_KEPT: i32 = 6;

/// An operation of two decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DecimalOperation {
    /// `a + b`
    Add,
    /// `a - b`
    Subtract,
    /// `a * b`
    Multiply,
    /// `a / b`
    Divide,
    /// `a % b`, with the sign of `a`
    Modulo,
}

/// Precision and scale of a decimal of up to 38 digits. The scale is between zero and the precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DecimalType {
    /// How many digits there are.
    pub precision: u8,
    /// How many of them are after the point.
    pub scale: u8,
}

impl DecimalType {
    /// The decimal that holds every value of `data_type`: a decimal of up to 38 digits, or an integer.
    pub fn of(data_type: &DataType) -> Option<Self> {
        let integer = |precision| {
            Some(Self {
                precision,
                scale: 0,
            })
        };
        match data_type {
            DataType::Int8 | DataType::UInt8 => integer(3),
            DataType::Int16 | DataType::UInt16 => integer(5),
            DataType::Int32 | DataType::UInt32 => integer(10),
            DataType::Int64 | DataType::UInt64 => integer(20),
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale) => {
                let (precision, scale) = (i32::from(*precision), i32::from(*scale));
                // Digits before the point that are always zero.
                let precision = if scale < 0 {
                    precision - scale
                } else {
                    precision
                };
                Self::new(precision.max(scale), scale.max(0))
            }
            _ => None,
        }
    }

    fn new(precision: i32, scale: i32) -> Option<Self> {
        let precision = u8::try_from(precision).ok()?;
        let scale = u8::try_from(scale).ok()?;
        (precision <= DIGITS_MAX).then_some(Self { precision, scale })
    }

    /// How many digits are before the point.
    pub fn integer_digits(self) -> u8 {
        self.precision - self.scale
    }

    /// The type as Arrow has it.
    pub fn data_type(self) -> DataType {
        DataType::Decimal128(self.precision, self.scale.cast_signed())
    }

    /// The type of `self` and `other` in an operation.
    pub fn result(self, operation: DecimalOperation, other: Self) -> Self {
        let (precision, scale) = self.unbounded(operation, other);
        Self::bounded(precision, scale)
    }

    /// The digits that the exact result can have, without a bound; of a division, those that are kept.
    pub fn unbounded(self, operation: DecimalOperation, other: Self) -> (i32, i32) {
        let scales = (i32::from(self.scale), i32::from(other.scale));
        let precisions = (i32::from(self.precision), i32::from(other.precision));
        let integers = (precisions.0 - scales.0, precisions.1 - scales.1);
        match operation {
            DecimalOperation::Add | DecimalOperation::Subtract => {
                let scale = scales.0.max(scales.1);
                (integers.0.max(integers.1) + scale + 1, scale)
            }
            DecimalOperation::Multiply => (precisions.0 + precisions.1 + 1, scales.0 + scales.1),
            DecimalOperation::Divide => {
                let scale = SCALE_KEPT.max(scales.0 + precisions.1 + 1);
                (integers.0 + scales.1 + scale, scale)
            }
            DecimalOperation::Modulo => {
                let scale = scales.0.max(scales.1);
                (integers.0.min(integers.1) + scale, scale)
            }
        }
    }

    /// The type with that many digits, or, beyond 38 of them, with fewer after the point.
    pub fn bounded(precision: i32, scale: i32) -> Self {
        let most = i32::from(DIGITS_MAX);
        let (precision, scale) = match precision <= most {
            true => (precision, scale),
            false => {
                let kept = (most - (precision - scale)).max(scale.min(SCALE_KEPT));
                (most, kept)
            }
        };
        let digits = |digits: i32| u8::try_from(digits.clamp(0, most)).unwrap_or(DIGITS_MAX);
        Self {
            precision: digits(precision.max(1)),
            scale: digits(scale),
        }
    }

    /// The type of an average: four more digits after the point, as far as there is room for them.
    pub fn average(self) -> Self {
        let integers = self.integer_digits();
        let scale = (self.scale + 4).min(DIGITS_MAX - integers);
        Self {
            precision: integers + scale,
            scale,
        }
    }

    /// Whether every value of `other` is one of this type.
    pub fn holds(self, other: Self) -> bool {
        self.scale >= other.scale && self.integer_digits() >= other.integer_digits()
    }
}

/// The type that holds every value of two decimals of up to 38 digits, or of integers. It has up to 76 digits.
pub fn common_decimal(one: &DataType, other: &DataType) -> Option<DataType> {
    let (one, other) = (DecimalType::of(one)?, DecimalType::of(other)?);
    let scale = one.scale.max(other.scale);
    let precision = one.integer_digits().max(other.integer_digits()) + scale;
    Some(match precision <= DIGITS_MAX {
        true => DataType::Decimal128(precision, scale.cast_signed()),
        false => DataType::Decimal256(precision, scale.cast_signed()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(precision: u8, scale: u8) -> DecimalType {
        DecimalType { precision, scale }
    }

    #[test]
    fn results_have_the_digits_that_the_rules_give() {
        use DecimalOperation::{Add, Divide, Modulo, Multiply, Subtract};
        for (one, operation, other, expected) in [
            ((10, 2), Add, (10, 2), (11, 2)),
            ((10, 2), Subtract, (5, 4), (13, 4)),
            ((38, 0), Add, (38, 0), (38, 0)),
            ((38, 10), Add, (38, 10), (38, 9)),
            ((38, 0), Add, (38, 10), (38, 6)),
            ((10, 2), Multiply, (10, 2), (21, 4)),
            ((38, 10), Multiply, (38, 10), (38, 6)),
            ((38, 2), Multiply, (38, 2), (38, 4)),
            ((10, 2), Divide, (10, 2), (23, 13)),
            ((3, 1), Divide, (1, 0), (8, 6)),
            ((38, 10), Divide, (38, 10), (38, 6)),
            ((38, 0), Divide, (20, 0), (38, 6)),
            ((10, 2), Modulo, (5, 4), (5, 4)),
            ((38, 0), Modulo, (38, 38), (38, 38)),
        ] {
            let (one, other) = (decimal(one.0, one.1), decimal(other.0, other.1));
            let result = one.result(operation, other);
            assert_eq!(
                result,
                decimal(expected.0, expected.1),
                "{one:?} {operation:?} {other:?}"
            );
        }
    }

    #[test]
    fn averages_keep_the_digits_before_the_point() {
        for (of, expected) in [
            ((10, 2), (14, 6)),
            ((38, 0), (38, 0)),
            ((36, 2), (38, 4)),
            ((38, 38), (38, 38)),
        ] {
            let average = decimal(of.0, of.1).average();
            assert_eq!(average, decimal(expected.0, expected.1), "{of:?}");
        }
    }

    #[test]
    fn what_two_types_have_in_common_loses_nothing() {
        for (one, other, expected) in [
            (
                DataType::Decimal128(10, 2),
                DataType::Int64,
                DataType::Decimal128(22, 2),
            ),
            (
                DataType::Decimal128(38, 0),
                DataType::Decimal128(38, 38),
                DataType::Decimal256(76, 38),
            ),
            (
                DataType::Decimal128(2, -3),
                DataType::Decimal128(3, 1),
                DataType::Decimal128(6, 1),
            ),
        ] {
            assert_eq!(common_decimal(&one, &other), Some(expected));
        }
        assert_eq!(common_decimal(&DataType::Float64, &DataType::Int64), None);
    }
}
