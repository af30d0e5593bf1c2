//! How lambdas are run: over all items of all rows at once.

use crate::arrays::comparator;
use crate::lists::{Lists, items_at, list_from, list_of};
use crate::maps::{Maps, map_from};
use crate::value::{Argument, Boolean, Long};
use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, UInt64Array};
use datafusion::arrow::compute::{cast, interleave, take_arrays};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::logical_expr::LambdaArgument;
use std::ops::Range;
use std::sync::Arc;

/// The most pairs of items that are compared at once to sort one array.
const PAIRS_MAX: usize = 50_000_000;

/// One call.
pub(super) struct LambdaCall {
    pub(super) values: Vec<ArrayRef>,
    pub(super) lambdas: Vec<LambdaArgument>,
    pub(super) rows: usize,
    pub(super) returned: DataType,
}

/// Items of several rows, one after the other.
struct Flat {
    /// Of which row each is.
    rows: Vec<u64>,
    lengths: Vec<usize>,
    valid: Vec<bool>,
    /// Where each is.
    indices: Vec<Option<usize>>,
    /// Where it is within its row.
    places: Vec<i64>,
}

impl Flat {
    fn of(rows: usize, range: impl Fn(usize) -> Option<Range<usize>>) -> Self {
        let mut flat = Self {
            rows: Vec::new(),
            lengths: Vec::new(),
            valid: Vec::new(),
            indices: Vec::new(),
            places: Vec::new(),
        };
        for row in 0..rows {
            let range = range(row);
            flat.valid.push(range.is_some());
            let range = range.unwrap_or(0..0);
            flat.lengths.push(range.len());
            flat.rows.extend(range.clone().map(|_| row as u64));
            flat.places.extend(0..range.len() as i64);
            flat.indices.extend(range.map(Some));
        }
        flat
    }

    /// The positions of each row's items among all.
    fn ranges(&self) -> Vec<Range<usize>> {
        let mut start = 0;
        let ranges = self.lengths.iter().map(|length| {
            let range = start..start + length;
            start = range.end;
            range
        });
        ranges.collect()
    }
}

fn evaluate(lambda: &LambdaArgument, parameters: &[ArrayRef], rows: Vec<u64>) -> Result<ArrayRef> {
    let count = rows.len();
    let rows = UInt64Array::from(rows);
    let closures: Vec<_> = parameters
        .iter()
        .map(|array| move || -> Result<ArrayRef> { Ok(Arc::clone(array)) })
        .collect();
    let closures: Vec<&dyn Fn() -> Result<ArrayRef>> =
        closures.iter().map(|closure| closure as _).collect();
    let result = lambda.evaluate(&closures, |captured| {
        Ok(take_arrays(captured, &rows, None)?)
    })?;
    result.into_array(count)
}

impl LambdaCall {
    fn value(&self, index: usize) -> Result<&ArrayRef> {
        match self.values.get(index) {
            Some(value) => Ok(value),
            None => exec_err!("argument {} is missing", index + 1),
        }
    }

    fn lambda(&self) -> Result<&LambdaArgument> {
        match self.lambdas.first() {
            Some(lambda) => Ok(lambda),
            None => exec_err!("a lambda is missing"),
        }
    }

    fn field(&self) -> Result<datafusion::arrow::datatypes::FieldRef> {
        match &self.returned {
            DataType::List(field) => Ok(Arc::clone(field)),
            _ => exec_err!("an array is expected"),
        }
    }

    /// What the lambda makes of each item and its place.
    fn over_items(&self) -> Result<(Lists, Flat, ArrayRef)> {
        let lists = Lists::open(self.value(0)?)?;
        let flat = Flat::of(self.rows, |row| lists.at(row));
        let items = items_at(lists.items(), flat.indices.clone())?;
        let places: ArrayRef = Arc::new(Int64Array::from(flat.places.clone()));
        let made = evaluate(self.lambda()?, &[items, places], flat.rows.clone())?;
        Ok((lists, flat, made))
    }

    pub(super) fn transform(&self) -> Result<ArrayRef> {
        let (_, flat, made) = self.over_items()?;
        list_from(made, flat.lengths, flat.valid, self.field()?)
    }

