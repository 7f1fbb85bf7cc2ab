//! Who may look and who may act: passwords, log-ins, roles, and what keeps other pages of the browser out.
//!
//! *Invariants.* Without a password file only this machine is served, under its own names (a strange name in `Host` is another
//! page's trick), and whoever sits at it is the operator. With one, everything but the log-in page needs a session. Whatever changes
//! something is a POST of JSON that shows the session's CSRF token and comes from our own page.

pub mod passwords;
pub mod sessions;

use std::{net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;

use super::{
    Shared,
    api::{Body, Problem},
    listen::Peer,
};
use crate::{clock::Clock, store::writer::Handle};
use passwords::{Attempts, Users};
use sessions::Sessions;

/// Name of the cookie.
const COOKIE: &str = "pumphouse";
/// What is asked of a browser in every answer: nothing from elsewhere, no script and no style in a page, no frame around it. The hash is
/// that of an empty style element, which the plotting library makes to add its rules one by one.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='; \
     img-src 'self' data: blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Look at everything and ask.
    Viewer,
    /// Also acknowledge, shelve, take out of service.
    Operator,
}

impl Role {
    /// Its name in the password file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
        }
    }

    /// The role of a name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Viewer, Self::Operator]
            .into_iter()
            .find(|role| role.name() == name)
    }
}

/// Whoever sends a request.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// The name; `None` without passwords.
    pub user: Option<String>,
    /// What is allowed.
    pub role: Role,
    /// What a request that changes something must show.
    pub csrf: String,
}

/// Decides who is who.
pub struct Access {
    users: Option<Users>,
    sessions: Sessions,
    attempts: Attempts,
    is_tls: bool,
    csrf_of_machine: String,
    clock: Clock,
}

impl Access {
    /// `password_file` names the users; `session` is how long a log-in lasts without use.
    pub async fn new(
        password_file: Option<PathBuf>,
        session: Duration,
        is_tls: bool,
        handle: Handle,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            users: password_file.map(Users::new),
            sessions: Sessions::load(handle, session, clock.now_s()).await?,
            attempts: Attempts::default(),
            is_tls,
            csrf_of_machine: sessions::token(),
            clock,
        })
    }

    /// Whether there are passwords.
    pub fn needs_login(&self) -> bool {
        self.users.is_some()
    }

    /// Whether a program may read the metrics: from this machine, or with a user's name and password as HTTP's basic authentication
    /// carries them.
    pub async fn may_measure(&self, peer: IpAddr, headers: &HeaderMap) -> Result<bool, Problem> {
        let Some(users) = &self.users else {
            return Ok(true);
        };
        let host = headers.get(header::HOST).and_then(|it| it.to_str().ok());
        if peer.is_loopback() && host.is_some_and(is_this_machine) {
            return Ok(true);
        }
        let shown = headers.get(header::AUTHORIZATION);
        let shown = shown.and_then(|it| it.to_str().ok()?.strip_prefix("Basic "));
        let decoded = shown.and_then(|shown| BASE64_STANDARD.decode(shown).ok());
        let pair = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        let Some((user, password)) = pair.as_deref().and_then(|pair| pair.split_once(':')) else {
            return Ok(false);
        };
        self.attempts.ask(peer).map_err(Problem::TooMany)?;
        let fits = users.check(user, password.to_owned()).await?.is_some();
        if fits {
            self.attempts.forgive(peer);
        }
        Ok(fits)
    }

    fn visitor(&self, headers: &HeaderMap) -> Option<Visitor> {
        let Some(users) = &self.users else {
            return Some(Visitor {
                user: None,
                role: Role::Operator,
                csrf: self.csrf_of_machine.clone(),
            });
        };
        let token = cookie(headers)?;
        let (user, role) = self.sessions.find(token, self.clock.now_s())?;
        // Whoever was struck from the file, or given another role, has to log in again.
        (users.role(&user) == Some(role)).then(|| Visitor {
            user: Some(user),
            role,
            csrf: sessions::csrf(token),
        })
    }
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// Lets a request through or not; every answer gets the headers that keep the page to itself.
pub async fn guard(
    State(shared): State<Arc<Shared>>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path().to_owned();
    let is_api = path.starts_with("/api/");
    let response = match admit(&shared.access, &request) {
        Ok(visitor) => {
            // What /metrics tells to whom is decided there.
            let is_open = ["/login", "/healthz", "/metrics"].contains(&path.as_str())
                || path.starts_with("/assets/");
            match visitor {
                Some(visitor) => {
                    request.extensions_mut().insert(visitor);
                    next.run(request).await
                }
                None if is_open => next.run(request).await,
                None if is_api => Problem::Unknown.into_response(),
                None => Redirect::to("/login").into_response(),
            }
        }
        Err(problem) => problem.into_response(),
    };
    sealed(response, &shared.access, is_api)
}

