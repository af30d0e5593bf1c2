//! The eight tables: their names, sizes, and the generators of their rows.
//!
//! Sizes are estimates for choosing the number of files and for showing progress; nothing is
//! checked against them.

use std::fmt;

use arrow::record_batch::RecordBatchReader;
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator,
    PartSuppGenerator, RegionGenerator, SupplierGenerator,
};
use tpchgen_arrow::{
    CustomerArrow, LineItemArrow, NationArrow, OrderArrow, PartArrow, PartSuppArrow, RegionArrow,
    SupplierArrow,
};

/// Rows per generated batch.
const BATCH_ROWS: usize = 8192;

/// A table of the benchmark.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Table {
    /// Who buys.
    Customer,
    /// The lines of orders, by far the largest table.
    Lineitem,
    /// 25 nations, at any scale.
    Nation,
    /// What was bought when.
    Orders,
    /// What can be bought.
    Part,
    /// Which supplier has which part, and at what cost.
    Partsupp,
    /// 5 regions, at any scale.
    Region,
    /// Who sells.
    Supplier,
}

impl Table {
    /// All tables, the largest first, so that a parallel generation ends evenly.
    pub const ALL: [Table; 8] = [
        Table::Lineitem,
        Table::Orders,
        Table::Partsupp,
        Table::Customer,
        Table::Part,
        Table::Supplier,
        Table::Nation,
        Table::Region,
    ];

    /// The table's name in SQL and in the directory layout.
    pub fn name(self) -> &'static str {
        match self {
            Table::Customer => "customer",
            Table::Lineitem => "lineitem",
            Table::Nation => "nation",
            Table::Orders => "orders",
            Table::Part => "part",
            Table::Partsupp => "partsupp",
            Table::Region => "region",
            Table::Supplier => "supplier",
        }
    }

    /// The number of rows at a scale; for `lineitem` the expected number, which the random
    /// number of lines per order meets to within a fraction of a percent.
    pub fn rows_estimate(self, scale: f64) -> u64 {
        let per_scale: f64 = match self {
            Table::Nation => return 25,
            Table::Region => return 5,
            Table::Customer => 150_000.0,
            Table::Lineitem => 6_001_215.0,
            Table::Orders => 1_500_000.0,
            Table::Part => 200_000.0,
            Table::Partsupp => 800_000.0,
            Table::Supplier => 10_000.0,
        };
        (per_scale * scale) as u64
    }

    /// Compressed Parquet bytes per row, measured at scale 1.
    fn bytes_per_row(self) -> u64 {
        match self {
            Table::Customer => 65,
            Table::Lineitem => 28,
            Table::Nation | Table::Region => 100,
            Table::Orders => 27,
            Table::Part => 26,
            Table::Partsupp => 39,
            Table::Supplier => 63,
        }
    }

    /// The estimated size of the table's Parquet files at a scale, in bytes.
    pub fn bytes_estimate(self, scale: f64) -> u64 {
        self.rows_estimate(scale) * self.bytes_per_row()
    }

    /// Whether the specification fixes the table's size, whatever the scale.
    pub fn is_fixed_size(self) -> bool {
        matches!(self, Table::Nation | Table::Region)
    }

    /// The rows of part `part` of `parts` (counted from zero), in key order.
    pub fn reader(
        self,
        scale: f64,
        part: u32,
        parts: u32,
    ) -> Box<dyn RecordBatchReader + Send + 'static> {
        // The generator counts parts from one, in `i32`.
        let part = i32::try_from(part).map_or(i32::MAX, |part| part.saturating_add(1));
        let parts = i32::try_from(parts).unwrap_or(i32::MAX);
        macro_rules! reader {
            ($arrow:ident, $generator:ident) => {
                Box::new(
                    $arrow::new($generator::new(scale, part, parts)).with_batch_size(BATCH_ROWS),
                )
            };
        }
        match self {
            Table::Customer => reader!(CustomerArrow, CustomerGenerator),
            Table::Lineitem => reader!(LineItemArrow, LineItemGenerator),
            Table::Nation => reader!(NationArrow, NationGenerator),
            Table::Orders => reader!(OrderArrow, OrderGenerator),
            Table::Part => reader!(PartArrow, PartGenerator),
            Table::Partsupp => reader!(PartSuppArrow, PartSuppGenerator),
            Table::Region => reader!(RegionArrow, RegionGenerator),
            Table::Supplier => reader!(SupplierArrow, SupplierGenerator),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(table: Table, parts: u32) -> usize {
        (0..parts)
            .flat_map(|part| table.reader(0.01, part, parts))
            .map(|batch| batch.expect("generated batch").num_rows())
            .sum()
    }

    #[test]
    fn parts_add_up_to_the_whole_table() {
        for table in Table::ALL
            .into_iter()
            .filter(|table| !table.is_fixed_size())
        {
            assert_eq!(rows(table, 1), rows(table, 3), "{table}");
        }
    }

    #[test]
    fn row_estimates_are_close() {
        for table in Table::ALL {
            let (is, estimate) = (rows(table, 1) as f64, table.rows_estimate(0.01) as f64);
            assert!(
                (is - estimate).abs() <= 0.01 * is,
                "{table}: {is} rows, {estimate} estimated"
            );
        }
    }
}