    pub(super) fn filter(&self) -> Result<ArrayRef> {
        let (lists, flat, made) = self.over_items()?;
        let kept = Boolean::open(&made)?;
        let rows = flat
            .ranges()
            .into_iter()
            .zip(&flat.valid)
            .map(|(range, valid)| {
                valid.then(|| {
                    let kept = range.filter(|at| Boolean::at(&kept, *at) == Some(true));
                    kept.map(|at| flat.indices.get(at).copied().flatten())
                        .collect()
                })
            });
        list_of(rows.collect(), lists.items(), lists.field())
    }

    /// Whether the lambda is `wanted` for some item, or, for false, for none.
    pub(super) fn matches(&self, wanted: bool) -> Result<ArrayRef> {
        let (_, flat, made) = self.over_items()?;
        let made = Boolean::open(&made)?;
        let rows = flat
            .ranges()
            .into_iter()
            .zip(&flat.valid)
            .map(|(range, valid)| {
                let (mut is_found, mut is_unknown) = (false, false);
                for at in range {
                    match Boolean::at(&made, at) {
                        Some(value) => is_found |= value == wanted,
                        None => is_unknown = true,
                    }
                }
                match (valid, is_found, is_unknown) {
                    (false, _, _) | (true, false, true) => None,
                    (true, true, _) => Some(wanted),
                    (true, false, false) => Some(!wanted),
                }
            });
        Ok(Arc::new(rows.collect::<BooleanArray>()))
    }

    pub(super) fn aggregate(&self) -> Result<ArrayRef> {
        let lists = Lists::open(self.value(0)?)?;
        let mut kept = Arc::clone(self.value(1)?);
        let lambda = self.lambda()?;
        for step in 0.. {
            let active = (0..self.rows).filter_map(|row| {
                let range = lists.at(row)?;
                (step < range.len()).then_some((row, range.start + step))
            });
            let (rows, items): (Vec<usize>, Vec<usize>) = active.unzip();
            if rows.is_empty() {
                break;
            }
            let before = items_at(&kept, rows.iter().copied().map(Some).collect())?;
            let items = items_at(lists.items(), items.into_iter().map(Some).collect())?;
            let numbers = rows.iter().map(|row| *row as u64).collect();
            let made = evaluate(lambda, &[before, items], numbers)?;
            let made = cast(&made, kept.data_type())?;
            let mut choice: Vec<(usize, usize)> = (0..self.rows).map(|row| (0, row)).collect();
            for (at, row) in rows.into_iter().enumerate() {
                if let Some(chosen) = choice.get_mut(row) {
                    *chosen = (1, at);
                }
            }
            kept = interleave(&[kept.as_ref(), made.as_ref()], &choice)?;
        }
        let known = (0..self.rows).map(|row| lists.at(row).map(|_| row));
        let kept = items_at(&kept, known.collect())?;
        match self.lambdas.get(1) {
            None => Ok(cast(&kept, &self.returned)?),
            Some(finish) => {
                let made = evaluate(finish, &[kept], (0..self.rows as u64).collect())?;
                let known = (0..self.rows).map(|row| lists.at(row).map(|_| row));
                items_at(&made, known.collect())
            }
        }
    }

    pub(super) fn zip_with(&self) -> Result<ArrayRef> {
        let lists = [Lists::open(self.value(0)?)?, Lists::open(self.value(1)?)?];
        let [first, second] = &lists;
        let flat = Flat::of(self.rows, |row| {
            let (first, second) = (first.at(row)?, second.at(row)?);
            Some(0..first.len().max(second.len()))
        });
        let columns = lists.iter().map(|list| {
            let places = flat.rows.iter().zip(&flat.places);
            let indices = places.map(|(row, place)| {
                let range = list.at(*row as usize)?;
                let index = range.start + *place as usize;
                range.contains(&index).then_some(index)
            });
            items_at(list.items(), indices.collect())
        });
        let columns: Vec<ArrayRef> = columns.collect::<Result<_>>()?;
        let made = evaluate(self.lambda()?, &columns, flat.rows.clone())?;
        list_from(made, flat.lengths, flat.valid, self.field()?)
    }

