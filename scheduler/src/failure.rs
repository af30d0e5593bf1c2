//! Which failures of an attempt are not the query's own fault, so that another attempt may succeed.

use skep_protocol::{ErrorCode, QueryError};

/// Why an attempt failed, where that was not the query's own fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The connection to an executor broke, or the executor fell silent. Whether the executor itself is lost
    /// is known when its membership has ended.
    Connection,
    /// An executor that is draining refused a task.
    Draining,
    /// An executor cannot spill: its disk is full.
    SpillDisk,
    /// The storage failed or could not be reached.
    Storage,
}

impl Reason {
    /// The reason of an error, `None` where the query would fail in the same way again.
    pub fn of(error: &QueryError) -> Option<Self> {
        match error.code {
            ErrorCode::ExecutorLost | ErrorCode::Network | ErrorCode::TruncatedExchange => {
                Some(Self::Connection)
            }
            // A task that was ended, although nobody has cancelled the query: its executor stops.
            ErrorCode::Canceled if error.node.is_some() => Some(Self::Connection),
            ErrorCode::ExecutorDraining => Some(Self::Draining),
            ErrorCode::OutOfDisk => Some(Self::SpillDisk),
            ErrorCode::Storage => Some(Self::Storage),
            _ => None,
        }
    }

    /// How many attempts of one query may end for this reason before the query fails, whatever else is
    /// allowed. Stores are asked again by their clients, and a query that fills the disks of two executors
    /// needs more disk than there is.
    pub(crate) fn ends_max(self) -> u32 {
        match self {
            Self::Connection | Self::Draining => u32::MAX,
            Self::SpillDisk | Self::Storage => 2,
        }
    }

    /// Whether it counts against the executor where it arose, which lives.
    pub fn counts_against_executor(self) -> bool {
        match self {
            Self::Connection | Self::SpillDisk | Self::Storage => true,
            Self::Draining => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_errors_and_defects_are_not_tried_again() {
        for code in ErrorCode::ALL {
            let reason = Reason::of(&QueryError::new(*code, "text"));
            let expected = matches!(
                code,
                ErrorCode::ExecutorLost
                    | ErrorCode::Network
                    | ErrorCode::TruncatedExchange
                    | ErrorCode::ExecutorDraining
                    | ErrorCode::OutOfDisk
                    | ErrorCode::Storage
            );
            assert_eq!(reason.is_some(), expected, "{code:?}");
        }
    }

    #[test]
    fn a_task_that_its_executor_ended_is_tried_again() {
        let error = QueryError::new(ErrorCode::Canceled, "the query was ended");
        assert_eq!(Reason::of(&error), None);
        assert_eq!(Reason::of(&error.on_node("h:1")), Some(Reason::Connection));
    }
}
