//! What is known of a column.

/// The distinct values, bounds and width of a column, as far as they are known or estimated.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnProfile {
    /// How many distinct values it has, NULL apart. At least 1.
    pub distinct: f64,
    /// Whether [`ColumnProfile::distinct`] was counted or sketched. Otherwise it is a bound from above.
    pub is_trusted: bool,
    /// The part of the rows that are NULL, from 0 to 1.
    pub null_fraction: f64,
    /// The smallest and the largest value of a number, a date or a timestamp (in seconds).
    pub bounds: Option<(f64, f64)>,
    /// Whether all values between the bounds are whole numbers of the step that is given.
    pub step: Option<f64>,
    /// The bytes of a value.
    pub bytes: f64,
    /// The rows of the table or the result that it is a column of, before filters.
    pub table_rows: f64,
}

/// What is left of a part that is known to be nothing: bounds may be out of date.
const PART_MIN: f64 = 1e-6;

impl ColumnProfile {
    /// A column of which nothing is known, of a table with `rows` rows.
    pub fn unknown(rows: f64, bytes: f64) -> Self {
        Self {
            distinct: rows.max(1.0),
            is_trusted: false,
            null_fraction: 0.0,
            bounds: None,
            step: None,
            bytes,
            table_rows: rows,
        }
    }

    /// A column that has one value.
    pub fn constant(rows: f64, bytes: f64) -> Self {
        Self {
            distinct: 1.0,
            is_trusted: true,
            ..Self::unknown(rows, bytes)
        }
    }

    /// The parts of the values of both columns that lie within the bounds of the other.
    pub fn overlap(&self, other: &Self) -> (f64, f64) {
        let Some((one, two)) = self.bounds.zip(other.bounds) else {
            return (1.0, 1.0);
        };
        let common = (one.0.max(two.0), one.1.min(two.1));
        (self.part_within(common), other.part_within(common))
    }

    /// The part of its values between two bounds.
    pub fn part_within(&self, (low, high): (f64, f64)) -> f64 {
        let Some((min, max)) = self.bounds else {
            return 1.0;
        };
        let step = self.step.unwrap_or(0.0);
        let (low, high) = (low.max(min), high.min(max));
        if low > high {
            return PART_MIN;
        }
        let whole = max - min + step;
        if whole <= 0.0 {
            return 1.0;
        }
        let one_value = 1.0 / self.distinct.max(1.0);
        ((high - low + step) / whole).clamp(one_value.min(1.0), 1.0)
    }

    /// The column where only values between these bounds are left.
    pub fn within(&mut self, (low, high): (f64, f64)) {
        let part = self.part_within((low, high));
        self.distinct = (self.distinct * part).max(1.0);
        self.null_fraction = 0.0;
        if let Some((min, max)) = self.bounds {
            let (low, high) = (low.max(min), high.min(max));
            if low <= high {
                self.bounds = Some((low, high));
            }
        }
    }

    /// The column where at most `count` values are left.
    pub fn at_most(&mut self, count: f64) {
        self.null_fraction = 0.0;
        self.distinct = self.distinct.min(count).max(1.0);
    }

    /// The same column of a result with `rows` rows.
    pub fn among(&self, rows: f64) -> Self {
        Self {
            distinct: self.distinct.min(rows).max(1.0),
            table_rows: rows,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole_numbers(min: f64, max: f64, distinct: f64) -> ColumnProfile {
        ColumnProfile {
            distinct,
            bounds: Some((min, max)),
            step: Some(1.0),
            ..ColumnProfile::unknown(1e6, 8.0)
        }
    }

    #[test]
    fn bounds_say_which_part_of_another_column_has_partners() {
        let days = whole_numbers(0.0, 73_048.0, 73_049.0);
        let sold = whole_numbers(35_000.0, 36_824.0, 1_825.0);
        let (of_days, of_sold) = days.overlap(&sold);
        assert!((of_days - 1_825.0 / 73_049.0).abs() < 1e-9);
        assert!((of_sold - 1.0).abs() < 1e-9);
        let later = whole_numbers(80_000.0, 90_000.0, 10_001.0);
        assert!(days.overlap(&later).0 < 1e-5);
        assert_eq!(days.overlap(&ColumnProfile::unknown(5.0, 8.0)), (1.0, 1.0));
    }

    #[test]
    fn a_filter_leaves_fewer_values() {
        let mut column = whole_numbers(1.0, 100.0, 100.0);
        column.within((51.0, f64::INFINITY));
        assert!((column.distinct - 50.0).abs() < 1e-9);
        assert_eq!(column.bounds, Some((51.0, 100.0)));
        column.at_most(3.0);
        assert!((column.distinct - 3.0).abs() < 1e-9);
    }
}
