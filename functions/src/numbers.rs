//! Functions of numbers.

use crate::registry::Functions;
use crate::rows;
use crate::scalar::{Body, scalar};
use crate::value::{Argument, Double, Int, Kind, Long, Output, Text};
use datafusion::arrow::array::{Array, ArrayRef, new_null_array};
use datafusion::arrow::compute::kernels::numeric;
use datafusion::arrow::compute::{cast, concat};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::error::ArrowError;
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::Operator;
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use rand::{Rng, SeedableRng};
use std::sync::Arc;

/// Adds them.
pub(crate) fn add(functions: &mut Functions) {
    add_doubles(functions);
    add_rounding(functions);
    add_integers(functions);
    add_tried(functions);
    add_random(functions);
}

fn add_doubles(functions: &mut Functions) {
    add_of_one_double(functions);
    functions.add(
        scalar("hypot(a, b)", "The square root of a² + b².")
            .example("hypot(3, 4)", "5.0")
            .body(rows!(|a: Double, b: Double| -> Double {
                Ok(Some(a.hypot(b)))
            })),
    );
    functions.add(
        scalar("e()", "Euler's number.")
            .example("round(e(), 4)", "2.7183")
            .body(rows!(|| -> Double { Ok(Some(std::f64::consts::E)) })),
    );
    functions.add(
        scalar(
            "width_bucket(value, from, to, count)",
            "Which of count buckets of equal width between from and to a value is in; 0 or count + 1 where it \
             is outside.",
        )
        .example("width_bucket(5.3, 0.2, 10.6, 5)", "3")
        .body(rows!(|value: Double, from: Double, to: Double, count: Long| -> Long {
            if count <= 0 || from == to || !from.is_finite() || !to.is_finite() || value.is_nan() {
                return Ok(None);
            }
            let part = (value - from) / (to - from);
            Ok(Some(match part {
                part if part < 0.0 => 0,
                part if part >= 1.0 => count.saturating_add(1),
                part => (part * count as f64).floor() as i64 + 1,
            }))
        })),
    );
}

fn add_of_one_double(functions: &mut Functions) {
    type Described = (
        &'static str,
        &'static str,
        fn(f64) -> f64,
        (&'static str, &'static str),
    );
    let described: [Described; 6] = [
        (
            "expm1(x)",
            "exp(x) - 1, exact for small x.",
            f64::exp_m1,
            ("expm1(0)", "0.0"),
        ),
        (
            "log1p(x)",
            "ln(1 + x), exact for small x.",
            f64::ln_1p,
            ("log1p(0)", "0.0"),
        ),
        (
            "csc(x)",
            "The cosecant: 1 / sin(x).",
            |x| 1.0 / x.sin(),
            ("round(csc(1), 4)", "1.1884"),
        ),
        (
            "sec(x)",
            "The secant: 1 / cos(x).",
            |x| 1.0 / x.cos(),
            ("sec(0)", "1.0"),
        ),
        (
            "rint(x)",
            "The nearest whole number; of two, the even one.",
            f64::round_ties_even,
            ("rint(12.3456)", "12.0"),
        ),
        (
            "sign(x)",
            "-1.0, 0.0 or 1.0, for what is below 0, 0, or above.",
            |x| {
                if x == 0.0 || x.is_nan() {
                    x
                } else {
                    x.signum()
                }
            },
            ("sign(40)", "1.0"),
        ),
    ];
    for (syntax, text, compute, (sql, value)) in described {
        functions.add(
            scalar(syntax, text)
                .example(sql, value)
                .body(rows!(|x: Double| -> Double { Ok(Some(compute(x))) })),
        );
    }
}

/// A number rounded at a digit.
fn at_digit(number: f64, digits: i64, round: fn(f64) -> f64) -> f64 {
    let power = 10_f64.powi(digits.unsigned_abs().min(300) as i32);
    let rounded = match digits < 0 {
        true => round(number / power) * power,
        false => round(number * power) / power,
    };
    if rounded.is_finite() { rounded } else { number }
}

