//! Which processes may work together: only those of the same build of the engine, because physical
//! plans are not compatible between versions.

use crate::error::{ErrorCode, QueryError};
use crate::proto;

/// The version of the messages in `proto/skep.proto`.
pub const PROTOCOL_VERSION: u32 = 4;

/// This build's own version.
pub const SKEP_VERSION: &str = env!("CARGO_PKG_VERSION");

/// What `this` process says of itself. The versions of DataFusion and Arrow come from the caller,
/// since this crate knows neither.
pub fn this_version(datafusion: &str, arrow: &str) -> proto::Version {
    proto::Version {
        skep: SKEP_VERSION.to_owned(),
        protocol: PROTOCOL_VERSION,
        datafusion: datafusion.to_owned(),
        arrow: arrow.to_owned(),
    }
}

/// Whether an executor of version `theirs` may join a coordinator of version `ours`.
///
/// # Errors
/// `VersionMismatch`, naming both versions of the first part that differs.
pub fn check_compatible(ours: &proto::Version, theirs: &proto::Version) -> Result<(), QueryError> {
    let parts = [
        (
            "protocol",
            ours.protocol.to_string(),
            theirs.protocol.to_string(),
        ),
        ("skep", ours.skep.clone(), theirs.skep.clone()),
        (
            "datafusion",
            ours.datafusion.clone(),
            theirs.datafusion.clone(),
        ),
        ("arrow", ours.arrow.clone(), theirs.arrow.clone()),
    ];
    for (name, ours, theirs) in parts {
        if ours != theirs {
            return Err(QueryError::new(
                ErrorCode::VersionMismatch,
                format!(
                    "the executor has {name} version {theirs} and the coordinator has {ours}: \
                     install the same release of skep on both"
                ),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_equal_versions_work_together() {
        let ours = this_version("55.2.0", "59.3.2");
        assert_eq!(check_compatible(&ours, &ours.clone()), Ok(()));
        let mut theirs = ours.clone();
        theirs.datafusion = "54.0.0".into();
        let error = check_compatible(&ours, &theirs).unwrap_err();
        assert_eq!(error.code, ErrorCode::VersionMismatch);
        assert!(error.message.contains("54.0.0") && error.message.contains("55.2.0"));
    }
}
