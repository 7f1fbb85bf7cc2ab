//! The alert lifecycle: when a rule raises and when its alert resolves. The only state the rules have.

use serde::{Deserialize, Serialize};

use super::{
    A_01, B_01, CATALOGUE, Check, E_01, F_01, Mask, RULES, Rule, RuleBook, Settings, Severity,
    Told, Truth, Value,
    scene::{Closing, Scene},
};
use crate::{
    calendar::{LocalMinute, Minute},
    plant::Plant,
    tags::{PUMPS, pump_name},
};

/// Rows this far apart or farther end a run, min.
pub const HOLE_MIN: i64 = 6;

/// Who an alert is about: the station (`None`) or a pump, counted from 0.
pub type Subject = Option<usize>;

/// A change of an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// The minute it happened.
    pub minute: Minute,
    /// The same on the plant's wall clock.
    pub local: LocalMinute,
    /// Place of the rule in the catalogue.
    pub rule: usize,
    /// The pump, for a rule that looks at each.
    pub subject: Subject,
    /// What happened.
    pub kind: Kind,
}

/// What happened to an alert.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// It was raised.
    Raised {
        /// Severity in force.
        severity: Severity,
        /// Value at the trigger; NaN for none.
        value: f64,
        /// One plain sentence.
        message: String,
    },
    /// It resolved.
    Resolved {
        /// When it had been raised.
        raised: Minute,
    },
}

/// The state of one rule for one subject.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct State {
    /// First row of the run in which the condition holds.
    run: Option<Minute>,
    /// First row of the run in which the alert would be active: held long enough, and the now part true.
    active: Option<Minute>,
    /// First row of the run in which the open alert's condition is known false.
    clear: Option<Minute>,
    /// Since when the alert is open.
    raised: Option<Minute>,
}

/// What a condition said this minute.
struct Verdict {
    holds: Truth,
    now: Truth,
    stays: Truth,
}

/// The states of all rules.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Engine {
    /// By rule; one state, or one a pump.
    states: Vec<Vec<State>>,
}

impl Default for Engine {
    fn default() -> Self {
        let states = CATALOGUE
            .iter()
            .map(|rule| vec![State::default(); if rule.is_per_pump() { PUMPS } else { 1 }]);
        Self {
            states: states.collect(),
        }
    }
}

/// What the engine hands back: transitions, and how often designed suppression kept a rule from raising.
#[derive(Debug, Default)]
pub struct Outcome {
    /// In the order in which they happened.
    pub transitions: Vec<Transition>,
    /// Rules held back at this minute by a mask.
    pub suppressed: Vec<usize>,
}

fn subject_of(rule: &Rule, index: usize) -> Subject {
    rule.is_per_pump().then_some(index)
}

impl Engine {
    /// Since when an alert is open.
    pub fn raised(&self, rule: usize, subject: Subject) -> Option<Minute> {
        self.states[rule][subject.unwrap_or(0)].raised
    }

