//! Types of casts and literals that DataFusion's planner does not know, or takes for something else.

use crate::analyzer::nested_types::NestedTypes;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::error::Result;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::{self, TimezoneInfo};
use std::sync::Arc;

/// The types of a session.
#[derive(Clone, Debug)]
pub(crate) struct SqlTypes {
    /// The zone of timestamps with a zone.
    pub zone: Arc<str>,
}

impl TypePlanner for SqlTypes {
    fn plan_type_field(&self, sql_type: &ast::DataType) -> Result<Option<FieldRef>> {
        match self.timestamp(sql_type) {
            Some(data_type) => Ok(Some(Arc::new(Field::new("", data_type, true)))),
            None => NestedTypes.plan_type_field(sql_type),
        }
    }
}

impl SqlTypes {
    /// Timestamps are microseconds, with a zone or without one, however many digits are asked for: those of
    /// fewer digits are rounded where they are written (`statement/parse/times.rs`).
    fn timestamp(&self, sql_type: &ast::DataType) -> Option<DataType> {
        let has_zone = match sql_type {
            ast::DataType::Timestamp(_, info) => {
                matches!(info, TimezoneInfo::Tz | TimezoneInfo::WithTimeZone)
            }
            ast::DataType::TimestampNtz(_) | ast::DataType::Datetime(_) => false,
            _ => return None,
        };
        let zone = has_zone.then(|| Arc::clone(&self.zone));
        Some(DataType::Timestamp(TimeUnit::Microsecond, zone))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_microseconds() {
        let types = SqlTypes {
            zone: Arc::from("UTC"),
        };
        let planned = |sql_type: ast::DataType| {
            let field = types.plan_type_field(&sql_type).unwrap();
            field.map(|field| field.data_type().to_string())
        };
        let timestamp = |digits, zone| planned(ast::DataType::Timestamp(digits, zone));
        let plain = Some("Timestamp(µs)".to_owned());
        let zoned = Some("Timestamp(µs, \"UTC\")".to_owned());
        assert_eq!(timestamp(None, TimezoneInfo::None), plain);
        assert_eq!(timestamp(Some(9), TimezoneInfo::WithoutTimeZone), plain);
        assert_eq!(timestamp(None, TimezoneInfo::WithTimeZone), zoned);
        assert_eq!(timestamp(Some(3), TimezoneInfo::Tz), zoned);
        assert_eq!(planned(ast::DataType::Date), None);
    }
}
