//! The pages as they are first sent: head, navigation, an empty room that the page's script fills.

use std::sync::{Arc, LazyLock};

use axum::{
    Router,
    extract::State,
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};
use serde_json::Value;

use super::Shared;

/// Path, script and key of the texts of each page.
const PAGES: [(&str, &str); 6] = [
    ("/", "overview"),
    ("/analytics", "analytics"),
    ("/alerts", "alerts"),
    ("/insights", "insights"),
    ("/optimization", "optimization"),
    ("/assistant", "assistant"),
];
const SHELL: &str = include_str!("page/shell.html");

/// Everything that the pages say, in one place: a translation is another file.
static TEXTS: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("page/texts.json")).unwrap_or_default());

fn text(path: &str) -> &'static str {
    TEXTS
        .pointer(path)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The six pages.
pub fn pages() -> Router<Arc<Shared>> {
    PAGES
        .into_iter()
        .fold(Router::new(), |router, (path, name)| {
            router.route(
                path,
                get(move |State(shared): State<Arc<Shared>>| async move { page(&shared, name) }),
            )
        })
}

fn page(shared: &Shared, name: &str) -> Response {
    let links: String = PAGES
        .iter()
        .map(|(path, of)| {
            let current = if *of == name {
                " aria-current=\"page\""
            } else {
                ""
            };
            format!(
                "<a href=\"{path}\"{current}>{}</a>",
                text(&format!("/pages/{of}"))
            )
        })
        .collect();
    Html(filled(&shared.config.site_name, name, &links)).into_response()
}

/// `GET /login`.
pub async fn login(State(shared): State<Arc<Shared>>) -> Response {
    if !shared.access.needs_login() {
        return Redirect::to("/").into_response();
    }
    Html(filled(&shared.config.site_name, "login", "")).into_response()
}

fn filled(site: &str, name: &str, links: &str) -> String {
    SHELL
        .replace("{title}", text(&format!("/pages/{name}")))
        .replace("{site}", &escaped(site))
        .replace("{page}", name)
        .replace("{links}", links)
        .replace("{skip}", text("/frame/skip"))
        .replace("{noscript}", text("/frame/noscript"))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts that a script asks for by name.
    fn asked_for(script: &str) -> impl Iterator<Item = &str> {
        let calls = script
            .split("t('")
            .skip(1)
            .filter(|rest| !rest.starts_with('/'));
        calls
            .filter_map(|rest| rest.split_once('\''))
            .map(|(key, _)| key)
    }

    #[test]
    fn every_text_that_a_page_asks_for_is_there() {
        let mut keys = 0;
        for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/web/page"))
            .expect("the page")
        {
            let path = entry.expect("an entry").path();
            if path.extension().is_none_or(|kind| kind != "js") {
                continue;
            }
            let script = std::fs::read_to_string(&path).expect("a script");
            let is_key = |key: &&str| {
                key.chars()
                    .all(|c| c.is_ascii_alphanumeric() || "._".contains(c))
            };
            for key in asked_for(&script).filter(is_key) {
                let pointer = format!("/{}", key.replace('.', "/"));
                let known = TEXTS.pointer(&pointer).is_some_and(Value::is_string);
                // `add('…')`, `get('…')` end in the same letters.
                let is_call = script.contains(&format!(" t('{key}'"))
                    || script.contains(&format!("(t('{key}'"));
                assert!(known || !is_call, "{}: {key}", path.display());
                keys += usize::from(known);
            }
        }
        assert!(keys > 150, "only {keys} texts were found");
    }

    #[test]
    fn a_name_of_a_site_cannot_be_a_piece_of_page() {
        let page = filled("<script>\"&", "overview", "");
        assert!(page.contains("&lt;script&gt;&quot;&amp;") && !page.contains("<script>\""));
    }
}