/// Half to even, of the number as it is written in decimal digits.
fn half_even(number: f64, digits: i64) -> f64 {
    match usize::try_from(digits) {
        Ok(digits) => {
            // Whether it lies in the middle is seen in its shortest decimal digits.
            let text = format!("{number:?}");
            let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
            let is_middle = fraction.len() == digits + 1 && fraction.ends_with('5');
            match is_middle {
                true => at_digit(number, digits as i64, f64::round_ties_even),
                false => format!("{number:.digits$}").parse().unwrap_or(number),
            }
        }
        Err(_) => at_digit(number, digits, f64::round_ties_even),
    }
}

fn whole(syntax: &'static str, text: &'static str, round: fn(f64) -> f64) -> crate::scalar::Scalar {
    let is_whole = |data_type: &DataType| data_type.is_integer();
    scalar(syntax, text)
        .hive()
        .body(Body::new(
            vec![Kind::Number],
            move |planned| match planned.data_type(0) {
                DataType::Decimal128(precision, scale) if scale > 0 => {
                    let digits = (i16::from(precision) - i16::from(scale) + 1).clamp(1, 38);
                    Ok(DataType::Decimal128(digits as u8, 0))
                }
                of if is_whole(&of) || of.is_decimal() => Ok(of),
                _ => Ok(DataType::Int64),
            },
            move |call| {
                let number = call.array(0)?;
                match number.data_type() {
                    of if is_whole(of) => Ok(Arc::clone(number)),
                    DataType::Decimal128(_, scale) => decimal_whole(call, *scale, round),
                    _ => {
                        let numbers = Double::open(number)?;
                        let rounded = (0..call.rows)
                            .map(|row| Double::at(&numbers, row).map(|x| round(x) as i64));
                        Ok(<Long as Output>::collect(rounded.collect()))
                    }
                }
            },
        ))
        .body(rows!(|number: Double, digits: Long| -> Double {
            Ok(Some(at_digit(number, digits, round)))
        }))
}

fn decimal_whole(call: &crate::scalar::Call, scale: i8, round: fn(f64) -> f64) -> Result<ArrayRef> {
    use datafusion::arrow::array::AsArray;
    use datafusion::arrow::datatypes::Decimal128Type;
    let DataType::Decimal128(precision, 0) = call.return_type else {
        return Ok(Arc::clone(call.array(0)?));
    };
    let one = 10_i128.pow(u32::try_from(scale.clamp(0, 38)).unwrap_or(0));
    let is_up = round(0.5) > 0.5;
    let numbers = call.array(0)?.as_primitive::<Decimal128Type>();
    let rounded: datafusion::arrow::array::Decimal128Array = numbers.unary(|number| {
        let floor = number.div_euclid(one);
        floor + i128::from(is_up && number.rem_euclid(one) != 0)
    });
    Ok(Arc::new(rounded.with_precision_and_scale(precision, 0)?))
}

fn add_rounding(functions: &mut Functions) {
    functions.add(
        scalar(
            "bround(number[, digits])",
            "The number rounded to so many digits; of two that are as near, to the one that is even.",
        )
        .example("bround(2.5, 0)", "2.0")
        .example("bround(25, -1)", "20")
        .body(Body::new(
            vec![Kind::Number],
            |planned| Ok(planned.data_type(0)),
            |call| bround(call.array(0)?, None),
        ))
        .body(Body::new(
            vec![Kind::Number, Kind::Long],
            |planned| Ok(planned.data_type(0)),
            |call| bround(call.array(0)?, Some(call.array(1)?)),
        )),
    );
    functions.add(
        whole(
            "ceil(number[, digits])",
            "The least whole number that is not below a number, or the same at a digit.",
            f64::ceil,
        )
        .aliases(&["ceiling"])
        .example("ceil(-0.1)", "0"),
    );
    functions.add(
        whole(
            "floor(number[, digits])",
            "The greatest whole number that is not above a number, or the same at a digit.",
            f64::floor,
        )
        .example("floor(-0.1)", "-1"),
    );
}

fn bround(number: &ArrayRef, digits: Option<&ArrayRef>) -> Result<ArrayRef> {
    let numbers = Double::open(number)?;
    let digits = digits.map(Long::open).transpose()?;
    let is_integer = number.data_type().is_integer();
    let rounded = (0..number.len()).map(|row| {
        let digits = match &digits {
            None => 0,
            Some(digits) => Long::at(digits, row)?,
        };
        let number = Double::at(&numbers, row)?;
        Some(match is_integer && digits >= 0 {
            true => number,
            false => half_even(number, digits),
        })
    });
    let rounded = <Double as Output>::collect(rounded.collect());
    Ok(cast(&rounded, number.data_type())?)
}