fn admit(access: &Access, request: &Request) -> Result<Option<Visitor>, Problem> {
    let headers = request.headers();
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    if access.users.is_none() && !is_this_machine(host) {
        return Err(Problem::NotHere);
    }
    let visitor = access.visitor(headers);
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        is_from_our_page(headers, host)?;
        let shown = headers.get("x-csrf-token").map(HeaderValue::as_bytes);
        let is_login = request.uri().path() == "/login";
        if !is_login
            && visitor
                .as_ref()
                .is_some_and(|it| shown != Some(it.csrf.as_bytes()))
        {
            return Err(Problem::Forbidden(
                "the request does not show the session's CSRF token; load the page again".into(),
            ));
        }
    }
    Ok(visitor)
}

/// Whether a name in `Host` is one of this machine's own.
fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    crate::tls::is_local(name)
}

fn is_from_our_page(headers: &HeaderMap, host: &str) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_json = text("content-type").is_some_and(|kind| kind.starts_with("application/json"));
    let is_same_site = text("sec-fetch-site").is_none_or(|site| site == "same-origin");
    let is_same_origin = text("origin")
        .is_none_or(|origin| origin.split_once("://").is_some_and(|(_, of)| of == host));
    if is_json && is_same_site && is_same_origin {
        Ok(())
    } else {
        Err(Problem::Forbidden(
            "a request that changes something must be JSON from this server's own page".into(),
        ))
    }
}

fn sealed(mut response: Response, access: &Access, is_api: bool) -> Response {
    let headers = response.headers_mut();
    let mut set = |name: header::HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(header::REFERRER_POLICY, "no-referrer");
    if access.is_tls {
        set(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    if is_api {
        set(header::CACHE_CONTROL, "no-store");
    }
    response
}

/// What the log-in page sends.
#[derive(serde::Deserialize)]
pub struct Login {
    user: String,
    password: String,
}

/// `POST /login`.
pub async fn log_in(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    Body(login): Body<Login>,
) -> Result<Response, Problem> {
    let access = &shared.access;
    let Some(users) = &access.users else {
        return Err(Problem::NotFound(
            "there is no password to log in with".into(),
        ));
    };
    access.attempts.ask(peer.ip()).map_err(Problem::TooMany)?;
    let Some(role) = users.check(&login.user, login.password).await? else {
        log::warn!(peer = peer.ip().to_string(), user = login.user.as_str().chars().take(64).collect::<String>(); "a log-in was refused");
        return Err(Problem::Forbidden("user or password is wrong".into()));
    };
    access.attempts.forgive(peer.ip());
    let token = sessions::token();
    access
        .sessions
        .begin(&token, &login.user, role, access.clock.now_s())
        .await?;
    log::info!(user = login.user.as_str(), role = role.name(); "logged in");
    let cookie = session_cookie(&token, access.sessions.lasts().as_secs(), access.is_tls);
    Ok((
        [(header::SET_COOKIE, cookie)],
        Json(json!({ "user": login.user, "role": role })),
    )
        .into_response())
}

/// `POST /logout`.
pub async fn log_out(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if let Some(token) = cookie(&headers) {
        shared.access.sessions.end(token).await?;
    }
    let cookie = session_cookie("", 0, shared.access.is_tls);
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

fn session_cookie(token: &str, seconds: u64, is_tls: bool) -> String {
    let secure = if is_tls { "; Secure" } else { "" };
    format!("{COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/; Max-Age={seconds}{secure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_names_of_this_machine() {
        for host in [
            "localhost",
            "localhost:8080",
            "127.0.0.1:8080",
            "[::1]:8080",
            "127.9.9.9",
        ] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example:8080",
            "127.0.0.1.evil.example",
            "[::2]:1",
            "10.0.0.1",
        ] {
            assert!(!is_this_machine(host), "{host}");
        }
    }
}
