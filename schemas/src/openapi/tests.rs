use super::*;

fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|part| references(part, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn every_reference_resolves() {
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 100, "only {} references", found.len());
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} leads out of the document"));
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

#[test]
fn every_component_is_used() {
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    for kind in ["schemas", "examples", "parameters", "headers"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            let reference = format!("#/components/{kind}/{name}");
            assert!(found.contains(&reference.as_str()), "nothing refers to {reference}");
        }
    }
}

#[test]
fn a_shared_schema_stands_once_under_its_own_name() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for name in ["Record", "PushRequest", "PushAnswer", "PullAnswer", "Problem", "Session"] {
        assert!(schemas.contains_key(name), "{name} is missing");
    }
    for name in schemas.keys() {
        let plain = name.chars().all(|letter| letter.is_ascii_alphabetic());
        assert!(plain, "{name} is a second schema of one name, or of a variant of its type");
    }
}

#[test]
fn every_example_fits_the_schema_beside_it() {
    let document = document();
    let mut checked = BTreeSet::new();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values().filter(|part| part.is_object()) {
            let answers = operation["responses"].as_object().unwrap().values();
            for content in answers.chain(operation.get("requestBody")).filter_map(|part| part["content"].as_object()) {
                for media in content.values() {
                    for name in media.get("examples").and_then(Value::as_object).into_iter().flat_map(Map::keys) {
                        fits(&document, &media["schema"], name);
                        checked.insert(name.clone());
                    }
                }
            }
        }
    }
    let examples: BTreeSet<String> = document["components"]["examples"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(checked, examples);
}

fn fits(document: &Value, schema: &Value, name: &str) {
    let whole = json!({"$schema": DRAFT, "allOf": [schema], "components": document["components"]});
    let validator =
        jsonschema::draft202012::options().should_validate_formats(true).build(&whole).expect("it is a schema");
    let errors: Vec<String> =
        validator.iter_errors(&document["components"]["examples"][name]["value"]).map(|e| e.to_string()).collect();
    assert_eq!(errors, [""; 0], "{name}");
    assert!(!validator.is_valid(&json!("no message")), "{name}: its schema takes anything");
}

#[test]
fn tokens_are_asked_for_where_the_session_chapter_says() {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let with_token: Vec<&str> = paths
        .iter()
        .filter(|(_, item)| ["get", "post"].iter().any(|method| item[*method]["security"][0]["bearer"].is_array()))
        .map(|(path, _)| path.as_str())
        .collect();
    let files = ["/attachments", "/attachments/complete", "/attachments/{id}"];
    let with_login: Vec<&str> = files.into_iter().chain(["/bucket", "/digest", "/pull", "/push", "/session"]).collect();
    assert_eq!(with_token, with_login);
    let asks = |path: &str| paths[path].to_string().contains("#/components/parameters/Fieldsync-Version");
    let versioned: Vec<&str> = paths.keys().map(String::as_str).filter(|path| asks(path)).collect();
    let without_login: Vec<&str> = versioned.iter().filter(|path| !with_login.contains(path)).copied().collect();
    assert_eq!(without_login, ["/login", "/refresh"]);
    assert_eq!(versioned.len(), with_login.len() + 2, "each request with a login names its version");
}

#[test]
fn every_answer_names_its_version_and_its_request() {
    for (path, item) in document()["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values().filter(|part| part.is_object()) {
            for (status, answer) in operation["responses"].as_object().unwrap() {
                for name in ["Fieldsync-Version", "Fieldsync-Request-Id"] {
                    assert!(answer["headers"][name].is_object(), "{path} {status} has no {name}");
                }
                let is_problem = answer["content"][PROBLEM_MEDIA_TYPE].is_object();
                assert_eq!(is_problem, status.as_str() >= "400", "{path} {status}");
            }
        }
    }
}
