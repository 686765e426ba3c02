//! What the program carries with it: the scenarios and the specification, packed when it was built.

use flate2::read::ZlibDecoder;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The texts of a folder, by their path below it.
type Texts = BTreeMap<String, String>;

/// The folder `fixtures/scenarios`.
pub(crate) static SCENARIOS: LazyLock<Texts> =
    LazyLock::new(|| unpacked(include_bytes!(concat!(env!("OUT_DIR"), "/scenarios"))));
/// The folder `spec/src`.
pub(crate) static SPEC: LazyLock<Texts> = LazyLock::new(|| unpacked(include_bytes!(concat!(env!("OUT_DIR"), "/spec"))));

fn unpacked(packed: &[u8]) -> Texts {
    serde_json::from_reader(std::io::BufReader::new(ZlibDecoder::new(packed))).expect("the build packed it")
}
