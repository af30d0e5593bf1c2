//! Time zones: names, offsets, and the time on their clocks.

use super::units::{SECOND, to_time};
use chrono::{LocalResult, Offset, TimeZone};
use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::array::{ArrayRef, AsArray, TimestampMicrosecondArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use datafusion::error::Result;
use std::sync::Arc;

/// Finds a zone: `Europe/Paris`, `UTC`, `Z`, `+2`, `+02:00`, `GMT+2`, and the short names that Spark knows.
pub fn parse(name: &str) -> Option<Tz> {
    let name = name.trim();
    let name = match name {
        "Z" | "UT" | "GMT" | "UTC" => "+00:00",
        "PST" => "America/Los_Angeles",
        "CST" => "America/Chicago",
        "IST" => "Asia/Kolkata",
        "JST" => "Asia/Tokyo",
        "CET" => "Europe/Paris",
        "ECT" => "Europe/Paris",
        "CTT" => "Asia/Shanghai",
        other => other,
    };
    let offset = ["UTC", "GMT", "UT"]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .unwrap_or(name);
    if let Some(sign @ ('+' | '-')) = offset.chars().next() {
        let (hours, minutes) = match offset.get(1..)?.split_once(':') {
            Some((hours, rest)) => (hours, rest.split(':').next().unwrap_or("0")),
            None if offset.len() == 5 => offset.get(1..)?.split_at(2),
            None => (offset.get(1..)?, "0"),
        };
        let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
        if hours > 18 || minutes > 59 {
            return None;
        }
        return format!("{sign}{hours:02}:{minutes:02}").parse().ok();
    }
    name.parse().ok()
}

/// The time in UTC when the clock of `zone` shows `local`. Of two, the earlier; a time that the clock leaves
/// out is moved on by what it leaves out.
pub fn to_utc(local: i64, zone: &Tz) -> Option<i64> {
    let time = to_time(local)?;
    let offset = match zone.offset_from_local_datetime(&time) {
        LocalResult::Single(offset) | LocalResult::Ambiguous(offset, _) => offset,
        LocalResult::None => {
            let before = to_time(local - 3 * 3600 * SECOND)?;
            zone.offset_from_local_datetime(&before).earliest()?
        }
    };
    Some(local - i64::from(offset.fix().local_minus_utc()) * SECOND)
}

/// What the clock of `zone` shows at a time in UTC.
pub fn from_utc(utc: i64, zone: &Tz) -> Option<i64> {
    let offset = zone.offset_from_utc_datetime(&to_time(utc)?);
    Some(utc + i64::from(offset.fix().local_minus_utc()) * SECOND)
}

/// Timestamps with a zone as what the clocks of that zone show.
///
/// # Errors
/// Where they are no timestamps.
pub fn local(array: &ArrayRef) -> Result<ArrayRef> {
    let DataType::Timestamp(_, Some(name)) = array.data_type() else {
        return Ok(Arc::clone(array));
    };
    let zone = parse(name);
    let utc = cast(
        array,
        &DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("+00:00"))),
    )?;
    let times = utc.as_primitive::<TimestampMicrosecondType>().iter();
    let local = times.map(|time| match &zone {
        Some(zone) => time.and_then(|time| from_utc(time, zone)),
        None => time,
    });
    Ok(Arc::new(TimestampMicrosecondArray::from_iter(local)))
}
