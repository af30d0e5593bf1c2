//! Skewness and kurtosis, of central moments that are put together by Pébay's formulas (Sandia report
//! SAND2008-6212), and counts of what is true.

use super::Described;
use crate::registry::Functions;
use crate::value::{Argument, Boolean, Double, Kind, Long};
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, DocSection, Documentation, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Measure {
    Skewness,
    Kurtosis,
    CountIf,
}

#[derive(Debug)]
struct Measured {
    name: &'static str,
    measure: Measure,
    signature: Signature,
    documentation: Documentation,
}

impl PartialEq for Measured {
    fn eq(&self, other: &Self) -> bool {
        self.measure == other.measure
    }
}

impl Eq for Measured {}

impl Hash for Measured {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.measure.hash(state);
    }
}

impl Measured {
    fn new(described: &Described, measure: Measure) -> Self {
        Self {
            name: described.name(),
            measure,
            signature: Signature::user_defined(Volatility::Immutable),
            documentation: Documentation::builder(
                DocSection::default(),
                described.text,
                described.syntax,
            )
            .build(),
        }
    }
}

impl AggregateUDFImpl for Measured {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let kind = match self.measure {
            Measure::CountIf => Kind::Boolean,
            _ => Kind::Double,
        };
        match types {
            [of] if kind.accept(of).is_some() => Ok(kind.accept(of).into_iter().collect()),
            _ => plan_err!("it is called as {}", self.documentation.syntax_example),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(match self.measure {
            Measure::CountIf => DataType::Int64,
            _ => DataType::Float64,
        })
    }

    fn is_nullable(&self) -> bool {
        self.measure != Measure::CountIf
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        match self.measure {
            Measure::CountIf => Ok(ScalarValue::Int64(Some(0))),
            _ => ScalarValue::try_from(data_type),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let field = |name: &str, of: DataType| -> FieldRef {
            Arc::new(Field::new(format_state_name(args.name, name), of, true))
        };
        Ok(match self.measure {
            Measure::CountIf => vec![field("count", DataType::Int64)],
            _ => ["count", "mean", "m2", "m3", "m4"]
                .map(|name| field(name, DataType::Float64))
                .into(),
        })
    }

    fn accumulator(&self, _args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(match self.measure {
            Measure::CountIf => Box::new(Count::default()),
            measure => Box::new(Moments {
                measure,
                ..Moments::default()
            }),
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}

/// How many rows were true.
#[derive(Debug, Default)]
struct Count(i64);

impl Count {
    fn of(values: &[ArrayRef]) -> Result<i64> {
        match values {
            [values] => Ok(Boolean::open(values)?.true_count() as i64),
            _ => Ok(0),
        }
    }
}

impl Accumulator for Count {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0 += Self::of(values)?;
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0 -= Self::of(values)?;
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        if let [counts] = states {
            self.0 += Long::open(counts)?.iter().flatten().sum::<i64>();
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Int64(Some(self.0))])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(Some(self.0)))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// The count, the mean, and the sums of the powers of the distances from it.
#[derive(Clone, Copy, Debug)]
struct Moments {
    measure: Measure,
    count: f64,
    mean: f64,
    m2: f64,
    m3: f64,
    m4: f64,
}

impl Default for Moments {
    fn default() -> Self {
        Self {
            measure: Measure::Skewness,
            count: 0.0,
            mean: 0.0,
            m2: 0.0,
            m3: 0.0,
            m4: 0.0,
        }
    }
}

impl Moments {
    fn add(&mut self, other: &Self) {
        let total = self.count + other.count;
        if other.count == 0.0 {
            return;
        }
        let (a, b) = (self.count, other.count);
        let delta = other.mean - self.mean;
        let part = delta / total;
        let m2 = self.m2 + other.m2 + delta * part * a * b;
        let m3 = self.m3
            + other.m3
            + delta * part * part * a * b * (a - b)
            + 3.0 * part * (a * other.m2 - b * self.m2);
        let m4 = self.m4
            + other.m4
            + delta * part * part * part * a * b * (a * a - a * b + b * b)
            + 6.0 * part * part * (a * a * other.m2 + b * b * self.m2)
            + 4.0 * part * (a * other.m3 - b * self.m3);
        self.mean += part * b;
        (self.count, self.m2, self.m3, self.m4) = (total, m2, m3, m4);
    }
}

impl Accumulator for Moments {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if let [values] = values {
            for value in Double::open(values)?.iter().flatten() {
                self.add(&Self {
                    count: 1.0,
                    mean: value,
                    ..Self::default()
                });
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let columns = states.iter().map(Double::open);
        let columns = columns.collect::<Result<Vec<_>>>()?;
        if let [count, mean, m2, m3, m4] = columns.as_slice() {
            for row in 0..count.len() {
                self.add(&Self {
                    measure: self.measure,
                    count: count.value(row),
                    mean: mean.value(row),
                    m2: m2.value(row),
                    m3: m3.value(row),
                    m4: m4.value(row),
                });
            }
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let state = [self.count, self.mean, self.m2, self.m3, self.m4];
        Ok(state.map(|value| ScalarValue::Float64(Some(value))).into())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.count == 0.0 {
            return Ok(ScalarValue::Float64(None));
        }
        if self.m2 == 0.0 {
            return Ok(ScalarValue::Float64(Some(f64::NAN)));
        }
        Ok(ScalarValue::Float64(Some(match self.measure {
            Measure::Kurtosis => self.count * self.m4 / (self.m2 * self.m2) - 3.0,
            _ => self.count.sqrt() * self.m3 / (self.m2 * self.m2 * self.m2).sqrt(),
        })))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

pub(super) fn add(functions: &mut Functions) {
    let described = [
        (
            Described {
                syntax: "skewness(number)",
                aliases: &[],
                text: "How far the numbers lean to one side of their mean.",
                examples: &[(
                    "round(skewness(x), 4) FROM (VALUES (-10), (-20), (100), (1000)) t(x)",
                    "1.1136",
                )],
            },
            Measure::Skewness,
        ),
        (
            Described {
                syntax: "kurtosis(number)",
                aliases: &[],
                text: "How far the numbers have more at their ends than a normal distribution, which has 0.",
                examples: &[(
                    "round(kurtosis(x), 4) FROM (VALUES (-10), (-20), (100), (1000)) t(x)",
                    "-0.7014",
                )],
            },
            Measure::Kurtosis,
        ),
        (
            Described {
                syntax: "count_if(condition)",
                aliases: &[],
                text: "In how many rows a condition is true.",
                examples: &[(
                    "count_if(x % 2 = 0) FROM (VALUES (0), (1), (2), (NULL)) t(x)",
                    "2",
                )],
            },
            Measure::CountIf,
        ),
    ];
    for (described, measure) in described {
        let function = Measured::new(&described, measure);
        functions.add(described.entry(function));
    }
}
