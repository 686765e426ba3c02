//! The bytes of files on a device: captured ones, and those that came or are coming down.
//!
//! A file is kept under its hash. What comes down grows beside it, and takes its place once the hash fits.

use fieldsync_core::device::store::StoreError;
use fieldsync_schemas::id::AttachmentId;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The bytes of a device's files.
pub trait Files: Send + Sync {
    /// Keeps a captured file; its name is its hash.
    fn put(&self, bytes: &[u8]) -> Result<AttachmentId, StoreError>;
    /// At most so many bytes from this offset on; nothing where the file is not here.
    fn read(&self, id: &AttachmentId, offset: u64, most: u64) -> Result<Option<Vec<u8>>, StoreError>;
    /// How much of a file that comes down is here.
    fn partial(&self, id: &AttachmentId) -> Result<u64, StoreError>;
    /// More of a file that comes down.
    fn append(&self, id: &AttachmentId, bytes: &[u8]) -> Result<(), StoreError>;
    /// A file has come down. Where it is not what its id says, all of it is thrown away.
    fn finish(&self, id: &AttachmentId) -> Result<bool, StoreError>;
    /// The file is lost, whole or not.
    fn lose(&self, id: &AttachmentId) -> Result<(), StoreError>;

    /// Whether the file is here, whole.
    fn has(&self, id: &AttachmentId) -> Result<bool, StoreError> {
        Ok(self.read(id, 0, 0)?.is_some())
    }
}

/// The id of these bytes.
pub(crate) fn id_of(bytes: &[u8]) -> AttachmentId {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    AttachmentId::new(format!("sha256:{hex}")).expect("a hash in hexadecimal is an attachment id")
}

fn failed(doing: &'static str) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError { doing, source: source.into() }
}

/// Files in memory, for devices that need not outlive their process.
#[derive(Debug, Default)]
pub struct MemoryFiles(Mutex<Content>);

#[derive(Debug, Default, Clone)]
struct Content {
    whole: BTreeMap<AttachmentId, Vec<u8>>,
    coming: BTreeMap<AttachmentId, Vec<u8>>,
}

