//! Makes an Arrow array of the texts of a column.

use crate::bad_value::{bad_value, text_of};
use crate::convert::convert;
use crate::field::{Parts, unescape};
use crate::format::TextFormat;
use crate::json::{self, JsonValue};
use arrow::array::{
    ArrayRef, AsArray, BinaryBuilder, ListArray, MapArray, NullBufferBuilder, StringBuilder,
    StructArray, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, FieldRef, Fields};
use arrow::error::ArrowError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use skep_protocol::{ErrorCode, QueryError};
use skep_runtime::sql_type::sql_type;
use std::sync::Arc;

/// Collects the values of a column, or of a part of one.
#[derive(Debug)]
pub(crate) struct ColumnBuilder {
    data_type: DataType,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Text(StringBuilder),
    /// Anything that Arrow makes of a text.
    Parsed(StringBuilder),
    Bytes(BinaryBuilder),
    List(Items, FieldRef, Box<ColumnBuilder>),
    Map {
        items: Items,
        entries: FieldRef,
        fields: Fields,
        pair: Box<(ColumnBuilder, ColumnBuilder)>,
    },
    Struct(NullBufferBuilder, Fields, Vec<ColumnBuilder>),
}

/// Where the collections of a column end.
#[derive(Debug)]
struct Items {
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Items {
    fn new() -> Self {
        Self {
            offsets: vec![0],
            nulls: NullBufferBuilder::new(0),
        }
    }

    fn end(&mut self, count: usize, is_valid: bool) -> Result<(), ArrowError> {
        let before = self.offsets.last().copied().unwrap_or(0);
        let end = i32::try_from(count)
            .ok()
            .and_then(|n| before.checked_add(n));
        let end = end.ok_or_else(|| bad_value("there are too many items in a batch".to_owned()))?;
        self.offsets.push(end);
        self.nulls.append(is_valid);
        Ok(())
    }

    fn take(&mut self) -> (OffsetBuffer<i32>, Option<arrow::buffer::NullBuffer>) {
        let taken = std::mem::replace(self, Self::new());
        let Items { offsets, mut nulls } = taken;
        (OffsetBuffer::new(offsets.into()), nulls.finish())
    }
}

impl ColumnBuilder {
    /// For values of `data_type`.
    pub(crate) fn new(data_type: &DataType) -> Result<Self, ArrowError> {
        let unsupported = || {
            let text = format!("text files cannot hold values of type {data_type}");
            let error = QueryError::new(ErrorCode::Unsupported, text);
            ArrowError::ExternalError(Box::new(error))
        };
        let kind = match data_type {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                Kind::Text(StringBuilder::new())
            }
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
                Kind::Bytes(BinaryBuilder::new())
            }
            DataType::List(item) => {
                let inner = Self::new(item.data_type())?;
                Kind::List(Items::new(), Arc::clone(item), Box::new(inner))
            }
            DataType::Map(entries, _) => {
                let DataType::Struct(fields) = entries.data_type() else {
                    return Err(unsupported());
                };
                let [key, value] = fields.as_ref() else {
                    return Err(unsupported());
                };
                let pair = (Self::new(key.data_type())?, Self::new(value.data_type())?);
                Kind::Map {
                    items: Items::new(),
                    entries: Arc::clone(entries),
                    fields: fields.clone(),
                    pair: Box::new(pair),
                }
            }
            DataType::Struct(fields) => {
                let inner = fields.iter().map(|field| Self::new(field.data_type()));
                let inner = inner.collect::<Result<_, _>>()?;
                Kind::Struct(NullBufferBuilder::new(0), fields.clone(), inner)
            }
            nested if nested.is_nested() => return Err(unsupported()),
            _ => Kind::Parsed(StringBuilder::new()),
        };
        Ok(Self {
            data_type: data_type.clone(),
            kind,
        })
    }

    /// Adds NULL.
    pub(crate) fn add_null(&mut self) -> Result<(), ArrowError> {
        match &mut self.kind {
            Kind::Text(builder) | Kind::Parsed(builder) => builder.append_null(),
            Kind::Bytes(builder) => builder.append_null(),
            Kind::List(items, ..) | Kind::Map { items, .. } => items.end(0, false)?,
            Kind::Struct(nulls, _, inner) => {
                nulls.append(false);
                for column in inner {
                    column.add_null()?;
                }
            }
        }
        Ok(())
    }

    /// Adds the value that was written as `raw`. `level` is that of the delimiter between its parts.
    pub(crate) fn add(
        &mut self,
        raw: &[u8],
        format: &TextFormat,
        level: usize,
    ) -> Result<(), ArrowError> {
        if raw == format.null_text.as_bytes() {
            return self.add_null();
        }
        let escape = format.escape;
        let parts = |level| Parts::new(raw, format.delimiter(level), escape);
        match &mut self.kind {
            Kind::Text(builder) => builder.append_value(text_of(&unescape(raw, escape))?),
            Kind::Parsed(builder) => match raw.is_empty() {
                true => builder.append_null(),
                false => builder.append_value(text_of(&unescape(raw, escape))?),
            },
            Kind::Bytes(builder) => {
                let bytes = STANDARD.decode(unescape(raw, escape));
                builder.append_value(
                    bytes
                        .map_err(|error| bad_value(format!("bytes are not in base64: {error}")))?,
                );
            }
            Kind::List(items, _, inner) => {
                let mut count = 0;
                if !raw.is_empty() {
                    for part in parts(level) {
                        inner.add(part, format, level + 1)?;
                        count += 1;
                    }
                }
                items.end(count, true)?;
            }
            Kind::Map { items, pair, .. } => {
                let mut count = 0;
                if !raw.is_empty() {
                    for part in parts(level) {
                        add_entry(pair, part, format, level + 1)?;
                        count += 1;
                    }
                }
                items.end(count, true)?;
            }
            Kind::Struct(nulls, _, inner) => {
                nulls.append(true);
                let mut parts = parts(level);
                for column in inner {
                    match parts.next() {
                        Some(part) => column.add(part, format, level + 1)?,
                        None => column.add_null()?,
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds the value of a CSV file's field; nothing at all is NULL.
    pub(crate) fn add_field(&mut self, field: &[u8]) -> Result<(), ArrowError> {
        match &mut self.kind {
            _ if field.is_empty() => return self.add_null(),
            Kind::Text(builder) | Kind::Parsed(builder) => builder.append_value(text_of(field)?),
            Kind::Bytes(builder) => builder.append_value(field),
            Kind::List(..) | Kind::Map { .. } | Kind::Struct(..) => {
                return Err(bad_value("CSV files hold no nested values".to_owned()));
            }
        }
        Ok(())
    }

    /// Adds the value that JSON writes as `raw`.
    pub(crate) fn add_json(&mut self, raw: &[u8]) -> Result<(), ArrowError> {
        let value = JsonValue::new(raw)?;
        match (&mut self.kind, value) {
            (_, JsonValue::Null) => return self.add_null(),
            (Kind::Text(builder) | Kind::Parsed(builder), JsonValue::Text(text)) => {
                builder.append_value(text);
            }
            (Kind::Text(builder), _) => builder.append_value(text_of(raw)?),
            (Kind::Parsed(builder), JsonValue::Plain(text)) => builder.append_value(text),
            // As Arrow writes it.
            (Kind::Bytes(builder), JsonValue::Text(text)) => {
                builder.append_value(json::bytes_of_hex(&text)?);
            }
            (Kind::List(items, _, inner), JsonValue::Array(values)) => {
                for value in &values {
                    inner.add_json(value)?;
                }
                items.end(values.len(), true)?;
            }
            (Kind::Map { items, pair, .. }, JsonValue::Object(entries)) => {
                for (key, value) in &entries {
                    pair.0.add_json_key(key)?;
                    pair.1.add_json(value)?;
                }
                items.end(entries.len(), true)?;
            }
            (Kind::Struct(nulls, fields, inner), JsonValue::Object(entries)) => {
                nulls.append(true);
                let values = entries.values_of(fields.iter().map(|field| field.name()));
                for (column, value) in inner.iter_mut().zip(values) {
                    match value {
                        Some(value) => column.add_json(value)?,
                        None => column.add_null()?,
                    }
                }
            }
            _ => return Err(self.unlike(raw)),
        }
        Ok(())
    }

    fn add_json_key(&mut self, key: &str) -> Result<(), ArrowError> {
        match &mut self.kind {
            Kind::Text(builder) | Kind::Parsed(builder) => builder.append_value(key),
            _ => return Err(self.unlike(key.as_bytes())),
        }
        Ok(())
    }

    fn unlike(&self, raw: &[u8]) -> ArrowError {
        let text = String::from_utf8_lossy(raw);
        let shown: String = text.chars().take(40).collect();
        let wanted = sql_type(&self.data_type);
        bad_value(format!("{shown} is not a value of type {wanted}"))
    }

    /// The values so far, as one array. Afterwards there are none.
    ///
    /// # Errors
    /// `DataCorrupt` with the text that is no value of the type.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let array: ArrayRef = match &mut self.kind {
            Kind::Text(builder) | Kind::Parsed(builder) => Arc::new(builder.finish()),
            Kind::Bytes(builder) => Arc::new(builder.finish()),
            Kind::List(items, field, inner) => {
                let (offsets, nulls) = items.take();
                let values = inner.finish()?;
                Arc::new(ListArray::try_new(
                    Arc::clone(field),
                    offsets,
                    values,
                    nulls,
                )?)
            }
            Kind::Map {
                items,
                entries,
                fields,
                pair,
            } => {
                let (offsets, nulls) = items.take();
                let columns = vec![pair.0.finish()?, pair.1.finish()?];
                let values = StructArray::try_new(fields.clone(), columns, None)?;
                let entries = Arc::clone(entries);
                Arc::new(MapArray::try_new(entries, offsets, values, nulls, false)?)
            }
            Kind::Struct(nulls, fields, inner) => {
                let nulls = nulls.finish();
                let columns = inner.iter_mut().map(Self::finish);
                let columns = columns.collect::<Result<Vec<_>, _>>()?;
                Arc::new(StructArray::try_new(fields.clone(), columns, nulls)?)
            }
        };
        self.cast(array)
    }

    fn cast(&self, array: ArrayRef) -> Result<ArrayRef, ArrowError> {
        if *array.data_type() == self.data_type {
            return Ok(array);
        }
        if array.null_count() == array.len() {
            return Ok(new_null_array(&self.data_type, array.len()));
        }
        if matches!(self.kind, Kind::Parsed(_)) {
            return convert(array.as_string(), &self.data_type);
        }
        let options = CastOptions {
            safe: false,
            ..CastOptions::default()
        };
        cast_with_options(&array, &self.data_type, &options)
    }
}

fn add_entry(
    pair: &mut (ColumnBuilder, ColumnBuilder),
    raw: &[u8],
    format: &TextFormat,
    level: usize,
) -> Result<(), ArrowError> {
    let mut parts = Parts::new(raw, format.delimiter(level), format.escape);
    let key = parts.next().unwrap_or_default();
    if key == format.null_text.as_bytes() {
        return Err(bad_value("a map's key is NULL".to_owned()));
    }
    pair.0.add(key, format, level + 1)?;
    match parts.next() {
        Some(value) => pair.1.add(value, format, level + 1),
        None => pair.1.add_null(),
    }
}
