//! A small disk of the test's own, which can be full or read-only: a tmpfs, for which one must be root.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::mounting::{do_privileged, own};

/// A mounted tmpfs. Dropped, it goes.
pub struct Disk {
    folder: TempDir,
}

impl Disk {
    /// A disk of so many bytes; the system's own folder for temporary files where this user may not mount.
    pub fn new(bytes: u64) -> (Self, bool) {
        let folder = TempDir::with_prefix("pumphouse-disk-").expect("a folder");
        let place = folder.path().to_string_lossy();
        let size = format!("size={bytes}");
        let arguments = ["-t", "tmpfs", "-o", &size, "pumphouse", &place];
        let mounted = do_privileged("mount", &arguments).is_ok() && own(folder.path()).is_ok();
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
        self.free();
        self.fill_more();
    }

    /// Fills the disk, but for so many bytes.
    pub fn fill_but(&self, bytes: u64) {
        let kept = self.path().join("kept");
        fs::write(&kept, vec![1; bytes as usize]).expect("there is room");
        self.fill();
        remove(&kept);
    }

    /// Fills the disk, but for so many bytes, without its being full for a moment.
    pub fn fill_up_to(&self, bytes: u64) {
        self.free();
        let disk = rustix::fs::statvfs(self.path()).expect("the disk");
        let room = disk.f_bavail * disk.f_frsize;
        fs::write(self.filler(), vec![1; (room - bytes) as usize]).expect("there is room");
    }

    /// Writes behind what it has written before until nothing more goes in.
    pub fn fill_more(&self) {
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(self.filler())
            .expect("a file");
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
        if self.filler().exists() {
            remove(&self.filler());
        }
    }

    /// Makes it read-only, or writable again. Nobody may have a file open for writing.
    pub fn set_read_only(&self, read_only: bool) {
        let options = if read_only {
            "remount,ro"
        } else {
            "remount,rw"
        };
        let done = do_privileged("mount", &["-o", options, &self.path().to_string_lossy()]);
        assert_eq!(done, Ok(()), "{options}");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Where nothing is mounted there is nothing to do.
        let _ = do_privileged("umount", &["-l", &self.path().to_string_lossy()]);
    }
}

/// Takes a file and its room away. A process that another test starts in this moment may hold the file open a while longer.
fn remove(file: &Path) {
    File::create(file).expect("cut to nothing");
    fs::remove_file(file).expect("removed");
}
