//! The words that something here knows, in the form that the tables use, and numbers in words.

use std::{collections::HashSet, sync::LazyLock};

use super::{measures::MEASURES, topics::TOPICS};

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
    proportion fraction meet fortnight alright valve gate course going changing increasing decreasing while longer missed occurred occur tell about rising \
    falling summarise summarize report residual scheduled serviced situation summary trust doing happening improving \
    declining getting degrade degrading efficient efficiently model good bad covered bound ratio least fastest slowest";

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
    let phrases = MEASURES
        .iter()
        .flat_map(|measure| measure.words.split(", "));
    let topics = TOPICS.iter().flat_map(|topic| topic.words.split(", "));
    let phrases = phrases.chain(topics).flat_map(|phrase| phrase.split(' '));
    let words = STOP.split_whitespace().chain(KEYWORDS.split_whitespace());
    words.chain(phrases).map(stem).collect()
});

/// Whether something here knows a word.
pub(super) fn is_known(word: &str) -> bool {
    VOCABULARY.contains(&stem(word))
        || number(word).is_some()
        || ordinal(word).is_some()
        || word.chars().any(|c| c.is_ascii_digit())
        || word == "%"
}

/// A word that nobody knows, as the one that is a single typing error away.
pub(super) fn corrected(word: String) -> String {
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
