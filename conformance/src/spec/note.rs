//! The note after a rule's id: `(password-login; version-wins; since 2026-12-01; untested: nobody sees it)`.

use super::capability::{CAPABILITIES, CORE, is_of_clients};
use fieldsync_schemas::PROTOCOL_VERSION;
use fieldsync_schemas::id::Capability;
use fieldsync_schemas::registry::Profile;

/// What the note says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Note {
    pub capability: Option<Capability>,
    pub profiles: Vec<Profile>,
    pub since: String,
    pub untested: Option<String>,
}

/// Reads what follows a rule's id on its line; nothing is an empty note.
pub(super) fn read(text: &str) -> Result<Note, String> {
    let mut note = Note { capability: None, profiles: Vec::new(), since: PROTOCOL_VERSION.to_owned(), untested: None };
    let text = text.trim();
    if text.is_empty() {
        return Ok(note);
    }
    let Some(mut rest) = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) else {
        return Err(format!("after a rule's id stands nothing, or a note in parentheses; got {text:?}"));
    };
    loop {
        // A reason may hold semicolons, so it is the last part.
        if let Some(reason) = rest.trim_start().strip_prefix("untested:") {
            let reason = reason.trim();
            if reason.is_empty() {
                return Err("`untested:` is followed by the reason".to_owned());
            }
            note.untested = Some(reason.to_owned());
            return Ok(note);
        }
        let (part, after) = rest.split_once(';').unwrap_or((rest, ""));
        read_part(part.trim().trim_matches('`'), &mut note)?;
        if after.is_empty() {
            return Ok(note);
        }
        rest = after;
    }
}

fn read_part(part: &str, note: &mut Note) -> Result<(), String> {
    if let Some(date) = part.strip_prefix("since ") {
        if !is_date(date) {
            return Err(format!("`since` is followed by a protocol version such as {PROTOCOL_VERSION}; got {date:?}"));
        }
        note.since = date.to_owned();
        return Ok(());
    }
    let profile = Profile::from(part);
    if Profile::KNOWN.contains(&profile) {
        note.profiles.push(profile);
        return Ok(());
    }
    if CAPABILITIES.contains(&part) || is_of_clients(part) {
        note.capability = Some(Capability::new(part).map_err(|error| error.to_string())?);
        return Ok(());
    }
    if part == CORE {
        return Ok(());
    }
    Err(format!(
        "{part:?} is no part of a note: it is `core`, a capability, a profile, `since <version>` or `untested: <reason>`"
    ))
}

fn is_date(text: &str) -> bool {
    text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(index, byte)| if matches!(index, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_has_parts_in_any_order() {
        let note = read("(since 2027-01-01; version-wins; `password-login`; field-merge; untested: no one; sees (it))")
            .unwrap();
        assert_eq!(note.capability.unwrap().as_str(), "password-login");
        assert_eq!(note.profiles, [Profile::VersionWins, Profile::FieldMerge]);
        assert_eq!(note.since, "2027-01-01");
        assert_eq!(note.untested.as_deref(), Some("no one; sees (it)"));
    }

    #[test]
    fn no_note_is_the_core_of_the_first_version() {
        for text in ["", "(core)"] {
            let note = read(text).unwrap();
            assert_eq!((note.capability, note.profiles, note.since.as_str()), (None, Vec::new(), PROTOCOL_VERSION));
        }
    }

    #[test]
    fn a_part_that_means_nothing_is_an_error() {
        for text in ["(pasword-login)", "password-login", "(since yesterday)", "(untested:)", "(core", "()"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
