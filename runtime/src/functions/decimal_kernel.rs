//! What one operation of two decimals yields: exactly, then rounded half up to the scale of its result.
//!
//! Most operations have everything that they need in 128 bits, and many cannot leave them. Those that can
//! are tried in 128 bits and done again in 256 where that was not enough.

use super::decimal_type::{DIGITS_MAX, DecimalOperation, DecimalType};
use datafusion::arrow::datatypes::{ArrowNativeTypeOp, i256};
use std::sync::LazyLock;

/// The powers of ten that 256 bits hold.
static POWERS: LazyLock<Vec<i256>> = LazyLock::new(|| {
    let ten = i256::from_i128(10);
    let next = |power: &i256| power.mul_checked(ten).ok();
    std::iter::successors(Some(i256::ONE), next).collect()
});

/// Ten to the power of `exponent`.
pub(super) fn power_of_ten(exponent: u32) -> Option<i128> {
    10_i128.checked_pow(exponent)
}

/// Ten to the power of `exponent`, in 256 bits.
pub(super) fn wide_power(exponent: u32) -> Option<i256> {
    POWERS.get(exponent as usize).copied()
}

/// Why there is no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It is larger than its type.
    Overflow,
    /// The divisor is zero.
    ZeroDivisor,
}

/// One operation on values of two types.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernel {
    operation: DecimalOperation,
    /// The type of the result.
    pub(super) result: DecimalType,
    /// The largest value of the result's type, without its point.
    largest: u128,
    /// By which powers of ten both sides are multiplied first.
    factors: (u32, u32),
    /// How many digits are rounded away in the end.
    dropped: u32,
    /// Whether precisions prove that neither 128 bits nor the result's type can be left.
    pub(super) is_safe: bool,
}

impl Kernel {
    pub(super) fn new(operation: DecimalOperation, left: DecimalType, right: DecimalType) -> Self {
        use DecimalOperation::{Add, Divide, Modulo, Multiply, Subtract};
        let result = left.result(operation, right);
        let (digits, exact_scale) = left.unbounded(operation, right);
        let scales = (i32::from(left.scale), i32::from(right.scale));
        let scale = i32::from(result.scale);
        let positive = |digits: i32| u32::try_from(digits).unwrap_or(0);
        let factors = match operation {
            Add | Subtract | Modulo => {
                let common = scales.0.max(scales.1);
                (positive(common - scales.0), positive(common - scales.1))
            }
            Multiply => (0, 0),
            Divide => {
                let missing = scale - scales.0 + scales.1;
                (positive(missing), positive(-missing))
            }
        };
        let dropped = match operation {
            Divide | Modulo => 0,
            Add | Subtract | Multiply => positive(exact_scale - scale),
        };
        let is_safe = match operation {
            Add | Subtract => digits <= i32::from(DIGITS_MAX),
            Multiply => left.precision + right.precision <= DIGITS_MAX && dropped == 0,
            Divide | Modulo => false,
        };
        Self {
            operation,
            result,
            largest: largest(result),
            factors,
            dropped,
            is_safe,
        }
    }

    /// What is added or multiplied without a check, where that is safe.
    pub(super) fn unchecked(self) -> impl Fn(i128, i128) -> i128 {
        let factor = |exponent| power_of_ten(exponent).unwrap_or(1);
        let (left, right) = (factor(self.factors.0), factor(self.factors.1));
        let right = match self.operation {
            DecimalOperation::Subtract => -right,
            _ => right,
        };
        let is_product = self.operation == DecimalOperation::Multiply;
        move |a, b| match is_product {
            true => a.wrapping_mul(b),
            false => a.wrapping_mul(left).wrapping_add(b.wrapping_mul(right)),
        }
    }

    /// Whether it is a product that is not rounded.
    pub(super) fn is_exact_product(self) -> bool {
        self.operation == DecimalOperation::Multiply && self.dropped == 0
    }

