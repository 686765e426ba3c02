//! The bytes of files on a device: captured ones, and those that came or are coming down.
//!
//! A file is kept under its hash. What comes down grows beside it, and takes its place once the hash fits. A video does not
//! fit into a phone's memory, so nothing here holds more than a piece of a file, [`MemoryFiles`] apart.

use fieldsync_core::device::store::StoreError;
use fieldsync_core::device::{DeviceError, LocalError};
use fieldsync_schemas::id::AttachmentId;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::NamedTempFile;

/// How much of a file is in memory at a time.
pub(crate) const PIECE: usize = 256 << 10;

/// What a captured file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// Its name, which is its hash.
    pub id: AttachmentId,
    /// Its length.
    pub bytes: u64,
}

/// Says whether a captured file may be kept.
pub type Admits<'a> = &'a mut dyn FnMut(&Captured) -> Result<(), LocalError>;

/// The bytes of a device's files.
pub trait Files: Send + Sync {
    /// Takes in a file that is captured, and keeps it where it is admitted.
    fn put(&self, source: &mut dyn Read, admits: Admits<'_>) -> Result<Captured, DeviceError>;
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

/// Copies all bytes, piece by piece, and says what they are.
fn copied(source: &mut dyn Read, target: &mut dyn Write) -> io::Result<Captured> {
    let (mut bytes, mut hash, mut piece) = (0, Sha256::new(), vec![0; PIECE]);
    loop {
        let read = match source.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        bytes += read as u64;
        hash.update(&piece[..read]);
        target.write_all(&piece[..read])?;
    }
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let id = AttachmentId::new(format!("sha256:{hex}")).expect("a hash in hexadecimal is an attachment id");
    Ok(Captured { id, bytes })
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
    fn put(&self, source: &mut dyn Read, admits: Admits<'_>) -> Result<Captured, DeviceError> {
        let mut bytes = Vec::new();
        let captured = copied(source, &mut bytes).map_err(failed("taking in a file"))?;
        admits(&captured)?;
        self.content().whole.insert(captured.id.clone(), bytes);
        Ok(captured)
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
        let fits = copied(&mut &bytes[..], &mut io::sink()).is_ok_and(|came| came.id == *id);
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
        let files = Self(folder.to_owned());
        files.forget_broken_off().map_err(failed("looking through the folder of files"))?;
        Ok(files)
    }

    /// What was being taken in when the process ended is no file.
    fn forget_broken_off(&self) -> io::Result<()> {
        for found in std::fs::read_dir(&self.0)? {
            let path = found?.path();
            if path.extension().is_some_and(|extension| extension == NEW) {
                there(std::fs::remove_file(path))?;
            }
        }
        Ok(())
    }

    fn whole(&self, id: &AttachmentId) -> PathBuf {
        self.0.join(id.as_str().trim_start_matches("sha256:"))
    }

    fn coming(&self, id: &AttachmentId) -> PathBuf {
        self.whole(id).with_extension("part")
    }
}

/// The ending of what is being taken in.
const NEW: &str = "new";

/// What an operation came to; nothing, where the file is not there.
fn there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl Files for FolderFiles {
    fn put(&self, source: &mut dyn Read, admits: Admits<'_>) -> Result<Captured, DeviceError> {
        const DOING: &str = "keeping a file";
        let mut taken_in = || {
            // Where it is not kept in the end, it is gone when it is dropped.
            let mut new = tempfile::Builder::new().suffix(&format!(".{NEW}")).tempfile_in(&self.0)?;
            let captured = copied(source, new.as_file_mut())?;
            Ok((new, captured))
        };
        let (new, captured): (NamedTempFile, Captured) = taken_in().map_err(failed("taking in a file"))?;
        admits(&captured)?;
        new.as_file().sync_all().map_err(failed(DOING))?;
        new.persist(self.whole(&captured.id)).map_err(|error| failed(DOING)(error.error))?;
        Ok(captured)
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
            // What a loss of power takes of it shows by the hash.
            file.write_all(bytes)
        };
        append().map_err(failed("keeping a part of a file"))
    }

    fn finish(&self, id: &AttachmentId) -> Result<bool, StoreError> {
        let finish = || {
            let mut coming = OpenOptions::new().create(true).append(true).read(true).open(self.coming(id))?;
            let fits = copied(&mut coming, &mut io::sink())?.id == *id;
            if fits {
                coming.sync_all()?;
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
    use fieldsync_schemas::pull::RecordRef;

    fn put(files: &dyn Files, mut bytes: &[u8]) -> AttachmentId {
        files.put(&mut bytes, &mut |_| Ok(())).unwrap().id
    }

    fn id_of(mut bytes: &[u8]) -> AttachmentId {
        copied(&mut bytes, &mut io::sink()).unwrap().id
    }

    fn walks(files: &dyn Files) {
        let hello = put(files, b"hello");
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
        let mut refused = |captured: &Captured| {
            assert_eq!((&captured.id, captured.bytes), (&other, 5));
            let (type_name, id) = ("scan".parse().unwrap(), "doc".parse().unwrap());
            Err(LocalError::NotThere { record: RecordRef { type_name, id } })
        };
        assert!(files.put(&mut &b"other"[..], &mut refused).is_err());
        assert!(!files.has(&other).unwrap(), "what is not admitted is not kept");
    }

    #[test]
    fn files_are_kept_under_their_hash_in_memory_and_in_a_folder() {
        walks(&MemoryFiles::default());
        let folder = tempfile::tempdir().unwrap();
        walks(&FolderFiles::open(folder.path()).unwrap());
    }

    /// Bytes without end that were ever read, at most so many at once.
    struct Long {
        left: usize,
        most: usize,
    }

    impl Read for Long {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.most = self.most.max(into.len());
            let read = into.len().min(self.left);
            into[..read].fill(7);
            self.left -= read;
            Ok(read)
        }
    }

    #[test]
    fn a_long_file_is_taken_in_piece_by_piece_and_what_was_broken_off_goes() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("of-another-process.new"), b"half a video").unwrap();
        let files = FolderFiles::open(folder.path()).unwrap();
        let mut long = Long { left: 3 * PIECE + 1, most: 0 };
        let captured = files.put(&mut long, &mut |_| Ok(())).unwrap();
        assert_eq!((captured.bytes, long.most), (3 * PIECE as u64 + 1, PIECE));
        assert_eq!(files.read(&captured.id, 3 * PIECE as u64, 9).unwrap().unwrap(), [7]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
