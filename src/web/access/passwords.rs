//! The password file: a line a user, `name:role:hash`, hashed with Argon2id; and how often one may try.

use std::{
    collections::HashMap,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Mutex,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, ensure};
use argon2::{
    Argon2, PasswordHash, PasswordHasher, PasswordVerifier,
    password_hash::{SaltString, rand_core::OsRng},
};
use tokio::sync::Semaphore;

use super::Role;

/// Wrong passwords from one address that are answered without a wait, and the wait for one more.
const FREE_ATTEMPTS: u32 = 5;
const WAIT: Duration = Duration::from_secs(60);
/// Addresses that are remembered.
const ADDRESSES_MAX: usize = 1000;
/// Longest password.
const PASSWORD_BYTES_MAX: usize = 1024;

/// Whether there can be such a user with such a password.
pub fn check(user: &str, password: &str) -> anyhow::Result<()> {
    let is_name = |c: char| c.is_alphanumeric() || "-_.@".contains(c);
    ensure!(
        (1..=64).contains(&user.len()) && user.chars().all(is_name),
        "a user's name is 1 to 64 letters, digits or one of - _ . @"
    );
    ensure!(
        (8..=PASSWORD_BYTES_MAX).contains(&password.len()),
        "a password has 8 characters at least"
    );
    Ok(())
}

/// A line for the password file.
pub fn line(user: &str, role: Role, password: &str) -> anyhow::Result<String> {
    check(user, password)?;
    let salt = SaltString::generate(&mut OsRng);
    let hash = Argon2::default()
        .hash_password(password.as_bytes(), &salt)
        .map_err(|error| anyhow::anyhow!("cannot hash the password: {error}"))?;
    Ok(format!("{user}:{}:{hash}", role.name()))
}

struct User {
    role: Role,
    hash: String,
}

/// The users of a password file, read anew whenever it has changed.
pub struct Users {
    path: PathBuf,
    read: Mutex<Read>,
    /// One hash at a time: each takes some megabytes and a good part of a second of a small box.
    turn: Semaphore,
}

#[derive(Default)]
struct Read {
    changed: Option<SystemTime>,
    users: HashMap<String, User>,
}

impl Users {
    /// The users of a file.
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            read: Mutex::default(),
            turn: Semaphore::new(1),
        }
    }

    /// Tells what is wrong with the file.
    pub fn verify(&self) -> anyhow::Result<()> {
        read(&self.path).map(drop)
    }

    /// The role of a user, if there is such a user.
    pub fn role(&self, user: &str) -> Option<Role> {
        self.with(|users| users.get(user).map(|user| user.role))
    }

    /// The role of a user whose password this is.
    pub async fn check(&self, user: &str, password: String) -> anyhow::Result<Option<Role>> {
        let known = self.with(|users| users.get(user).map(|it| (it.role, it.hash.clone())));
        let _turn = self.turn.acquire().await?;
        let (role, hash) = known.map_or((None, None), |(role, hash)| (Some(role), Some(hash)));
        let right = tokio::task::spawn_blocking(move || fits(hash.as_deref(), &password)).await?;
        Ok(role.filter(|_| right))
    }

    fn with<T>(&self, ask: impl FnOnce(&HashMap<String, User>) -> T) -> T {
        let mut read = self
            .read
            .lock()
            .unwrap_or_else(|broken| broken.into_inner());
        let changed = self.path.metadata().and_then(|it| it.modified()).ok();
        if changed.is_none() || changed != read.changed {
            // Better nobody than somebody who was struck off; a file that cannot be used is tried again at the next request, for whoever
            // makes it readable does not change it.
            *read = self::read(&self.path)
                .map_or_else(|_| Read::default(), |users| Read { changed, users });
        }
        ask(&read.users)
    }
}

fn read(path: &Path) -> anyhow::Result<HashMap<String, User>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let users = parse(&text).with_context(|| path.display().to_string())?;
    ensure!(
        !users.is_empty(),
        "{} names no user; `pumphouse password` makes a line",
        path.display()
    );
    Ok(users)
}

