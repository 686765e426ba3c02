//! The relative links of a document on disk: each leads to a file that is there, and to a place in it.
//!
//! Nobody is asked over the network: what begins with a scheme is left alone.

use super::flaw::Flaw;
use super::markdown::{anchors, links};
use std::path::Path;

/// What is wrong with the relative links of this document, with the lines.
pub fn check_links(file: &Path, text: &str) -> Vec<Flaw> {
    let name = file.display().to_string();
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut flaws = Vec::new();
    for link in links(text).into_iter().filter(|link| !is_absolute(&link.target)) {
        let (path, anchor) = match link.target.split_once('#') {
            Some((path, anchor)) => (path, Some(anchor)),
            None => (link.target.as_str(), None),
        };
        let path = path.split('?').next().unwrap_or(path);
        let target = if path.is_empty() { file.to_owned() } else { folder.join(path) };
        if !path.is_empty() && !target.exists() {
            let problem = format!("the link {:?} leads to {}, which is not there", link.title, target.display());
            flaws.push(Flaw::new(&name, link.line, problem));
            continue;
        }
        let Some(anchor) = anchor.filter(|_| target.extension().is_some_and(|extension| extension == "md")) else {
            continue;
        };
        let own;
        let there = if path.is_empty() {
            text
        } else {
            own = std::fs::read_to_string(&target).unwrap_or_default();
            &own
        };
        if !anchors(there).contains(anchor) {
            let problem =
                format!("the link {:?} leads to #{anchor}, and {} has no such heading", link.title, target.display());
            flaws.push(Flaw::new(&name, link.line, problem));
        }
    }
    flaws
}

/// Whether a target has a scheme, such as `https:`.
pub(crate) fn is_absolute(target: &str) -> bool {
    target.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_link_and_a_dead_anchor_have_their_lines() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("other.md"), "# Other\n\n## A part\n\nr[push.a.b]\n").unwrap();
        let good = "# Top\n\n[a](other.md) [b](other.md#a-part) [c](#top) [d](other.md#r-push.a.b) [e](https://x.y/#z) [f](.)\n";
        let page = folder.path().join("page.md");
        assert_eq!(check_links(&page, good), []);
        let bad = "# Top\n\n[a](none.md)\n[b](other.md#nowhere)\n\n[c](#nowhere)\n";
        let told: Vec<(u32, bool)> =
            check_links(&page, bad).iter().map(|flaw| (flaw.line, flaw.problem.contains("no such heading"))).collect();
        assert_eq!(told, [(3, false), (4, true), (6, true)]);
    }
}
