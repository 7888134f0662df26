//! Objects of a repository.

use std::{
    io::{self, BufRead, Read},
    path::{Path, PathBuf},
};

use gix::{
    ObjectId,
    objs::{Find as _, Kind},
    odb::HeaderExt as _,
    progress::Discard,
};
use tempfile::TempDir;

use crate::{Error, Limit, Limits, operation::Operation};

/// How much memory may hold objects that others are deltas of.
const CACHE_BYTES: usize = 32 << 20;

/// Objects of a repository.
pub(crate) struct Store {
    // Dropped before the folder: it has the packs open.
    objects: gix::odb::Handle,
    /// Kept for the objects in it.
    folder: Option<TempDir>,
}

/// A folder that objects are received into, which is removed when it is dropped.
pub(crate) struct Inbox {
    folder: TempDir,
}

impl Inbox {
    /// Creates an empty folder.
    pub(crate) fn new(scratch: Option<&Path>) -> Result<Self, Error> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("git-objects-");
        let created = match scratch {
            Some(scratch) => builder.tempdir_in(scratch),
            None => builder.tempdir(),
        };
        let failed = |source| Error::Io {
            action: "create a folder for objects in",
            path: scratch.map_or_else(std::env::temp_dir, Path::to_owned),
            source,
        };
        let folder = created.map_err(failed)?;
        std::fs::create_dir_all(folder.path().join("objects/pack")).map_err(failed)?;
        Ok(Self { folder })
    }

    /// Returns the file that lists the commits whose parents are missing.
    pub(crate) fn shallow_file(&self) -> PathBuf {
        self.folder.path().join("shallow")
    }

    /// Writes a pack to disk while it arrives, and indexes it.
    pub(crate) fn receive(
        &self,
        pack: &mut dyn BufRead,
        limits: &Limits,
        operation: &Operation,
    ) -> gix::Result<()> {
        let mut pack = io::BufReader::with_capacity(
            64 << 10,
            Limited { pack, header: Vec::new(), received: 0, limits, operation },
        );
        let options = gix_pack::bundle::write::Options {
            alloc_limit_bytes: usize::try_from(limits.checkout_bytes).ok(),
            ..gix_pack::bundle::write::Options::default()
        };
        gix_pack::Bundle::write_to_directory(
            &mut pack,
            Some(&self.folder.path().join("objects/pack")),
            &mut Discard,
            &operation.interrupt,
            None::<gix::odb::Handle>,
            gix::hash::Kind::Sha1,
            options,
        )?;
        Ok(())
    }

    /// Returns what was received.
    pub(crate) fn into_store(self) -> Result<Store, Error> {
        let mut store = Store::open(&self.folder.path().join("objects"))?;
        store.folder = Some(self.folder);
        Ok(store)
    }
}

impl Store {
    /// Opens the folder of objects of a repository.
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        let objects = gix::odb::at(folder, gix::hash::Kind::Sha1)
            .map_err(|source| Error::Io {
                action: "open the objects in",
                path: folder.to_owned(),
                source,
            })?
            .with_pack_cache(|| {
                Box::new(gix_pack::cache::lru::MemoryCappedHashmap::new(CACHE_BYTES))
            });
        Ok(Self { objects, folder: None })
    }

    /// Returns whether there is an object.
    pub(crate) fn contains(&self, id: &ObjectId) -> bool {
        self.objects.header(id).is_ok()
    }

    /// Returns the kind and size of an object.
    pub(crate) fn header(&self, id: &ObjectId) -> Result<(Kind, u64), Error> {
        let header = self
            .objects
            .header(id)
            .map_err(|source| Error::Object { id: id.to_string(), source })?;
        Ok((header.kind(), header.size()))
    }

    /// Reads an object into a buffer and returns its kind.
    pub(crate) fn read(&self, id: &ObjectId, buffer: &mut Vec<u8>) -> Result<Kind, Error> {
        let missing = || gix::error::message("object not found").not_found_error();
        self.objects
            .try_find(id, buffer)
            .and_then(|object| object.map(|object| object.kind).ok_or_else(missing))
            .map_err(|source| Error::Object { id: id.to_string(), source })
    }
}

/// A pack that ends with an error when it gets bigger than allowed.
struct Limited<'a> {
    pack: &'a mut dyn BufRead,
    /// The first bytes, until there are enough of them to tell the number of objects.
    header: Vec<u8>,
    received: u64,
    limits: &'a Limits,
    operation: &'a Operation,
}

impl Read for Limited<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.pack.read(buffer)?;
        self.received += count as u64;
        if self.received > self.limits.pack_bytes {
            return Err(self.too_big(Limit::PackBytes(self.limits.pack_bytes)));
        }
        if self.header.len() < HEADER {
            let missing = HEADER - self.header.len();
            self.header.extend_from_slice(&buffer[..count.min(missing)]);
            if let Ok((_, objects)) = self
                .header
                .as_slice()
                .try_into()
                .map_err(drop)
                .and_then(|header| gix_pack::data::header::decode(header).map_err(drop))
                && objects > self.limits.objects
            {
                return Err(self.too_big(Limit::Objects(self.limits.objects)));
            }
        }
        Ok(count)
    }
}

const HEADER: usize = gix_pack::data::header::SIZE;

impl Limited<'_> {
    fn too_big(&self, limit: Limit) -> io::Error {
        self.operation.fail(Error::TooBig { url: self.operation.url.clone(), limit })
    }
}
