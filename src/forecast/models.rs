//! The model store: a folder with models, and `decisions.json`, which says what was decided about each and why. The newest
//! decision that puts a model to use at a place counts; all files are replaced by rename, so a reader never sees half of one.
//!
//! *Invariant.* A model that cannot be loaded does not take the place of one that could.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};

use super::{
    features::{COLUMNS, PUMP_COLUMNS},
    guard::{self, Model},
    manifest::{Manifest, Role, Scores},
};

/// The file of decisions.
const DECISIONS: &str = "decisions.json";
/// Longest file of decisions, bytes.
const DECISIONS_BYTES_MAX: u64 = 16 << 20;
/// Earlier models that are tried where the one in use cannot be loaded.
const EARLIER_MAX: usize = 5;

/// What was decided about a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is in use from now on.
    Promoted,
    /// It is in use again.
    RolledBack,
    /// It is kept as a candidate.
    Kept,
}

impl Verdict {
    fn puts_to_use(self) -> bool {
        !matches!(self, Self::Kept)
    }

    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Self::Promoted => "promoted",
            Self::RolledBack => "rolled back to",
            Self::Kept => "kept as candidate",
        }
    }
}

/// A decision about a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// When, UTC.
    pub at: String,
    /// At which place: `hlt_pct-24h`, `pump_efficiency-P1`.
    pub place: String,
    /// The model's id.
    pub model: String,
    /// What was decided.
    pub decision: Verdict,
    /// By whom: `trainer`, or a person.
    pub by: String,
    /// Why.
    pub why: String,
    /// What it got on the newest held-out days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<Scores>,
}

/// Decisions, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Decisions {
    /// The decisions.
    pub decisions: Vec<Decision>,
}

impl Decisions {
    /// Reads a store's; none without a file.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(DECISIONS);
        let bytes = match guard::read(&path, DECISIONS_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(_) if !path.exists() => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        serde_json::from_slice(&bytes)
            .with_context(|| format!("{} cannot be understood", path.display()))
    }

    /// The models that were put to use at a place, newest first, each once.
    pub fn uses<'a>(&'a self, place: &'a str) -> Vec<&'a Decision> {
        let mut uses: Vec<&Decision> = Vec::new();
        for decision in self.decisions.iter().rev() {
            let new = uses.iter().all(|before| before.model != decision.model);
            if decision.place == place && decision.decision.puts_to_use() && new {
                uses.push(decision);
            }
        }
        uses
    }

    /// Every place that a decision speaks of.
    pub fn places(&self) -> Vec<&str> {
        let mut places: Vec<&str> = self.decisions.iter().map(|it| it.place.as_str()).collect();
        places.sort_unstable();
        places.dedup();
        places
    }
}

/// Where a model's manifest lies.
fn manifest_of(folder: &Path, id: &str) -> anyhow::Result<PathBuf> {
    let is_plain = !id.is_empty()
        && id.len() <= 120
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    ensure!(is_plain, "{id:?} is no model's id");
    Ok(folder.join(format!("{id}.json")))
}

/// Loads a model for a place.
///
/// # Errors
/// Why it is refused.
pub fn load(folder: &Path, id: &str, place: &str) -> anyhow::Result<Model> {
    let model = load_by_id(folder, id)?;
    fits(&model.manifest, place)?;
    Ok(model)
}

/// Loads a model, whatever it is made for.
fn load_by_id(folder: &Path, id: &str) -> anyhow::Result<Model> {
    let model = guard::load(&manifest_of(folder, id)?)?;
    ensure!(
        model.manifest.id == id,
        "the manifest speaks of the model {:?}",
        model.manifest.id
    );
    Ok(model)
}

