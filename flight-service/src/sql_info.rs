//! What GetSqlInfo tells: a fixed description of Skep's SQL, which drivers read when they connect.

use arrow_flight::error::FlightError;
use arrow_flight::sql::metadata::{SqlInfoData, SqlInfoDataBuilder};
use arrow_flight::sql::{
    SqlInfo, SqlNullOrdering, SqlOuterJoinsSupportLevel, SqlSupportedCaseSensitivity,
    SqlSupportedGroupBy, SqlSupportedSubqueries, SqlSupportedTransaction, SqlSupportedUnions,
    SupportedSqlGrammar,
};

/// What stands around an identifier. Both the generic and the Hive dialect read it as a quote, while
/// a double quote makes a string in Hive.
const IDENTIFIER_QUOTE: &str = "`";

/// What escapes `%` and `_` in the patterns of metadata calls.
const PATTERN_ESCAPE: &str = "\\";

/// Words beyond SQL-92 that cannot be names without quotes.
const KEYWORDS: &[&str] = &[
    "ANTI",
    "CLUSTER",
    "DISTRIBUTE",
    "EXCEPT",
    "EXPLAIN",
    "FETCH",
    "INTERSECT",
    "LATERAL",
    "LIMIT",
    "OFFSET",
    "OVER",
    "PARTITION",
    "PIVOT",
    "QUALIFY",
    "SEMI",
    "SORT",
    "TABLESAMPLE",
    "UNNEST",
    "USE",
    "WINDOW",
];

const NUMERIC_FUNCTIONS: &[&str] = &[
    "abs", "acos", "asin", "atan", "atan2", "ceil", "cos", "cot", "degrees", "exp", "floor", "ln",
    "log10", "log2", "pi", "power", "radians", "random", "round", "signum", "sin", "sqrt", "tan",
    "trunc",
];

const STRING_FUNCTIONS: &[&str] = &[
    "ascii",
    "bit_length",
    "btrim",
    "char_length",
    "chr",
    "concat",
    "concat_ws",
    "initcap",
    "left",
    "lower",
    "lpad",
    "ltrim",
    "octet_length",
    "position",
    "repeat",
    "replace",
    "reverse",
    "right",
    "rpad",
    "rtrim",
    "split_part",
    "strpos",
    "substr",
    "translate",
    "trim",
    "upper",
];

const DATETIME_FUNCTIONS: &[&str] = &[
    "current_date",
    "current_time",
    "current_timestamp",
    "date_bin",
    "date_part",
    "date_trunc",
    "extract",
    "now",
    "to_timestamp",
];

/// Every answer.
pub(crate) fn sql_info() -> Result<SqlInfoData, FlightError> {
    let mut builder = SqlInfoDataBuilder::new();
    append_server(&mut builder);
    append_names(&mut builder);
    append_language(&mut builder);
    append_absent(&mut builder);
    builder.build()
}

fn append_server(builder: &mut SqlInfoDataBuilder) {
    builder.append(SqlInfo::FlightSqlServerName, "Skep");
    builder.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
    builder.append(SqlInfo::FlightSqlServerArrowVersion, arrow::ARROW_VERSION);
    builder.append(SqlInfo::FlightSqlServerReadOnly, false);
    builder.append(SqlInfo::FlightSqlServerSql, true);
    builder.append(SqlInfo::FlightSqlServerSubstrait, false);
    builder.append(
        SqlInfo::FlightSqlServerTransaction,
        SqlSupportedTransaction::None as i32,
    );
    builder.append(SqlInfo::FlightSqlServerCancel, true);
    builder.append(SqlInfo::FlightSqlServerBulkIngestion, true);
    builder.append(SqlInfo::FlightSqlServerIngestTransactionsSupported, false);
    builder.append(SqlInfo::FlightSqlServerStatementTimeout, 0_i32);
    builder.append(SqlInfo::FlightSqlServerTransactionTimeout, 0_i32);
}

fn append_names(builder: &mut SqlInfoDataBuilder) {
    builder.append(SqlInfo::SqlDdlCatalog, false);
    builder.append(SqlInfo::SqlDdlSchema, true);
    builder.append(SqlInfo::SqlDdlTable, true);
    builder.append(
        SqlInfo::SqlIdentifierCase,
        SqlSupportedCaseSensitivity::SqlCaseSensitivityLowercase as i32,
    );
    builder.append(SqlInfo::SqlIdentifierQuoteChar, IDENTIFIER_QUOTE);
    builder.append(
        SqlInfo::SqlQuotedIdentifierCase,
        SqlSupportedCaseSensitivity::SqlCaseSensitivityCaseInsensitive as i32,
    );
    builder.append(SqlInfo::SqlSearchStringEscape, PATTERN_ESCAPE);
    builder.append(SqlInfo::SqlExtraNameCharacters, "");
    builder.append(SqlInfo::SqlSchemaTerm, "database");
    builder.append(SqlInfo::SqlCatalogTerm, "catalog");
    builder.append(SqlInfo::SqlProcedureTerm, "procedure");
    builder.append(SqlInfo::SqlCatalogAtStart, true);
    builder.append(SqlInfo::SqlAllTablesAreSelectable, true);
}

