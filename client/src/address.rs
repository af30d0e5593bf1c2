//! What a server's address may look like, so that every mistake in one is named before a connection
//! is tried.

use crate::error::ClientError;
use url::Url;

/// The port of an address that names none.
pub const DEFAULT_PORT: u16 = 8090;

/// A server's address, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// As people write it, with the port: `flight://localhost:8090`.
    pub display: String,
    /// As the transport wants it: `http://localhost:8090`.
    pub endpoint: String,
    /// The host alone, which a server's certificate must name.
    pub host: String,
    /// Whether the connection is encrypted.
    pub tls: bool,
}

/// Reads `flight://host:port` or `flights://host:port`.
///
/// # Errors
/// [`ClientError::Address`], saying what is wrong with it.
pub(crate) fn parse(text: &str) -> Result<Address, ClientError> {
    let wrong = |reason: &str| ClientError::Address {
        address: without_credentials(text),
        reason: reason.to_owned(),
    };
    if !text.contains("://") {
        return Err(wrong(
            "it must look like flight://host:port or flights://host:port",
        ));
    }
    let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    let tls = match url.scheme() {
        "flight" => false,
        "flights" => true,
        _ => return Err(wrong("its scheme must be flight or flights (with TLS)")),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(
            "a user and a password do not belong in it: others can see it",
        ));
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("nothing may follow the port"));
    }
    let Some(host) = url.host_str().filter(|host| !host.is_empty()) else {
        return Err(wrong("it names no host"));
    };
    let port = url.port().unwrap_or(DEFAULT_PORT);
    let transport = if tls { "https" } else { "http" };
    Ok(Address {
        display: format!("{}://{host}:{port}", url.scheme()),
        endpoint: format!("{transport}://{host}:{port}"),
        host: host.trim_matches(['[', ']']).to_owned(),
        tls,
    })
}

/// The address as it may be shown: what stands before an `@` could be a password.
fn without_credentials(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let Some((_, host)) = rest.rsplit_once('@') else {
        return text.to_owned();
    };
    if scheme.is_empty() {
        format!("…@{host}")
    } else {
        format!("{scheme}://…@{host}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let plain = parse("flight://db.example").unwrap();
        assert_eq!(plain.display, "flight://db.example:8090");
        assert_eq!(plain.endpoint, "http://db.example:8090");
        assert!(!plain.tls);
        let tls = parse("flights://[::1]:9443/").unwrap();
        assert_eq!(
            (tls.endpoint.as_str(), tls.host.as_str()),
            ("https://[::1]:9443", "::1")
        );
        assert!(tls.tls);
    }

    #[test]
    fn mistakes_are_named() {
        for (address, part) in [
            ("localhost:8090", "must look like"),
            ("http://localhost:8090", "scheme"),
            ("flight://", "host"),
            ("flight://h:99999", "port"),
            ("flight://h:1/db", "follow the port"),
        ] {
            let message = parse(address).unwrap_err().to_string();
            assert!(message.contains(part), "{address}: {message}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_refused_and_not_repeated() {
        let message = parse("flight://ann:secret@h:1").unwrap_err().to_string();
        assert!(
            message.contains("password") && !message.contains("secret"),
            "{message}"
        );
    }
}
