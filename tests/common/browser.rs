//! A real Chromium, driven through its own driver; what it says and what it asks for on the way are kept.

use std::{
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{ports::free_port, waiting::until};

/// The version of axe-core that looks for barriers.
const AXE: &str = "axe-core@4.10.3";

/// A browser with one window.
pub struct Browser {
    runtime: Runtime,
    client: Option<Client>,
    driver: Child,
    driver_url: String,
    session: String,
    _profile: TempDir,
}

impl Browser {
    /// Starts driver and browser.
    pub fn start() -> Self {
        let port = free_port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed");
        until("chromedriver listens", || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        let profile = TempDir::with_prefix("pumphouse-browser-").expect("a folder");
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-quic",
            "--no-first-run",
            "--hide-scrollbars",
            "--force-color-profile=srgb",
        ];
        let mut arguments: Vec<_> = arguments.map(str::to_owned).into();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let capabilities = json!({
            "goog:chromeOptions": { "args": arguments, "binary": "/usr/bin/chromium" },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        });
        let capabilities = capabilities.as_object().expect("an object").clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let driver_url = format!("http://127.0.0.1:{port}");
        let connecting = async {
            let mut builder =
                ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new());
            builder
                .capabilities(capabilities)
                .connect(&driver_url)
                .await
        };
        let client = runtime.block_on(connecting).expect("a session");
        let session = runtime
            .block_on(client.session_id())
            .expect("answered")
            .expect("a session");
        let browser = Self {
            runtime,
            client: Some(client),
            driver,
            driver_url,
            session,
            _profile: profile,
        };
        // What the empty page that it starts with has asked for is not ours.
        browser.go("about:blank");
        browser.requests();
        browser
    }

    fn client(&self) -> &Client {
        self.client.as_ref().expect("open")
    }

    /// Loads a page.
    pub fn go(&self, url: &str) {
        self.runtime
            .block_on(self.client().goto(url))
            .expect("loaded");
    }

    /// Runs a script in the page and gives what it returns.
    pub fn run(&self, script: &str, arguments: Vec<Value>) -> Value {
        let done = self
            .runtime
            .block_on(self.client().execute(script, arguments));
        done.unwrap_or_else(|error| panic!("{error}\n{}", &script[..script.len().min(300)]))
    }

    /// Waits until an expression of the page is true, and gives it.
    #[track_caller]
    pub fn wait_for(&self, expression: &str) -> Value {
        until(expression, || {
            let value = self.run(&format!("return ({expression});"), vec![]);
            let is_true = !matches!(value, Value::Null | Value::Bool(false))
                && value != json!(0)
                && value != json!("");
            is_true.then_some(value)
        })
    }

    /// Clicks what a selector finds, as a finger would.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        self.wait_for(&format!("document.querySelector({selector:?})"));
        let clicking = async {
            let found = self.client().find(Locator::Css(selector)).await?;
            found.click().await
        };
        self.runtime
            .block_on(clicking)
            .unwrap_or_else(|error| panic!("{selector}: {error}"));
    }

    /// Types into what a selector finds.
    pub fn write(&self, selector: &str, text: &str) {
        let writing = async {
            let found = self.client().find(Locator::Css(selector)).await?;
            found.clear().await?;
            found.send_keys(text).await
        };
        self.runtime
            .block_on(writing)
            .unwrap_or_else(|error| panic!("{selector}: {error}"));
    }

    /// Presses keys, wherever the focus is.
    pub fn press(&self, keys: &str) {
        let pressing = async { self.client().active_element().await?.send_keys(keys).await };
        self.runtime.block_on(pressing).expect("pressed");
    }

    /// A command of the browser's own protocol.
    pub fn command(&self, command: &str, parameters: &Value) -> Value {
        self.post(
            "goog/cdp/execute",
            &json!({ "cmd": command, "params": parameters }),
        )
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}/session/{}/{path}", self.driver_url, self.session);
        let mut answer = ureq::post(url)
            .header("content-type", "application/json")
            .send(body.to_string())
            .expect("the driver answers");
        let text = answer.body_mut().read_to_string().expect("a text");
        serde_json::from_str::<Value>(&text).expect("JSON")["value"].take()
    }

    /// Sets the size of the page, px.
    pub fn resize(&self, (width, height): (u32, u32)) {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.command("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Keeps what the window shows as a PNG file.
    pub fn keep(&self, path: &Path) {
        let picture = self
            .runtime
            .block_on(self.client().screenshot())
            .expect("a picture");
        std::fs::write(path, picture).expect("written");
    }

    /// What the console said since the last time, without what is only told.
    pub fn complaints(&self) -> Vec<String> {
        let said = self.post("se/log", &json!({ "type": "browser" }));
        let said = said.as_array().expect("a list").iter();
        said.filter(|it| it["level"] == "SEVERE" || it["level"] == "WARNING")
            .map(|it| it["message"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// The addresses that were asked for since the last time, and bytes received from the network.
    pub fn requests(&self) -> (Vec<String>, u64) {
        let said = self.post("se/log", &json!({ "type": "performance" }));
        let mut addresses = Vec::new();
        let mut bytes = 0;
        for line in said.as_array().expect("a list") {
            let line: Value =
                serde_json::from_str(line["message"].as_str().unwrap_or("null")).expect("JSON");
            let message = &line["message"];
            match message["method"].as_str() {
                Some("Network.requestWillBeSent") => {
                    addresses.push(
                        message["params"]["request"]["url"]
                            .as_str()
                            .unwrap_or_default()
                            .to_owned(),
                    );
                }
                Some("Network.loadingFinished") => {
                    bytes += message["params"]["encodedDataLength"]
                        .as_f64()
                        .unwrap_or(0.0) as u64;
                }
                _ => {}
            }
        }
        (addresses, bytes)
    }

    /// What axe-core finds in the page: rule, what it says, and where.
    pub fn barriers(&self) -> Vec<String> {
        let script = format!(
            "{}; const done = arguments[arguments.length - 1]; \
             axe.run(document, {{ resultTypes: ['violations'] }}).then((found) => done(found.violations.flatMap((it) => \
             it.nodes.map((node) => `${{it.id}} (${{it.impact}}): ${{node.html.slice(0, 160)}} – ${{node.failureSummary}}`))), \
             (error) => done([String(error)]));",
            axe()
        );
        let found = self
            .runtime
            .block_on(self.client().execute_async(&script, vec![]));
        let found = found.expect("axe-core runs");
        found
            .as_array()
            .expect("a list")
            .iter()
            .map(|it| it.as_str().unwrap_or_default().to_owned())
            .collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            // A browser that has gone already needs no farewell.
            let _ = self.runtime.block_on(client.close());
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Where what the browser's tests need and leave lies.
pub fn folder() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("the target folder");
    target.join("browser")
}

/// axe-core's script, fetched once by npm.
fn axe() -> &'static str {
    static AXE_SCRIPT: OnceLock<String> = OnceLock::new();
    AXE_SCRIPT.get_or_init(|| {
        let script = folder().join("node_modules/axe-core/axe.min.js");
        if !script.exists() {
            std::fs::create_dir_all(folder()).expect("a folder");
            let installed = Command::new("npm")
                .args([
                    "install",
                    "--no-save",
                    "--no-package-lock",
                    "--ignore-scripts",
                    "--no-audit",
                    "--no-fund",
                    "--prefix",
                ])
                .arg(folder())
                .arg(AXE)
                .status()
                .expect("npm is installed");
            assert!(installed.success(), "npm cannot install {AXE}");
        }
        std::fs::read_to_string(script).expect("axe-core's script")
    })
}
