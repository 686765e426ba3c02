//! The files of a record: a keyed list whose items are nothing but their key, the attachment id.

use super::{Rules, merge};
use fieldsync_schemas::record::{Attachment, Data};
use fieldsync_schemas::registry::MergeRules;
use serde_json::{Value, json};

/// Merges what became of a record's files here and on the server. A file that one side added is there, one that a side
/// took off is gone; nothing is overridden.
pub fn merge_files(base: &[Attachment], local: &[Attachment], server: &[Attachment]) -> Vec<Attachment> {
    if same_files(base, local) {
        return server.to_vec();
    }
    let merged =
        merge(Some(&listed(base)), Some(listed(local)), Some(listed(server)), &rules()).data.unwrap_or_default();
    let items = merged.get("files").and_then(Value::as_array).into_iter().flatten();
    let file = |id: &str| server.iter().chain(local).find(|file| file.id.as_str() == id).cloned();
    items.filter_map(|item| file(item["id"].as_str()?)).collect()
}

/// Whether two records have the same files, in the same order.
pub fn same_files(one: &[Attachment], other: &[Attachment]) -> bool {
    one.iter().map(|file| &file.id).eq(other.iter().map(|file| &file.id))
}

fn listed(files: &[Attachment]) -> Data {
    let items: Vec<Value> = files.iter().map(|file| json!({"id": file.id})).collect();
    Data::from_iter([("files".to_owned(), Value::Array(items))])
}

fn rules() -> Rules {
    let rules = json!({"policy": "field-merge", "fields": {"/files": {"rule": "keyed-set"}}});
    let rules: MergeRules = serde_json::from_value(rules).expect("rules that are written here are rules");
    Rules::compile(&rules).expect("and can be followed")
}