/// Whether a model can do what a place needs.
fn fits(manifest: &Manifest, place: &str) -> anyhow::Result<()> {
    let Some(role) = Role::of(manifest) else {
        bail!(
            "the model forecasts {} steps of {} min of {:?}, which is nothing that is asked for",
            manifest.slots,
            manifest.slot_min,
            manifest.target
        )
    };
    ensure!(
        role.name() == place,
        "the model is made for {}, not for {place}",
        role.name()
    );
    if let Role::Pump(_) = role {
        let inputs: Vec<_> = manifest.inputs.iter().map(|it| it.name.as_str()).collect();
        ensure!(
            inputs == ["features"] && manifest.features == PUMP_COLUMNS,
            "the model is trained on other columns than this version builds"
        );
    }
    if let Role::Forecast(_) = role {
        let with_features = manifest.inputs.iter().any(|input| input.name == "features");
        ensure!(
            !with_features || manifest.features == COLUMNS,
            "the model is trained on other columns than this version builds"
        );
        ensure!(
            manifest.band.len() == manifest.slots as usize,
            "the model has bounds for {} steps of {}",
            manifest.band.len(),
            manifest.slots
        );
    }
    Ok(())
}

/// Where a new decision comes from.
#[derive(Clone, Debug)]
pub struct Reason {
    /// When, UTC.
    pub at: String,
    /// By whom.
    pub by: String,
    /// Why.
    pub why: String,
}

/// Puts a model to use; the place. It must pass all checks.
pub fn promote(folder: &Path, id: &str, reason: Reason) -> anyhow::Result<String> {
    decide(folder, reason, |decisions| {
        let unusable = || format!("{id} cannot be used");
        let manifest = load_by_id(folder, id).with_context(unusable)?.manifest;
        let place = Role::of(&manifest).map(Role::name).unwrap_or_default();
        fits(&manifest, &place).with_context(unusable)?;
        ensure!(
            decisions
                .uses(&place)
                .first()
                .is_none_or(|it| it.model != id),
            "{id} is in use already"
        );
        Ok((place, id.to_owned(), Verdict::Promoted))
    })
    .map(|decision| decision.place)
}

/// Puts the model to use again that was in use before; its id.
pub fn roll_back(folder: &Path, place: &str, reason: Reason) -> anyhow::Result<String> {
    decide(folder, reason, |decisions| {
        let uses = decisions.uses(place);
        let Some(before) = uses.get(1) else {
            let places = decisions.places().join(", ");
            bail!(match uses.len() {
                0 => format!("no model was ever in use for {place:?}; there are: {places}"),
                _ => format!("no model was in use for {place} before {}", uses[0].model),
            })
        };
        load(folder, &before.model, place)
            .with_context(|| format!("{} cannot be used", before.model))?;
        Ok((place.to_owned(), before.model.clone(), Verdict::RolledBack))
    })
    .map(|decision| decision.model)
}

/// Adds a decision, with nobody else deciding meanwhile.
fn decide(
    folder: &Path,
    reason: Reason,
    what: impl FnOnce(&Decisions) -> anyhow::Result<(String, String, Verdict)>,
) -> anyhow::Result<Decision> {
    let path = folder.join(".lock");
    let lock = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    lock.lock().context("cannot lock the model store")?;
    let mut decisions = Decisions::read(folder)?;
    let (place, model, decision) = what(&decisions)?;
    let decision = Decision {
        at: reason.at,
        place,
        model,
        decision,
        by: reason.by,
        why: reason.why,
        scores: None,
    };
    decisions.decisions.push(decision.clone());
    let mut text = serde_json::to_vec_pretty(&decisions)?;
    text.push(b'\n');
    replace(&folder.join(DECISIONS), &text)?;
    Ok(decision)
}

/// Writes a file beside its place, and then puts it there at once.
pub fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// What tells one state of a file from another.
type Stamp = Option<(SystemTime, u64)>;

fn stamp(path: &Path) -> Stamp {
    let file = fs::metadata(path).ok()?;
    Some((file.modified().ok()?, file.len()))
}

/// What is in use at a place.
#[derive(Clone, Debug)]
pub struct InUse {
    /// The model, loaded.
    pub model: Arc<Model>,
    /// Why it is not the one that was decided for.
    pub instead: Option<String>,
}

