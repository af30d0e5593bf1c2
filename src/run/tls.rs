//! `skep tls init`: a certificate that signs itself, for trying TLS out.

use anyhow::{Context, bail};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const CERTIFICATE_FILE: &str = "skep-certificate.pem";
const KEY_FILE: &str = "skep-key.pem";

/// What every certificate is for.
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Writes a certificate and its key into `directory`, and says how they are used.
pub(super) fn init(directory: &Path, names: &[String]) -> anyhow::Result<()> {
    let (certificate_path, key_path) = (directory.join(CERTIFICATE_FILE), directory.join(KEY_FILE));
    for path in [&certificate_path, &key_path] {
        if path.exists() {
            bail!("{} is there already, and is left as it is", path.display());
        }
    }
    let all = LOCAL_NAMES.iter().map(|name| (*name).to_owned());
    let all: Vec<String> = all.chain(names.iter().cloned()).collect();
    let mut params = CertificateParams::new(all).context("not a host name")?;
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "Skep, signed by itself");
    let key = KeyPair::generate().context("cannot make a key")?;
    let certificate = params
        .self_signed(&key)
        .context("cannot make a certificate")?;
    std::fs::create_dir_all(directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    write(&key_path, &key.serialize_pem(), 0o600)?;
    write(&certificate_path, &certificate.pem(), 0o644)?;
    let (certificate, key) = (certificate_path.display(), key_path.display());
    println!("made {certificate} and {key}");
    println!("server: skep standalone --tls-certificate {certificate} --tls-key {key}");
    println!(
        "executors: skep executor --coordinator flights://HOST:PORT --tls-certificate {certificate} --tls-key {key}"
    );
    println!("clients trust it where {certificate} is among their authorities");
    Ok(())
}

fn write(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}
