//! Which part of the rows a condition keeps.

use super::profile::ColumnProfile;
use super::values::number;
use datafusion::common::{Column, DFSchema};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Like, Operator};
use datafusion::scalar::ScalarValue;
use std::collections::BTreeMap;

/// The part of rows that an equality keeps of which nothing is known.
pub const EQUALITY_SELECTIVITY: f64 = 0.1;
/// The same of an inequality such as `a < b`.
const RANGE_SELECTIVITY: f64 = 0.33;
/// The same of a pattern: `LIKE 'a%'`, `LIKE '%a%'`.
const PREFIX_SELECTIVITY: f64 = 0.05;
const PATTERN_SELECTIVITY: f64 = 0.1;
/// The same of anything else.
const OTHER_SELECTIVITY: f64 = 0.33;
/// No condition is taken to keep less.
const SELECTIVITY_MIN: f64 = 1e-9;

/// How many of several conditions are taken as independent, each next one with half the weight.
const INDEPENDENT_MAX: usize = 4;

/// The part that several conditions keep together (exponential backoff, the most selective first).
pub fn backed_off(selectivities: &mut [f64]) -> f64 {
    selectivities.sort_by(f64::total_cmp);
    let weighted = selectivities.iter().take(INDEPENDENT_MAX).zip(0..);
    let product: f64 = weighted
        .map(|(selectivity, power)| selectivity.powf(0.5_f64.powi(power)))
        .product();
    product.clamp(SELECTIVITY_MIN, 1.0)
}

/// The columns that conditions are about.
pub struct Columns<'c> {
    /// Their names.
    pub schema: &'c DFSchema,
    /// What is known of them, in the same order.
    pub profiles: &'c [ColumnProfile],
}

impl Columns<'_> {
    fn index(&self, column: &Column) -> Option<usize> {
        let index = self.schema.maybe_index_of_column(column)?;
        (index < self.profiles.len()).then_some(index)
    }

    fn profile(&self, expression: &Expr) -> Option<&ColumnProfile> {
        let index = self.index(column(expression)?)?;
        self.profiles.get(index)
    }
}

/// What conditions that begin and end somewhere leave of one column.
#[derive(Clone, Copy, Debug)]
struct Range {
    low: f64,
    high: f64,
    /// How many ends are known.
    ends: i32,
    /// How many ends have no place within the bounds.
    unknown_ends: i32,
}

/// The part of rows that a condition keeps; `columns` become those of what is left.
pub fn filtered(predicate: &Expr, schema: &DFSchema, columns: &mut [ColumnProfile]) -> f64 {
    let mut parts = Vec::new();
    let mut ranges: BTreeMap<usize, Range> = BTreeMap::new();
    let mut counts: BTreeMap<usize, f64> = BTreeMap::new();
    let known = Columns {
        schema,
        profiles: columns,
    };
    for condition in split_conjunction(predicate) {
        if note_range(condition, &known, &mut ranges) {
            continue;
        }
        if let Some((index, count)) = value_count(condition, &known) {
            let least = counts.entry(index).or_insert(count);
            *least = least.min(count);
            continue;
        }
        parts.push(part(condition, &known));
    }
    for (index, count) in counts {
        let profile = &mut columns[index];
        let kept = (count / profile.distinct).min(1.0) * (1.0 - profile.null_fraction);
        parts.push(kept);
        profile.at_most(count);
        ranges.remove(&index);
    }
    for (index, range) in ranges {
        let profile = &mut columns[index];
        let filled = 1.0 - profile.null_fraction;
        let unknown = RANGE_SELECTIVITY.powi(range.unknown_ends.min(2));
        match profile.bounds {
            Some(_) => {
                let bounds = (range.low, range.high);
                parts.push(profile.part_within(bounds) * filled * unknown);
                profile.within(bounds);
            }
            None => {
                let ends = (range.ends + range.unknown_ends).min(2);
                let kept = RANGE_SELECTIVITY.powi(ends);
                parts.push(kept * filled);
                profile.distinct = (profile.distinct * kept).max(1.0);
            }
        }
    }
    backed_off(&mut parts)
}

/// The part of rows that a condition keeps.
pub fn selectivity(predicate: &Expr, schema: &DFSchema, profiles: &[ColumnProfile]) -> f64 {
    let mut columns = profiles.to_vec();
    filtered(predicate, schema, &mut columns)
}

fn note_range(
    condition: &Expr,
    columns: &Columns<'_>,
    ranges: &mut BTreeMap<usize, Range>,
) -> bool {
    let mut note = |expression: &Expr, ends: &[(bool, &ScalarValue)]| {
        let Some(index) = column(expression).and_then(|column| columns.index(column)) else {
            return false;
        };
        let range = ranges.entry(index).or_insert(Range {
            low: f64::NEG_INFINITY,
            high: f64::INFINITY,
            ends: 0,
            unknown_ends: 0,
        });
        for (is_low, value) in ends {
            match (number(value), is_low) {
                (Some(value), true) => range.low = range.low.max(value),
                (Some(value), false) => range.high = range.high.min(value),
                (None, _) => {
                    range.unknown_ends += 1;
                    continue;
                }
            }
            range.ends += 1;
        }
        true
    };
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (expression, op, value) = match (literal(left), literal(right)) {
                (None, Some(value)) => (left, *op, value),
                (Some(value), None) => match op.swap() {
                    Some(op) => (right, op, value),
                    None => return false,
                },
                _ => return false,
            };
            match op {
                Operator::Lt | Operator::LtEq => note(expression, &[(false, value)]),
                Operator::Gt | Operator::GtEq => note(expression, &[(true, value)]),
                _ => false,
            }
        }
        Expr::Between(Between {
            expr,
            negated: false,
            low,
            high,
        }) => match (literal(low), literal(high)) {
            (Some(low), Some(high)) => note(expr, &[(true, low), (false, high)]),
            _ => false,
        },
        _ => false,
    }
}

