//! The command hook: a program on the box, which gets the call on its standard input.

use std::{convert::Infallible, io::ErrorKind, process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStderr, ChildStdin, Command},
    time::timeout,
};

use super::{Message, Refusal, one_line};

/// A program that takes longer is killed with all that it has started.
const TIME_MAX: Duration = Duration::from_secs(30);
/// What a program that has ended has said comes within this; what it left running may hold its standard error open.
const LAST_WORDS_MAX: Duration = Duration::from_millis(500);
/// Characters of its standard error that are kept.
const SAID_CHARS_MAX: usize = 300;

/// A program and its arguments; no shell is between.
#[derive(Clone, Debug)]
pub struct Program {
    /// A path, or a name that is looked up in PATH.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// A process group that is killed unless its program ends in time.
struct Group(Option<Pid>);

impl Group {
    fn kill(&mut self) {
        if let Some(leader) = self.0.take()
            && let Err(error) = kill_process_group(leader, Signal::KILL)
        {
            log::debug!(cause = error.to_string(); "a hung command cannot be killed");
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Program {
    /// Hands a call over: taken when the program ends with 0.
    pub async fn call(&self, message: &Message) -> Result<String, Refusal> {
        let mut child = self.start(message).map_err(|error| self.no_start(&error))?;
        let id = child.id().and_then(|id| Pid::from_raw(id as i32));
        let mut group = Group(id);
        let stdin = child.stdin.take();
        let mut said = Vec::new();
        let mut stderr = child.stderr.take();
        let ended = {
            let listening = listen(stderr.as_mut(), &mut said);
            // Neither a program that does not read nor one that says a lot may get stuck on it.
            let around = async {
                tokio::join!(feed(stdin, &message.body), listening);
                std::future::pending::<Infallible>().await
            };
            tokio::select! {
                ended = timeout(TIME_MAX, child.wait()) => ended,
                never = around => match never {},
            }
        };
        let Ok(ended) = ended else {
            group.kill();
            // It is gone at once; this only collects it.
            let _ = child.wait().await;
            return Err(Refusal {
                cause: format!("killed after {} s", TIME_MAX.as_secs()),
                advice: format!(
                    "make it end sooner; by hand: echo '{{}}' | {}",
                    self.program
                ),
            });
        };
        // What it left running is its own affair.
        group.0 = None;
        let _ = timeout(LAST_WORDS_MAX, listen(stderr.as_mut(), &mut said)).await;
        let status = ended.map_err(|error| Refusal {
            cause: format!("cannot wait for it: {error}"),
            advice: "look at the system's log".into(),
        })?;
        if status.success() {
            return Ok("exit status 0".into());
        }
        let said = one_line(&said, SAID_CHARS_MAX);
        let cause = match said.as_str() {
            "" => status.to_string(),
            said => format!("{status}: {said}"),
        };
        Err(Refusal {
            cause,
            advice: format!(
                "try it by hand, as the service's user: echo '{{}}' | {}",
                self.program
            ),
        })
    }

    fn start(&self, message: &Message) -> std::io::Result<Child> {
        Command::new(&self.program)
            .args(&self.arguments)
            .env("PUMPHOUSE_CALL_ID", &message.call_id)
            .env("PUMPHOUSE_REASON", &message.reason)
            .env("PUMPHOUSE_EVENT_ID", &message.event_id)
            .env("PUMPHOUSE_SEVERITY", &message.severity)
            .env("PUMPHOUSE_MESSAGE", &message.text)
            // What it says to the service manager would count as ours.
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
    }

    fn no_start(&self, error: &std::io::Error) -> Refusal {
        let advice = match error.kind() {
            ErrorKind::NotFound => "install it, or correct notify.command",
            ErrorKind::PermissionDenied => "make it executable for the service's user",
            _ => "correct notify.command",
        };
        Refusal {
            cause: format!("cannot start {}: {error}", self.program),
            advice: advice.into(),
        }
    }
}

async fn feed(stdin: Option<ChildStdin>, body: &str) {
    if let Some(mut stdin) = stdin {
        // A program need not read what it is told; its exit status counts.
        let _ = stdin.write_all(body.as_bytes()).await;
        let _ = stdin.shutdown().await;
    }
}

/// Reads to the end, and keeps the beginning.
async fn listen(stderr: Option<&mut ChildStderr>, said: &mut Vec<u8>) {
    let Some(stderr) = stderr else { return };
    let mut piece = [0; 1024];
    while let Ok(length @ 1..) = stderr.read(&mut piece).await {
        let room = (SAID_CHARS_MAX * 4).saturating_sub(said.len());
        said.extend_from_slice(&piece[..length.min(room)]);
    }
}
