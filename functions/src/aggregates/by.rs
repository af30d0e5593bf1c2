//! `max_by` and `min_by`: the value where another is the greatest or the least.

use super::Described;
use crate::arrays::comparator;
use crate::registry::Functions;
use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, DocSection, Documentation, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

#[derive(Debug)]
struct By {
    name: &'static str,
    aliases: Vec<String>,
    is_max: bool,
    signature: Signature,
    documentation: Documentation,
}

impl PartialEq for By {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for By {}

impl Hash for By {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl AggregateUDFImpl for By {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [value, _] => Ok(value.clone()),
            _ => plan_err!("it is called as {}", self.documentation.syntax_example),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let fields = args.input_fields.iter().zip(["value", "key"]);
        let fields = fields.map(|(field, name)| -> FieldRef {
            let name = format_state_name(args.name, name);
            Arc::new(Field::new(name, field.data_type().clone(), true))
        });
        Ok(fields.collect())
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let types = args.expr_fields.iter().map(|field| field.data_type());
        let nulls = types.map(ScalarValue::try_new_null);
        match nulls.collect::<Result<Vec<_>>>()?.as_slice() {
            [value, key] => Ok(Box::new(Best {
                value: value.clone(),
                key: key.clone(),
                is_max: self.is_max,
            })),
            _ => plan_err!("it is called as {}", self.documentation.syntax_example),
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}

/// The best key so far, and the value of its row.
#[derive(Debug)]
struct Best {
    value: ScalarValue,
    key: ScalarValue,
    is_max: bool,
}

impl Accumulator for Best {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [values, keys] = values else {
            return Ok(());
        };
        if keys.data_type().is_null() {
            return Ok(());
        }
        let compare = comparator(keys, keys)?;
        let nulls = keys.logical_nulls();
        let rows =
            (0..keys.len()).filter(|row| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(*row)));
        let best = match self.is_max {
            true => rows.reduce(|a, b| if compare(b, a).is_gt() { b } else { a }),
            false => rows.reduce(|a, b| if compare(b, a).is_lt() { b } else { a }),
        };
        let Some(best) = best else {
            return Ok(());
        };
        let key = ScalarValue::try_from_array(keys, best)?;
        let wanted = match self.is_max {
            true => Ordering::Greater,
            false => Ordering::Less,
        };
        let is_better = self.key.is_null() || {
            let known = self.key.to_array()?;
            comparator(keys, &known)?(best, 0) == wanted
        };
        if is_better {
            self.key = key;
            self.value = ScalarValue::try_from_array(values, best)?;
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.value.clone(), self.key.clone()])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.value.clone())
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.value.size() + self.key.size()
    }
}

pub(super) fn add(functions: &mut Functions) {
    let described = [
        (
            Described {
                syntax: "max_by(value, key)",
                aliases: &["arg_max"],
                text: "The value in the row whose key is the greatest.",
                examples: &[(
                    "max_by(x, y) FROM (VALUES ('a', 10), ('b', 50), ('c', 20)) t(x, y)",
                    "b",
                )],
            },
            true,
        ),
        (
            Described {
                syntax: "min_by(value, key)",
                aliases: &["arg_min"],
                text: "The value in the row whose key is the least.",
                examples: &[(
                    "min_by(x, y) FROM (VALUES ('a', 10), ('b', 50), ('c', 20)) t(x, y)",
                    "a",
                )],
            },
            false,
        ),
    ];
    for (described, is_max) in described {
        let function = By {
            name: described.name(),
            aliases: described
                .aliases
                .iter()
                .map(|alias| (*alias).to_owned())
                .collect(),
            is_max,
            signature: Signature::any(2, Volatility::Immutable),
            documentation: Documentation::builder(
                DocSection::default(),
                described.text,
                described.syntax,
            )
            .build(),
        };
        functions.add(described.entry(function));
    }
}
