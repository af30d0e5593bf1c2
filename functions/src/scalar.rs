//! Scalar functions that are written row by row, and what they have in common: overloads, the types that
//! they take, their documentation, and a name of their own for each family.

use crate::registry::{Entry, Example, Family, Implementation};
use crate::types::sql_name;
use crate::value::Kind;
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::type_coercion::binary::type_union_coercion;
use datafusion::logical_expr::{
    ColumnarValue, DocSection, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The arguments of one call, as arrays of equal length.
pub struct Call {
    /// The arguments.
    pub arrays: Vec<ArrayRef>,
    /// How many rows they have.
    pub rows: usize,
    /// The type that was planned.
    pub return_type: DataType,
}

impl Call {
    /// An argument.
    ///
    /// # Errors
    /// Where there is none.
    pub fn array(&self, index: usize) -> Result<&ArrayRef> {
        match self.arrays.get(index) {
            Some(array) => Ok(array),
            None => exec_err!("argument {} is missing", index + 1),
        }
    }
}

/// What is known of the arguments when a statement is planned.
pub struct Planned<'a> {
    /// Their types.
    pub types: &'a [DataType],
    /// Those that are constants.
    pub constants: &'a [Option<&'a ScalarValue>],
}

impl Planned<'_> {
    /// The type of an argument.
    pub fn data_type(&self, index: usize) -> DataType {
        self.types.get(index).cloned().unwrap_or(DataType::Null)
    }

    /// The text of a constant argument.
    pub fn text(&self, index: usize) -> Option<&str> {
        self.constants
            .get(index)?
            .and_then(|value| value.try_as_str().flatten())
    }
}

type Returns = Box<dyn Fn(&Planned) -> Result<DataType> + Send + Sync>;
type Evaluate = Box<dyn Fn(&Call) -> Result<ArrayRef> + Send + Sync>;

/// One overload of a function.
pub struct Body {
    kinds: Vec<Kind>,
    /// The kind of any number of further arguments.
    rest: Option<Kind>,
    /// For which types it is not meant, although it takes them.
    refuses: Option<fn(&[DataType]) -> bool>,
    returns: Returns,
    evaluate: Evaluate,
}

impl Body {
    /// An overload for arguments of `kinds`.
    pub fn new(
        kinds: Vec<Kind>,
        returns: impl Fn(&Planned) -> Result<DataType> + Send + Sync + 'static,
        evaluate: impl Fn(&Call) -> Result<ArrayRef> + Send + Sync + 'static,
    ) -> Self {
        Self {
            kinds,
            rest: None,
            refuses: None,
            returns: Box::new(returns),
            evaluate: Box::new(evaluate),
        }
    }

    /// The same with any number of further arguments.
    pub fn and_more(mut self, kind: Kind) -> Self {
        self.rest = Some(kind);
        self
    }

    /// The same for all but some types.
    pub fn unless(mut self, refuses: fn(&[DataType]) -> bool) -> Self {
        self.refuses = Some(refuses);
        self
    }

    fn accept(&self, types: &[DataType]) -> Option<Vec<DataType>> {
        if self.refuses.is_some_and(|refuses| refuses(types)) {
            return None;
        }
        let fits = match self.rest {
            None => types.len() == self.kinds.len(),
            Some(_) => types.len() >= self.kinds.len(),
        };
        if !fits {
            return None;
        }
        let kinds: Vec<Kind> = (0..types.len())
            .filter_map(|index| self.kinds.get(index).copied().or(self.rest))
            .collect();
        let accepted = kinds.iter().zip(types).map(|(kind, of)| kind.accept(of));
        let mut accepted = accepted.collect::<Option<Vec<_>>>()?;
        let mut common: Option<DataType> = None;
        for (kind, of) in kinds.iter().zip(&accepted) {
            if *kind == Kind::Common {
                common = Some(match common {
                    None => of.clone(),
                    Some(before) => type_union_coercion(&before, of)?,
                });
            }
        }
        if let Some(common) = common {
            for (kind, of) in kinds.iter().zip(&mut accepted) {
                if *kind == Kind::Common {
                    *of = common.clone();
                }
            }
        }
        Some(accepted)
    }
}

/// An overload whose body computes one row of the result from one row of the arguments. A NULL gives NULL,
/// except in arguments that are `Maybe`. What is prepared once for all rows stands before the arguments.
#[macro_export]
macro_rules! rows {
    (|| -> $out:ty $body:block) => {
        $crate::rows!(let mut _nothing = (); | | -> $out $body)
    };
    (|$($name:ident : $kind:ty),*| -> $out:ty $body:block) => {
        $crate::rows!(let mut _nothing = (); |$($name : $kind),*| -> $out $body)
    };
    (let mut $prepared:ident $(: $of:ty)? = $initial:expr;
        |$($name:ident : $kind:ty),*| -> $out:ty $body:block) => {
        $crate::scalar::Body::new(
            vec![$(<$kind as $crate::value::Argument>::KIND),*],
            |_| Ok(<$out as $crate::value::Output>::data_type()),
            #[allow(unused_mut, unused_variables, unused_assignments, redundant_semicolons)]
            move |call: &$crate::scalar::Call| {
                let mut $prepared $(: $of)? = $initial;
                let mut index = 0;
                $(
                    let $name = <$kind as $crate::value::Argument>::open(call.array(index)?)?;
                    index += 1;
                )*
                let mut results = Vec::with_capacity(call.rows);
                for row in 0..call.rows {
                    let mut compute = || -> Option<
                        datafusion::error::Result<Option<<$out as $crate::value::Output>::Item>>
                    > {
                        $(let $name = <$kind as $crate::value::Argument>::at(&$name, row)?;)*
                        let mut compute = || $body;
                        Some(compute())
                    };
                    results.push(compute().transpose()?.flatten());
                }
                Ok(<$out as $crate::value::Output>::collect(results))
            },
        )
    };
}

