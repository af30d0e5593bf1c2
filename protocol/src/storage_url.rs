//! Where data lies: locations as users write them, in one normal form that every process reads alike.
//!
//! Parsing is pure. It opens nothing and knows no credentials; [`AllowedRoots`] alone looks at the
//! local file system, because a symbolic link can only be seen there.
//!
//! The rules:
//! - an absolute local path is taken literally, `%` and blanks included;
//! - in anything with a scheme, `%XX` is decoded, once;
//! - `.` and empty components vanish, `..` is refused, and so is an escaped `/`;
//! - a trailing slash says "a directory" and is kept.

mod allowed_roots;
mod percent;

pub use allowed_roots::AllowedRoots;

use crate::error::{ErrorCode, QueryError};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Why a text is not a location, or not one that may be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageUrlError {
    /// Nothing was given.
    #[error("the location is empty")]
    Empty,
    /// A relative path where nothing says relative to what.
    #[error("location '{0}' is relative: give an absolute path or a URL")]
    Relative(String),
    /// A scheme that Skep cannot read.
    #[error(
        "location '{location}' has the unknown scheme '{scheme}': use a local path, file, s3, gs, az, abfss, http or https"
    )]
    UnknownScheme {
        /// The text as given.
        location: String,
        /// Its scheme.
        scheme: String,
    },
    /// Anything else that is wrong with the text.
    #[error("location '{location}' is not valid: {reason}")]
    Invalid {
        /// The text as given.
        location: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The location is outside of what the server opens to its clients.
    #[error("location '{0}' is outside the allowed roots of this server")]
    NotAllowed(String),
}

impl StorageUrlError {
    /// The stable code of the error.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotAllowed(_) => ErrorCode::PermissionDenied,
            Self::Empty | Self::Relative(_) | Self::UnknownScheme { .. } | Self::Invalid { .. } => {
                ErrorCode::InvalidArgument
            }
        }
    }
}

impl From<StorageUrlError> for QueryError {
    fn from(error: StorageUrlError) -> Self {
        QueryError::new(error.code(), error.to_string())
    }
}

/// The kind of storage behind a location.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StorageScheme {
    /// The local file system of whoever reads it.
    File,
    /// Amazon S3 or anything that speaks its protocol.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure, as `az://container/…`.
    Azure,
    /// Azure Data Lake, as `abfss://container@account.dfs.core.windows.net/…`.
    AzureDataLake,
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

impl StorageScheme {
    /// The scheme as the normal form writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::S3 => "s3",
            Self::Gcs => "gs",
            Self::Azure => "az",
            Self::AzureDataLake => "abfss",
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn from_text(scheme: &str) -> Option<Self> {
        Some(match scheme {
            "file" => Self::File,
            "s3" | "s3a" | "s3n" => Self::S3,
            "gs" | "gcs" => Self::Gcs,
            "az" | "azure" => Self::Azure,
            "abfss" | "abfs" => Self::AzureDataLake,
            "http" => Self::Http,
            "https" => Self::Https,
            _ => return None,
        })
    }
}

/// A location in its normal form.
///
/// Two locations are the same place if they are equal, but for a trailing slash.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StorageUrl {
    scheme: StorageScheme,
    /// Bucket, container or host; empty for local files.
    authority: String,
    /// The path's components, decoded, joined by slashes, without any at either end.
    key: String,
    is_directory: bool,
}

impl StorageUrl {
    /// Parses an absolute local path or a URL.
    pub fn parse(text: &str) -> Result<Self, StorageUrlError> {
        Self::parse_against(text, None)
    }

    /// Parses a location; a relative path is taken to lie under the absolute path `base`.
    pub fn parse_with_base(text: &str, base: &Path) -> Result<Self, StorageUrlError> {
        Self::parse_against(text, Some(base))
    }

    /// The location of a local path, which must be absolute.
    pub fn from_local_path(path: &Path) -> Result<Self, StorageUrlError> {
        let text = path.to_str().ok_or_else(|| StorageUrlError::Invalid {
            location: path.display().to_string(),
            reason: "the path is not UTF-8",
        })?;
        match text.starts_with('/') {
            true => Self::parse_local(text),
            false => Err(StorageUrlError::Relative(text.to_owned())),
        }
    }

    fn parse_against(text: &str, base: Option<&Path>) -> Result<Self, StorageUrlError> {
        if text.is_empty() {
            return Err(StorageUrlError::Empty);
        }
        if text.starts_with('/') {
            return Self::parse_local(text);
        }
        if let Some((scheme, rest)) = split_scheme(text) {
            return Self::parse_url(text, scheme, rest);
        }
        let Some(base) = base.and_then(Path::to_str).filter(|b| b.starts_with('/')) else {
            return Err(StorageUrlError::Relative(text.to_owned()));
        };
        Self::parse_local(&format!("{base}/{text}"))
    }

    fn parse_local(text: &str) -> Result<Self, StorageUrlError> {
        Ok(Self {
            scheme: StorageScheme::File,
            authority: String::new(),
            key: normalise_components(text, text.split('/').map(str::to_owned))?,
            is_directory: names_directory(text),
        })
    }