/// The column of a condition that admits some values, and how many.
fn value_count(condition: &Expr, columns: &Columns<'_>) -> Option<(usize, f64)> {
    let index = |expression: &Expr| columns.index(column(expression)?);
    match condition {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Eq,
            right,
        }) => match (literal(left), literal(right)) {
            (None, Some(_)) => Some((index(left)?, 1.0)),
            (Some(_), None) => Some((index(right)?, 1.0)),
            _ => None,
        },
        Expr::InList(InList {
            expr,
            list,
            negated: false,
        }) => Some((index(expr)?, list.len() as f64)),
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Or,
            right,
        }) => {
            // What DataFusion makes of a short IN.
            let (one, other) = (value_count(left, columns)?, value_count(right, columns)?);
            (one.0 == other.0).then_some((one.0, one.1 + other.1))
        }
        _ => None,
    }
}

/// The part of rows that a condition on its own keeps.
fn part(condition: &Expr, columns: &Columns<'_>) -> f64 {
    match condition {
        Expr::Literal(ScalarValue::Boolean(value), _) => match value {
            Some(true) => 1.0,
            _ => SELECTIVITY_MIN,
        },
        Expr::Not(inner) => 1.0 - of(inner, columns),
        Expr::IsNull(inner) => columns
            .profile(inner)
            .map_or(EQUALITY_SELECTIVITY, |profile| {
                profile.null_fraction.max(SELECTIVITY_MIN)
            }),
        Expr::IsNotNull(inner) => columns
            .profile(inner)
            .map_or(1.0, |profile| 1.0 - profile.null_fraction),
        Expr::Like(like) => of_pattern(like, columns),
        Expr::InList(InList {
            expr,
            list,
            negated,
        }) => {
            let distinct = columns
                .profile(expr)
                .map_or(10.0, |profile| profile.distinct);
            let kept = (list.len() as f64 / distinct).min(0.9);
            if *negated { 1.0 - kept } else { kept }
        }
        Expr::BinaryExpr(binary) => of_comparison(binary, columns),
        Expr::Alias(alias) => part(&alias.expr, columns),
        _ => OTHER_SELECTIVITY,
    }
}

fn of(condition: &Expr, columns: &Columns<'_>) -> f64 {
    selectivity(condition, columns.schema, columns.profiles)
}

fn of_comparison(binary: &BinaryExpr, columns: &Columns<'_>) -> f64 {
    let BinaryExpr { left, op, right } = binary;
    let distinct = || {
        let of = |side: &Expr| columns.profile(side).map(|profile| profile.distinct);
        match (of(left), of(right)) {
            (Some(one), Some(other)) => Some(one.max(other)),
            (one, other) => one.or(other),
        }
    };
    match op {
        Operator::Or => 1.0 - (1.0 - of(left, columns)) * (1.0 - of(right, columns)),
        Operator::Eq | Operator::IsNotDistinctFrom => {
            distinct().map_or(EQUALITY_SELECTIVITY, |distinct| 1.0 / distinct.max(1.0))
        }
        Operator::NotEq | Operator::IsDistinctFrom => distinct()
            .map_or(1.0 - EQUALITY_SELECTIVITY, |distinct| {
                1.0 - 1.0 / distinct.max(2.0)
            }),
        Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => RANGE_SELECTIVITY,
        Operator::RegexMatch | Operator::RegexIMatch => PATTERN_SELECTIVITY,
        Operator::RegexNotMatch | Operator::RegexNotIMatch => 1.0 - PATTERN_SELECTIVITY,
        _ => OTHER_SELECTIVITY,
    }
}

fn of_pattern(like: &Like, columns: &Columns<'_>) -> f64 {
    let pattern = literal(&like.pattern).and_then(|value| value.try_as_str().flatten());
    let kept = match pattern {
        Some(pattern) if !pattern.contains(['%', '_']) => columns
            .profile(&like.expr)
            .map_or(EQUALITY_SELECTIVITY, |profile| 1.0 / profile.distinct),
        Some(pattern) if !pattern.starts_with(['%', '_']) => PREFIX_SELECTIVITY,
        _ => PATTERN_SELECTIVITY,
    };
    if like.negated { 1.0 - kept } else { kept }
}

/// The column that an expression is, whatever type it is given.
pub(super) fn column(expression: &Expr) -> Option<&Column> {
    match expression {
        Expr::Column(column) => Some(column),
        Expr::Alias(alias) => column(&alias.expr),
        Expr::Cast(cast) => column(&cast.expr),
        Expr::TryCast(cast) => column(&cast.expr),
        _ => None,
    }
}

fn literal(expression: &Expr) -> Option<&ScalarValue> {
    match expression {
        Expr::Literal(value, _) => Some(value),
        Expr::Alias(alias) => literal(&alias.expr),
        Expr::Cast(cast) => literal(&cast.expr),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
