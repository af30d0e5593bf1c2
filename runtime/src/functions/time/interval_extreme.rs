//! `min` and `max` of intervals by their length. The planner puts them in the place of the plain ones, which
//! compare months first.

use super::interval::Interval;
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{
    DataType, Field, FieldRef, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
};
use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ReversedUDAF, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;
use std::collections::VecDeque;
use std::sync::{Arc, LazyLock};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Wanted {
    Shortest,
    Longest,
}

impl Wanted {
    fn name(self) -> &'static str {
        match self {
            Self::Shortest => "skep_interval_min",
            Self::Longest => "skep_interval_max",
        }
    }

    /// Whether `new` replaces `old`. Of equally long ones the first in the order of their parts is
    /// taken, so that the result does not depend on the order of rows.
    fn prefers(self, new: IntervalMonthDayNano, old: IntervalMonthDayNano) -> bool {
        let (left, right) = (Interval(new).nanoseconds(), Interval(old).nanoseconds());
        match self {
            _ if left == right => new < old,
            Self::Shortest => left < right,
            Self::Longest => left > right,
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct IntervalExtreme {
    wanted: Wanted,
    signature: Signature,
}

fn function(wanted: Wanted) -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::from(IntervalExtreme {
        wanted,
        signature: Signature::any(1, Volatility::Immutable),
    }))
}

static INTERVAL_MIN: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| function(Wanted::Shortest));
static INTERVAL_MAX: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| function(Wanted::Longest));

/// The shortest interval.
pub fn interval_min() -> Arc<AggregateUDF> {
    Arc::clone(&INTERVAL_MIN)
}

/// The longest interval.
pub fn interval_max() -> Arc<AggregateUDF> {
    Arc::clone(&INTERVAL_MAX)
}

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

impl AggregateUDFImpl for IntervalExtreme {
    fn name(&self) -> &str {
        self.wanted.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [INTERVAL] => Ok(INTERVAL),
            _ => plan_err!("{} takes an interval", self.name()),
        }
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let name = format_state_name(arguments.name, "value");
        Ok(vec![Arc::new(Field::new(name, INTERVAL, true))])
    }

    fn accumulator(&self, _arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Extreme {
            wanted: self.wanted,
            value: None,
        }))
    }

    fn create_sliding_accumulator(
        &self,
        _arguments: AccumulatorArgs,
    ) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Moving {
            wanted: self.wanted,
            values: VecDeque::new(),
        }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}

/// The best value of those seen so far.
#[derive(Debug)]
struct Extreme {
    wanted: Wanted,
    value: Option<IntervalMonthDayNano>,
}

impl Accumulator for Extreme {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for values in values.iter().take(1) {
            let values = values.as_primitive::<IntervalMonthDayNanoType>();
            for value in values.iter().flatten() {
                if self
                    .value
                    .is_none_or(|best| self.wanted.prefers(value, best))
                {
                    self.value = Some(value);
                }
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::IntervalMonthDayNano(self.value))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// The values within a moving frame of a window.
#[derive(Debug)]
struct Moving {
    wanted: Wanted,
    values: VecDeque<Option<IntervalMonthDayNano>>,
}

impl Accumulator for Moving {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for values in values.iter().take(1) {
            let values = values.as_primitive::<IntervalMonthDayNanoType>();
            self.values.extend(values.iter());
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let leaving = values.first().map_or(0, |values| values.len());
        self.values.drain(..leaving.min(self.values.len()));
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let values = self.values.iter().flatten().copied();
        let best = values.reduce(|best, value| match self.wanted.prefers(value, best) {
            true => value,
            false => best,
        });
        Ok(ScalarValue::IntervalMonthDayNano(best))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.capacity() * size_of::<Option<IntervalMonthDayNano>>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::IntervalMonthDayNanoArray;

    fn column(hours_and_days: &[Option<(i64, i32)>]) -> ArrayRef {
        let intervals = hours_and_days.iter().map(|parts| {
            parts.map(|(hours, days)| IntervalMonthDayNano::new(0, days, hours * 3_600_000_000_000))
        });
        Arc::new(intervals.collect::<IntervalMonthDayNanoArray>())
    }

    #[test]
    fn the_longest_counts() {
        let values = column(&[None, Some((36, 0)), Some((0, 1)), Some((47, 0))]);
        let found = |wanted| {
            let mut extreme = Extreme {
                wanted,
                value: None,
            };
            extreme.update_batch(&[Arc::clone(&values)]).unwrap();
            extreme.value.unwrap()
        };
        assert_eq!(found(Wanted::Longest).nanoseconds, 47 * 3_600_000_000_000);
        assert_eq!(found(Wanted::Shortest).days, 1);
    }

    #[test]
    fn a_frame_moves() {
        let mut moving = Moving {
            wanted: Wanted::Longest,
            values: VecDeque::new(),
        };
        moving
            .update_batch(&[column(&[Some((99, 0)), None, Some((5, 1))])])
            .unwrap();
        moving.retract_batch(&[column(&[Some((99, 0))])]).unwrap();
        let best = IntervalMonthDayNano::new(0, 1, 5 * 3_600_000_000_000);
        let best = ScalarValue::IntervalMonthDayNano(Some(best));
        assert_eq!(moving.evaluate().unwrap(), best);
        moving
            .retract_batch(&[column(&[None, Some((5, 1))])])
            .unwrap();
        assert!(moving.evaluate().unwrap().is_null());
    }
}
