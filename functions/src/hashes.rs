//! Checksums and hash values.

use crate::registry::Functions;
use crate::rows;
use crate::scalar::{Body, scalar};
use crate::value::{Argument, Bytes, Double, Kind, Long};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int32Array, StructArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Decimal128Type, TimeUnit};
use datafusion::error::Result;
use std::sync::Arc;

/// What Spark's hashes begin with.
const SEED: u32 = 42;

fn mix(hash: u32, word: u32) -> u32 {
    let word = word
        .wrapping_mul(0xcc9e_2d51)
        .rotate_left(15)
        .wrapping_mul(0x1b87_3593);
    (hash ^ word)
        .rotate_left(13)
        .wrapping_mul(5)
        .wrapping_add(0xe654_6b64)
}

fn finish(hash: u32, length: u32) -> u32 {
    let mut hash = hash ^ length;
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

fn of_int(value: i32, seed: u32) -> u32 {
    finish(mix(seed, value as u32), 4)
}

fn of_long(value: i64, seed: u32) -> u32 {
    finish(mix(mix(seed, value as u32), (value >> 32) as u32), 8)
}

/// Murmur3 of 32 bits as Spark computes it: each byte behind the last whole word is a word.
fn of_bytes(bytes: &[u8], seed: u32) -> u32 {
    let mut words = bytes.chunks_exact(4);
    let mut hash = seed;
    for word in words.by_ref() {
        let word = word
            .iter()
            .rev()
            .fold(0_u32, |word, byte| (word << 8) | u32::from(*byte));
        hash = mix(hash, word);
    }
    for byte in words.remainder() {
        hash = mix(hash, i32::from(*byte as i8) as u32);
    }
    finish(hash, bytes.len() as u32)
}

/// Puts a column into the hashes of its rows; NULL changes nothing.
fn put(array: &ArrayRef, hashes: &mut [u32]) -> Result<()> {
    use DataType as T;
    match array.data_type() {
        T::Null => {}
        T::Boolean | T::Int8 | T::Int16 | T::Int32 | T::UInt8 | T::UInt16 | T::Date32 => {
            let values = cast(&cast(array, &T::Int32)?, &T::Int64)?;
            put_with(&Long::open(&values)?, hashes, |value, seed| {
                of_int(value as i32, seed)
            });
        }
        T::Int64 | T::UInt32 | T::UInt64 | T::Timestamp(_, _) | T::Date64 => {
            let values = match array.data_type() {
                T::Timestamp(_, zone) => cast(
                    &cast(array, &T::Timestamp(TimeUnit::Microsecond, zone.clone()))?,
                    &T::Int64,
                )?,
                _ => cast(array, &T::Int64)?,
            };
            put_with(&Long::open(&values)?, hashes, of_long);
        }
        T::Float16 | T::Float32 => put_floats(array, hashes, |value, seed| {
            of_int((value as f32).to_bits() as i32, seed)
        })?,
        T::Float64 => put_floats(array, hashes, |value, seed| {
            of_long(value.to_bits() as i64, seed)
        })?,
        T::Decimal32(p, s) | T::Decimal64(p, s) | T::Decimal128(p, s) | T::Decimal256(p, s) => {
            put_decimals(array, *p, *s, hashes)?;
        }
        T::Struct(_) | T::List(_) | T::Map(_, _) => put_nested(array, hashes)?,
        _ => put_bytes(array, hashes)?,
    }
    Ok(())
}

fn put_decimals(array: &ArrayRef, precision: u8, scale: i8, hashes: &mut [u32]) -> Result<()> {
    let values = cast(array, &DataType::Decimal128(precision.min(38), scale))?;
    let values = values.as_primitive::<Decimal128Type>();
    for (value, hash) in values.iter().zip(hashes) {
        if let Some(value) = value {
            *hash = match precision <= 18 {
                true => of_long(value as i64, *hash),
                false => of_bytes(&minimal_bytes(value), *hash),
            };
        }
    }
    Ok(())
}

/// Puts what the values of a column consist of.
fn put_nested(array: &ArrayRef, hashes: &mut [u32]) -> Result<()> {
    match array.data_type() {
        DataType::Struct(_) => {
            let values: &StructArray = array.as_struct();
            for column in values.columns() {
                put(column, hashes)?;
            }
        }
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            for (row, hash) in hashes.iter_mut().enumerate() {
                if lists.is_valid(row) {
                    put_items(&lists.value(row), hash)?;
                }
            }
        }
        DataType::Map(_, _) => {
            let maps = array.as_map();
            for (row, hash) in hashes.iter_mut().enumerate() {
                if maps.is_valid(row) {
                    put_items(&(Arc::new(maps.value(row)) as ArrayRef), hash)?;
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// Puts bytes, or what is written as a text.
fn put_bytes(array: &ArrayRef, hashes: &mut [u32]) -> Result<()> {
    let values = cast(array, &DataType::Utf8)
        .and_then(|texts| cast(&texts, &DataType::Binary))
        .or_else(|_| cast(array, &DataType::Binary))?;
    let values = Bytes::open(&values)?;
    for (row, hash) in hashes.iter_mut().enumerate() {
        if let Some(value) = Bytes::at(&values, row) {
            *hash = of_bytes(value, *hash);
        }
    }
    Ok(())
}

/// Each item goes on from the hash of the one before.
fn put_items(items: &ArrayRef, hash: &mut u32) -> Result<()> {
    for index in 0..items.len() {
        let mut one = [*hash];
        put(&items.slice(index, 1), &mut one)?;
        [*hash] = one;
    }
    Ok(())
}

fn put_with(values: &<Long as Argument>::Column, hashes: &mut [u32], of: fn(i64, u32) -> u32) {
    for (row, hash) in hashes.iter_mut().enumerate() {
        if let Some(value) = Long::at(values, row) {
            *hash = of(value, *hash);
        }
    }
}

fn put_floats(array: &ArrayRef, hashes: &mut [u32], of: fn(f64, u32) -> u32) -> Result<()> {
    let values = Double::open(array)?;
    for (row, hash) in hashes.iter_mut().enumerate() {
        if let Some(value) = Double::at(&values, row) {
            // Both zeros are one.
            *hash = of(if value == 0.0 { 0.0 } else { value }, *hash);
        }
    }
    Ok(())
}

/// The fewest bytes, the highest first, that hold a number with its sign.
fn minimal_bytes(value: i128) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let filler = if value < 0 { 0xff } else { 0 };
    let is_filler =
        |pair: &[u8]| matches!(pair, [first, next] if *first == filler && (next ^ filler) < 0x80);
    let skipped = bytes.windows(2).take_while(|pair| is_filler(pair)).count();
    bytes.iter().skip(skipped).copied().collect()
}

/// Adds them.
pub(crate) fn add(functions: &mut Functions) {
    functions.add(
        scalar(
            "hash(value, …)",
            "A hash of 32 bits of all the values together, by Murmur3, as Spark computes it.",
        )
        .example("hash('Spark', array(123), 2)", "871453132")
        .body(
            Body::new(
                vec![Kind::Any],
                |_| Ok(DataType::Int32),
                |call| {
                    let mut hashes = vec![SEED; call.rows];
                    for array in &call.arrays {
                        put(array, &mut hashes)?;
                    }
                    let hashes = hashes.into_iter().map(|hash| hash as i32);
                    Ok(Arc::new(Int32Array::from_iter_values(hashes)))
                },
            )
            .and_more(Kind::Any),
        ),
    );
    functions.add(
        scalar(
            "crc32(bytes)",
            "The cyclic redundancy check of bytes, or of those of a text.",
        )
        .example("crc32('Spark')", "1557323817")
        .body(rows!(|bytes: Bytes| -> Long {
            Ok(Some(i64::from(crc32fast::hash(bytes))))
        })),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur_is_as_published() {
        assert_eq!(of_bytes(b"", 0), 0);
        assert_eq!(of_bytes(b"test", 0), 0xba6b_d213);
        assert_eq!(minimal_bytes(0), [0]);
        assert_eq!(minimal_bytes(128), [0, 128]);
        assert_eq!(minimal_bytes(-1), [255]);
        assert_eq!(minimal_bytes(-129), [255, 127]);
    }
}