    /// The product of two values, where it is not rounded.
    #[inline]
    pub(super) fn product(self, left: i128, right: i128) -> Result<i128, Failure> {
        multiply(left, right)
            .filter(|product| product.unsigned_abs() <= self.largest)
            .ok_or(Failure::Overflow)
    }

    /// The result of two values.
    pub(super) fn checked(self, left: i128, right: i128) -> Result<i128, Failure> {
        let is_division = matches!(
            self.operation,
            DecimalOperation::Divide | DecimalOperation::Modulo
        );
        if is_division && right == 0 {
            return Err(Failure::ZeroDivisor);
        }
        let result = self
            .narrow(left, right)
            .or_else(|| self.wide(left, right))
            .ok_or(Failure::Overflow)?;
        match result.unsigned_abs() <= self.largest {
            true => Ok(result),
            false => Err(Failure::Overflow),
        }
    }

    /// In 128 bits; `None` where they are not enough.
    fn narrow(self, left: i128, right: i128) -> Option<i128> {
        let scaled = |value: i128, exponent| match exponent {
            0 => Some(value),
            exponent => value.checked_mul(power_of_ten(exponent)?),
        };
        let left = scaled(left, self.factors.0)?;
        let right = scaled(right, self.factors.1)?;
        let exact = match self.operation {
            DecimalOperation::Add => left.checked_add(right)?,
            DecimalOperation::Subtract => left.checked_sub(right)?,
            DecimalOperation::Multiply => multiply(left, right)?,
            DecimalOperation::Divide => return Some(divide_rounded(left, right)),
            DecimalOperation::Modulo => return Some(left.wrapping_rem(right)),
        };
        match self.dropped {
            0 => Some(exact),
            dropped => Some(divide_rounded(exact, power_of_ten(dropped)?)),
        }
    }

    /// In 256 bits; `None` where the result is beyond 128.
    fn wide(self, left: i128, right: i128) -> Option<i128> {
        let scaled = |value: i128, exponent| {
            let factor = wide_power(exponent)?;
            i256::from_i128(value).mul_checked(factor).ok()
        };
        let left = scaled(left, self.factors.0)?;
        let right = scaled(right, self.factors.1)?;
        let exact = match self.operation {
            DecimalOperation::Add => left.add_checked(right).ok()?,
            DecimalOperation::Subtract => left.sub_checked(right).ok()?,
            DecimalOperation::Multiply => left.mul_checked(right).ok()?,
            DecimalOperation::Divide => return divide_wide(left, right)?.to_i128(),
            DecimalOperation::Modulo => return left.mod_checked(right).ok()?.to_i128(),
        };
        match self.dropped {
            0 => exact.to_i128(),
            dropped => divide_wide(exact, wide_power(dropped)?)?.to_i128(),
        }
    }
}

/// The largest value of a type, without its point.
pub(super) fn largest(of: DecimalType) -> u128 {
    10_u128.pow(u32::from(of.precision.min(DIGITS_MAX))) - 1
}

/// A product; two factors of 64 bits, which most are, cannot leave 128.
fn multiply(left: i128, right: i128) -> Option<i128> {
    match (i64::try_from(left), i64::try_from(right)) {
        (Ok(left), Ok(right)) => Some(i128::from(left) * i128::from(right)),
        _ => left.checked_mul(right),
    }
}

/// A quotient, rounded half up: away from zero where it is in the middle. The divisor is not zero.
pub(super) fn divide_rounded(value: i128, divisor: i128) -> i128 {
    let quotient = value.wrapping_div(divisor);
    let rest = value.wrapping_rem(divisor).unsigned_abs();
    match rest >= divisor.unsigned_abs() - rest {
        false => quotient,
        true if (value < 0) == (divisor < 0) => quotient + 1,
        true => quotient - 1,
    }
}

