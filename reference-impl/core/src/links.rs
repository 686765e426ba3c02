//! Links: the URL of a file, wherever a record's data names the file.
//!
//! Chapter: links. A record's data names a file by its attachment id, before anybody knows where it will be. A link says
//! where it is. It belongs to the record and to the file, not to a state: whoever goes on from a state that still has
//! the id writes the URL all the same.

use crate::store::DataSetName;
use fieldsync_schemas::id::AttachmentId;
use fieldsync_schemas::record::{Attachment, Data};
use fieldsync_schemas::registry::{AttachmentLink, TypeEntry};
use serde_json::Value;
use std::collections::BTreeMap;

/// The capability of this name.
pub const LINK: &str = "link";

/// Where the files of one record are.
pub type Links = BTreeMap<AttachmentId, String>;

/// Whether records of this type hold the URLs of their files.
pub fn are_held_by(entry: &TypeEntry) -> bool {
    entry.attachments.as_ref().is_some_and(|policy| policy.link == AttachmentLink::Url)
}

/// Where this server gives out a file: the same place as long as it has the file, and open to the same people.
pub fn url(data_set: &DataSetName, id: &AttachmentId) -> String {
    format!("/{}/attachments/{id}", data_set.0)
}

/// Whether the data of a record name this file.
pub fn names(entry: &TypeEntry, data: &Data, id: &AttachmentId) -> bool {
    let is_id = |value: &Value| value.as_str() == Some(id.as_str());
    data.iter().any(|(member, value)| can_name_files(entry, member) && any(value, &is_id))
}

/// Writes the URLs of these files, as far as they are known, wherever the data name them. Whether that changed anything.
pub fn write(entry: &TypeEntry, data: &mut Data, files: &[Attachment], links: &Links) -> bool {
    let known = || links.iter().filter(|(id, _)| files.iter().any(|file| file.id == **id));
    let mut changed = false;
    for (_, value) in data.iter_mut().filter(|(member, _)| can_name_files(entry, member)) {
        each(value, &mut |value| {
            if let Some((_, url)) = known().find(|(id, _)| value.as_str() == Some(id.as_str())) {
                *value = Value::String(url.clone());
                changed = true;
            }
        });
    }
    changed
}

/// What the registry reads for itself names records, whatever it looks like.
fn can_name_files(entry: &TypeEntry, member: &str) -> bool {
    let is_parent = entry.parents.iter().any(|parent| parent.field == member);
    !is_parent && entry.location.as_deref() != Some(member) && entry.partition.as_deref() != Some(member)
}

fn any(value: &Value, fits: &dyn Fn(&Value) -> bool) -> bool {
    match value {
        Value::Object(members) => members.values().any(|value| any(value, fits)),
        Value::Array(items) => items.iter().any(|value| any(value, fits)),
        value => fits(value),
    }
}

fn each(value: &mut Value, change: &mut dyn FnMut(&mut Value)) {
    match value {
        Value::Object(members) => members.values_mut().for_each(|value| each(value, change)),
        Value::Array(items) => items.iter_mut().for_each(|value| each(value, change)),
        value => change(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn id(digit: &str) -> AttachmentId {
        AttachmentId::new(format!("sha256:{}", digit.repeat(64))).unwrap()
    }

    fn entry() -> TypeEntry {
        serde_json::from_value(json!({
            "name": "sighting", "class": "transactional", "merge": {"policy": "version-wins"}, "on_delete": "reject",
            "parents": [{"type": "household", "field": "at"}],
            "attachments": {"order": "record-first", "link": "url"}
        }))
        .unwrap()
    }

    #[test]
    fn an_url_stands_wherever_the_data_name_the_file() {
        let (photo, other) = (id("a"), id("b"));
        let file = |id: &AttachmentId| Attachment {
            id: id.clone(),
            bytes: 1,
            media_type: "image/jpeg".to_owned(),
            state: None,
        };
        let Value::Object(mut data) = json!({
            "photo": photo, "visits": [{"photo": photo}, {"photo": other}, photo, 1], "note": format!("see {photo}"),
            "at": photo
        }) else {
            unreachable!("it is an object")
        };
        assert!(names(&entry(), &data, &photo) && names(&entry(), &data, &other) && !names(&entry(), &data, &id("c")));
        let links = Links::from([(photo.clone(), "/a".to_owned()), (other.clone(), "/b".to_owned())]);
        assert!(write(&entry(), &mut data, &[file(&photo)], &links));
        let written = json!({
            "photo": "/a", "visits": [{"photo": "/a"}, {"photo": other}, "/a", 1], "note": format!("see {photo}"),
            "at": photo
        });
        assert_eq!(Value::Object(data.clone()), written);
        assert!(!names(&entry(), &data, &photo));
        assert!(!write(&entry(), &mut data, &[file(&photo)], &links));
    }
}
