//! A question as words: lower case, one form of each sign, plurals and small typing errors undone.

use std::{collections::HashSet, sync::LazyLock};

use super::{measures::MEASURES, topics::TOPICS};
use crate::calendar::{DAY_MIN, Day, LocalMinute};

/// Words from so many letters on are read with one typing error.
const TYPO_MIN: usize = 5;

/// Words that carry no figure.
const STOP: &str = "a an the of in on at to for from by with and or vs versus per is are was were be been being am do does did \
    has have had it its this that these those there their our we us i you me my can could would will shall should may might must \
    please tell give show list display say let know like want need much many long often far high how what which who when where why \
    whose any all each every both some more most less least than then so as if but not no yes up down over under above below out \
    off into during within between about around through via just only also still yet ever since until till before after ago now \
    currently present right here hello ok okay thank thanks s t re ve ll d m m3 unit value figure reading number amount count data \
    station plant site system pump station's actual exactly roughly approximately total overall whole entire got get go went going \
    happen happened see look make made take took come came one ones other another same different kind sort time times very well \
    good bad fine really actually sure could've mean means meant did't use used using it's own them they he she water main mains \
    altogether already again too quite even help hey hi been recorded record measured observed reported moment given available \
    exist there's lot lots most mostly usual usually typical typically normal normally everything anything something else case";

/// What the recognisers look for beside the tables of measures and topics.
const KEYWORDS: &str = "pump tank level flow power energy alert alarm rule event incident warning critical high info severity \
    today yesterday tomorrow week month year day hour minute night morning afternoon evening weekend weekday monday tuesday \
    wednesday thursday friday saturday sunday january february march april june july august september october november december \
    tonight midnight noon quarter average mean maximum minimum max min peak highest lowest biggest smallest greatest largest top \
    bottom most least total sum overall best worst longest shortest busiest quietest healthiest weakest strongest hardest rank \
    ranking compare comparison compared difference change against higher lower show plot chart graph draw curve trend profile \
    history series hourly daily weekly monthly yearly annual time last latest newest recent first earliest previous past current \
    open active unresolved resolved running run ran work worked idle standing stopped status state condition forecast predict \
    prediction predicted expect expected next upcoming coming ahead future rmse error accurate accuracy skill schedule plan planned \
    planning advice advised advise recommend recommended optimisation optimization optimiser optimizer saving save saved cost \
    money price currency gap missing hole row sample quality stale fresh complete completeness maintenance service attention wear \
    worn kpi target indicator minutes exceed exceeded above below under over drop dropped dropping fell fall fallen rise rose risen \
    reach reached more less than fewer greater smaller between often frequent frequently common fire fired raised raise trigger \
    triggered duration last lasted longest explain meaning meant mean cause action code name start began begin stop end ended \
    switch switched busy quiet healthy sick rolling hours pumps each every per breakdown list count number many used consumed ago \
    since until before after from during increase decrease increased decreased share percent percentage beside baseline followed \
    begun oldest store stored cover range covered span online on off both together stay stayed went alerting reason kilowatt \
    arrive back better changed coverage dataset date describe develop development differ downtime expectation expensive \
    fewest follow following forecasted forecasting fullest individual interruption key live maintained measurement old opened \
    outstanding overhaul overview precise presently priority realised realized recommendation recording relative reliable repair \
    alright going changing increasing decreasing while longer missed occurred occur tell about rising falling summarise summarize report residual scheduled serviced situation summary trust doing happening improving declining getting degrade degrading efficient efficiently model good bad covered bound ratio least fastest slowest";

/// Forms that undoing a plural would spoil.
const NO_PLURAL: &[&str] = &[
    "this", "is", "was", "has", "does", "yes", "less", "its", "us", "as", "vs", "status", "always",
    "alias", "mains", "gas", "plus", "versus", "process", "analysis", "previous", "bus", "kiss",
    "thus", "across",
];

/// Words written in another way, brought to the one that the tables use.
const SAME: &[(&str, &str)] = &[
    ("wich", "which"),
    ("avg", "average"),
    ("lvl", "level"),
    ("mins", "minute"),
    ("min.", "minimum"),
    ("hrs", "hour"),
    ("hr", "hour"),
    ("h", "hour"),
    ("secs", "second"),
    ("cubic", "m3"),
    ("metres", "m3"),
    ("meters", "m3"),
    ("metre", "m3"),
    ("yday", "yesterday"),
    ("mo", "month"),
    ("elec", "electricity"),
    ("kilowatts", "kw"),
    ("kilowatt", "kw"),
    ("compair", "compare"),
    ("maximal", "maximum"),
    ("minimal", "minimum"),
    ("alarms", "alert"),
    ("alarm", "alert"),
];

