//! What the query of `ANALYZE TABLE` asks for, and how values become bounds.

use super::*;

#[test]
fn bounds_keep_what_they_are_and_text_is_cut() {
    let text = "ä".repeat(100);
    let cut = bound_of(&ScalarValue::Utf8(Some(text)));
    assert_eq!(
        cut,
        Some(BoundValue::Text("ä".repeat(BOUND_BYTES_MAX / 2).into()))
    );
    assert_eq!(bound_of(&ScalarValue::Float64(Some(f64::NAN))), None);
    assert_eq!(bound_of(&ScalarValue::Int8(None)), None);
    let decimal = ScalarValue::Decimal128(Some(-7), 10, 2);
    assert_eq!(bound_of(&decimal), Some(BoundValue::Decimal((-7).into())));
}

#[test]
fn names_are_quoted() {
    assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
}