/// What came of a look at the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A model is in use from now on.
    Loaded {
        /// Where.
        place: String,
        /// The model's id.
        model: String,
        /// Why, by the decision.
        why: String,
    },
    /// A model is refused.
    Refused {
        /// Where.
        place: String,
        /// The model's id.
        model: String,
        /// The reason.
        reason: String,
    },
    /// The decisions cannot be read; everything stays as it is.
    Unreadable(String),
}

/// The models in use, loaded.
#[derive(Debug)]
pub struct Models {
    folder: PathBuf,
    seen: Option<Vec<Stamp>>,
    in_use: BTreeMap<String, InUse>,
    refused: BTreeMap<String, String>,
    decisions: Decisions,
}

impl Models {
    /// Nothing loaded yet.
    pub fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            seen: None,
            in_use: BTreeMap::new(),
            refused: BTreeMap::new(),
            decisions: Decisions::default(),
        }
    }

    /// Looks whether anything has changed, and loads what has; it returns nothing when all is as before.
    pub fn look(&mut self) -> Vec<Change> {
        let now = self.stamps();
        if self.seen.as_ref() == Some(&now) {
            return Vec::new();
        }
        let mut changes = Vec::new();
        match Decisions::read(&self.folder) {
            Ok(decisions) => self.follow(decisions, &mut changes),
            Err(error) => changes.push(Change::Unreadable(format!("{error:#}"))),
        }
        // Of the models that are wanted now; of the decisions as they were before they were read, so that one that came
        // meanwhile is seen at the next look.
        let mut seen = self.stamps();
        seen[0] = now[0];
        self.seen = Some(seen);
        changes
    }

    fn stamps(&self) -> Vec<Stamp> {
        let mut stamps = vec![stamp(&self.folder.join(DECISIONS))];
        for place in self.decisions.places() {
            if let Some(wanted) = self.decisions.uses(place).first() {
                for ending in ["json", "onnx"] {
                    stamps.push(stamp(
                        &self.folder.join(format!("{}.{ending}", wanted.model)),
                    ));
                }
            }
        }
        stamps
    }

    fn follow(&mut self, decisions: Decisions, changes: &mut Vec<Change>) {
        self.refused.clear();
        for place in decisions.places() {
            let uses = decisions.uses(place);
            let current = self.in_use.get(place).map(|it| it.model.manifest.clone());
            let mut trouble = None;
            for decision in uses.iter().take(EARLIER_MAX) {
                match load(&self.folder, &decision.model, place) {
                    Ok(model) => {
                        let same = current.as_ref() == Some(&model.manifest);
                        if !same || trouble.is_some() {
                            changes.push(Change::Loaded {
                                place: place.to_owned(),
                                model: decision.model.clone(),
                                why: decision.why.clone(),
                            });
                        }
                        let instead = trouble.take();
                        let model = Arc::new(model);
                        self.in_use
                            .insert(place.to_owned(), InUse { model, instead });
                        break;
                    }
                    Err(error) => {
                        let reason = format!("{error:#}");
                        changes.push(Change::Refused {
                            place: place.to_owned(),
                            model: decision.model.clone(),
                            reason: reason.clone(),
                        });
                        let told = format!("{} is refused: {reason}", decision.model);
                        let told = trouble.get_or_insert(told).clone();
                        self.refused.insert(place.to_owned(), told.clone());
                        // What runs already is better than anything earlier.
                        if let Some(in_use) = self.in_use.get_mut(place) {
                            in_use.instead = Some(told);
                            break;
                        }
                    }
                }
            }
        }
        self.in_use
            .retain(|place, _| !decisions.uses(place).is_empty());
        self.decisions = decisions;
    }

    /// The model in use at a place, or why there is none.
    pub fn at(&self, place: &str) -> Result<&InUse, String> {
        self.in_use.get(place).ok_or_else(|| {
            let refused = self.refused.get(place).cloned();
            refused.unwrap_or_else(|| "no model is in use".into())
        })
    }

    /// What was decided, as it was when last looked at.
    pub fn decisions(&self) -> &Decisions {
        &self.decisions
    }
}