    /// All open alerts: rule, subject, since when.
    pub fn open(&self) -> impl Iterator<Item = (usize, Subject, Minute)> + '_ {
        self.states.iter().enumerate().flat_map(|(rule, states)| {
            states.iter().enumerate().filter_map(move |(index, state)| {
                state
                    .raised
                    .map(|raised| (rule, subject_of(&CATALOGUE[rule], index), raised))
            })
        })
    }

    /// Evaluates every rule that looks at rows. `hole` when [`HOLE_MIN`] or more lie before the row.
    pub fn row(&mut self, scene: &mut Scene<'_>, hole: bool, out: &mut Outcome) {
        scene.outage_before = self.raised(A_01, None);
        for index in 0..RULES {
            let (rule, settings) = (&CATALOGUE[index], &scene.plant.rules.settings[index]);
            match rule.check {
                Check::HourClose(_) | Check::DayClose(_) => continue,
                Check::Gap => self.resolve_if_open(index, scene, out),
                _ if !settings.enabled => self.resolve_if_open(index, scene, out),
                Check::Event(check) => {
                    if check(scene, &settings.limits) == Some(true) {
                        raise(&mut State::default(), index, None, scene, 1, out);
                        out.transitions
                            .push(resolution(index, None, scene, scene.minute));
                    }
                }
                _ => {
                    for pump in 0..self.states[index].len() {
                        let verdict = verdict(rule, settings, scene, pump);
                        judge(
                            &mut self.states[index][pump],
                            &verdict,
                            index,
                            pump,
                            scene,
                            hole,
                            out,
                        );
                    }
                }
            }
            match index {
                A_01 => scene.outage = self.states[index][0].raised.is_some(),
                B_01 => {
                    scene.tripped =
                        std::array::from_fn(|pump| self.states[index][pump].raised.is_some())
                }
                E_01 => {
                    scene.overrun =
                        std::array::from_fn(|pump| self.states[index][pump].raised.is_some())
                }
                _ => {}
            }
        }
    }

    /// A gap ends with the row; a rule that was switched off lets go of its alert.
    fn resolve_if_open(&mut self, index: usize, scene: &Scene<'_>, out: &mut Outcome) {
        for (pump, state) in self.states[index].iter_mut().enumerate() {
            if let Some(raised) = state.raised {
                *state = State::default();
                out.transitions.push(resolution(
                    index,
                    subject_of(&CATALOGUE[index], pump),
                    scene,
                    raised,
                ));
            }
        }
    }

    /// Evaluates the gap rules on a minute without a row, `silent_min` after the last one. `told` are gap rules that
    /// the wall clock raised at this minute in the past: an operator was told, so they stay on record.
    pub fn silence(
        &mut self,
        plant: &Plant,
        at: (Minute, LocalMinute),
        silent_min: i64,
        told: impl Fn(usize) -> bool,
        out: &mut Outcome,
    ) {
        for (index, rule) in CATALOGUE
            .iter()
            .enumerate()
            .filter(|(_, rule)| matches!(rule.check, Check::Gap))
        {
            let settings = &plant.rules.settings[index];
            let state = &mut self.states[index][0];
            let [above, up_to, ..] = settings.limits;
            let silent = silent_min as f64;
            let in_range = silent > above && !(silent > up_to);
            if let Some(raised) = state.raised {
                if silent > up_to {
                    state.raised = None;
                    let kind = Kind::Resolved { raised };
                    out.transitions.push(Transition {
                        minute: at.0,
                        local: at.1,
                        rule: index,
                        subject: None,
                        kind,
                    });
                }
            } else if settings.enabled && (in_range || told(index)) {
                state.raised = Some(at.0);
                // What was told stays on record as it was told, also where late rows have filled the gap since.
                let value = if in_range { silent } else { above + 1.0 };
                let message = (rule.message)(&Told {
                    pump: "",
                    value,
                    limits: settings.limits,
                    for_min: 0,
                    rated_kw: f64::NAN,
                });
                let kind = Kind::Raised {
                    severity: settings.severity,
                    value,
                    message,
                };
                out.transitions.push(Transition {
                    minute: at.0,
                    local: at.1,
                    rule: index,
                    subject: None,
                    kind,
                });
            }
        }
    }

    /// The minutes of silence after which a gap rule has something to say.
    pub fn silence_steps_min(rules: &RuleBook) -> [i64; 2] {
        std::array::from_fn(|gap| rules.settings[F_01 + gap].limits[0] as i64 + 1)
    }

    /// Evaluates the rules that look at closed hours, on a full hour's tick.
    pub fn hour_closed(
        &mut self,
        plant: &Plant,
        closing: &Closing<'_>,
        local: LocalMinute,
        out: &mut Outcome,
    ) {
        self.closed(plant, closing, local, out, |rule, limits, _| {
            match rule.check {
                Check::HourClose(check) => Some(check(closing, limits)),
                _ => None,
            }
        });
    }

    /// Evaluates the rules that look at closed days, on local midnight's tick, and ends what lasts until then.
    pub fn day_closed(
        &mut self,
        plant: &Plant,
        closing: &Closing<'_>,
        local: LocalMinute,
        out: &mut Outcome,
    ) {
        self.closed(
            plant,
            closing,
            local,
            out,
            |rule, limits, pump| match rule.check {
                Check::DayClose(check) => Some(check(closing, pump, limits)),
                Check::UntilMidnight(_) => Some(Some(false)),
                _ => None,
            },
        );
    }

    fn closed(
        &mut self,
        plant: &Plant,
        closing: &Closing<'_>,
        local: LocalMinute,
        out: &mut Outcome,
        check: impl Fn(&Rule, &super::Limits, usize) -> Option<Truth>,
    ) {
        for (index, rule) in CATALOGUE.iter().enumerate() {
            let settings = &plant.rules.settings[index];
            for (pump, state) in self.states[index].iter_mut().enumerate() {
                let Some(truth) = check(rule, &settings.limits, pump) else {
                    break;
                };
                let subject = subject_of(rule, pump);
                let truth = if settings.enabled { truth } else { Some(false) };
                let kind = match (truth, state.raised) {
                    (Some(true), None) => {
                        state.raised = Some(closing.minute);
                        let value = match rule.value {
                            Value::Closing(value) => value(closing, pump),
                            _ => f64::NAN,
                        };
                        let message = message(rule, settings, plant, subject, value);
                        Kind::Raised {
                            severity: settings.severity,
                            value,
                            message,
                        }
                    }
                    (Some(false), Some(raised)) => {
                        *state = State::default();
                        Kind::Resolved { raised }
                    }
                    _ => continue,
                };
                out.transitions.push(Transition {
                    minute: closing.minute,
                    local,
                    rule: index,
                    subject,
                    kind,
                });
            }
        }
    }
}

