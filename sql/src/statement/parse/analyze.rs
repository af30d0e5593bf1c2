//! `ANALYZE TABLE`.

use super::clauses::{partition, unsupported};
use crate::statement::{AnalyzeTable, AnalyzedColumns, Cursor};
use skep_protocol::QueryError;

/// Reads what follows `ANALYZE TABLE`.
pub(super) fn analyze(cursor: &mut Cursor) -> Result<AnalyzeTable, QueryError> {
    let name = cursor.table_name()?;
    let partition = partition(cursor)?;
    if cursor.accept(&["cache", "metadata"]) {
        return Err(unsupported("ANALYZE TABLE … CACHE METADATA"));
    }
    cursor.expect(&["compute", "statistics"])?;
    let columns = if cursor.accept(&["noscan"]) {
        AnalyzedColumns::Unread
    } else if cursor.accept(&["for", "all", "columns"]) {
        AnalyzedColumns::All
    } else if cursor.accept(&["for", "columns"]) {
        match cursor.is_at_end() {
            true => AnalyzedColumns::All,
            false => {
                let column = |cursor: &mut Cursor| Ok(cursor.name("a column")?.to_lowercase());
                AnalyzedColumns::Named(cursor.list(column)?)
            }
        }
    } else {
        AnalyzedColumns::Counted
    };
    Ok(AnalyzeTable {
        name,
        partition,
        columns,
    })
}
