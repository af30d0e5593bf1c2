//! Where things are: addresses, nodes, files and storage.

use super::{Kind, Raw, quoted};
use skep_catalog::{CatalogError, CatalogLocation};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// An address to listen on; `localhost` stands for 127.0.0.1.
pub struct Address;

impl Kind for Address {
    type Value = SocketAddr;

    fn syntax() -> String {
        "`HOST:PORT` with an IP address; port 0 takes any that is free".to_owned()
    }

    fn parse(raw: &Raw) -> Result<SocketAddr, String> {
        let text = raw.scalar()?;
        let local = text
            .strip_prefix("localhost:")
            .and_then(|port| port.parse().ok());
        match local {
            Some(port) => Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)),
            None => text.parse().map_err(|_| {
                format!("{text:?} is not an address: write an IP address and a port, such as 0.0.0.0:8090")
            }),
        }
    }

    fn show(value: &SocketAddr) -> Option<String> {
        Some(quoted(&value.to_string()))
    }
}

/// The address of a process of the cluster, for the others to connect to.
pub struct NodeUrl;

/// Host and port of a process of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeUrlValue {
    /// A name or an IP address, in brackets for IPv6.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether TLS is asked for.
    pub tls: bool,
}

impl NodeUrlValue {
    /// As gRPC's libraries write it.
    pub fn to_http(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}:{}", self.host, self.port)
    }
}

impl fmt::Display for NodeUrlValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "flights" } else { "flight" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

impl Kind for NodeUrl {
    type Value = NodeUrlValue;

    fn syntax() -> String {
        "`flight://HOST:PORT`, or `flights://` for TLS".to_owned()
    }

    fn parse(raw: &Raw) -> Result<NodeUrlValue, String> {
        let text = raw.scalar()?;
        let (host, port) = host_and_port(text, &["flight", "flights", "http", "grpc"])?;
        let port =
            port.ok_or_else(|| format!("{text:?} has no port: expected {}", Self::syntax()))?;
        let tls = text.starts_with("flights:");
        Ok(NodeUrlValue { host, port, tls })
    }

    fn show(value: &NodeUrlValue) -> Option<String> {
        Some(quoted(&value.to_string()))
    }
}

/// A Flight SQL server; `flights` is `flight` over TLS.
pub struct FlightUrl;

impl Kind for FlightUrl {
    type Value = String;

    fn syntax() -> String {
        "`flight://HOST:PORT`, or `flights://` for TLS".to_owned()
    }

    fn parse(raw: &Raw) -> Result<String, String> {
        let text = raw.scalar()?;
        host_and_port(text, &["flight", "flights"])?;
        Ok(text.to_owned())
    }

    fn show(value: &String) -> Option<String> {
        Some(quoted(value))
    }
}

fn host_and_port(text: &str, schemes: &[&str]) -> Result<(String, Option<u16>), String> {
    let url = url::Url::parse(text).map_err(|error| format!("{text:?} is not a URL: {error}"))?;
    if !schemes.contains(&url.scheme()) {
        return Err(format!(
            "{text:?} has the scheme {:?} where {:?} is expected",
            url.scheme(),
            schemes[0]
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "a user and a password do not belong in an address: others can see it".to_owned(),
        );
    }
    let has_more =
        !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some();
    if has_more {
        return Err(format!(
            "{text:?} has more than a scheme, a host and a port"
        ));
    }
    match url.host_str() {
        Some(host) if !host.is_empty() => Ok((host.to_owned(), url.port_or_known_default())),
        _ => Err(format!("{text:?} has no host")),
    }
}

/// A directory on this machine.
pub struct Directory;

/// A file on this machine.
pub struct FilePath;

macro_rules! path_kind {
    ($name:ident, $syntax:literal) => {
        impl Kind for $name {
            type Value = PathBuf;

            fn syntax() -> String {
                $syntax.to_owned()
            }

            fn parse(raw: &Raw) -> Result<PathBuf, String> {
                local_path(raw.scalar()?)
            }

            fn show(value: &PathBuf) -> Option<String> {
                Some(quoted(&value.to_string_lossy()))
            }
        }
    };
}

path_kind!(Directory, "a directory");
path_kind!(FilePath, "a file");

/// Absolute, so that it means the same wherever it is used.
fn local_path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("must not be empty".to_owned());
    }
    if text == "~" || text.starts_with("~/") {
        return Err(format!(
            "{text:?} begins with ~, which only shells replace: write the path out"
        ));
    }
    std::path::absolute(text).map_err(|error| format!("{text:?} cannot be made absolute: {error}"))
}

/// Where the catalog's database is.
pub struct CatalogDatabase;

impl Kind for CatalogDatabase {
    type Value = CatalogLocation;
    const HIDES_INPUT: bool = true;

    fn syntax() -> String {
        "`sqlite`, or `postgres://USER:PASSWORD@HOST:PORT/DATABASE`".to_owned()
    }

    fn parse(raw: &Raw) -> Result<CatalogLocation, String> {
        match raw.scalar()? {
            "sqlite" => Ok(CatalogLocation::Sqlite),
            text => {
                let url = text.parse().map_err(|error: CatalogError| {
                    format!("{error}: expected {}", Self::syntax())
                })?;
                Ok(CatalogLocation::Postgres(url))
            }
        }
    }

