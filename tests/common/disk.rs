//! A small disk of the test's own, which can be full or read-only: a tmpfs, for which one must be root.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// A mounted tmpfs. Dropped, it goes.
pub struct Disk {
    folder: TempDir,
}

impl Disk {
    /// A disk of so many bytes; the system's own folder for temporary files where this user may not mount.
    pub fn new(bytes: u64) -> (Self, bool) {
        let folder = TempDir::with_prefix("pumphouse-disk-").expect("a folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "pumphouse"])
            .arg(folder.path())
            .output()
            .is_ok_and(|output| output.status.success());
        (Self { folder }, mounted)
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }

    /// Writes until nothing more goes in.
    pub fn fill(&self) {
        let mut file = File::create(self.filler()).expect("a file");
        let mut piece = vec![1u8; 1 << 20];
        while !piece.is_empty() {
            match file.write(&piece) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => {
                    piece.truncate(piece.len() / 2);
                }
                Err(error) => panic!("cannot fill the disk: {error}"),
            }
        }
    }

    /// Takes the filler away.
    pub fn free(&self) {
        // There may be none.
        let _ = fs::remove_file(self.filler());
    }

    /// Makes it read-only, or writable again. Nobody may have a file open for writing.
    pub fn set_read_only(&self, read_only: bool) {
        let options = if read_only {
            "remount,ro"
        } else {
            "remount,rw"
        };
        let done = Command::new("mount")
            .args(["-o", options])
            .arg(self.path())
            .output()
            .expect("mount runs");
        let told = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{options}: {told}");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Where nothing is mounted there is nothing to do.
        let _ = Command::new("umount").arg("-l").arg(self.path()).output();
    }
}
