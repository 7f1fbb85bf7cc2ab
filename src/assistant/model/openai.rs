//! Chat completions, as OpenAI's own and many local servers speak them, each a little differently: pure.

use serde_json::{Value, json};

use super::{Call, Reply, Talk, Turn, exchange::Wire, prompt};

/// How its requests go out.
pub(super) const WIRE: Wire = Wire {
    path: "/v1/chat/completions",
    key_header: "authorization",
    key_prefix: "Bearer ",
    headers: &[],
};

/// Most tokens of a turn: a query or three sentences, and what some models think before.
const TOKENS_MAX: u32 = 4096;

/// The conversation.
pub(super) struct Completions {
    model: String,
    messages: Vec<Value>,
    has_tools: bool,
    /// Calls so far, for ids where the server gives none.
    calls: usize,
}

impl Completions {
    pub fn new(model: &str, system: &str, question: &str) -> Self {
        Self {
            model: model.to_owned(),
            messages: vec![
                json!({"role": "system", "content": system}),
                json!({"role": "user", "content": question}),
            ],
            has_tools: true,
            calls: 0,
        }
    }

    /// A call, and how it goes back to the server.
    fn call(&mut self, call: &Value) -> (Call, Value) {
        self.calls += 1;
        let id = match call["id"].as_str() {
            Some(id) if !id.is_empty() => id.to_owned(),
            _ => format!("call_{}", self.calls),
        };
        let function = &call["function"];
        let name = function["name"].as_str().unwrap_or_default();
        let arguments = match &function["arguments"] {
            // A text that is JSON; some servers give the JSON itself.
            Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
            arguments => arguments.clone(),
        };
        // Servers read the arguments of earlier calls again, and fail where they cannot.
        let as_told = match arguments.is_object() {
            true => arguments.to_string(),
            false => "{}".into(),
        };
        let back = json!({
            "id": id,
            "type": "function",
            "function": {"name": name, "arguments": as_told},
        });
        let sql = prompt::sql_of(name, &arguments);
        (Call { id, sql }, back)
    }
}

impl Talk for Completions {
    fn body(&self, may_call: bool) -> Value {
        let mut body = json!({
            "model": self.model,
            "messages": self.messages,
            "max_completion_tokens": TOKENS_MAX,
            "stream": false,
        });
        if self.has_tools {
            body["tools"] = json!([{
                "type": "function",
                "function": {
                    "name": prompt::TOOL,
                    "description": prompt::TOOL_IS,
                    "parameters": prompt::arguments(),
                },
            }]);
            body["tool_choice"] = json!(if may_call { "auto" } else { "none" });
        }
        body
    }

    fn hear(&mut self, answer: &Value) -> Result<Turn, String> {
        if let Some(message) = answer["error"]["message"].as_str() {
            return Err(message.to_owned());
        }
        let choice = &answer["choices"][0];
        let message = &choice["message"];
        if !message.is_object() {
            return Err("there is no `message` in the first of `choices`".into());
        }
        let text = text_of(&message["content"]);
        let calls = message["tool_calls"].as_array();
        let calls = calls.into_iter().flatten().map(|call| self.call(call));
        let (calls, back): (Vec<Call>, Vec<Value>) = calls.unzip();
        let mut said = json!({"role": "assistant", "content": text});
        if !back.is_empty() {
            said["tool_calls"] = json!(back);
        }
        self.messages.push(said);
        Ok(Turn {
            text,
            calls,
            is_cut: choice["finish_reason"] == "length",
        })
    }

    fn reply(&mut self, replies: Vec<Reply>) {
        let results = replies.into_iter().map(|Reply { id, outcome }| {
            let content = outcome.unwrap_or_else(|reason| format!("refused: {reason}"));
            json!({"role": "tool", "tool_call_id": id, "content": content})
        });
        self.messages.extend(results);
    }

    fn say(&mut self, text: String) {
        self.messages.push(json!({"role": "user", "content": text}));
    }

    fn drop_tools(&mut self) -> bool {
        let had_tools = self.has_tools && self.calls == 0;
        self.has_tools &= !had_tools;
        had_tools
    }
}

/// The words of a message: a text, parts of one, or none.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(|part| part["text"].as_str());
            texts.collect()
        }
        _ => String::new(),
    }
}
