//! A question as words: lower case, one form of each sign, plurals and small typing errors undone.

use super::vocabulary::{corrected, is_known, number, stem};
use crate::calendar::{DAY_MIN, Day, LocalMinute};

/// A question taken apart.
#[derive(Clone, Debug, Default)]
pub(super) struct Words {
    raw: Vec<String>,
    stems: Vec<String>,
    taken: Vec<bool>,
    now: LocalMinute,
}

impl Words {
    /// Reads a question.
    pub(super) fn read(question: &str, now: LocalMinute) -> Self {
        let mut raw = Vec::new();
        for chunk in plain(question).split_whitespace() {
            push_chunk(&mut raw, chunk);
        }
        let raw = join_clock(raw);
        let stems: Vec<String> = raw.iter().map(|word| corrected(stem(word))).collect();
        let taken = vec![false; raw.len()];
        Self {
            raw,
            stems,
            taken,
            now,
        }
    }

    /// The newest minute of the station's wall clock.
    pub(super) fn now(&self) -> LocalMinute {
        self.now
    }

    /// Its date.
    pub(super) fn today(&self) -> Day {
        self.now.div_euclid(DAY_MIN)
    }

    /// How many words.
    pub(super) fn len(&self) -> usize {
        self.raw.len()
    }

    /// The word at a place as it was written, in lower case; empty where there is none or it is taken.
    pub(super) fn raw(&self, place: usize) -> &str {
        self.at(&self.raw, place)
    }

    /// The word at a place without its plural; empty where there is none or it is taken.
    pub(super) fn word(&self, place: usize) -> &str {
        self.at(&self.stems, place)
    }

    fn at<'a>(&self, words: &'a [String], place: usize) -> &'a str {
        match self.taken.get(place) {
            Some(false) => &words[place],
            _ => "",
        }
    }

    /// The word before a place, whoever took it; empty where there is none.
    pub(super) fn before(&self, place: usize) -> &str {
        let before = place.checked_sub(1).and_then(|place| self.stems.get(place));
        before.map_or("", String::as_str)
    }

    /// The number at a place, in digits or as a word.
    pub(super) fn number(&self, place: usize) -> Option<f64> {
        number(self.word(place))
    }

    /// Takes words out: nobody else reads them.
    pub(super) fn take(&mut self, from: usize, length: usize) {
        let end = (from + length).min(self.taken.len());
        self.taken[from.min(end)..end].fill(true);
    }

    /// Whether a phrase stands at a place.
    pub(super) fn is_at(&self, place: usize, phrase: &str) -> bool {
        phrase
            .split(' ')
            .enumerate()
            .all(|(offset, word)| self.word(place + offset) == stem(word))
    }

    /// Where a phrase stands.
    pub(super) fn find(&self, phrase: &str) -> Option<usize> {
        debug_assert!(
            phrase.split(' ').all(is_known),
            "{phrase:?} is not in the vocabulary"
        );
        (0..self.len()).find(|place| self.is_at(*place, phrase))
    }

    /// Whether a phrase stands anywhere.
    pub(super) fn has(&self, phrase: &str) -> bool {
        self.find(phrase).is_some()
    }

    /// Whether any of the phrases, with commas between, stands anywhere.
    pub(super) fn any(&self, phrases: &str) -> bool {
        phrases.split(", ").any(|phrase| self.has(phrase))
    }

    /// Whether the question begins with one of these words.
    pub(super) fn begins(&self, words: &[&str]) -> bool {
        words.contains(&self.raw.first().map_or("", String::as_str))
    }

    /// Takes a phrase if it stands anywhere.
    pub(super) fn take_phrase(&mut self, phrase: &str) -> bool {
        let found = self.find(phrase);
        if let Some(place) = found {
            self.take(place, phrase.split(' ').count());
        }
        found.is_some()
    }

    /// How many of an order are asked for: `top 3`; two where it is not said.
    pub(super) fn top(&self) -> usize {
        let after = |place: usize| match self.stems[place].as_str() {
            "top" | "best" | "worst" | "highest" | "lowest" | "first" => {
                number(self.stems.get(place + 1)?)
            }
            _ => None,
        };
        let count = (0..self.len()).find_map(after).unwrap_or(2.0);
        count.clamp(1.0, 10.0) as usize
    }

    /// Whether a word that nobody knows stands where a period would.
    pub(super) fn has_unknown_period(&self) -> bool {
        let is_unknown = |place: usize| {
            !self.taken[place]
                && !is_known(&self.stems[place])
                && self.raw[place].chars().any(char::is_alphabetic)
        };
        let before = |place: usize| {
            matches!(
                self.before(place),
                "last"
                    | "past"
                    | "previous"
                    | "this"
                    | "since"
                    | "until"
                    | "before"
                    | "after"
                    | "during"
            )
        };
        (1..self.len()).any(|place| is_unknown(place) && before(place))
    }

    /// What nobody knows, as it was written.
    pub(super) fn unknown(&self) -> Vec<&str> {
        let is_unknown = |place: &usize| {
            !self.taken[*place]
                && !is_known(&self.stems[*place])
                && number(&self.stems[*place]).is_none()
        };
        (0..self.len())
            .filter(is_unknown)
            .map(|place| self.raw[place].as_str())
            .filter(|word| word.chars().any(char::is_alphabetic))
            .collect()
    }
}

