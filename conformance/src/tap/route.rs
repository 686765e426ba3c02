//! Where a port leads: paths on this side to paths on the server, and the kind of each request.
//!
//! The path of the base URL is the same on both sides, so that a reference in an answer leads to the same place from
//! either.

use super::TapError;
use super::upstream::Origin;
use fieldsync_schemas::scenario::CallKind;
use http::Method;
use url::Url;

/// The base URL of a data set, and where it leads now.
#[derive(Debug, Clone)]
pub(super) struct Route {
    /// The path of the base URL as the device knows it, without a slash at its end.
    prefix: String,
    /// The path of the base URL on the server.
    upstream_prefix: String,
    pub(super) origin: Origin,
}

/// A path, seen from the base URL.
#[derive(Debug, PartialEq)]
pub(super) struct Place {
    /// Below the base, or whole where it is not below it.
    pub(super) path: String,
    pub(super) below_base: bool,
    /// The path on the server.
    pub(super) upstream: String,
}

impl Route {
    pub(super) fn to(base: &Url) -> Result<Self, TapError> {
        let prefix = base.path().trim_end_matches('/').to_owned();
        Ok(Self { upstream_prefix: prefix.clone(), prefix, origin: Origin::of(base)? })
    }

    /// The same paths on this side, another server or another path on it.
    pub(super) fn moved(&self, base: &Url) -> Result<Self, TapError> {
        Ok(Self { prefix: self.prefix.clone(), ..Self::to(base)? })
    }

    pub(super) fn place(&self, path_and_query: &str) -> Place {
        let below =
            path_and_query.strip_prefix(&self.prefix).filter(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
        match below {
            Some(path) => {
                let slash = if path.starts_with('/') || !self.upstream_prefix.is_empty() { "" } else { "/" };
                Place {
                    path: path.to_owned(),
                    below_base: true,
                    upstream: format!("{}{slash}{path}", self.upstream_prefix),
                }
            }
            None => Place { path: path_and_query.to_owned(), below_base: false, upstream: path_and_query.to_owned() },
        }
    }
}

impl Place {
    pub(super) fn kind(&self, method: &Method) -> CallKind {
        if !self.below_base {
            return CallKind::Any;
        }
        let path = self.path.split_once('?').map_or(self.path.as_str(), |(path, _)| path);
        match (method, path) {
            (&Method::GET, "" | "/") => CallKind::Discovery,
            (&Method::GET, "/session") => CallKind::Session,
            (&Method::POST, "/login") => CallKind::Login,
            (&Method::POST, "/refresh") => CallKind::Refresh,
            (&Method::POST, "/push") => CallKind::Push,
            (&Method::POST, "/pull") => CallKind::Pull,
            (&Method::POST, "/digest") => CallKind::Digest,
            (&Method::POST, "/bucket") => CallKind::Bucket,
            _ => CallKind::Any,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(base: &str) -> Route {
        Route::to(&base.parse().unwrap()).unwrap()
    }

    #[test]
    fn requests_are_told_apart_by_method_and_path_below_the_base() {
        let route = route("http://127.0.0.1:9/ds/a/");
        for (method, path, kind) in [
            (Method::GET, "/ds/a", CallKind::Discovery),
            (Method::GET, "/ds/a/", CallKind::Discovery),
            (Method::POST, "/ds/a/login", CallKind::Login),
            (Method::POST, "/ds/a/refresh", CallKind::Refresh),
            (Method::GET, "/ds/a/session?x=1", CallKind::Session),
            (Method::POST, "/ds/a/push", CallKind::Push),
            (Method::POST, "/ds/a/pull", CallKind::Pull),
            (Method::GET, "/ds/a/pull", CallKind::Any),
            (Method::POST, "/ds/ab/pull", CallKind::Any),
            (Method::GET, "/.well-known/fieldsync", CallKind::Any),
        ] {
            assert_eq!(route.place(path).kind(&method), kind, "{method} {path}");
        }
    }

    #[test]
    fn a_moved_server_keeps_the_paths_of_the_device() {
        let moved = route("http://127.0.0.1:9/ds/a").moved(&"http://127.0.0.1:10/".parse().unwrap()).unwrap();
        assert_eq!(
            moved.place("/ds/a/push"),
            Place { path: "/push".into(), below_base: true, upstream: "/push".into() }
        );
        assert_eq!(moved.place("/ds/a").upstream, "/");
        assert_eq!(moved.place("/other").upstream, "/other");
    }
}