    /// Without the password.
    fn show(value: &CatalogLocation) -> Option<String> {
        Some(match value {
            CatalogLocation::Sqlite => quoted("sqlite"),
            CatalogLocation::Postgres(url) => quoted(&url.to_string()),
        })
    }
}

/// A local path or a storage URL.
pub struct Location;

impl Kind for Location {
    type Value = String;

    fn syntax() -> String {
        "a path or a URL such as `s3://bucket/prefix`".to_owned()
    }

    fn parse(raw: &Raw) -> Result<String, String> {
        location(raw.scalar()?)
    }

    fn show(value: &String) -> Option<String> {
        Some(quoted(value))
    }
}

/// Several local paths or storage URLs.
pub struct Roots;

impl Kind for Roots {
    type Value = Vec<String>;
    const IS_LIST: bool = true;

    fn syntax() -> String {
        "paths or URLs; in a variable, separated by commas".to_owned()
    }

    fn parse(raw: &Raw) -> Result<Vec<String>, String> {
        match raw {
            Raw::One(text) if text.trim().is_empty() => Ok(Vec::new()),
            Raw::One(text) => text.split(',').map(|part| location(part.trim())).collect(),
            Raw::Many(texts) => texts.iter().map(|text| location(text.trim())).collect(),
        }
    }

    fn show(value: &Vec<String>) -> Option<String> {
        let roots: Vec<_> = value.iter().map(|root| quoted(root)).collect();
        Some(format!("[{}]", roots.join(", ")))
    }
}

fn location(text: &str) -> Result<String, String> {
    if text.contains("://") {
        url::Url::parse(text).map_err(|error| format!("{text:?} is not a URL: {error}"))?;
        return Ok(text.to_owned());
    }
    let path = local_path(text)?;
    path.into_os_string()
        .into_string()
        .map_err(|path| format!("{path:?} is not Unicode"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Raw {
        Raw::One(text.to_owned())
    }

    #[test]
    fn an_address_has_an_ip_address_and_a_port() {
        assert_eq!(
            Address::parse(&one("localhost:0")).unwrap().to_string(),
            "127.0.0.1:0"
        );
        assert_eq!(
            Address::parse(&one("[::1]:80")).unwrap().to_string(),
            "[::1]:80"
        );
        for text in ["", "8090", "localhost", "host:1", "1.2.3.4:70000"] {
            assert!(Address::parse(&one(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn a_catalog_s_database_is_shown_without_its_password() {
        let show = |text: &str| {
            let value = CatalogDatabase::parse(&one(text)).unwrap();
            CatalogDatabase::show(&value).unwrap()
        };
        assert_eq!(show("sqlite"), "\"sqlite\"");
        let shown = show("postgres://ada:secret@db.example.org/skep");
        assert_eq!(shown, "\"postgres://ada@db.example.org/skep\"");
        for text in [
            "",
            "mysql://ada:secret@db",
            "postgres://ada:secret@db:x/skep",
        ] {
            let error = CatalogDatabase::parse(&one(text)).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_node_is_a_host_and_a_port() {
        let node = NodeUrl::parse(&one("flight://[::1]:8090")).unwrap();
        assert_eq!(node.to_string(), "flight://[::1]:8090");
        assert_eq!(node.to_http(), "http://[::1]:8090");
        let node = NodeUrl::parse(&one("flights://a:1")).unwrap();
        assert_eq!(
            (node.to_string().as_str(), node.to_http().as_str()),
            ("flights://a:1", "https://a:1")
        );
        assert_eq!(
            NodeUrl::parse(&one("http://a.b:1")).unwrap().to_string(),
            "flight://a.b:1"
        );
        for text in [
            "host:1",
            "flight://host",
            "s3://a:1",
            "flight://h:1/x",
            "flight://u@h:1",
            "flight://:1",
        ] {
            assert!(NodeUrl::parse(&one(text)).is_err(), "{text}");
        }
        assert!(FlightUrl::parse(&one("flights://host")).is_ok());
        assert!(FlightUrl::parse(&one("http://host")).is_err());
    }

    #[test]
    fn roots_come_as_a_list_or_with_commas() {
        let expected = Ok(vec!["/a".to_owned(), "s3://b/c".to_owned()]);
        assert_eq!(Roots::parse(&one("/a, s3://b/c")), expected);
        let many = Raw::Many(vec!["/a".into(), "s3://b/c".into()]);
        assert_eq!(Roots::parse(&many), expected);
        assert_eq!(Roots::parse(&one("")), Ok(vec![]));
        let comma = Raw::Many(vec!["/a,b".into()]);
        assert_eq!(Roots::parse(&comma), Ok(vec!["/a,b".to_owned()]));
    }

    #[test]
    fn paths_become_absolute() {
        assert!(Directory::parse(&one("data")).unwrap().is_absolute());
        assert!(
            Directory::parse(&one("~/data"))
                .unwrap_err()
                .contains("write the path out")
        );
        assert!(Directory::parse(&one("")).is_err());
    }
}
