//! Headers of every request, as options name them.

use crate::command_error::CommandError;

/// A header as it is written on the command line.
pub fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
        _ => Err("a header is `Name: value`".to_owned()),
    }
}

/// The headers as HTTP has them.
pub fn header_map(headers: &[(String, String)]) -> Result<http::HeaderMap, CommandError> {
    let mut map = http::HeaderMap::new();
    for (name, value) in headers {
        let wrong = || CommandError::usage(format!("{name:?}: {value:?} is no header"));
        map.insert(name.parse::<http::HeaderName>().map_err(|_| wrong())?, value.parse().map_err(|_| wrong())?);
    }
    Ok(map)
}