/// As [`divide_rounded`]; `None` for a divisor of zero.
pub(super) fn divide_wide(value: i256, divisor: i256) -> Option<i256> {
    let quotient = value.div_checked(divisor).ok()?;
    let rest = value.mod_checked(divisor).ok()?.wrapping_abs();
    let is_larger_half = rest >= divisor.wrapping_abs().wrapping_sub(rest);
    let is_negative = |value: i256| value < i256::ZERO;
    Some(match is_larger_half {
        false => quotient,
        true if is_negative(value) == is_negative(divisor) => quotient.wrapping_add(i256::ONE),
        true => quotient.wrapping_sub(i256::ONE),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(precision: u8, scale: u8) -> DecimalType {
        DecimalType { precision, scale }
    }

    #[test]
    fn quotients_are_rounded_half_up() {
        for (value, divisor, expected) in [
            (7, 2, 4),
            (5, 2, 3),
            (-5, 2, -3),
            (5, -2, -3),
            (-5, -2, 3),
            (1, 3, 0),
            (2, 3, 1),
            (-1, 3, 0),
            (i128::MAX, 1, i128::MAX),
        ] {
            assert_eq!(divide_rounded(value, divisor), expected);
            let (value, divisor) = (i256::from_i128(value), i256::from_i128(divisor));
            assert_eq!(divide_wide(value, divisor), Some(i256::from_i128(expected)));
        }
    }

    #[test]
    fn both_widths_give_the_same() {
        use DecimalOperation::{Add, Divide, Modulo, Multiply, Subtract};
        let types = [
            decimal(20, 10),
            decimal(38, 3),
            decimal(9, 9),
            decimal(18, 0),
        ];
        let values = [1, -1, 15, -25, 123_456_789, -999_999_999];
        for operation in [Add, Subtract, Multiply, Divide, Modulo] {
            for (left, right) in types.iter().flat_map(|a| types.map(|b| (*a, b))) {
                let kernel = Kernel::new(operation, left, right);
                for (a, b) in values.iter().flat_map(|a| values.map(|b| (*a, b))) {
                    let wide = kernel.wide(a, b);
                    if let Some(narrow) = kernel.narrow(a, b) {
                        assert_eq!(Some(narrow), wide, "{kernel:?} {a} {b}");
                    }
                    if kernel.is_safe {
                        assert_eq!(Some(kernel.unchecked()(a, b)), wide, "{kernel:?} {a} {b}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_too_large_fails() {
        use DecimalOperation::{Add, Divide, Multiply};
        let large = 60_000_000_000_000_000_000_000_000_000_000_000_000;
        let whole = decimal(38, 0);
        let sum = Kernel::new(Add, whole, whole).checked(large, large);
        assert_eq!(sum, Err(Failure::Overflow));
        let product = Kernel::new(Multiply, whole, whole).checked(large, 2);
        assert_eq!(product, Err(Failure::Overflow));
        let quotient = Kernel::new(Divide, whole, decimal(38, 38)).checked(large, 1);
        assert_eq!(quotient, Err(Failure::Overflow));
        let quotient = Kernel::new(Divide, whole, whole).checked(large, 0);
        assert_eq!(quotient, Err(Failure::ZeroDivisor));
    }

    #[test]
    fn what_needs_256_bits_between_is_right() {
        use DecimalOperation::{Divide, Modulo, Multiply};
        let fine = decimal(38, 20);
        // 1.5 * 1.5 with 20 digits each, and the same divided.
        let value = 150_000_000_000_000_000_000;
        let product = Kernel::new(Multiply, fine, fine);
        assert_eq!(product.result, decimal(38, 6));
        assert_eq!(product.checked(value, value), Ok(2_250_000));
        let quotient = Kernel::new(Divide, fine, fine);
        assert_eq!(quotient.checked(value * 2, value * 9), Ok(222_222));
        let rest = Kernel::new(Modulo, decimal(38, 0), decimal(38, 38));
        let third = 33_333_333_333_333_333_333_333_333_333_333_333_333;
        assert_eq!(rest.checked(1, third), Ok(1));
    }
}
