//! Packs a directory as a gzipped tar that depends on its content alone: equal content gives equal
//! bytes, wherever, whenever and by whomever it is packed.
//!
//! Source: `Archive`, fluxcd/pkg `artifact/storage/archive.go`. The bytes are not those of Go, whose
//! compression is another.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

use crate::ignore::Rules;
use crate::tree::{Tree, children};

const DIR_MODE: u32 = 0o750;
const FILE_MODE: u32 = 0o600;
const EXECUTABLE_MODE: u32 = 0o700;

/// No operating system in particular, as Go writes it.
const UNKNOWN_SYSTEM: u8 = 255;

/// How much may be packed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes of all files together.
    pub(crate) bytes: u64,
    /// Files and directories.
    pub(crate) entries: u64,
}

/// Why a directory could not be packed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    /// A file or directory cannot be read.
    #[error("failed to read {}", .path.display())]
    Read {
        /// Path in the directory.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The archive cannot be written.
    #[error("failed to write the archive")]
    Write(#[source] io::Error),
    /// The files are too large.
    #[error(
        "the files that are not ignored have more than {0} bytes, the most that an artifact may \
         have (--artifact-max-size)"
    )]
    TooLarge(u64),
    /// The files are too many.
    #[error(
        "there are more than {0} files and directories that are not ignored, the most that an \
         artifact may have (--artifact-max-files)"
    )]
    TooMany(u64),
}

/// Packs what the rules leave in. Links, devices and the like are left out.
pub(crate) fn pack(
    tree: &Tree,
    rules: &Rules,
    limits: Limits,
    out: &mut dyn Write,
) -> Result<(), ArchiveError> {
    let encoder = GzBuilder::new().operating_system(UNKNOWN_SYSTEM);
    let encoder = encoder.write(out, Compression::default());
    let archive = Builder::new(encoder);
    let mut packer = Packer { tree, rules, limits, bytes: 0, entries: 0, archive };
    packer.add_dir(Path::new(""), ".".as_ref())?;
    let encoder = packer.archive.into_inner().map_err(ArchiveError::Write)?;
    encoder.finish().map_err(ArchiveError::Write)?;
    Ok(())
}

struct Packer<'a, W: Write> {
    tree: &'a Tree,
    rules: &'a Rules,
    limits: Limits,
    bytes: u64,
    entries: u64,
    archive: Builder<W>,
}

impl<W: Write> Packer<'_, W> {
    /// Adds a directory and, even if it is left out itself, what is below it.
    fn add_dir(&mut self, path: &Path, name: &OsStr) -> Result<(), ArchiveError> {
        if !self.is_excluded(path, true) {
            self.count()?;
            self.header(name, EntryType::Directory, DIR_MODE, 0, io::empty())
                .map_err(ArchiveError::Write)?;
        }
        let read = |source| ArchiveError::Read { path: path.to_owned(), source };
        for child in children(&self.tree.join(path)).map_err(read)? {
            let path = path.join(child.name);
            if child.kind.is_dir() {
                self.add_dir(&path, path.as_os_str())?;
            } else if child.kind.is_file() && !self.is_excluded(&path, false) {
                self.add_file(&path)?;
            }
        }
        Ok(())
    }

    fn add_file(&mut self, path: &Path) -> Result<(), ArchiveError> {
        let read = |source| ArchiveError::Read { path: path.to_owned(), source };
        let file = File::open(self.tree.join(path)).map_err(read)?;
        let metadata = file.metadata().map_err(read)?;
        self.count()?;
        self.bytes = self.bytes.saturating_add(metadata.len());
        if self.bytes > self.limits.bytes {
            return Err(ArchiveError::TooLarge(self.limits.bytes));
        }
        let mode = if metadata.mode() & 0o111 == 0 { FILE_MODE } else { EXECUTABLE_MODE };
        let size = metadata.len();
        let content = file.take(size);
        self.header(path.as_os_str(), EntryType::Regular, mode, size, content)
            .map_err(ArchiveError::Write)
    }

    fn is_excluded(&self, path: &Path, is_dir: bool) -> bool {
        !path.as_os_str().is_empty() && self.rules.exclude(&path.to_string_lossy(), is_dir)
    }

    fn count(&mut self) -> Result<(), ArchiveError> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(ArchiveError::TooMany(self.limits.entries));
        }
        Ok(())
    }

    /// Writes an entry of nobody, from the beginning of time.
    fn header(
        &mut self,
        name: &OsStr,
        kind: EntryType,
        mode: u32,
        size: u64,
        content: impl io::Read,
    ) -> io::Result<()> {
        let mut header = Header::new_ustar();
        let name = name.as_bytes();
        if !set_name(&mut header, name) {
            self.archive.append_pax_extensions([("path", name)])?;
            let short = name.iter().copied().filter(u8::is_ascii).take(100);
            let short: Vec<u8> = short.collect();
            set_name(&mut header, &short);
        }
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(size);
        header.set_cksum();
        self.archive.append(&header, content)
    }
}

