//! Who may write to a store: one process, and not root where the folder is another user's.

use std::{
    fs::{self, File, TryLockError},
    io::ErrorKind,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use rustix::process::geteuid;

/// Keeps a second writer out: the daemon and `ingest` would each believe in a station of their own. `instead` is what whoever comes
/// second can do.
pub(super) fn lock(path: &Path, instead: &str) -> anyhow::Result<File> {
    refuse_root(path)?;
    let name = lock_file(path);
    let lock = File::create(&name).map_err(|error| {
        let denied = error.kind() == ErrorKind::PermissionDenied;
        let cannot = format!("cannot create {}", name.display());
        anyhow::Error::from(error).context(match denied {
            true => format!(
                "{cannot}; run this as its folder's owner: sudo -u {} pumphouse …",
                owner_name(path)
            ),
            false => cannot,
        })
    })?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => anyhow::bail!(
            "another pumphouse is writing to {}; {instead}",
            path.display()
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

fn lock_file(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

/// Whether anybody writes to a store, as a rule the daemon; `None` where that cannot be seen. Nothing is locked for that: it might be
/// in the way of who starts just then.
pub fn is_in_use(path: &Path) -> Option<bool> {
    let lock = match lock_file(path).metadata() {
        Ok(lock) => lock,
        Err(error) => return (error.kind() == ErrorKind::NotFound).then_some(false),
    };
    let inode = format!(":{}", lock.ino());
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let mut locks = locks.lines().filter(|line| line.contains(" FLOCK "));
    Some(locks.any(|line| line.split_whitespace().any(|word| word.ends_with(&inode))))
}

/// Keeps root from making a file in another user's folder: the daemon, who is that user, could neither write nor replace it.
pub(super) fn refuse_root(path: &Path) -> anyhow::Result<()> {
    let owner = owner_of(path);
    ensure!(
        owner == 0 || !geteuid().is_root(),
        "the folder of {} is not root's, and its owner could not write what root makes there; run this as the owner: sudo -u {} pumphouse …",
        path.display(),
        owner_name(path)
    );
    Ok(())
}

/// Whose the folder of a file is; root's without a folder: what comes next says that.
fn owner_of(path: &Path) -> u32 {
    folder_of(path).metadata().map_or(0, |folder| folder.uid())
}

/// The name of whoever the folder of a file is, as `sudo -u` takes it.
pub fn owner_name(path: &Path) -> String {
    let id = owner_of(path);
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|user| {
        let mut fields = user.split(':');
        let (name, of) = (fields.next()?, fields.nth(1)?);
        (of.parse() == Ok(id)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| format!("'#{id}'"))
}

pub(super) fn folder_of(path: &Path) -> &Path {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}
