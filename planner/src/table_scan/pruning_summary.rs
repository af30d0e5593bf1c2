//! What the scans of a statement read of what there is, for `EXPLAIN`.

use parking_lot::Mutex;

/// What one scan reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PruningSummary {
    /// The table, with its database.
    pub table: String,
    /// How many partitions are read, of how many; `None` in a table without partition columns.
    pub partitions: Option<(usize, usize)>,
    /// How many files are read, of how many that the partitions have.
    pub files: (usize, usize),
}

/// What all scans of a statement read, noted while it is planned.
#[derive(Debug, Default)]
pub struct ScanLog(Mutex<Vec<PruningSummary>>);

impl ScanLog {
    pub(super) fn note(&self, kept: PruningSummary) {
        self.0.lock().push(kept);
    }

    /// The scans in the order in which they were planned.
    pub fn scans(&self) -> Vec<PruningSummary> {
        self.0.lock().clone()
    }
}

impl PruningSummary {
    /// `Scan of default.t: 1 of 100 partitions, 2 of 10 files in them`
    pub fn to_text(&self) -> String {
        let files = format!("{} of {} files", self.files.0, self.files.1);
        match self.partitions {
            Some((kept, all)) => format!(
                "Scan of {}: {kept} of {all} partitions, {files} in them",
                self.table
            ),
            None => format!("Scan of {}: {files}", self.table),
        }
    }

    /// The same for programs.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "table": self.table,
            "partitions_kept": self.partitions.map(|(kept, _)| kept),
            "partitions": self.partitions.map(|(_, all)| all),
            "files_kept": self.files.0,
            "files": self.files.1,
        })
    }
}
