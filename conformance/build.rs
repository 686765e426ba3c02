//! Packs the scenarios and the specification, which the program carries: as they are they would take a megabyte more.

use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    for (name, folder) in [("scenarios", "../fixtures/scenarios"), ("spec", "../spec/src")] {
        println!("cargo::rerun-if-changed={folder}");
        let mut texts = BTreeMap::new();
        collect(Path::new(folder), Path::new(""), &mut texts)?;
        let mut packed = ZlibEncoder::new(fs::File::create(out.join(name))?, Compression::best());
        serde_json::to_writer(&mut packed, &texts)?;
        packed.finish()?;
    }
    Ok(())
}

/// Every file below a folder, by its path there, with `/` on every machine.
fn collect(folder: &Path, below: &Path, texts: &mut BTreeMap<String, String>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder.join(below)).map_err(|error| format!("{}: {error}", folder.display()))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            collect(folder, &path, texts)?;
            continue;
        }
        let text = fs::read_to_string(entry.path())
            .map_err(|error| format!("{} cannot be embedded: {error}; save it as UTF-8", entry.path().display()))?;
        let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
        texts.insert(parts.join("/"), text);
    }
    Ok(())
}
