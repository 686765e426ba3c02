//! Builds the suite again whenever what it embeds has changed: the macro that embeds a folder does not say so itself.

fn main() {
    for folder in ["../fixtures", "../spec", "../schemas/json"] {
        println!("cargo::rerun-if-changed={folder}");
    }
}