fn add_integers(functions: &mut Functions) {
    functions.add(
        scalar("factorial(n)", "n!, for n of 0 to 20; NULL for others.")
            .hive()
            .example("factorial(5)", "120")
            .body(rows!(|n: Long| -> Long {
                Ok((0..=20).contains(&n).then(|| (1..=n).product()))
            })),
    );
    add_bits(functions);
    add_signs(functions);
    add_remainders(functions);
}

fn add_bits(functions: &mut Functions) {
    functions.add(
        scalar(
            "bit_count(number)",
            "How many bits of a whole number are 1.",
        )
        .example("bit_count(7)", "3")
        .body(rows!(|number: Long| -> Int {
            Ok(Some(number.count_ones() as i32))
        })),
    );
    functions.add(
        scalar(
            "bit_get(number, position)",
            "The bit at a position, counted from 0 at the right.",
        )
        .aliases(&["getbit"])
        .example("bit_get(11, 2)", "0")
        .body(rows!(|number: Long, position: Long| -> Int {
            match (0..64).contains(&position) {
                true => Ok(Some(((number >> position) & 1) as i32)),
                false => exec_err!("there is no bit {position} in a bigint"),
            }
        })),
    );
    functions.add(
        scalar(
            "shiftleft(number, bits)",
            "The number with its bits moved to the left.",
        )
        .example("shiftleft(2, 1)", "4")
        .body(rows!(|number: Long, bits: Long| -> Long {
            Ok(Some(number.wrapping_shl(bits as u32)))
        })),
    );
    functions.add(
        scalar(
            "shiftright(number, bits)",
            "The number with its bits moved to the right, and its sign kept.",
        )
        .example("shiftright(4, 1)", "2")
        .body(rows!(|number: Long, bits: Long| -> Long {
            Ok(Some(number.wrapping_shr(bits as u32)))
        })),
    );
    functions.add(
        scalar(
            "shiftrightunsigned(number, bits)",
            "The number with its bits moved to the right, and zeros put in.",
        )
        .example("shiftrightunsigned(4, 1)", "2")
        .body(rows!(|number: Long, bits: Long| -> Long {
            Ok(Some((number as u64).wrapping_shr(bits as u32) as i64))
        })),
    );
}

fn add_signs(functions: &mut Functions) {
    functions.add(
        scalar("positive(number)", "The number itself.")
            .example("positive(-1)", "-1")
            .body(Body::new(
                vec![Kind::Any],
                |planned| Ok(planned.data_type(0)),
                |call| Ok(Arc::clone(call.array(0)?)),
            )),
    );
    functions.add(
        scalar("negative(number)", "The number with the other sign.")
            .example("negative(1)", "-1")
            .body(Body::new(
                vec![Kind::Any],
                |planned| Ok(planned.data_type(0)),
                |call| Ok(numeric::neg(call.array(0)?)?),
            )),
    );
}

fn add_remainders(functions: &mut Functions) {
    functions.add(
        scalar(
            "pmod(a, b)",
            "The remainder of a / b, which is never negative where b is positive.",
        )
        .example("pmod(-10, 3)", "2")
        .body(binary(Operator::Modulo, |a, b| {
            let rest = numeric::rem(&a, &b)?;
            let moved = numeric::add_wrapping(&rest, &b)?;
            let positive = numeric::rem(&moved, &b)?;
            let negative = datafusion::arrow::compute::kernels::cmp::lt(
                &rest,
                &datafusion::scalar::ScalarValue::new_zero(rest.data_type())
                    .and_then(|zero| zero.to_scalar())
                    .map_err(|error| ArrowError::ComputeError(error.to_string()))?,
            )?;
            datafusion::arrow::compute::kernels::zip::zip(&negative, &positive, &rest)
        })),
    );
    functions.add(
        scalar("mod(a, b)", "The remainder of a / b, with the sign of a.")
            .example("mod(2, 1.5)", "0.5")
            .body(binary(Operator::Modulo, |a, b| numeric::rem(&a, &b))),
    );
}