impl MemoryFiles {
    /// The same files once more, as a phone restored from a backup has them.
    pub fn copied(&self) -> Self {
        Self(Mutex::new(self.content().clone()))
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files for MemoryFiles {
    fn put(&self, bytes: &[u8]) -> Result<AttachmentId, StoreError> {
        let id = id_of(bytes);
        self.content().whole.insert(id.clone(), bytes.to_vec());
        Ok(id)
    }

    fn read(&self, id: &AttachmentId, offset: u64, most: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let part = |bytes: &Vec<u8>| {
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
            let to = from.saturating_add(usize::try_from(most).unwrap_or(usize::MAX)).min(bytes.len());
            bytes[from..to].to_vec()
        };
        Ok(self.content().whole.get(id).map(part))
    }

    fn partial(&self, id: &AttachmentId) -> Result<u64, StoreError> {
        Ok(self.content().coming.get(id).map_or(0, |bytes| bytes.len() as u64))
    }

    fn append(&self, id: &AttachmentId, bytes: &[u8]) -> Result<(), StoreError> {
        self.content().coming.entry(id.clone()).or_default().extend_from_slice(bytes);
        Ok(())
    }

    fn finish(&self, id: &AttachmentId) -> Result<bool, StoreError> {
        let mut content = self.content();
        let bytes = content.coming.remove(id).unwrap_or_default();
        let fits = id_of(&bytes) == *id;
        if fits {
            content.whole.insert(id.clone(), bytes);
        }
        Ok(fits)
    }

    fn lose(&self, id: &AttachmentId) -> Result<(), StoreError> {
        let mut content = self.content();
        content.whole.remove(id);
        content.coming.remove(id);
        Ok(())
    }
}

/// Files in a folder.
#[derive(Debug)]
pub struct FolderFiles(PathBuf);

impl FolderFiles {
    /// In this folder, which is made where it is missing.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        std::fs::create_dir_all(folder).map_err(failed("making the folder of files"))?;
        Ok(Self(folder.to_owned()))
    }

    fn whole(&self, id: &AttachmentId) -> PathBuf {
        self.0.join(id.as_str().trim_start_matches("sha256:"))
    }

    fn coming(&self, id: &AttachmentId) -> PathBuf {
        self.whole(id).with_extension("part")
    }
}

/// What an operation came to; nothing, where the file is not there.
fn there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl Files for FolderFiles {
    fn put(&self, bytes: &[u8]) -> Result<AttachmentId, StoreError> {
        let id = id_of(bytes);
        let keep = || {
            let path = self.whole(&id).with_extension("new");
            let mut file = File::create(&path)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            std::fs::rename(path, self.whole(&id))
        };
        keep().map_err(failed("keeping a file"))?;
        Ok(id)
    }

    fn read(&self, id: &AttachmentId, offset: u64, most: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let read = || {
            let Some(mut file) = there(File::open(self.whole(id)))? else { return Ok(None) };
            let mut bytes = Vec::new();
            file.seek(SeekFrom::Start(offset))?;
            file.take(most).read_to_end(&mut bytes)?;
            Ok(Some(bytes))
        };
        read().map_err(failed("reading a file"))
    }

    fn partial(&self, id: &AttachmentId) -> Result<u64, StoreError> {
        let found = there(std::fs::metadata(self.coming(id))).map_err(failed("looking at a file"))?;
        Ok(found.map_or(0, |found| found.len()))
    }

    fn append(&self, id: &AttachmentId, bytes: &[u8]) -> Result<(), StoreError> {
        let append = || {
            let mut file = OpenOptions::new().create(true).append(true).open(self.coming(id))?;
            file.write_all(bytes)?;
            file.sync_data()
        };
        append().map_err(failed("keeping a part of a file"))
    }

    fn finish(&self, id: &AttachmentId) -> Result<bool, StoreError> {
        let finish = || {
            let mut hash = Sha256::new();
            if let Some(mut file) = there(File::open(self.coming(id)))? {
                let mut piece = vec![0; 64 << 10];
                loop {
                    match file.read(&mut piece)? {
                        0 => break,
                        read => hash.update(&piece[..read]),
                    }
                }
            } else {
                File::create(self.coming(id))?;
            }
            let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
            let fits = id.as_str().strip_prefix("sha256:") == Some(&hex);
            if fits {
                std::fs::rename(self.coming(id), self.whole(id))?;
            } else {
                std::fs::remove_file(self.coming(id))?;
            }
            Ok(fits)
        };
        finish().map_err(failed("looking at a file that came"))
    }

    fn lose(&self, id: &AttachmentId) -> Result<(), StoreError> {
        let lose = |path| there(std::fs::remove_file(path)).map(drop).map_err(failed("losing a file"));
        lose(self.whole(id))?;
        lose(self.coming(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walks(files: &dyn Files) {
        let hello = files.put(b"hello").unwrap();
        assert_eq!(files.read(&hello, 1, 3).unwrap().unwrap(), b"ell");
        assert_eq!(files.read(&hello, 5, 3).unwrap().unwrap(), b"");
        files.lose(&hello).unwrap();
        assert!(!files.has(&hello).unwrap());
        files.append(&hello, b"hel").unwrap();
        assert_eq!(files.partial(&hello).unwrap(), 3);
        assert!(!files.has(&hello).unwrap(), "half a file is none");
        files.append(&hello, b"lo").unwrap();
        assert!(files.finish(&hello).unwrap());
        assert_eq!(files.read(&hello, 0, 9).unwrap().unwrap(), b"hello");
        let empty = id_of(b"");
        assert!(files.finish(&empty).unwrap() && files.has(&empty).unwrap());
        files.append(&hello, b"he").unwrap();
        files.lose(&hello).unwrap();
        assert_eq!((files.has(&hello).unwrap(), files.partial(&hello).unwrap()), (false, 0));
        let other = id_of(b"other");
        files.append(&other, b"mangled").unwrap();
        assert!(!files.finish(&other).unwrap());
        assert_eq!((files.has(&other).unwrap(), files.partial(&other).unwrap()), (false, 0));
    }

    #[test]
    fn files_are_kept_under_their_hash_in_memory_and_in_a_folder() {
        walks(&MemoryFiles::default());
        let folder = tempfile::tempdir().unwrap();
        walks(&FolderFiles::open(folder.path()).unwrap());
    }
}
