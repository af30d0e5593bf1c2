//! The cluster's secret: where it comes from, who needs one, and `skep cluster init`, which makes it.

use super::server::random_secret;
use crate::config::keys::Config;
use anyhow::{Context, bail};
use skep_coordinator::Authentication;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const SECRET_FILE: &str = "skep-cluster-secret";

/// The rights of everybody else to a file.
const OTHERS: u32 = 0o007;

/// A secret that is shorter can be guessed by somebody who has recorded what nodes say, in bytes.
const GOOD_SECRET_BYTES_MIN: usize = 16;

/// The secret that is configured, where one is.
pub(super) fn secret(config: &Config) -> anyhow::Result<Option<String>> {
    let cluster = &config.cluster;
    let secret = match (&cluster.secret, &cluster.secret_file) {
        (Some(_), Some(_)) => {
            bail!("cluster.secret and cluster.secret_file are both given: one is enough")
        }
        (Some(secret), None) => secret.reveal().to_owned(),
        (None, Some(path)) => read(path)?,
        (None, None) => return Ok(None),
    };
    if secret.len() < GOOD_SECRET_BYTES_MIN {
        tracing::warn!("the cluster's secret is short: `skep cluster init` makes a better one");
    }
    Ok(Some(secret))
}

/// The secret of a coordinator and its own executors. One that nobody else is to join makes it up. Without one,
/// the key is handed out on loopback, to the same user.
pub(super) fn of_coordinator(
    config: &Config,
    authentication: &Authentication,
) -> anyhow::Result<Option<String>> {
    if matches!(authentication, Authentication::Secret(_)) {
        return Ok(Some(random_secret()));
    }
    let listen = config.server.listen;
    match secret(config)? {
        Some(secret) => Ok(Some(secret)),
        None if listen.ip().is_loopback() => Ok(None),
        None if config.server.executors > 0 => Ok(Some(random_secret())),
        None => bail!(
            "a coordinator on {listen} is within the reach of others, and without a secret it cannot tell its \
             executors from them: make one with `skep cluster init`, and give it to the coordinator and to every \
             executor as cluster.secret_file or SKEP_CLUSTER_SECRET"
        ),
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    let cannot = || format!("cannot read the cluster's secret in {}", path.display());
    let mode = std::fs::metadata(path).with_context(cannot)?.mode();
    if mode & OTHERS != 0 {
        // Not refused: within a container there are no others, and its secrets are often put so.
        tracing::warn!(path = %path.display(), "every user of this machine can read the cluster's secret: chmod 600 it");
    }
    let text = std::fs::read_to_string(path).with_context(cannot)?;
    match text.lines().next().map(str::trim) {
        Some(secret) if !secret.is_empty() => Ok(secret.to_owned()),
        _ => bail!("{} has no secret in its first line", path.display()),
    }
}

/// Writes a secret into `directory`, and says how it is used.
pub(super) fn init(directory: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    let path = directory.join(SECRET_FILE);
    if path.exists() {
        bail!("{} is there already, and is left as it is", path.display());
    }
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path);
    file.and_then(|mut file| writeln!(file, "{}", random_secret()))
        .with_context(|| format!("cannot write {}", path.display()))?;
    let path: PathBuf = path.canonicalize().unwrap_or(path);
    println!("made {}, which its owner alone can read", path.display());
    println!(
        "copy it to every machine of the cluster, and say in the configuration of the coordinator and of every executor:"
    );
    println!(
        "\n[cluster]\nsecret_file = {:?}",
        path.display().to_string()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_for_its_owner_and_read_again() {
        let directory = tempfile::tempdir().unwrap();
        init(directory.path()).unwrap();
        let path = directory.path().join(SECRET_FILE);
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let secret = read(&path).unwrap();
        assert_eq!(secret.len(), 64);
        assert!(init(directory.path()).is_err());
        assert_eq!(read(&path).unwrap(), secret);
    }

    #[test]
    fn a_secret_is_in_the_first_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        for (text, expected) in [
            ("geheim\n", Some("geheim")),
            (" a b \nc\n", Some("a b")),
            ("", None),
            ("\nx\n", None),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read(&path).ok().as_deref(), expected, "{text:?}");
        }
        assert!(read(&directory.path().join("nothing")).is_err());
    }
}