/// Puts a name into a header, unless it has characters that may not be there, or is too long.
fn set_name(header: &mut Header, name: &[u8]) -> bool {
    let Some(ustar) = header.as_ustar_mut() else { return false };
    if !name.is_ascii() {
        return false;
    }
    if name.len() <= ustar.name.len() {
        ustar.name[..name.len()].copy_from_slice(name);
        return true;
    }
    // The last slash that leaves a prefix of the length that there is.
    let longest = name.len().min(ustar.prefix.len() + 1);
    let Some(slash) = name[..longest].iter().rposition(|byte| *byte == b'/') else { return false };
    let (prefix, rest) = (&name[..slash], &name[slash + 1..]);
    if prefix.is_empty() || rest.is_empty() || rest.len() > ustar.name.len() {
        return false;
    }
    ustar.prefix[..prefix.len()].copy_from_slice(prefix);
    ustar.name[..rest.len()].copy_from_slice(rest);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    const LIMITS: Limits = Limits { bytes: 1 << 20, entries: 1000 };

    fn pack_dir(dir: &Path, spec: Option<&str>, limits: Limits) -> Result<Vec<u8>, ArchiveError> {
        let tree = Tree::new(dir).unwrap();
        let rules = Rules::load(&tree, spec).unwrap();
        let mut bytes = Vec::new();
        pack(&tree, &rules, limits, &mut bytes)?;
        Ok(bytes)
    }

    fn unpack(bytes: &[u8]) -> Vec<(String, Header, String)> {
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes));
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let header = entry.header().clone();
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            (name, header, content)
        });
        entries.collect()
    }

    fn names(bytes: &[u8]) -> Vec<String> {
        unpack(bytes).into_iter().map(|(name, ..)| name).collect()
    }

    fn write(dir: &Path, path: &str, content: &str) {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    #[test]
    fn packs_files_and_directories_in_order() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "b/x.yaml", "x");
        write(dir.path(), "b-c", "");
        write(dir.path(), "a.sh", "run");
        fs::create_dir(dir.path().join("empty")).unwrap();
        fs::set_permissions(dir.path().join("a.sh"), fs::Permissions::from_mode(0o755)).unwrap();
        symlink("a.sh", dir.path().join("link")).unwrap();
        let entries = unpack(&pack_dir(dir.path(), None, LIMITS).unwrap());
        let shown: Vec<_> = entries
            .iter()
            .map(|(name, header, content)| {
                assert_eq!(header.mtime().unwrap(), 0);
                assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
                assert_eq!(header.username().unwrap(), Some(""));
                assert_eq!(header.groupname().unwrap(), Some(""));
                let mode = header.mode().unwrap();
                (name.as_str(), header.entry_type(), mode, content.as_str())
            })
            .collect();
        let (file, directory) = (EntryType::Regular, EntryType::Directory);
        assert_eq!(
            shown,
            [
                (".", directory, 0o750, ""),
                ("a.sh", file, 0o700, "run"),
                ("b", directory, 0o750, ""),
                ("b/x.yaml", file, 0o600, "x"),
                ("b-c", file, 0o600, ""),
                ("empty", directory, 0o750, ""),
            ]
        );
    }

    #[test]
    fn gives_equal_bytes_for_equal_content() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for name in ["a", "b", "c/d"] {
            write(one.path(), name, name);
        }
        for name in ["c/d", "b", "a"] {
            write(two.path(), name, name);
        }
        fs::set_permissions(two.path().join("a"), fs::Permissions::from_mode(0o640)).unwrap();
        let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1);
        File::open(two.path().join("b")).unwrap().set_modified(old).unwrap();
        let bytes = pack_dir(one.path(), None, LIMITS).unwrap();
        assert_eq!(bytes, pack_dir(two.path(), None, LIMITS).unwrap());
        // No name, no time, no system.
        assert_eq!(bytes[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
        write(two.path(), "b", "B");
        assert_ne!(bytes, pack_dir(two.path(), None, LIMITS).unwrap());
    }

    #[test]
    fn looks_into_directories_that_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["docs/a.md", "docs/keep.md", "app/x.yaml"] {
            write(dir.path(), path, "x");
        }
        let bytes = pack_dir(dir.path(), Some("docs/\n!docs/keep.md"), LIMITS).unwrap();
        assert_eq!(names(&bytes), [".", "app", "app/x.yaml", "docs/keep.md"]);
        // Everything but the root can be left out.
        assert_eq!(names(&pack_dir(dir.path(), Some("*"), LIMITS).unwrap()), ["."]);
    }

    #[test]
    fn keeps_names_of_any_length_and_alphabet() {
        let dir = tempfile::tempdir().unwrap();
        let long = "n".repeat(150);
        let deep = format!("{}/{}", "d".repeat(90), "e".repeat(90));
        let deeper = format!("{deep}/{}", "f".repeat(90));
        let mut paths = vec!["grün.yaml".to_owned(), long, deep + "/x.yaml", deeper + "/y.yaml"];
        for path in &paths {
            write(dir.path(), path, path);
        }
        let bytes = pack_dir(dir.path(), None, LIMITS).unwrap();
        let mut files: Vec<_> = unpack(&bytes)
            .into_iter()
            .filter(|(_, header, _)| header.entry_type() == EntryType::Regular)
            .map(|(name, _, content)| {
                assert_eq!(name, content);
                name
            })
            .collect();
        files.sort();
        paths.sort();
        assert_eq!(files, paths);
    }

    #[test]
    fn refuses_more_than_the_limits() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "a", "12345");
        write(dir.path(), "b", "12345");
        let limits = |bytes, entries| Limits { bytes, entries };
        pack_dir(dir.path(), None, limits(10, 3)).unwrap();
        assert!(matches!(pack_dir(dir.path(), None, limits(9, 3)), Err(ArchiveError::TooLarge(9))));
        assert!(matches!(pack_dir(dir.path(), None, limits(10, 2)), Err(ArchiveError::TooMany(2))));
        // What is left out does not count.
        pack_dir(dir.path(), Some("b"), limits(5, 2)).unwrap();
    }
}
