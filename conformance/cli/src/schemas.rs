//! `fieldsync schemas`: the JSON Schemas of the messages, the OpenAPI document of the interface that they make up, and
//! whether the files still are what the types say.

use crate::command_error::CommandError;
use crate::output::print;
use clap::Args;
use fieldsync_conformance::report::verdict::ExitStatus;
use fieldsync_conformance::spec::message_schema;
use fieldsync_schemas::catalog::{Form, MESSAGES};
use fieldsync_schemas::{PROTOCOL_VERSION, openapi};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The arguments of `schemas`.
#[derive(Debug, Args)]
pub struct SchemasArgs {
    /// Fail where a file is not what the types say, or an example is not valid.
    #[arg(long, conflicts_with = "write")]
    check: bool,
    /// Write the files anew.
    #[arg(long)]
    write: bool,
    /// The folder of the schemas, by protocol version.
    #[arg(long, value_name = "DIR", default_value = "schemas/json")]
    dir: PathBuf,
}

/// Lists, writes or checks.
pub fn run(args: SchemasArgs) -> Result<ExitStatus, CommandError> {
    if args.write {
        write(&args.dir).map_err(CommandError::usage)?;
        print(&format!("{} schemas and the OpenAPI document written to {}\n", MESSAGES.len(), args.dir.display()))?;
        return Ok(ExitStatus::Conformant);
    }
    if !args.check {
        let lines: Vec<String> =
            MESSAGES.iter().map(|message| format!("{}  {}\n", message.name, message.title)).collect();
        print(&format!("{}openapi  The whole HTTP interface, as OpenAPI 3.1\n", lines.concat()))?;
        return Ok(ExitStatus::Conformant);
    }
    let mut problems = drift(&args.dir).map_err(CommandError::usage)?;
    problems.extend(invalid_examples());
    if problems.is_empty() {
        print(&format!("{} schemas, their examples and the OpenAPI document are as the types say\n", MESSAGES.len()))?;
        return Ok(ExitStatus::Conformant);
    }
    print(&format!("{}\nrun `fieldsync schemas --write` where a file is to follow its type\n", problems.join("\n")))?;
    Ok(ExitStatus::NotConformant)
}

/// Every generated file: its path below the folder of the schemas, and its text.
fn files() -> Vec<(String, String)> {
    let schemas = MESSAGES.iter().map(|message| (message.path(), message.schema_file()));
    schemas.chain([(openapi::path(), openapi::file())]).collect()
}

/// Why the folder of the schemas could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {path}: {source}; name the folder with --dir")]
struct SchemaFolderError {
    doing: &'static str,
    path: String,
    source: std::io::Error,
}

impl SchemaFolderError {
    fn new(doing: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self { doing, path: path.display().to_string(), source }
    }
}

fn write(dir: &Path) -> Result<(), SchemaFolderError> {
    let folder = dir.join(PROTOCOL_VERSION);
    std::fs::create_dir_all(&folder).map_err(|error| SchemaFolderError::new("write", &folder, error))?;
    for name in stray_files(dir)? {
        let path = folder.join(name);
        std::fs::remove_file(&path).map_err(|error| SchemaFolderError::new("remove", &path, error))?;
    }
    for (path, text) in files() {
        let path = dir.join(path);
        std::fs::write(&path, text).map_err(|error| SchemaFolderError::new("write", &path, error))?;
    }
    Ok(())
}

/// The files that are missing, differ from their types, or belong to no message.
fn drift(dir: &Path) -> Result<Vec<String>, SchemaFolderError> {
    let mut problems = Vec::new();
    for name in stray_files(dir)? {
        problems.push(format!("{}: no message has this name", dir.join(PROTOCOL_VERSION).join(name).display()));
    }
    for (path, expected) in files() {
        let path = dir.join(path);
        match std::fs::read_to_string(&path) {
            Ok(text) if text == expected => {}
            Ok(_) => problems.push(format!("{}: differs from its type", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                problems.push(format!("{}: is missing", path.display()))
            }
            Err(error) => return Err(SchemaFolderError::new("read", &path, error)),
        }
    }
    Ok(problems)
}

/// The JSON files of this version that belong to no message.
fn stray_files(dir: &Path) -> Result<Vec<String>, SchemaFolderError> {
    let folder = dir.join(PROTOCOL_VERSION);
    let failed = |error| SchemaFolderError::new("read", &folder, error);
    let mut stray = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        let path = format!("{PROTOCOL_VERSION}/{name}");
        let is_known = path == openapi::path() || MESSAGES.iter().any(|message| message.path() == path);
        if name.ends_with(".json") && !is_known {
            stray.push(name);
        }
    }
    stray.sort();
    Ok(stray)
}