fn parse(text: &str) -> anyhow::Result<HashMap<String, User>> {
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    lines
        .map(|(at, line)| {
            let mut parts = line.trim().splitn(3, ':');
            let mut part = || parts.next().unwrap_or_default();
            let (user, role, hash) = (part(), part(), part());
            let role = Role::named(role);
            ensure!(
                !user.is_empty() && role.is_some() && PasswordHash::new(hash).is_ok(),
                "line {} is not name:role:hash with the role viewer or operator; `pumphouse password` makes such lines",
                at + 1
            );
            let role = role.unwrap_or(Role::Viewer);
            let hash = hash.to_owned();
            Ok((user.to_owned(), User { role, hash }))
        })
        .collect()
}

/// Whether a password is the one of a hash. Without a hash the same work is done: who is known shall not show in the time it takes.
fn fits(hash: Option<&str>, password: &str) -> bool {
    let argon = Argon2::default();
    let Some(hash) = hash.and_then(|hash| PasswordHash::new(hash).ok()) else {
        let salt = SaltString::generate(&mut OsRng);
        let _ = argon.hash_password(password.as_bytes(), &salt);
        return false;
    };
    password.len() <= PASSWORD_BYTES_MAX
        && argon.verify_password(password.as_bytes(), &hash).is_ok()
}

/// How often addresses have tried.
#[derive(Default)]
pub struct Attempts {
    by: Mutex<HashMap<IpAddr, (u32, Instant)>>,
}

impl Attempts {
    /// Counts an attempt, or says after how many seconds the next one may come.
    pub fn ask(&self, from: IpAddr) -> Result<(), u64> {
        let mut by = self.by.lock().unwrap_or_else(|broken| broken.into_inner());
        let now = Instant::now();
        if by.len() >= ADDRESSES_MAX {
            by.retain(|_, (_, last)| now - *last < WAIT);
        }
        let (attempts, last) = by.entry(from).or_insert((0, now));
        let since = now - *last;
        if *attempts >= FREE_ATTEMPTS && since < WAIT {
            return Err((WAIT - since).as_secs() + 1);
        }
        if since >= WAIT {
            *attempts = attempts.saturating_sub((since.as_secs() / WAIT.as_secs()) as u32);
        }
        *attempts += 1;
        *last = now;
        Ok(())
    }

    /// Forgets the attempts of an address that has logged in.
    pub fn forgive(&self, from: IpAddr) {
        let mut by = self.by.lock().unwrap_or_else(|broken| broken.into_inner());
        by.remove(&from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_made_is_one_that_fits() {
        let line = line("anna", Role::Operator, "correct horse").expect("a line");
        let users = parse(&format!("# staff\n\n{line}\n")).expect("a file");
        let anna = &users["anna"];
        assert_eq!(anna.role, Role::Operator);
        assert!(anna.hash.starts_with("$argon2id$"));
        assert!(fits(Some(&anna.hash), "correct horse"));
        assert!(!fits(Some(&anna.hash), "correct house") && !fits(None, "correct horse"));
    }

    #[test]
    fn refuses_lines_that_mean_nothing() {
        for text in [
            "anna",
            "anna:operator:secret",
            "anna:admin:$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(
            line("a:b", Role::Viewer, "long enough").is_err()
                && line("anna", Role::Viewer, "short").is_err()
        );
    }

    #[test]
    fn the_sixth_wrong_password_has_to_wait() {
        let attempts = Attempts::default();
        let from = IpAddr::from([192, 0, 2, 7]);
        assert!((0..FREE_ATTEMPTS).all(|_| attempts.ask(from).is_ok()));
        assert!(
            attempts
                .ask(from)
                .is_err_and(|wait_s| (1..=61).contains(&wait_s))
        );
        assert!(attempts.ask(IpAddr::from([192, 0, 2, 8])).is_ok());
        attempts.forgive(from);
        assert!(attempts.ask(from).is_ok());
    }
}