/// A word without its plural.
pub(super) fn stem(word: &str) -> String {
    if let Some((_, same)) = SAME.iter().find(|(from, _)| *from == word) {
        return (*same).into();
    }
    if word.len() <= 3 || NO_PLURAL.contains(&word) || !word.is_ascii() || word.ends_with("ss") {
        return word.into();
    }
    if let Some(base) = word.strip_suffix("ies").filter(|base| base.len() > 2) {
        return format!("{base}y");
    }
    word.strip_suffix('s').unwrap_or(word).into()
}

/// Every word that something here knows, as stems.
static VOCABULARY: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let phrases = MEASURES.iter().flat_map(|measure| measure.words);
    let topics = TOPICS.iter().flat_map(|topic| topic.words);
    let phrases = phrases.chain(topics).flat_map(|phrase| phrase.split(' '));
    let words = STOP.split_whitespace().chain(KEYWORDS.split_whitespace());
    words.chain(phrases).map(stem).collect()
});

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

    /// The word before a place, whoever took it.
    pub(super) fn before(&self, place: usize) -> &str {
        place.checked_sub(1).map_or("", |place| &self.stems[place])
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

    /// Whether any of the phrases stands anywhere.
    pub(super) fn any(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.has(phrase))
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

fn is_known(word: &str) -> bool {
    VOCABULARY.contains(&stem(word))
        || number(word).is_some()
        || ordinal(word).is_some()
        || word.chars().any(|c| c.is_ascii_digit())
        || word == "%"
}

/// A word that nobody knows, as the one that is a single typing error away.
fn corrected(word: String) -> String {
    let letters = word.chars().count();
    if letters < TYPO_MIN || !word.chars().all(|c| c.is_ascii_alphabetic()) || is_known(&word) {
        return word;
    }
    let near = |known: &&String| {
        known.len().abs_diff(letters) <= 1
            && known.len() + 1 >= TYPO_MIN
            && strsim::damerau_levenshtein(known, &word) == 1
    };
    // The smallest of several, so that the same question is always read in the same way.
    VOCABULARY
        .iter()
        .filter(near)
        .min()
        .cloned()
        .unwrap_or(word)
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
                joined.push(time);
            }
            None => joined.push(word),
        }
    }
    joined
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

/// A number in digits or as a word.
pub(super) fn number(word: &str) -> Option<f64> {
    const NAMED: &[(&str, f64)] = &[
        ("zero", 0.0),
        ("one", 1.0),
        ("two", 2.0),
        ("three", 3.0),
        ("four", 4.0),
        ("five", 5.0),
        ("six", 6.0),
        ("seven", 7.0),
        ("eight", 8.0),
        ("nine", 9.0),
        ("ten", 10.0),
        ("eleven", 11.0),
        ("twelve", 12.0),
        ("fourteen", 14.0),
        ("fifteen", 15.0),
        ("twenty", 20.0),
        ("thirty", 30.0),
        ("forty", 40.0),
        ("fifty", 50.0),
        ("sixty", 60.0),
        ("seventy", 70.0),
        ("eighty", 80.0),
        ("ninety", 90.0),
        ("hundred", 100.0),
    ];
    let named = NAMED.iter().find(|(name, _)| *name == word);
    named.map(|(_, number)| *number).or_else(|| {
        let plain = word
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
        word.parse().ok().filter(|_| plain)
    })
}

/// `first`, `2nd`, `third`: which of several.
pub(super) fn ordinal(word: &str) -> Option<i64> {
    const NAMED: [&str; 10] = [
        "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth",
        "tenth",
    ];
    if let Some(place) = NAMED.iter().position(|name| *name == word) {
        return Some(place as i64 + 1);
    }
    let cut = word
        .len()
        .checked_sub(2)
        .filter(|cut| word.is_char_boundary(*cut))?;
    let (number, ending) = word.split_at(cut);
    number
        .parse()
        .ok()
        .filter(|_| matches!(ending, "st" | "nd" | "rd" | "th"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("P1/P2 on the 4th", "p1 p2 on the 4th"),
            ("wich pump consummed", "wich pump consumed"),
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
