//! Certificates that sign themselves, as `skep tls init` makes them.

use crate::process::run;
use std::path::{Path, PathBuf};

/// A certificate for this machine, and its key.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate, as PEM; whoever trusts it trusts the server.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Certificate {
    /// Makes one in `directory`.
    pub async fn make(directory: &Path) -> Self {
        let place = directory.display().to_string();
        let made = run(&["tls", "init", "--directory", &place], directory).await;
        assert_eq!(made.code, Some(0), "{}", made.stderr);
        Self {
            certificate: directory.join("skep-certificate.pem"),
            key: directory.join("skep-key.pem"),
        }
    }

    /// The flags with which a process uses it.
    pub fn flags(&self) -> [String; 4] {
        [
            "--tls-certificate".to_owned(),
            self.certificate.display().to_string(),
            "--tls-key".to_owned(),
            self.key.display().to_string(),
        ]
    }
}