/// One form for each sign, lower case.
fn plain(question: &str) -> String {
    let mut text = String::with_capacity(question.len());
    for c in question.chars().flat_map(char::to_lowercase) {
        match c {
            '³' => text.push('3'),
            '–' | '—' | '−' | '‑' => text.push('-'),
            '’' | '‘' | '`' | '´' => text.push('\''),
            '≤' => text.push_str(" <= "),
            '≥' => text.push_str(" >= "),
            '<' | '>' | '%' | '&' => {
                text.push(' ');
                text.push(c);
                text.push(' ');
            }
            '"' | '“' | '”' | '(' | ')' | '[' | ']' | '{' | '}' | '?' | '!' | ';' | '#' | '*'
            | '=' => text.push(' '),
            c => text.push(c),
        }
    }
    text
}

/// Splits what stands between two spaces.
fn push_chunk(words: &mut Vec<String>, chunk: &str) {
    if chunk == "-" {
        words.push(chunk.into());
        return;
    }
    let chunk = chunk.trim_matches([',', '.', ':', '\'', '-', '/']);
    if chunk.is_empty() {
        return;
    }
    let chunk = match chunk.strip_suffix("'s") {
        Some("what" | "where" | "when" | "how" | "which" | "who" | "that" | "it" | "there")
        | None => chunk,
        Some(owner) => owner,
    };
    let has_digit = chunk.chars().any(|c| c.is_ascii_digit());
    let has_letter = chunk.chars().any(char::is_alphabetic);
    match (has_digit, has_letter) {
        (true, false) => push_number(words, chunk),
        (true, true) => push_mixed(words, chunk),
        _ => {
            let parts = chunk.split(['-', '/', ',', '\'', '_', '.', ':']);
            words.extend(parts.filter(|part| !part.is_empty()).map(Into::into));
        }
    }
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Digits and signs: a number, a date, a time of day, or two of them with a dash between.
fn push_number(words: &mut Vec<String>, chunk: &str) {
    let parts: Vec<&str> = chunk.split('-').collect();
    let is_date = parts[0].len() == 4
        && (2..=3).contains(&parts.len())
        && parts.iter().all(|part| digits(part));
    if is_date || parts.len() == 1 {
        let thousands = chunk
            .split(',')
            .skip(1)
            .all(|part| part.len() == 3 && digits(part));
        if !thousands {
            words.extend(
                chunk
                    .split(',')
                    .filter(|part| !part.is_empty())
                    .map(Into::into),
            );
        } else {
            words.push(chunk.replace(',', ""));
        }
        return;
    }
    for (place, part) in parts.iter().filter(|part| !part.is_empty()).enumerate() {
        if place > 0 {
            words.push("-".into());
        }
        words.push((*part).into());
    }
}

/// Digits and letters: `p3`, `b-01`, `24h`, `4th`, `2pm`, `kwh/m3`, `2025-03-04t14:30`.
fn push_mixed(words: &mut Vec<String>, chunk: &str) {
    if matches!(chunk, "m3" | "m3/h" | "kwh/m3" | "m3/kwh" | "m3/hour") {
        words.push(chunk.into());
        return;
    }
    if let Some(code) = rule_code(chunk) {
        words.push(code);
        return;
    }
    if let Some((date, time)) = chunk.split_once('t')
        && date.len() == 10
        && time.contains(':')
    {
        words.push(date.into());
        words.push(time.trim_end_matches('z').chars().take(5).collect());
        return;
    }
    if chunk.contains([',', '/', '-', '_', '\'']) {
        for part in chunk.split([',', '/', '-', '_', '\'']) {
            push_chunk(words, part);
        }
        return;
    }
    let number: String = chunk
        .chars()
        .take_while(|c| c.is_ascii_digit() || matches!(c, '.' | ':'))
        .collect();
    let unit = &chunk[number.len()..];
    if number.is_empty()
        || matches!(unit, "st" | "nd" | "rd" | "th")
        || unit.chars().any(|c| c.is_ascii_digit()) && unit != "m3"
    {
        words.push(chunk.into());
    } else {
        words.push(number);
        words.push(unit.into());
    }
}

/// `b-01`, also written `b01`.
fn rule_code(chunk: &str) -> Option<String> {
    let mut letters = chunk.chars();
    let group = letters.next().filter(|c| ('a'..='h').contains(c))?;
    let number = letters.as_str().trim_start_matches('-');
    (number.len() == 2 && digits(number)).then(|| format!("{group}-{number}"))
}

/// `2 pm`, `2:30 pm` as times of the day.
fn join_clock(words: Vec<String>) -> Vec<String> {
    let mut joined: Vec<String> = Vec::with_capacity(words.len());
    for word in words {
        let time = joined.last().and_then(|last| half_day(last, &word));
        match time {
            Some(time) => {
                joined.pop();
                share_half(&mut joined, &time, &word);
                joined.push(time);
            }
            None => joined.push(word),
        }
    }
    joined
}

/// "Between 2 and 4 pm": the half of the day is that of both, unless the first would come later.
fn share_half(joined: &mut [String], time: &str, half: &str) {
    let [.., first, joint] = joined else {
        return;
    };
    if matches!(joint.as_str(), "and" | "to" | "-" | "until")
        && let Some(shared) = half_day(first, half)
        && !first.contains(':')
        && *shared < *time
    {
        *first = shared;
    }
}

fn half_day(time: &str, half: &str) -> Option<String> {
    let later = match half {
        "am" => 0,
        "pm" => 12,
        _ => return None,
    };
    let (hour, minute) = time.split_once(':').unwrap_or((time, "00"));
    let hour: u32 = hour.parse().ok().filter(|hour| (1..=12).contains(hour))?;
    Some(format!("{:02}:{minute}", hour % 12 + later))
}

#[cfg(test)]
mod tests {
    use super::{super::vocabulary::ordinal, *};

    fn read(question: &str) -> String {
        Words::read(question, 0).stems.join(" ")
    }

    #[test]
    fn takes_questions_apart() {
        for (question, words) in [
            (
                "What was P3's average flow, in m³/h?",
                "what was p3 average flow in m3/h",
            ),
            ("level<20% between 8–12", "level < 20 % between 8 - 12"),
            ("at 2:30 pm on 2025-03-04", "at 14:30 on 2025-03-04"),
            ("last 24h, 1,200 kWh", "last 24 hour 1200 kwh"),
            ("rule B-01 or c05", "rule b-01 or c-05"),
            ("2025-03-04T14:30", "2025-03-04 14:30"),
            ("between 2 and 4 pm", "between 14:00 and 16:00"),
            ("from 10 to 2 pm", "from 10 to 14:00"),
            ("P1/P2 on the 4th", "p1 p2 on the 4th"),
            ("wich pump consummed", "which pump consumed"),
            (
                "avarage consumtion yesterdya",
                "average consumption yesterday",
            ),
        ] {
            assert_eq!(read(question), words, "{question}");
        }
    }

    #[test]
    fn counts_in_words() {
        assert_eq!(
            (number("three"), number("3.5"), number("inf")),
            (Some(3.0), Some(3.5), None)
        );
        assert_eq!(
            (ordinal("third"), ordinal("22nd"), ordinal("é")),
            (Some(3), Some(22), None)
        );
    }

    #[test]
    fn tells_what_nobody_knows() {
        assert_eq!(
            Words::read("the level of the zeppelin today", 0).unknown(),
            ["zeppelin"]
        );
    }
}
