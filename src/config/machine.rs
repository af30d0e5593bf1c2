//! What this machine has, as far as this process may use it: for defaults that depend on it.

use std::path::Path;

/// What is assumed where the amount of memory cannot be found out.
const MEMORY_UNKNOWN_BYTES: u64 = 4 << 30;

/// The resources of the machine, or of the container in which the process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Cores that this process may use.
    pub cores: usize,
    /// Memory that this process may use.
    pub memory_bytes: u64,
}

impl Machine {
    /// Asks the operating system.
    pub fn detect() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let memory = installed_memory(Path::new("/proc/meminfo"));
        let limit =
            control_group_limit(Path::new("/proc/self/cgroup"), Path::new("/sys/fs/cgroup"));
        let memory_bytes = memory.into_iter().chain(limit).min();
        Self {
            cores,
            memory_bytes: memory_bytes.unwrap_or(MEMORY_UNKNOWN_BYTES),
        }
    }
}

/// `MemTotal` of Linux's `/proc/meminfo`.
fn installed_memory(file: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The least limit of the control groups, version 2 or 1, that this process is in.
fn control_group_limit(membership: &Path, root: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(membership).ok()?;
    text.lines()
        .filter_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, group) = rest.split_once(':')?;
            match controllers {
                "" => least_limit(root, group, "memory.max"),
                controllers if controllers.split(',').any(|name| name == "memory") => {
                    least_limit(&root.join("memory"), group, "memory.limit_in_bytes")
                }
                _ => None,
            }
        })
        .min()
}

/// The least number in `file` of `group` and of every group above it. Inside a container the group
/// may be named from outside, and then only the root's file is there.
fn least_limit(root: &Path, group: &str, file: &str) -> Option<u64> {
    let group = Path::new(group.trim_start_matches('/'));
    group
        .ancestors()
        .filter_map(|group| std::fs::read_to_string(root.join(group).join(file)).ok())
        .filter_map(|text| text.trim().parse().ok())
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_machine_has_something() {
        let machine = Machine::detect();
        assert!(machine.cores >= 1);
        assert!(machine.memory_bytes > 64 << 20);
    }

    #[test]
    fn the_installed_memory_is_in_kibibytes() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("meminfo");
        fs::write(&file, "MemTotal:       24575528 kB\nMemFree: 1 kB\n").unwrap();
        assert_eq!(installed_memory(&file), Some(24_575_528 * 1024));
        fs::write(&file, "nothing").unwrap();
        assert_eq!(installed_memory(&file), None);
    }

    #[test]
    fn the_tightest_group_counts() {
        let directory = tempfile::tempdir().unwrap();
        let (root, member) = (directory.path(), directory.path().join("self"));
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/memory.max"), "max\n").unwrap();
        fs::write(root.join("a/memory.max"), "1000\n").unwrap();
        fs::create_dir_all(root.join("memory/c")).unwrap();
        fs::write(root.join("memory/c/memory.limit_in_bytes"), "500\n").unwrap();

        fs::write(&member, "0::/a/b\n").unwrap();
        assert_eq!(control_group_limit(&member, root), Some(1000));
        fs::write(&member, "7:cpu,memory:/c\n0::/a/b\n").unwrap();
        assert_eq!(control_group_limit(&member, root), Some(500));
        fs::write(&member, "0::/elsewhere\n").unwrap();
        assert_eq!(control_group_limit(&member, root), None);
    }
}
