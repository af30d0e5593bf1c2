//! How messages name a node.

use url::Url;

/// The part of an executor's URL that names it to people.
pub(crate) fn node_name(url: &Url) -> String {
    match (url.host_str(), url.port_or_known_default()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        _ => url.to_string(),
    }
}
