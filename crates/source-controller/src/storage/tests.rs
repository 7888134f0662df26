use std::convert::Infallible;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use super::*;

struct Fixture {
    dir: tempfile::TempDir,
    storage: Storage,
}

const OWNER: Owner<'static> = Owner { kind: "GitRepository", namespace: "apps", name: "podinfo" };

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    Fixture { dir, storage }
}

fn open(dir: &Path) -> Storage {
    let advertised = Advertised::from("source-controller.test.".to_owned());
    let retention = Retention { ttl: Duration::from_mins(1), records: 2 };
    Storage::open(dir, advertised, Algorithm::Sha256, retention).unwrap()
}

impl Fixture {
    fn store(&self, file: &str, content: &[u8]) -> Artifact {
        let write = |out: &mut dyn Write| out.write_all(content);
        self.storage.store(OWNER, file, "main@sha1:1", write).unwrap()
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path().join("gitrepository/apps/podinfo")).unwrap();
        let names = entries.map(|it| it.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    fn place(&self, artifact: &Artifact) -> PathBuf {
        self.dir.path().join(&artifact.path)
    }
}

#[test]
fn stores_a_file_and_says_where() {
    let fixture = fixture();
    let artifact = fixture.store("1.tar.gz", b"abc");
    assert_eq!(artifact.path, "gitrepository/apps/podinfo/1.tar.gz");
    assert_eq!(artifact.url, "http://source-controller.test./gitrepository/apps/podinfo/1.tar.gz");
    assert_eq!(artifact.size, Some(3));
    assert_eq!(
        artifact.digest,
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    let place = fixture.place(&artifact);
    assert_eq!(fs::read(&place).unwrap(), b"abc");
    assert_eq!(place.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let dir = place.parent().unwrap().metadata().unwrap();
    assert_eq!(dir.permissions().mode() & 0o777, 0o700);
    assert_eq!(fixture.files(), ["1.tar.gz"]);
}

#[test]
fn leaves_everything_in_place_when_the_content_fails() {
    let fixture = fixture();
    let artifact = fixture.store("1.tar.gz", b"abc");
    let failing = |out: &mut dyn Write| {
        out.write_all(b"half").unwrap();
        Err("broken")
    };
    let result = fixture.storage.store(OWNER, "1.tar.gz", "main@sha1:1", failing);
    assert!(matches!(result, Err(StoreError::Content("broken"))));
    assert_eq!(fixture.files(), ["1.tar.gz"]);
    fixture.storage.verify(&artifact).unwrap();
}

#[test]
fn notices_files_that_are_missing_or_changed() {
    let fixture = fixture();
    let artifact = fixture.store("1.tar.gz", b"abc");
    fixture.storage.verify(&artifact).unwrap();
    fs::write(fixture.place(&artifact), b"abd").unwrap();
    assert!(matches!(fixture.storage.verify(&artifact), Err(VerifyError::Mismatch(_))));
    fixture.storage.remove(&artifact).unwrap();
    assert!(matches!(fixture.storage.verify(&artifact), Err(VerifyError::Missing)));
    fixture.storage.remove(&artifact).unwrap();
    fs::create_dir(fixture.place(&artifact)).unwrap();
    assert!(matches!(fixture.storage.verify(&artifact), Err(VerifyError::Missing)));
}

#[test]
fn notices_a_change_that_hides_its_time_and_size() {
    let fixture = fixture();
    let artifact = fixture.store("1.tar.gz", b"abc");
    let place = fixture.place(&artifact);
    let modified = place.metadata().unwrap().modified().unwrap();
    // A clock that has not moved since cannot tell.
    while fixture.dir.path().join("probe").metadata().and_then(|it| it.modified()).ok()
        <= Some(modified)
    {
        fs::write(fixture.dir.path().join("probe"), "").unwrap();
    }
    fs::write(&place, b"abd").unwrap();
    File::open(&place).unwrap().set_modified(modified).unwrap();
    assert!(matches!(fixture.storage.verify(&artifact), Err(VerifyError::Mismatch(_))));
}

#[test]
fn reads_an_unchanged_file_once() {
    let fixture = fixture();
    let artifact = fixture.store("1.tar.gz", b"abc");
    let other = open(fixture.dir.path());
    assert!(other.lock().is_empty());
    other.verify(&artifact).unwrap();
    let known = other.lock().get(&artifact.path).cloned().unwrap();
    assert_eq!(known.1, artifact.digest);
    // A digest that is known for the file is believed, so a wrong one here shows that the file is
    // not read again.
    let claimed = format!("sha256:{}", "0".repeat(64));
    other.remember(&artifact.path, known.0, &claimed);
    other.verify(&Artifact { digest: claimed, ..artifact }).unwrap();
}

#[test]
fn refuses_digests_and_paths_that_are_none() {
    let fixture = fixture();
    let artifact = fixture.store("1.tar.gz", b"abc");
    for digest in ["", "sha256:", "md5:900150983cd24fb0d6963f7d28e17f72"] {
        let artifact = Artifact { digest: digest.to_owned(), ..artifact.clone() };
        assert!(matches!(fixture.storage.verify(&artifact), Err(VerifyError::Parse { .. })));
    }
    for path in ["", "/etc/passwd", "../x", "gitrepository/../../x", "a/./../../b"] {
        let artifact = Artifact { path: path.to_owned(), ..artifact.clone() };
        assert!(matches!(fixture.storage.verify(&artifact), Err(VerifyError::Path(_))), "{path}");
        assert!(fixture.storage.read(&artifact).is_err());
        fixture.storage.remove(&artifact).unwrap();
    }
}

#[test]
fn does_not_store_outside_of_its_directory() {
    let fixture = fixture();
    let owner = Owner { name: "..", ..OWNER };
    let result = fixture.storage.store(owner, "x", "1", |_| Ok::<_, Infallible>(()));
    assert!(matches!(result, Err(StoreError::Directory(_))));
    assert!(!fixture.storage.remove_all(owner).unwrap());
}

#[test]
fn removes_an_object_with_all_its_files_and_no_other() {
    let fixture = fixture();
    let artifact = fixture.store("1.tar.gz", b"abc");
    let other = Owner { name: "podinfo-2", ..OWNER };
    let write = |out: &mut dyn Write| out.write_all(b"x");
    let kept = fixture.storage.store(other, "1.tar.gz", "main@sha1:1", write).unwrap();
    assert!(fixture.storage.remove_all(OWNER).unwrap());
    assert!(matches!(fixture.storage.verify(&artifact), Err(VerifyError::Missing)));
    fixture.storage.verify(&kept).unwrap();
    assert!(!fixture.storage.remove_all(OWNER).unwrap());
}

#[test]
fn sweeps_what_a_killed_writer_has_left() {
    let fixture = fixture();
    let artifact = fixture.store("1.tar.gz", b"abc");
    fs::write(fixture.place(&artifact).with_file_name(".tmp-Xy12"), "half").unwrap();
    assert_eq!(open(fixture.dir.path()).sweep(), 1);
    assert_eq!(fixture.files(), ["1.tar.gz"]);
}

#[test]
fn collects_garbage_but_no_locks_and_links() {
    let fixture = fixture();
    let old = fixture.store("1.tar.gz", b"1");
    let current = fixture.store("2.tar.gz", b"2");
    let dir = fixture.place(&current).parent().unwrap().to_owned();
    fs::write(dir.join("1.tar.gz.lock"), "").unwrap();
    std::os::unix::fs::symlink("2.tar.gz", dir.join("latest.tar.gz")).unwrap();
    let later = SystemTime::now() + Duration::from_secs(61);
    assert_eq!(fixture.storage.collect(&current, SystemTime::now()).unwrap(), 0);
    assert_eq!(fixture.storage.collect(&current, later).unwrap(), 1);
    assert_eq!(fixture.files(), ["1.tar.gz.lock", "2.tar.gz", "latest.tar.gz"]);
    assert!(!fixture.storage.lock().contains_key(&old.path));
    assert!(fixture.storage.lock().contains_key(&current.path));
}

#[test]
fn refuses_a_directory_that_does_not_exist() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("missing");
    let advertised = Advertised::from("x".to_owned());
    let retention = Retention { ttl: Duration::ZERO, records: 0 };
    let error = Storage::open(&path, advertised, Algorithm::Sha256, retention).unwrap_err();
    assert!(error.to_string().contains("missing"));
}