fn append_language(builder: &mut SqlInfoDataBuilder) {
    builder.append(SqlInfo::SqlKeywords, KEYWORDS);
    builder.append(SqlInfo::SqlNumericFunctions, NUMERIC_FUNCTIONS);
    builder.append(SqlInfo::SqlStringFunctions, STRING_FUNCTIONS);
    builder.append(SqlInfo::SqlDatetimeFunctions, DATETIME_FUNCTIONS);
    builder.append(SqlInfo::SqlSystemFunctions, &[] as &[&str]);
    builder.append(
        SqlInfo::SqlNullOrdering,
        SqlNullOrdering::SqlNullsSortedHigh as i32,
    );
    for info in [
        SqlInfo::SqlSupportsColumnAliasing,
        SqlInfo::SqlNullPlusNullIsNull,
        SqlInfo::SqlSupportsTableCorrelationNames,
        SqlInfo::SqlSupportsExpressionsInOrderBy,
        SqlInfo::SqlSupportsOrderByUnrelated,
        SqlInfo::SqlSupportsLikeEscapeClause,
        SqlInfo::SqlSupportsNonNullableColumns,
        SqlInfo::SqlCorrelatedSubqueriesSupported,
    ] {
        builder.append(info, true);
    }
    builder.append(
        SqlInfo::SqlSupportedGroupBy,
        1_i32 << SqlSupportedGroupBy::SqlGroupByUnrelated as i32
            | 1 << SqlSupportedGroupBy::SqlGroupByBeyondSelect as i32,
    );
    builder.append(
        SqlInfo::SqlSupportedGrammar,
        1_i32 << SupportedSqlGrammar::SqlMinimumGrammar as i32
            | 1 << SupportedSqlGrammar::SqlCoreGrammar as i32,
    );
    builder.append(
        SqlInfo::SqlOuterJoinsSupportLevel,
        SqlOuterJoinsSupportLevel::SqlFullOuterJoins as i32,
    );
    builder.append(
        SqlInfo::SqlSupportedSubqueries,
        1_i32 << SqlSupportedSubqueries::SqlSubqueriesInComparisons as i32
            | 1 << SqlSupportedSubqueries::SqlSubqueriesInExists as i32
            | 1 << SqlSupportedSubqueries::SqlSubqueriesInIns as i32,
    );
    builder.append(
        SqlInfo::SqlSupportedUnions,
        1_i32 << SqlSupportedUnions::SqlUnion as i32 | 1 << SqlSupportedUnions::SqlUnionAll as i32,
    );
}

/// What databases may have and Skep has not. A limit of 0 means that none is known.
fn append_absent(builder: &mut SqlInfoDataBuilder) {
    for info in [
        SqlInfo::SqlSupportsDifferentTableCorrelationNames,
        SqlInfo::SqlSupportsIntegrityEnhancementFacility,
        SqlInfo::SqlSelectForUpdateSupported,
        SqlInfo::SqlStoredProceduresSupported,
        SqlInfo::SqlMaxRowSizeIncludesBlobs,
        SqlInfo::SqlTransactionsSupported,
        SqlInfo::SqlDataDefinitionCausesTransactionCommit,
        SqlInfo::SqlDataDefinitionsInTransactionsIgnored,
        SqlInfo::SqlBatchUpdatesSupported,
        SqlInfo::SqlSavepointsSupported,
        SqlInfo::SqlNamedParametersSupported,
        SqlInfo::SqlLocatorsUpdateCopy,
        SqlInfo::SqlStoredFunctionsUsingCallSyntaxSupported,
    ] {
        builder.append(info, false);
    }
    for info in [
        SqlInfo::SqlCatalogsSupportedActions,
        SqlInfo::SqlSchemasSupportedActions,
        SqlInfo::SqlDefaultTransactionIsolation,
        SqlInfo::SqlSupportedPositionedCommands,
        SqlInfo::SqlAnsi92SupportedLevel,
        SqlInfo::SqlSupportedTransactionsIsolationLevels,
    ] {
        builder.append(info, 0_i32);
    }
    for info in [
        SqlInfo::SqlMaxBinaryLiteralLength,
        SqlInfo::SqlMaxCharLiteralLength,
        SqlInfo::SqlMaxColumnNameLength,
        SqlInfo::SqlMaxColumnsInGroupBy,
        SqlInfo::SqlMaxColumnsInIndex,
        SqlInfo::SqlMaxColumnsInOrderBy,
        SqlInfo::SqlMaxColumnsInSelect,
        SqlInfo::SqlMaxColumnsInTable,
        SqlInfo::SqlMaxConnections,
        SqlInfo::SqlMaxCursorNameLength,
        SqlInfo::SqlMaxIndexLength,
        SqlInfo::SqlDbSchemaNameLength,
        SqlInfo::SqlMaxProcedureNameLength,
        SqlInfo::SqlMaxCatalogNameLength,
        SqlInfo::SqlMaxRowSize,
        SqlInfo::SqlMaxStatementLength,
        SqlInfo::SqlMaxStatements,
        SqlInfo::SqlMaxTableNameLength,
        SqlInfo::SqlMaxTablesInSelect,
        SqlInfo::SqlMaxUsernameLength,
    ] {
        builder.append(info, 0_i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_request_asks_for_everything() {
        let all = sql_info().unwrap().record_batch([]).unwrap();
        assert!(all.num_rows() > 60, "{}", all.num_rows());
    }

    #[test]
    fn a_request_gets_what_it_names() {
        let asked = [
            SqlInfo::FlightSqlServerName as u32,
            SqlInfo::FlightSqlServerTransaction as u32,
        ];
        let batch = sql_info().unwrap().record_batch(asked).unwrap();
        assert_eq!(batch.num_rows(), 2);
    }
}