type Kernel = fn(ArrayRef, ArrayRef) -> std::result::Result<ArrayRef, ArrowError>;

/// The common types of two operands and their result.
fn planned_types(types: &[DataType], operator: Operator) -> Result<(DataType, DataType, DataType)> {
    let [left, right] = types else {
        return plan_err!("it takes two arguments");
    };
    let coercer = BinaryTypeCoercer::new(left, &operator, right);
    let (left, right) = coercer.get_input_types()?;
    let result = BinaryTypeCoercer::new(&left, &operator, &right).get_result_type()?;
    Ok((left, right, result))
}

fn binary(operator: Operator, kernel: Kernel) -> Body {
    Body::new(
        vec![Kind::Number, Kind::Number],
        move |planned| Ok(planned_types(planned.types, operator)?.2),
        move |call| {
            let (a, b) = (call.array(0)?, call.array(1)?);
            let types = [a.data_type().clone(), b.data_type().clone()];
            let (left, right, result) = planned_types(&types, operator)?;
            let computed = kernel(cast(a, &left)?, cast(b, &right)?)?;
            Ok(cast(&computed, &result)?)
        },
    )
}

/// An operation whose errors are NULL.
fn tried(operator: Operator, kernel: Kernel) -> Body {
    let is_divide = operator == Operator::Divide;
    // Whole numbers are divided as doubles.
    let operands = move |types: &[DataType]| -> Vec<DataType> {
        let is_whole = is_divide && types.iter().all(|of| of.is_integer() || of.is_null());
        match is_whole {
            true => vec![DataType::Float64; types.len()],
            false => types.to_vec(),
        }
    };
    Body::new(
        vec![Kind::Any, Kind::Any],
        move |planned| Ok(planned_types(&operands(planned.types), operator)?.2),
        move |call| {
            let types: Vec<DataType> = call.arrays.iter().map(|a| a.data_type().clone()).collect();
            let operands = operands(&types);
            let (left, right, result) = planned_types(&operands, operator)?;
            let mut arrays = Vec::new();
            for (index, to) in [left, right].iter().enumerate() {
                let given = call.array(index)?;
                let first = operands.get(index).unwrap_or(to);
                arrays.push(cast(&cast(given, first)?, to)?);
            }
            let [a, b] = arrays.as_slice() else {
                return exec_err!("it takes two arguments");
            };
            let has_zero = matches!(operator, Operator::Divide | Operator::Modulo);
            let compute = |a: ArrayRef, b: ArrayRef| -> Result<ArrayRef> {
                Ok(cast(&kernel(a, b)?, &result)?)
            };
            if !has_zero && let Ok(all) = compute(Arc::clone(a), Arc::clone(b)) {
                return Ok(all);
            }
            let divisors = match has_zero {
                true => Some(Double::open(b)?),
                false => None,
            };
            let rows = (0..call.rows).map(|row| {
                let is_zero = divisors
                    .as_ref()
                    .is_some_and(|divisors| Double::at(divisors, row) == Some(0.0));
                let computed = match is_zero {
                    true => None,
                    false => compute(a.slice(row, 1), b.slice(row, 1)).ok(),
                };
                computed.unwrap_or_else(|| new_null_array(&result, 1))
            });
            let rows: Vec<ArrayRef> = rows.collect();
            if rows.is_empty() {
                return Ok(new_null_array(&result, 0));
            }
            let rows: Vec<&dyn Array> = rows.iter().map(AsRef::as_ref).collect();
            Ok(concat(&rows)?)
        },
    )
}

