//! What the machine is, as far as Linux says so in `/proc`; elsewhere the fields stay unknown.

use std::fs;

use serde::Serialize;

/// The machine that a run's times belong to.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// The processor's model name.
    pub cpu: Option<String>,
    /// The cores that this process may use.
    pub cores: usize,
    /// Installed memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Kernel and release.
    pub os: String,
}

impl Machine {
    /// The machine that this process runs on.
    pub fn this() -> Machine {
        let cpu = fs::read_to_string("/proc/cpuinfo").ok();
        let memory = fs::read_to_string("/proc/meminfo").ok();
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Machine {
            cpu: cpu.and_then(|text| field(&text, "model name").map(str::to_string)),
            cores: crate::generate::cores(),
            memory_bytes: memory.and_then(|text| kibibytes(&text, "MemTotal")),
            os: format!("{} {}", std::env::consts::OS, release.trim())
                .trim()
                .to_string(),
        }
    }
}

/// The most memory that this process has had resident, in bytes.
pub(super) fn peak_memory_bytes() -> Option<u64> {
    kibibytes(&fs::read_to_string("/proc/self/status").ok()?, "VmHWM")
}

fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let value = field(text, name)?.strip_suffix("kB")?;
    Some(value.trim().parse::<u64>().ok()? * 1024)
}

/// The first value of a `name: value` line.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    fields
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let text = "VmPeak:\t  99 kB\nVmHWM:\t  12345 kB\nmodel name\t: A CPU: fast\n";
        assert_eq!(kibibytes(text, "VmHWM"), Some(12345 * 1024));
        assert_eq!(kibibytes(text, "Vm"), None);
        assert_eq!(field(text, "model name"), Some("A CPU: fast"));
        assert_eq!(kibibytes(text, "model name"), None);
    }
}