/// How a call may be put in other words.
pub type Rewrite = fn(&[DataType], &[Expr]) -> Option<Expr>;

/// A function.
pub struct Function {
    internal: String,
    bodies: Vec<Body>,
    rewrite: Option<Rewrite>,
    signature: Signature,
    aliases: Vec<String>,
    documentation: Documentation,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.internal)
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.internal == other.internal
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.internal.hash(state);
    }
}

impl Function {
    fn accept(&self, types: &[DataType]) -> Result<(&Body, Vec<DataType>)> {
        for body in &self.bodies {
            if let Some(accepted) = body.accept(types) {
                return Ok((body, accepted));
            }
        }
        let types: Vec<String> = types.iter().map(sql_name).collect();
        plan_err!(
            "{} does not take ({}); it is called as {}",
            self.documentation_name(),
            types.join(", "),
            self.documentation.syntax_example
        )
    }

    fn documentation_name(&self) -> &str {
        let syntax = &self.documentation.syntax_example;
        syntax.split('(').next().unwrap_or(syntax)
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        &self.internal
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let (body, types) = self.accept(types)?;
        (body.returns)(&Planned {
            types: &types,
            constants: &[],
        })
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<DataType> = args
            .arg_fields
            .iter()
            .map(|field| field.data_type().clone())
            .collect();
        let (body, types) = self.accept(&types)?;
        let data_type = (body.returns)(&Planned {
            types: &types,
            constants: args.scalar_arguments,
        })?;
        Ok(Arc::new(datafusion::arrow::datatypes::Field::new(
            self.name(),
            data_type,
            true,
        )))
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(self.accept(types)?.1)
    }

    fn simplify(&self, args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        if let Some(rewrite) = self.rewrite {
            let types: Result<Vec<DataType>> =
                args.iter().map(|arg| context.get_data_type(arg)).collect();
            if let Some(expression) = rewrite(&types?, &args) {
                return Ok(ExprSimplifyResult::Simplified(expression));
            }
        }
        Ok(ExprSimplifyResult::Original(args))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        // A call with constants alone is computed once.
        let is_volatile = self.signature.volatility == Volatility::Volatile;
        let is_constant = !is_volatile
            && args
                .args
                .iter()
                .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = match is_constant {
            true => 1,
            false => args.number_rows,
        };
        let types: Vec<DataType> = args.args.iter().map(ColumnarValue::data_type).collect();
        let (body, _) = self.accept(&types)?;
        let arrays = args.args.into_iter().map(|arg| arg.into_array(rows));
        let call = Call {
            arrays: arrays.collect::<Result<_>>()?,
            rows,
            return_type: args.return_field.data_type().clone(),
        };
        let result = (body.evaluate)(&call)?;
        match is_constant {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(
                &result, 0,
            )?)),
            false => Ok(ColumnarValue::Array(result)),
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}

/// A function that is being described.
pub struct Scalar {
    name: &'static str,
    aliases: Vec<&'static str>,
    family: Family,
    syntax: &'static str,
    text: &'static str,
    examples: Vec<Example>,
    bodies: Vec<Body>,
    rewrite: Option<Rewrite>,
    volatility: Volatility,
}

/// Describes a function that is called as `syntax`, `name(a, b)`, and does what `text` says.
pub fn scalar(syntax: &'static str, text: &'static str) -> Scalar {
    Scalar {
        name: syntax.split('(').next().unwrap_or(syntax),
        aliases: Vec::new(),
        family: Family::Both,
        syntax,
        text,
        examples: Vec::new(),
        bodies: Vec::new(),
        rewrite: None,
        volatility: Volatility::Immutable,
    }
}

impl Scalar {
    /// It has this meaning in Hive's family alone: the other has another.
    pub fn hive(mut self) -> Self {
        self.family = Family::Hive;
        self
    }

    /// Other names for it.
    pub fn aliases(mut self, names: &[&'static str]) -> Self {
        self.aliases.extend(names);
        self
    }

    /// An expression and the text of its value.
    pub fn example(mut self, sql: &'static str, value: &'static str) -> Self {
        self.examples.push(Example { sql, value });
        self
    }

    /// An overload. Those that come first are tried first.
    pub fn body(mut self, body: Body) -> Self {
        self.bodies.push(body);
        self
    }

    /// How the optimizer may put a call in other words, whose value has the same type.
    pub fn rewritten(mut self, rewrite: Rewrite) -> Self {
        self.rewrite = Some(rewrite);
        self
    }

    /// Each row has another value, whatever its arguments.
    pub fn volatile(mut self) -> Self {
        self.volatility = Volatility::Volatile;
        self
    }
}

impl From<Scalar> for Entry {
    fn from(described: Scalar) -> Self {
        let internal = described.family.internal_name(described.name);
        let aliases: Vec<String> = match described.family {
            Family::Both => described.aliases.iter().map(|a| (*a).to_owned()).collect(),
            // Only sessions of this family know it by other names than its own.
            Family::Hive => Vec::new(),
        };
        let documentation =
            Documentation::builder(DocSection::default(), described.text, described.syntax).build();
        let function = Function {
            internal,
            bodies: described.bodies,
            rewrite: described.rewrite,
            signature: Signature::user_defined(described.volatility),
            aliases,
            documentation,
        };
        Entry {
            name: described.name,
            aliases: described.aliases,
            family: described.family,
            syntax: described.syntax.to_owned(),
            text: described.text.to_owned(),
            examples: described.examples,
            implementation: Implementation::Scalar(Arc::new(ScalarUDF::from(function))),
        }
    }
}