    pub(super) fn sort_by(&self) -> Result<ArrayRef> {
        let lists = Lists::open(self.value(0)?)?;
        let lambda = self.lambda()?;
        let mut sorted = Vec::with_capacity(self.rows);
        for row in 0..self.rows {
            let Some(range) = lists.at(row) else {
                sorted.push(None);
                continue;
            };
            let count = range.len();
            if count.saturating_mul(count) > PAIRS_MAX {
                return exec_err!("an array of {count} items is too long to be sorted by a lambda");
            }
            let pairs = range
                .clone()
                .flat_map(|a| range.clone().map(move |b| (Some(a), Some(b))));
            let (a, b): (Vec<_>, Vec<_>) = pairs.unzip();
            let columns = [items_at(lists.items(), a)?, items_at(lists.items(), b)?];
            let made = evaluate(lambda, &columns, vec![row as u64; count * count])?;
            let orders = Long::open(&made)?;
            // The lambda may contradict itself, which the standard library's sorts do not allow.
            let mut places: Vec<usize> = Vec::with_capacity(count);
            for item in 0..count {
                let mut at = places.len();
                while at > 0 {
                    let before = places.get(at - 1).copied().unwrap_or(0);
                    if Long::at(&orders, before * count + item).unwrap_or(0) <= 0 {
                        break;
                    }
                    at -= 1;
                }
                places.insert(at, item);
            }
            let indices = places.into_iter().map(|place| Some(range.start + place));
            sorted.push(Some(indices.collect()));
        }
        list_of(sorted, lists.items(), lists.field())
    }

    /// What the lambda makes of the entries of a map.
    fn over_entries(&self) -> Result<(Maps, Flat, ArrayRef)> {
        let maps = Maps::open(self.value(0)?)?;
        let flat = Flat::of(self.rows, |row| maps.at(row));
        let keys = items_at(maps.keys(), flat.indices.clone())?;
        let values = items_at(maps.values(), flat.indices.clone())?;
        let made = evaluate(self.lambda()?, &[keys, values], flat.rows.clone())?;
        Ok((maps, flat, made))
    }

    pub(super) fn map_filter(&self) -> Result<ArrayRef> {
        let (maps, flat, made) = self.over_entries()?;
        let kept = Boolean::open(&made)?;
        let (mut lengths, mut indices) = (Vec::new(), Vec::new());
        for range in flat.ranges() {
            let before = indices.len();
            let found = range.filter(|at| Boolean::at(&kept, *at) == Some(true));
            indices.extend(found.map(|at| flat.indices.get(at).copied().flatten()));
            lengths.push(indices.len() - before);
        }
        let keys = items_at(maps.keys(), indices.clone())?;
        let values = items_at(maps.values(), indices)?;
        map_from(keys, values, lengths, flat.valid, &self.returned)
    }

    pub(super) fn map_transform(&self, is_key: bool) -> Result<ArrayRef> {
        let (maps, flat, made) = self.over_entries()?;
        let others = match is_key {
            true => maps.values(),
            false => maps.keys(),
        };
        let others = items_at(others, flat.indices.clone())?;
        let (keys, values) = if is_key {
            (made, others)
        } else {
            (others, made)
        };
        if is_key {
            crate::maps::check_keys(&keys, &flat.lengths)?;
        }
        map_from(keys, values, flat.lengths, flat.valid, &self.returned)
    }

    pub(super) fn map_zip_with(&self) -> Result<ArrayRef> {
        let (first, second) = (Maps::open(self.value(0)?)?, Maps::open(self.value(1)?)?);
        let compare = comparator(first.keys(), second.keys())?;
        let (mut lengths, mut valid, mut rows) = (Vec::new(), Vec::new(), Vec::new());
        let (mut keys, mut left, mut right) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..self.rows {
            let ranges = first.at(row).zip(second.at(row));
            valid.push(ranges.is_some());
            let (of_first, of_second) = ranges.unwrap_or((0..0, 0..0));
            let before = keys.len();
            for key in of_first.clone() {
                let other = of_second.clone().find(|other| compare(key, *other).is_eq());
                keys.push((0, key));
                left.push(Some(key));
                right.push(other);
            }
            for key in of_second {
                if !of_first.clone().any(|other| compare(other, key).is_eq()) {
                    keys.push((1, key));
                    left.push(None);
                    right.push(Some(key));
                }
            }
            lengths.push(keys.len() - before);
            rows.extend((before..keys.len()).map(|_| row as u64));
        }
        let keys = interleave(&[first.keys().as_ref(), second.keys().as_ref()], &keys)?;
        let columns = [
            Arc::clone(&keys),
            items_at(first.values(), left)?,
            items_at(second.values(), right)?,
        ];
        let made = evaluate(self.lambda()?, &columns, rows)?;
        map_from(keys, made, lengths, valid, &self.returned)
    }
}
