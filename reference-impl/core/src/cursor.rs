//! Cursors: a place in a feed, signed for one data set, epoch, principal and feed.
//!
//! Chapter: pull. A cursor is short, because a device sends one for every feed with every pull.

use crate::store::{DataSetName, Place};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fieldsync_schemas::id::{Cursor, Epoch, FeedName, Principal};
use hmac::{Hmac, KeyInit, Mac};

/// What a cursor is good for.
#[derive(Debug, Clone, Copy)]
pub struct Binding<'a> {
    /// The data set.
    pub data_set: &'a DataSetName,
    /// Its epoch.
    pub epoch: &'a Epoch,
    /// Who pulls.
    pub principal: &'a Principal,
    /// The feed.
    pub feed: &'a FeedName,
}

/// What a cursor says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// Everything up to this place was seen.
    pub place: Place,
    /// Tombstones up to this place need not be seen any more: they were purged before the walk began, and it began
    /// from null.
    pub cleared: Place,
}

impl Point {
    /// Whether a tombstone that this point still needs was purged.
    pub fn expired(self, horizon: Place) -> bool {
        self.place.max(self.cleared) < horizon
    }
}

/// Signs and reads cursors.
#[derive(Clone)]
pub struct CursorKey(Hmac<sha2::Sha256>);

impl CursorKey {
    /// A key from the server's secret.
    pub fn new(secret: [u8; 32]) -> Self {
        Self(Hmac::new_from_slice(&secret).expect("any length is a key"))
    }

    /// The cursor of a point.
    pub fn sign(&self, point: Point, binding: Binding<'_>) -> Cursor {
        let digits = if point.cleared > point.place {
            format!("{}-{}", point.place.0, point.cleared.0)
        } else {
            point.place.0.to_string()
        };
        let signature = self.signature(&digits, binding);
        Cursor::new(format!("{digits}.{signature}")).expect("digits, signs and base64 are visible ASCII")
    }

    /// The point of a cursor; none where it was not signed for this use.
    pub fn read(&self, cursor: &Cursor, binding: Binding<'_>) -> Option<Point> {
        let (digits, signature) = cursor.as_str().split_once('.')?;
        if signature != self.signature(digits, binding) {
            return None;
        }
        let (place, cleared) = digits.split_once('-').unwrap_or((digits, "0"));
        Some(Point { place: Place(place.parse().ok()?), cleared: Place(cleared.parse().ok()?) })
    }

    /// 48 bits: enough against a mistake and a curious guess, and a guessed cursor shows nothing that null does not.
    fn signature(&self, digits: &str, binding: Binding<'_>) -> String {
        let mut mac = self.0.clone();
        for part in [
            binding.data_set.0.as_str(),
            binding.epoch.as_str(),
            binding.principal.as_str(),
            binding.feed.as_str(),
            digits,
        ] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        URL_SAFE_NO_PAD.encode(&mac.finalize().into_bytes()[..6])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_feed_principal_and_epoch_only() {
        let key = CursorKey::new([7; 32]);
        let (data_set, epoch, principal) =
            (DataSetName("clinic".into()), "e1".parse().unwrap(), "amina".parse().unwrap());
        let (feed, other_feed): (FeedName, FeedName) = ("observation".parse().unwrap(), "reading".parse().unwrap());
        let binding = Binding { data_set: &data_set, epoch: &epoch, principal: &principal, feed: &feed };
        let point = Point { place: Place(12), cleared: Place(40) };
        let cursor = key.sign(point, binding);
        assert_eq!(key.read(&cursor, binding), Some(point));
        assert_eq!(key.read(&cursor, Binding { feed: &other_feed, ..binding }), None);
        assert_eq!(key.read(&cursor, Binding { principal: &"juma".parse().unwrap(), ..binding }), None);
        assert_eq!(key.read(&cursor, Binding { epoch: &"e2".parse().unwrap(), ..binding }), None);
        let mangled = Cursor::new(cursor.as_str().replacen("12", "13", 1)).unwrap();
        assert_eq!(key.read(&mangled, binding), None);
    }

    #[test]
    fn a_walk_from_null_outlives_what_was_purged_before_it() {
        let walk = Point { place: Place(1), cleared: Place(3) };
        assert!(!walk.expired(Place(3)));
        assert!(walk.expired(Place(4)));
        assert!(Point { place: Place(1), cleared: Place(0) }.expired(Place(3)));
    }
}