fn add_tried(functions: &mut Functions) {
    functions.add(
        scalar(
            "try_add(a, b)",
            "The sum, or NULL where it is beyond its type.",
        )
        .example("try_add(9223372036854775807, 1)", "NULL")
        .body(tried(Operator::Plus, |a, b| numeric::add(&a, &b))),
    );
    functions.add(
        scalar(
            "try_subtract(a, b)",
            "The difference, or NULL where it is beyond its type.",
        )
        .example("try_subtract(2, 1)", "1")
        .body(tried(Operator::Minus, |a, b| numeric::sub(&a, &b))),
    );
    functions.add(
        scalar(
            "try_multiply(a, b)",
            "The product, or NULL where it is beyond its type.",
        )
        .example("try_multiply(2, 3)", "6")
        .body(tried(Operator::Multiply, |a, b| numeric::mul(&a, &b))),
    );
    functions.add(
        scalar(
            "try_divide(a, b)",
            "The quotient, a double for whole numbers, or NULL for a divisor of 0.",
        )
        .example("try_divide(3, 2)", "1.5")
        .example("try_divide(1, 0)", "NULL")
        .body(tried(Operator::Divide, |a, b| numeric::div(&a, &b))),
    );
    functions.add(
        scalar(
            "try_mod(a, b)",
            "The remainder, or NULL for a divisor of 0.",
        )
        .example("try_mod(3, 2)", "1")
        .example("try_mod(1, 0)", "NULL")
        .body(tried(Operator::Modulo, |a, b| numeric::rem(&a, &b))),
    );
}

/// Random numbers, the same for the same seed.
fn random(arguments: usize, next: fn(&mut rand::rngs::StdRng) -> f64) -> Body {
    Body::new(
        vec![Kind::Long; arguments],
        |_| Ok(DataType::Float64),
        move |call| {
            let seed = match call.arrays.first() {
                None => None,
                Some(seeds) => Some(Long::at(&Long::open(seeds)?, 0).unwrap_or(0) as u64),
            };
            let mut generator = match seed {
                Some(seed) => rand::rngs::StdRng::seed_from_u64(seed),
                None => rand::rngs::StdRng::from_os_rng(),
            };
            let numbers = (0..call.rows).map(|_| Some(next(&mut generator)));
            Ok(<Double as Output>::collect(numbers.collect()))
        },
    )
}

/// By Box and Muller.
fn normal(generator: &mut rand::rngs::StdRng) -> f64 {
    let (first, second): (f64, f64) = (generator.random(), generator.random());
    (-2.0 * (1.0 - first).ln()).sqrt() * (std::f64::consts::TAU * second).cos()
}

fn add_random(functions: &mut Functions) {
    functions.add(
        scalar(
            "rand([seed])",
            "Random numbers of 0 up to 1, spread evenly.",
        )
        .volatile()
        .body(random(0, |generator| generator.random()))
        .body(random(1, |generator| generator.random())),
    );
    functions.add(
        scalar(
            "randn([seed])",
            "Random numbers of the standard normal distribution.",
        )
        .volatile()
        .body(random(0, normal))
        .body(random(1, normal)),
    );
    functions.add(
        scalar(
            "uniform(min, max[, seed])",
            "Random numbers between two, spread evenly.",
        )
        .volatile()
        .body(rows!(let mut generator = rand::rngs::StdRng::from_os_rng();
        |min: Double, max: Double| -> Double {
            Ok(Some(min + (max - min) * generator.random::<f64>()))
        }))
        .body(rows!(let mut generator: Option<rand::rngs::StdRng> = None;
        |min: Double, max: Double, seed: Long| -> Double {
            let generator = generator
                .get_or_insert_with(|| rand::rngs::StdRng::seed_from_u64(seed as u64));
            Ok(Some(min + (max - min) * generator.random::<f64>()))
        })),
    );
    functions.add(
        scalar("randstr(length[, seed])", "Random letters and digits.")
            .volatile()
            .body(rows!(let mut generator = rand::rngs::StdRng::from_os_rng();
                |length: Long| -> Text { Ok(Some(letters(&mut generator, length))) }))
            .body(rows!(let mut generator: Option<rand::rngs::StdRng> = None;
            |length: Long, seed: Long| -> Text {
                let generator = generator
                    .get_or_insert_with(|| rand::rngs::StdRng::seed_from_u64(seed as u64));
                Ok(Some(letters(generator, length)))
            })),
    );
}

fn letters(generator: &mut rand::rngs::StdRng, length: i64) -> String {
    let length = usize::try_from(length).unwrap_or(0).min(1 << 20);
    let letters = generator.sample_iter(rand::distr::Alphanumeric);
    letters.take(length).map(char::from).collect()
}