    fn parse_url(text: &str, scheme: &str, rest: &str) -> Result<Self, StorageUrlError> {
        let invalid = |reason| StorageUrlError::Invalid {
            location: text.to_owned(),
            reason,
        };
        let scheme = StorageScheme::from_text(&scheme.to_ascii_lowercase()).ok_or_else(|| {
            StorageUrlError::UnknownScheme {
                location: text.to_owned(),
                scheme: scheme.to_owned(),
            }
        })?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let is_web = matches!(scheme, StorageScheme::Http | StorageScheme::Https);
        if is_web && path.contains(['?', '#']) {
            return Err(invalid("a query or fragment cannot be kept"));
        }
        let authority = normalise_authority(scheme, authority).map_err(invalid)?;
        let components = path
            .split('/')
            .map(|component| percent::decode(component).map_err(invalid))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            scheme,
            authority,
            key: normalise_components(text, components.into_iter())?,
            is_directory: path.is_empty() || names_directory(path),
        })
    }

    /// The kind of storage.
    pub fn scheme(&self) -> StorageScheme {
        self.scheme
    }

    /// The path within the store, decoded, without a slash at either end: what an object store calls
    /// a key or a prefix.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The store without a path, e.g. `s3://bucket` or `file://`: what stores are registered under.
    pub fn store_url(&self) -> String {
        format!("{}://{}", self.scheme.as_str(), self.authority)
    }

    /// Whether it was written with a trailing slash. Without one it may still be a directory.
    pub fn is_directory(&self) -> bool {
        self.is_directory
    }

    /// The same location with a trailing slash.
    pub fn as_directory(&self) -> Self {
        Self {
            is_directory: true,
            ..self.clone()
        }
    }

    /// The location of `key`, relative to this one, in the same store.
    pub fn with_key(&self, key: &str) -> Result<Self, StorageUrlError> {
        Ok(Self {
            scheme: self.scheme,
            authority: self.authority.clone(),
            key: normalise_components(key, key.split('/').map(str::to_owned))?,
            is_directory: names_directory(key),
        })
    }

    /// The path in the local file system; `None` for anything else.
    pub fn to_local_path(&self) -> Option<PathBuf> {
        (self.scheme == StorageScheme::File).then(|| PathBuf::from(format!("/{}", self.key)))
    }

    /// Whether `other` is this location or below it, component by component: `/data` contains
    /// `/data/x` and not `/database`.
    pub fn contains(&self, other: &Self) -> bool {
        let below = match other.key.strip_prefix(self.key.as_str()) {
            Some(rest) => self.key.is_empty() || rest.is_empty() || rest.starts_with('/'),
            None => false,
        };
        below && self.scheme == other.scheme && self.authority == other.authority
    }
}

impl fmt::Display for StorageUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority)?;
        for component in self.key.split('/').filter(|part| !part.is_empty()) {
            f.write_str("/")?;
            percent::encode(component, f)?;
        }
        match self.is_directory || self.key.is_empty() {
            true => f.write_str("/"),
            false => Ok(()),
        }
    }
}

impl FromStr for StorageUrl {
    type Err = StorageUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// Splits `scheme://rest`, and Hadoop's `file:/path`. The rest of a local one has no authority left.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(":/")?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    if !is_scheme {
        return None;
    }
    match rest.strip_prefix('/') {
        Some(rest) => Some((scheme, rest)),
        None if scheme.eq_ignore_ascii_case("file") => {
            text.get(scheme.len() + 1..).map(|path| (scheme, path))
        }
        None => None,
    }
}

fn names_directory(path: &str) -> bool {
    path.ends_with('/') || path.ends_with("/.")
}

fn normalise_components(
    location: &str,
    components: impl Iterator<Item = String>,
) -> Result<String, StorageUrlError> {
    let invalid = |reason| StorageUrlError::Invalid {
        location: location.to_owned(),
        reason,
    };
    let mut kept: Vec<String> = Vec::new();
    for component in components {
        match component.as_str() {
            "" | "." => continue,
            ".." => return Err(invalid("'..' is not allowed")),
            name if name.contains('/') => return Err(invalid("an escaped '/' is not allowed")),
            name if name.contains(char::is_control) => {
                return Err(invalid("control characters are not allowed"));
            }
            _ => kept.push(component),
        }
    }
    Ok(kept.join("/"))
}

fn normalise_authority(scheme: StorageScheme, authority: &str) -> Result<String, &'static str> {
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
    };
    match scheme {
        StorageScheme::File => match authority {
            "" | "localhost" => Ok(String::new()),
            _ => Err("a file URL cannot name a host"),
        },
        StorageScheme::S3 | StorageScheme::Gcs | StorageScheme::Azure => match is_name(authority) {
            true => Ok(authority.to_owned()),
            false => Err("the bucket's name is missing or malformed"),
        },
        StorageScheme::AzureDataLake => match authority.split_once('@') {
            Some((container, host)) if is_name(container) && is_name(host) => {
                Ok(format!("{container}@{}", host.to_ascii_lowercase()))
            }
            _ => Err("expected container@account.dfs.core.windows.net"),
        },
        StorageScheme::Http | StorageScheme::Https => {
            if authority.contains('@') {
                return Err("a user or password in the URL is not allowed");
            }
            let (host, port) = match authority.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            };
            let port_is_valid = port.is_none_or(|port| port.parse::<u16>().is_ok());
            match is_name(host) && port_is_valid {
                true => Ok(authority.to_ascii_lowercase()),
                false => Err("the host's name is missing or malformed"),
            }
        }
    }
}

#[cfg(test)]
mod tests;
