//! The server's certificate: read from files, and read again when they change.
//!
//! What cannot be read at the start keeps the server from starting. Later on the certificate that was
//! there stays in use, because files are not replaced in one instant, and the log says so.

use crate::node_tls::{NodeTls, OwnCertificate};
use parking_lot::RwLock;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::task::JoinSet;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore, ServerConfig};
use tracing::{error, info};

/// How often the files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Where the certificate is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and those between it and its authority, as PEM.
    pub certificate: PathBuf,
    /// Its private key, as PEM.
    pub key: PathBuf,
    /// The authorities of clients' certificates, as PEM. Where there are some, clients have to show a
    /// certificate of theirs.
    pub client_authorities: Option<PathBuf>,
    /// The authorities of the certificates of the cluster's nodes, as PEM; those in the certificate's own file
    /// where there are none.
    pub node_authorities: Option<PathBuf>,
}

/// A certificate that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read '{}': {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file holds nothing of the kind.
    #[error("'{}' holds no {what} in PEM", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// Certificate and key do not fit, or are not usable.
    #[error("the certificate in '{}' cannot be used: {source}", path.display())]
    Unusable {
        /// The certificate's file.
        path: PathBuf,
        /// Why not.
        source: rustls::Error,
    },
    /// The authorities of clients are not usable.
    #[error("the client authorities in '{}' cannot be used: {source}", path.display())]
    Authorities {
        /// Their file.
        path: PathBuf,
        /// Why not.
        source: rustls::server::VerifierBuilderError,
    },
}

/// What is made of the files.
#[derive(Clone)]
struct Current {
    for_clients: Arc<ServerConfig>,
    for_nodes: Arc<ServerConfig>,
    to_nodes: Arc<ClientConfig>,
}

/// What the files hold now. Clones share it.
#[derive(Clone)]
pub struct TlsKeeper {
    current: Arc<RwLock<Current>>,
    _looking: Arc<JoinSet<()>>,
}

impl fmt::Debug for TlsKeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsKeeper").finish_non_exhaustive()
    }
}

impl TlsKeeper {
    /// Reads the files, and looks at them again for as long as a clone is there. Must be called within
    /// a Tokio runtime.
    ///
    /// # Errors
    /// Where they are not there, not PEM, or do not fit together.
    pub async fn start(files: TlsFiles) -> Result<Self, TlsError> {
        let seen = files.times().await;
        let current = Arc::new(RwLock::new(files.load().await?));
        let mut looking = JoinSet::new();
        looking.spawn(keep_current(files, seen, Arc::clone(&current)));
        Ok(Self {
            current,
            _looking: Arc::new(looking),
        })
    }

    /// What a new connection of a client is to use.
    pub(crate) fn for_clients(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().for_clients)
    }

    /// What a new connection of a node is to use.
    pub(crate) fn for_nodes(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().for_nodes)
    }

    /// What a new connection to a node is to use.
    pub(crate) fn to_nodes(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.current.read().to_nodes)
    }
}

async fn keep_current(files: TlsFiles, mut seen: Times, current: Arc<RwLock<Current>>) {
    loop {
        tokio::time::sleep(LOOK_INTERVAL).await;
        let times = files.times().await;
        if times == seen {
            continue;
        }
        match files.load().await {
            Ok(config) => {
                *current.write() = config;
                seen = times;
                info!("the TLS certificate was read again");
            }
            Err(error) => {
                // The error is told once for each change of the files.
                seen = times;
                error!(%error, "the changed TLS certificate is not used, the one before it is");
            }
        }
    }
}

/// When each file was changed last and how long it is.
type Times = Vec<Option<(SystemTime, u64)>>;

impl TlsFiles {
    async fn times(&self) -> Times {
        let mut times = Vec::new();
        let paths = [
            Some(&self.certificate),
            Some(&self.key),
            self.client_authorities.as_ref(),
            self.node_authorities.as_ref(),
        ];
        for path in paths.into_iter().flatten() {
            let metadata = tokio::fs::metadata(path).await.ok();
            times.push(metadata.and_then(|found| Some((found.modified().ok()?, found.len()))));
        }
        times
    }

    async fn load(&self) -> Result<Current, TlsError> {
        let own = self.own().await?;
        let provider = Arc::new(ring::default_provider());
        let unusable = |source| self.unusable(source);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let builder = match &self.client_authorities {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let roots = Arc::new(authorities(certificates(path).await?).map_err(unusable)?);
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider))
                        .build()
                        .map_err(|source| TlsError::Authorities {
                            path: path.clone(),
                            source,
                        })?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut for_clients = builder
            .with_single_cert(own.chain.clone(), own.key.clone_key())
            .map_err(unusable)?;
        for_clients.alpn_protocols = vec![b"h2".to_vec()];
        let trusted = match &self.node_authorities {
            Some(path) => certificates(path).await?,
            None => own.chain.clone(),
        };
        let nodes = NodeTls {
            roots: authorities(trusted).map_err(unusable)?,
            own,
            provider,
        };
        let (for_nodes, to_nodes) = nodes.configs().map_err(unusable)?;
        Ok(Current {
            for_clients: Arc::new(for_clients),
            for_nodes: Arc::new(for_nodes),
            to_nodes: Arc::new(to_nodes),
        })
    }

    async fn own(&self) -> Result<OwnCertificate, TlsError> {
        let chain = certificates(&self.certificate).await?;
        let key = PrivateKeyDer::from_pem_slice(&read(&self.key).await?);
        let key = key.map_err(|_| TlsError::Missing {
            path: self.key.clone(),
            what: "private key",
        })?;
        Ok(OwnCertificate { chain, key })
    }

    fn unusable(&self, source: rustls::Error) -> TlsError {
        TlsError::Unusable {
            path: self.certificate.clone(),
            source,
        }
    }
}

fn authorities(certificates: Vec<CertificateDer<'static>>) -> Result<RootCertStore, rustls::Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate)?;
    }
    Ok(roots)
}

async fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let missing = || TlsError::Missing {
        path: path.to_owned(),
        what: "certificate",
    };
    let found = CertificateDer::pem_slice_iter(&read(path).await?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| missing())?;
    match found.is_empty() {
        true => Err(missing()),
        false => Ok(found),
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    tokio::fs::read(path)
        .await
        .map_err(|source| TlsError::Read {
            path: path.to_owned(),
            source,
        })
}
