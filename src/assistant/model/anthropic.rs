//! Anthropic's Messages API: pure.

use serde_json::{Value, json};

use super::{Call, Reply, Talk, Turn, exchange::Wire, prompt};

/// How its requests go out.
pub(super) const WIRE: Wire = Wire {
    path: "/v1/messages",
    key_header: "x-api-key",
    key_prefix: "",
    headers: &[("anthropic-version", "2023-06-01")],
};

/// Most tokens of a turn: a query or three sentences, with room to spare.
const TOKENS_MAX: u32 = 2048;

/// The conversation.
pub(super) struct Messages {
    model: String,
    system: String,
    messages: Vec<Value>,
}

impl Messages {
    pub fn new(model: &str, system: String, question: &str) -> Self {
        Self {
            model: model.to_owned(),
            system,
            messages: vec![json!({"role": "user", "content": question})],
        }
    }
}

impl Talk for Messages {
    fn body(&self, may_call: bool) -> Value {
        json!({
            "model": self.model,
            "max_tokens": TOKENS_MAX,
            "system": self.system,
            "messages": self.messages,
            "tools": [{
                "name": prompt::TOOL,
                "description": prompt::TOOL_IS,
                "input_schema": prompt::arguments(),
            }],
            "tool_choice": {"type": if may_call { "auto" } else { "none" }},
        })
    }

    fn hear(&mut self, answer: &Value) -> Result<Turn, String> {
        let blocks = answer["content"].as_array();
        let blocks = blocks.ok_or("there is no list `content` in it")?;
        let mut turn = Turn {
            is_cut: answer["stop_reason"] == "max_tokens",
            ..Turn::default()
        };
        let mut said = Vec::new();
        for block in blocks {
            let mut block = block.clone();
            match block["type"].as_str() {
                Some("text") => {
                    let text = block["text"].as_str().unwrap_or_default();
                    if text.trim().is_empty() {
                        // It may say nothing, but may not be told that it did.
                        continue;
                    }
                    turn.text.push_str(text);
                }
                Some("tool_use") => turn.calls.push(call(&mut block)?),
                Some(_) => {}
                None => continue,
            }
            said.push(block);
        }
        self.messages
            .push(json!({"role": "assistant", "content": said}));
        Ok(turn)
    }

    fn reply(&mut self, replies: Vec<Reply>) {
        let results = replies.into_iter().map(|Reply { id, outcome }| {
            let is_error = outcome.is_err();
            let (Ok(content) | Err(content)) = outcome;
            json!({"type": "tool_result", "tool_use_id": id, "content": content, "is_error": is_error})
        });
        let results: Vec<Value> = results.collect();
        self.messages
            .push(json!({"role": "user", "content": results}));
    }

    fn say(&mut self, text: String) {
        self.messages.push(json!({"role": "user", "content": text}));
    }

    fn drop_tools(&mut self) -> bool {
        false
    }
}

/// The call in a block, which goes back to the server as one that it takes.
fn call(block: &mut Value) -> Result<Call, String> {
    let id = block["id"].as_str().ok_or("a call in it has no `id`")?;
    let name = block["name"].as_str().unwrap_or_default();
    let call = Call {
        id: id.to_owned(),
        sql: prompt::sql_of(name, &block["input"]),
    };
    if !block["input"].is_object() {
        block["input"] = json!({});
    }
    Ok(call)
}
