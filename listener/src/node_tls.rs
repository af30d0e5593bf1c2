//! TLS between the nodes of a cluster: both show the certificates that they show to clients, and each checks
//! the other's.
//!
//! Nodes ask for a protocol of their own, so that a client is never taken for a node and is asked for no
//! certificate. What a node has to show besides, the cluster's key, is checked elsewhere: an authority may have
//! signed other certificates than those of the nodes.

use crate::tls::TlsKeeper;
use futures::future::BoxFuture;
use http::Uri;
use hyper_util::rt::TokioIo;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::client::verify_server_cert_signed_by_trust_anchor;
use tokio_rustls::rustls::crypto::{
    CryptoProvider, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig,
    SignatureScheme,
};
use tower_service::Service;

/// What nodes ask for when they connect (ALPN, RFC 7301): HTTP/2, with a certificate on both sides.
pub(crate) const NODE_PROTOCOL: &[u8] = b"skep-node";

/// A node's certificate and its key.
pub(crate) struct OwnCertificate {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

/// What TLS between nodes is made of.
pub(crate) struct NodeTls {
    pub(crate) own: OwnCertificate,
    /// The authorities of the nodes' certificates.
    pub(crate) roots: RootCertStore,
    pub(crate) provider: Arc<CryptoProvider>,
}

impl NodeTls {
    /// For connections of nodes, and for connections to nodes.
    pub(crate) fn configs(self) -> Result<(ServerConfig, ClientConfig), Error> {
        let Self {
            own: OwnCertificate { chain, key },
            roots,
            provider,
        } = self;
        let roots = Arc::new(roots);
        let by_name =
            WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
                .build()
                .map_err(|error| Error::General(error.to_string()))?;
        let verifier = Arc::new(NodeVerifier {
            own: chain.first().cloned().unwrap_or_else(|| vec![].into()),
            roots,
            by_name,
            provider: Arc::clone(&provider),
        });
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(Arc::clone(&verifier) as Arc<dyn ClientCertVerifier>)
            .with_single_cert(chain.clone(), key.clone_key())?;
        server.alpn_protocols = vec![NODE_PROTOCOL.to_vec()];
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_auth_cert(chain, key)?;
        client.alpn_protocols = vec![NODE_PROTOCOL.to_vec()];
        Ok((server, client))
    }
}

/// Checks the certificates of other nodes. They are those of servers, so what they may be used for is checked as
/// for a server on both sides: public authorities sign nothing else any more.
struct NodeVerifier {
    own: CertificateDer<'static>,
    roots: Arc<RootCertStore>,
    by_name: Arc<WebPkiServerVerifier>,
    provider: Arc<CryptoProvider>,
}

impl fmt::Debug for NodeVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeVerifier").finish_non_exhaustive()
    }
}

impl NodeVerifier {
    /// Whether one of the authorities has signed it and it is in use now.
    fn check(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let algorithms = self.provider.signature_verification_algorithms.all;
        let parsed = ParsedCertificate::try_from(certificate)?;
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.roots,
            intermediates,
            now,
            algorithms,
        )
    }

    fn is_signed_by_12(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn is_signed_by_13(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

impl ClientCertVerifier for NodeVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // A node has one certificate.
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(certificate, intermediates, now)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.is_signed_by_12(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.is_signed_by_13(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

impl ServerCertVerifier for NodeVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // Who has this node's own key is this cluster, by whatever address it is reached: executors of one
        // process are reached on loopback, for which no authority signs.
        if *certificate == self.own {
            self.check(certificate, intermediates, now)?;
            return Ok(ServerCertVerified::assertion());
        }
        let by_name = &self.by_name;
        by_name.verify_server_cert(certificate, intermediates, name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.is_signed_by_12(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.is_signed_by_13(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

/// Connects to other nodes, for a Tonic channel: with the certificate that is in the files at that time.
#[derive(Clone)]
pub struct NodeConnector(TlsKeeper);

impl NodeConnector {
    /// Connections with the certificate of `keeper`.
    pub fn new(keeper: TlsKeeper) -> Self {
        Self(keeper)
    }
}

impl Service<Uri> for NodeConnector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = TlsConnector::from(self.0.to_nodes());
        Box::pin(async move {
            let invalid = || {
                io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("'{uri}' is no address"),
                )
            };
            let (host, port) = uri.host().zip(uri.port_u16()).ok_or_else(invalid)?;
            let host = host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned();
            let name = ServerName::try_from(host.clone()).map_err(|_| invalid())?;
            let stream = TcpStream::connect((host.as_str(), port)).await?;
            stream.set_nodelay(true)?;
            let stream = connector.connect(name, stream).await?;
            // A server that knows nothing of nodes would have taken this for a client.
            if stream.get_ref().1.alpn_protocol() != Some(NODE_PROTOCOL) {
                return Err(io::Error::other("it is no node of a cluster"));
            }
            Ok(TokioIo::new(stream))
        })
    }
}