fn invalid_examples() -> Vec<String> {
    let mut problems = Vec::new();
    for message in MESSAGES {
        for form in [Form::Open, Form::Closed] {
            for mistake in message_schema::mistakes(message, form, &message.example_value()) {
                problems.push(format!("the example of {} is not valid ({form:?} form): {mistake}", message.name));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use fieldsync_core::problem::Trouble;
    use fieldsync_schemas::control::Verb;
    use fieldsync_schemas::problem::ProblemCode;
    use std::collections::BTreeSet;

    #[test]
    fn the_files_are_what_the_types_say() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/json");
        let problems = drift(&dir).unwrap();
        assert!(problems.is_empty(), "run `fieldsync schemas --write`:\n{}", problems.join("\n"));
    }

    #[test]
    fn every_example_is_valid_in_both_forms() {
        assert_eq!(invalid_examples(), [""; 0]);
    }

    #[test]
    fn drift_names_its_files() {
        let dir = tempfile::tempdir().unwrap();
        write_into(dir.path());
        assert_eq!(drift(dir.path()).unwrap(), [""; 0]);
        let folder = dir.path().join(PROTOCOL_VERSION);
        std::fs::write(folder.join("record.json"), "{}").unwrap();
        std::fs::remove_file(folder.join("session.json")).unwrap();
        std::fs::write(folder.join("old.json"), "{}").unwrap();
        let problems = drift(dir.path()).unwrap().join("\n");
        for expected in ["old.json: no message", "session.json: is missing", "record.json: differs"] {
            assert!(problems.contains(expected), "{problems}");
        }
        write_into(dir.path());
        assert_eq!(drift(dir.path()).unwrap(), [""; 0]);
    }

    #[test]
    fn the_openapi_document_has_the_routes_of_the_reference_and_no_others() {
        // Readiness is for those who run the reference, not a part of the protocol; uploads speak tus, which has a
        // specification of its own; the base is one path, however its end is written.
        let router = include_str!("../../../reference-impl/server/src/http/mod.rs");
        let mut expected = BTreeSet::new();
        for route in router.split(".route(\"").skip(1) {
            let (path, handler) = route.split_once("\", ").unwrap();
            let method = handler.split('(').next().unwrap();
            let path = path.strip_prefix("/{data_set}").unwrap_or(path);
            match (path, path.strip_suffix("{verb}")) {
                ("/-/ready" | "/uploads/{id}", _) => {}
                ("", _) => drop(expected.insert(format!("{method} /"))),
                (_, Some(control)) => {
                    expected.extend(Verb::KNOWN.iter().map(|verb| format!("{method} {control}{verb}")));
                }
                _ => drop(expected.insert(format!("{method} {path}"))),
            }
        }
        assert!(expected.contains("post /push"), "{expected:?}");
        let document = openapi::document();
        let mut written = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            let methods = item.as_object().unwrap().keys().filter(|method| *method != "servers");
            written.extend(methods.map(|method| format!("{method} {path}")));
        }
        assert_eq!(written, expected);
    }

    #[test]
    fn the_openapi_document_gives_each_problem_its_status() {
        let document = openapi::document();
        let mut seen = 0;
        for item in document["paths"].as_object().unwrap().values() {
            for answers in item.as_object().unwrap().values().filter_map(|part| part["responses"].as_object()) {
                for (status, answer) in answers.iter().filter(|(status, _)| status.as_str() >= "400") {
                    for line in answer["description"].as_str().unwrap().lines() {
                        let code = ProblemCode::from(line.split('`').nth(1).unwrap());
                        assert_eq!(Trouble::new(code, "").status.to_string(), *status, "{line}");
                        seen += 1;
                    }
                }
            }
        }
        assert!(seen > 50, "only {seen} problems");
    }

    fn write_into(dir: &Path) {
        write(dir).unwrap_or_else(|error| panic!("{error}"));
    }
}
