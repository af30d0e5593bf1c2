//! How many distinct values a column has where nobody has counted them.

/// The longest index into a dictionary, in bits: writers give up dictionaries that grow beyond a page.
const INDEX_BITS_MAX: f64 = 20.0;

/// The values of text of which nothing is known but the rows: between few and all.
pub(super) fn of_unknown_text(rows: f64) -> f64 {
    rows.sqrt().max(10.0).min(rows).max(1.0)
}

/// How many distinct values text has that takes `size_bytes` in pages of Parquet before compression, in `rows` rows
/// of about `value_bytes` each.
///
/// Where a writer has made a dictionary, which writers do as long as it is small, each row is an index of
/// log2(values) bits, and each value is there once: a column of five values takes three bits a row. Where it has
/// not, there are too many values for one, and the size says nothing more.
pub(super) fn of_text_size(rows: f64, size_bytes: f64, value_bytes: f64) -> f64 {
    let plain = rows * (value_bytes + 4.0);
    let encoded = |distinct: f64| {
        let bits = distinct.log2().ceil().max(0.0);
        rows * bits / 8.0 + distinct * (value_bytes + 4.0)
    };
    let indexes_max = rows * INDEX_BITS_MAX / 8.0;
    if size_bytes >= plain.min(indexes_max + plain / 2.0) {
        return rows.max(1.0);
    }
    // The size grows with the number of values: halving finds the number that fits.
    let (mut low, mut high) = (1.0_f64, rows.max(1.0));
    while high - low > 0.5 && high / low > 1.01 {
        let middle = (low * high).sqrt();
        match encoded(middle) < size_bytes {
            true => low = middle,
            false => high = middle,
        }
    }
    low.ceil().min(rows.max(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_dictionaries_tell_how_many_values_there_are() {
        // Sizes of TPC-H's columns at scale 1, as a writer of Parquet encodes them.
        let columns = [
            ("l_shipmode", 6_001_215.0, 3.0, 4.3, 7.0),
            ("c_mktsegment", 150_000.0, 3.0, 9.0, 5.0),
            ("p_brand", 200_000.0, 5.0, 8.0, 25.0),
            ("p_type", 200_000.0, 8.0, 20.6, 150.0),
            ("p_container", 200_000.0, 6.0, 7.6, 40.0),
        ];
        for (name, rows, bits, bytes, distinct) in columns {
            let size = rows * bits / 8.0 + distinct * (bytes + 4.0);
            let found = of_text_size(rows, size, bytes);
            assert!(
                found >= distinct / 2.1 && found <= distinct * 2.1,
                "{name}: {found}"
            );
        }
    }

    #[test]
    fn plain_text_is_taken_to_be_distinct() {
        let found = of_text_size(150_000.0, 150_000.0 * 76.0, 72.0);
        assert!(found > 100_000.0, "{found}");
        assert!(of_text_size(0.0, 0.0, 10.0) >= 1.0);
        assert!(of_text_size(5.0, 200.0, 7.0) <= 5.0);
    }
}