fn verdict(rule: &Rule, settings: &Settings, scene: &Scene<'_>, pump: usize) -> Verdict {
    let limits = &settings.limits;
    let holds = match rule.check {
        Check::Station(check) | Check::UntilMidnight(check) => check(scene, limits),
        Check::EachPump(check) => check(scene, pump, limits),
        Check::Frozen(check) => check(scene, limits, settings.for_min),
        Check::Latched { raise, .. } => raise(scene, limits),
        Check::Event(_) | Check::Gap | Check::HourClose(_) | Check::DayClose(_) => None,
    };
    let stays = match rule.check {
        Check::Latched { stays, .. } => stays(scene, limits),
        Check::UntilMidnight(_) => None,
        _ => holds,
    };
    Verdict {
        holds,
        now: rule.now.map_or(Some(true), |now| now(scene, limits)),
        stays,
    }
}

/// Moves one state on by one row.
fn judge(
    state: &mut State,
    verdict: &Verdict,
    index: usize,
    pump: usize,
    scene: &Scene<'_>,
    hole: bool,
    out: &mut Outcome,
) {
    let (rule, settings) = (&CATALOGUE[index], &scene.plant.rules.settings[index]);
    let minute = scene.minute;
    if hole {
        (state.run, state.active, state.clear) = (None, None, None);
    }
    let held_min = count(&mut state.run, verdict.holds == Some(true), minute);
    // A frozen value's run began before its condition could hold, so the check measures it.
    let for_min = if matches!(rule.check, Check::Frozen(_)) {
        0
    } else {
        settings.for_min
    };
    let active = held_min > for_min && verdict.now == Some(true);
    let active_min = count(&mut state.active, active, minute);
    let subject = subject_of(rule, pump);
    match state.raised {
        None if active_min > settings.on_delay_min => {
            if is_masked(rule, scene) {
                out.suppressed.push(index);
            } else {
                raise(state, index, subject, scene, held_min, out);
            }
        }
        None => {}
        Some(raised) => {
            let clear = verdict.stays == Some(false) || verdict.now == Some(false);
            if count(&mut state.clear, clear, minute) > settings.off_delay_min {
                (state.raised, state.clear) = (None, None);
                out.transitions
                    .push(resolution(index, subject, scene, raised));
            }
        }
    }
}

/// Follows a run: its length in minutes so far, 0 when it is not one.
fn count(run: &mut Option<Minute>, goes_on: bool, minute: Minute) -> i64 {
    if goes_on {
        minute - *run.get_or_insert(minute) + 1
    } else {
        *run = None;
        0
    }
}

fn is_masked(rule: &Rule, scene: &Scene<'_>) -> bool {
    let plant = scene.plant;
    match rule.mask {
        Mask::None => false,
        Mask::Switching => scene
            .last_switch
            .is_some_and(|switched| scene.minute - switched < plant.switching_mask_min),
        Mask::NormalStop => {
            plant.normal_stop_pct > 0.0
                && scene.pumps_drawing_before == 1
                && scene.level_pct_before >= plant.normal_stop_pct
        }
    }
}

fn raise(
    state: &mut State,
    index: usize,
    subject: Subject,
    scene: &Scene<'_>,
    held_min: i64,
    out: &mut Outcome,
) {
    let (rule, settings) = (&CATALOGUE[index], &scene.plant.rules.settings[index]);
    state.raised = Some(scene.minute);
    state.clear = None;
    let value = match rule.value {
        Value::Station(value) => value(scene),
        Value::Pump(value) => value(scene, subject.unwrap_or(0)),
        Value::HeldMin => held_min as f64,
        Value::SilentMin | Value::Closing(_) => f64::NAN,
    };
    let message = message(rule, settings, scene.plant, subject, value);
    let kind = Kind::Raised {
        severity: settings.severity,
        value,
        message,
    };
    out.transitions.push(Transition {
        minute: scene.minute,
        local: scene.local.minute,
        rule: index,
        subject,
        kind,
    });
}

fn message(
    rule: &Rule,
    settings: &Settings,
    plant: &Plant,
    subject: Subject,
    value: f64,
) -> String {
    (rule.message)(&Told {
        pump: subject.map_or("", pump_name),
        value,
        limits: settings.limits,
        for_min: settings.for_min,
        rated_kw: subject.map_or(f64::NAN, |pump| plant.rated_kw[pump]),
    })
}

fn resolution(rule: usize, subject: Subject, scene: &Scene<'_>, raised: Minute) -> Transition {
    let kind = Kind::Resolved { raised };
    Transition {
        minute: scene.minute,
        local: scene.local.minute,
        rule,
        subject,
        kind,
    }
}
