//! The alert lifecycle: when a rule raises and when its alert resolves. The only state the rules have.

use serde::{Deserialize, Serialize};

use super::{
    A_01, B_01, CATALOGUE, Check, E_01, F_01, F_02, Limits, Mask, Rule, RuleBook, Settings,
    Severity, Told, Value,
    scene::{Closing, Scene},
};
use crate::row::Truth;
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
        for (index, rule) in CATALOGUE.iter().enumerate() {
            let settings = &scene.plant.rules.settings[index];
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
                        let open = self.states[index][pump].raised.is_some();
                        let verdict = verdict(rule, settings, scene, pump, open);
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
            if let Some(raised) = std::mem::take(state).raised {
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
            let above = above + settings.on_delay_min as f64;
            let silent = silent_min as f64;
            // A rule without an upper limit has NaN there, which nothing exceeds.
            let in_range = silent > above && (silent <= up_to || up_to.is_nan());
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
    pub fn silence_steps_min(rules: &RuleBook) -> [i64; 3] {
        let above =
            |rule: usize| rules.settings[rule].limits[0] as i64 + rules.settings[rule].on_delay_min;
        [
            above(F_01),
            rules.settings[F_01].limits[1] as i64,
            above(F_02),
        ]
        .map(|limit_min| limit_min + 1)
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
        check: impl Fn(&Rule, &Limits, usize) -> Option<Truth>,
    ) {
        for (index, rule) in CATALOGUE.iter().enumerate() {
            let settings = &plant.rules.settings[index];
            for (pump, state) in self.states[index].iter_mut().enumerate() {
                let limits = match state.raised {
                    Some(_) => settings.limits_of_open(rule),
                    None => settings.limits,
                };
                let Some(truth) = check(rule, &limits, pump) else {
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

/// What a rule says; while its alert is `open`, a deadband moves the limit that keeps it so.
fn verdict(
    rule: &Rule,
    settings: &Settings,
    scene: &Scene<'_>,
    pump: usize,
    open: bool,
) -> Verdict {
    let holds = |limits: &Limits| match rule.check {
        Check::Station(check) | Check::UntilMidnight(check) => check(scene, limits),
        Check::EachPump(check) => check(scene, pump, limits),
        Check::Frozen(check) => check(scene, limits, settings.for_min),
        Check::Latched { raise, .. } => raise(scene, limits),
        Check::Event(_) | Check::Gap | Check::HourClose(_) | Check::DayClose(_) => None,
    };
    let strict = holds(&settings.limits);
    let limits = if open {
        settings.limits_of_open(rule)
    } else {
        settings.limits
    };
    let stays = match rule.check {
        Check::Latched { stays, .. } => stays(scene, &limits),
        Check::UntilMidnight(_) => None,
        _ if open && settings.deadband > 0.0 => holds(&limits),
        _ => strict,
    };
    Verdict {
        holds: strict,
        now: rule.now.map_or(Some(true), |now| now(scene, &limits)),
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

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;
    use crate::row::{all, at_least};
    use crate::rules::tape::*;

    const YES: Truth = Some(true);
    const NO: Truth = Some(false);

    #[test]
    fn all_parts_must_be_known() {
        for (parts, truth) in [
            ([YES, YES], YES),
            ([YES, NO], NO),
            ([YES, None], None),
            ([NO, None], None),
            ([None, NO], None),
        ] {
            assert_eq!(all(parts), truth, "{parts:?}");
        }
    }

    #[test]
    fn at_least_n_needs_as_many_known_parts_as_decide_it() {
        for (least, parts, truth) in [
            (1, [YES, None, None], YES),
            (2, [YES, None, YES], YES),
            (2, [YES, None, NO], None),
            (2, [NO, None, NO], NO),
            (1, [NO, None, NO], None),
            (1, [NO, NO, NO], NO),
        ] {
            assert_eq!(
                at_least(least, parts.into_iter()),
                truth,
                "{least} of {parts:?}"
            );
        }
    }

    /// B-02 holds, raised after more than 5 minutes.
    fn no_flow(during: Range<i64>) -> Tape {
        Tape::minutes(60).during(during, |row| row.flow(0.0))
    }

    #[test]
    fn a_run_goes_on_over_a_hole_of_5_minutes_from_row_to_row() {
        check("B-02", no_flow(20..40).gap(22..26), &[(26, "P1", Some(40))]);
    }

    #[test]
    fn a_run_ends_with_a_hole_of_6_minutes_from_row_to_row() {
        check("B-02", no_flow(20..40).gap(22..27), &[(32, "P1", Some(40))]);
    }

    #[test]
    fn a_hole_of_6_minutes_ends_the_run_of_an_unchanged_value() {
        let tape = |gap| Tape::flow_stands(20.., 25).gap(gap);
        check("C-06", tape(28..32), &[(35, "", None)]);
        check("C-06", tape(28..33), &[]);
    }

    #[test]
    fn an_open_alert_outlives_a_hole() {
        check("B-02", no_flow(20..50).gap(30..45), &[(25, "P1", Some(50))]);
    }

    #[test]
    fn the_now_part_raises_and_resolves_while_the_held_part_goes_on() {
        // Rises until 40 and once more at 55: no rise over the 10 minutes up to 50 … 54 and from 65 on.
        let tape = Tape::minutes(80)
            .during(.., |row| {
                row.level(if row.at < 55 {
                    300.0 + 0.5 * row.at.min(40) as f64
                } else {
                    320.5
                })
            })
            .during(20.., |row| row.on(P2, 30.0).on(P3, 30.0))
            .rule("D-05", |settings| settings.off_delay_min = 0);
        check("D-05", tape, &[(50, "", Some(55)), (65, "", None)]);
    }

    #[test]
    fn an_unknown_now_part_neither_raises_nor_resolves() {
        let tape = Tape::minutes(60)
            .during(.., |row| row.level(300.0))
            .during(20..45, |row| row.on(P2, 30.0).on(P3, 30.0))
            .during(30..33, |row| row.level(UNKNOWN))
            .during(40..43, |row| row.level(UNKNOWN))
            .rule("D-05", |settings| settings.off_delay_min = 0);
        check("D-05", tape, &[(33, "", Some(45))]);
    }

    #[test]
    fn an_on_delay_raises_that_much_later() {
        let delayed = |during| no_flow(during).rule("B-02", |s| s.on_delay_min = 3);
        check("B-02", delayed(20..40), &[(28, "P1", Some(40))]);
        check("B-02", delayed(20..28), &[]);
    }

    #[test]
    fn an_on_delay_starts_again_after_an_unknown_minute() {
        let tape = no_flow(20..50)
            .at(27, |row| row.flow(UNKNOWN))
            .rule("B-02", |s| s.on_delay_min = 3);
        // Held again from 28 on, for more than 5 minutes at 33.
        check("B-02", tape, &[(36, "P1", Some(50))]);
    }

    /// B-04 of P1: above 1.3 × rated until 30, just below it until 40, clear of it from then on.
    fn hovering(deadband: f64) -> Tape {
        Tape::minutes(60)
            .during(10..30, |row| row.kw(P1, 1.4 * RATED_KW))
            .during(30..40, |row| row.kw(P1, 1.27 * RATED_KW))
            .rule("B-04", move |s| s.deadband = deadband)
    }

    #[test]
    fn a_deadband_keeps_an_alert_open_until_the_value_is_clear_of_its_limit() {
        check("B-04", hovering(0.0), &[(15, "P1", Some(30))]);
        check("B-04", hovering(0.05), &[(15, "P1", Some(40))]);
        let unknown = hovering(0.05).during(40..45, |row| row.kw(P1, UNKNOWN));
        check("B-04", unknown, &[(15, "P1", Some(45))]);
    }

    #[test]
    fn a_deadband_does_not_raise_what_the_limit_does_not() {
        let within = hovering(0.05).during(10..30, |row| row.kw(P1, 1.27 * RATED_KW));
        check("B-04", within, &[]);
    }

    #[test]
    fn a_deadband_lies_above_a_lower_limit_and_counts_for_the_now_part_too() {
        // all off, and the level below 50 % (250) now.
        let tape = |deadband: f64| {
            Tape::minutes(80)
                .during(.., |row| row.level(240.0))
                .during(10.., |row| row.all_off())
                .during(60.., |row| row.level(255.0))
                .during(70.., |row| row.level(280.0))
                .rule("A-05", move |s| s.deadband = deadband)
        };
        check("A-05", tape(0.0), &[(40, "", Some(60))]);
        check("A-05", tape(2.0), &[(40, "", Some(70))]);
    }

    fn off_delayed() -> Tape {
        no_flow(20..30).rule("B-02", |s| s.off_delay_min = 3)
    }

    #[test]
    fn an_off_delay_resolves_when_false_for_more_than_so_many_minutes() {
        check("B-02", off_delayed(), &[(25, "P1", Some(33))]);
        check("B-02", off_delayed().gap(31..35), &[(25, "P1", Some(35))]);
    }

    #[test]
    fn an_off_delay_starts_again_when_true_or_unknown_or_after_a_hole() {
        let restarted = [(25, "P1", Some(36))];
        check(
            "B-02",
            off_delayed().at(32, |row| row.flow(0.0)),
            &restarted,
        );
        check(
            "B-02",
            off_delayed().at(32, |row| row.flow(UNKNOWN)),
            &restarted,
        );
        check("B-02", off_delayed().gap(31..36), &[(25, "P1", Some(39))]);
    }

    #[test]
    fn an_alert_is_raised_again_after_it_resolved() {
        let tape = no_flow(20..30).during(40..50, |row| row.flow(0.0));
        check("B-02", tape, &[(25, "P1", Some(30)), (45, "P1", Some(50))]);
    }

    #[test]
    fn a_disabled_rule_neither_raises_nor_keeps_its_alert() {
        let disabled_from =
            |minute| no_flow(20..40).rule_from(minute, "B-02", |s| s.enabled = false);
        check("B-02", disabled_from(0), &[]);
        check("B-02", disabled_from(28), &[(25, "P1", Some(28))]);
    }

    #[test]
    fn a_rule_that_is_enabled_again_starts_again() {
        let tape = no_flow(20..23)
            .during(40.., |row| row.flow(0.0))
            .rule_from(23, "B-02", |s| s.enabled = false)
            .rule_from(40, "B-02", |s| s.enabled = true);
        check("B-02", tape, &[(45, "P1", None)]);
    }

    #[test]
    fn the_severity_in_force_is_that_of_the_config() {
        let severities = |tape: Tape| -> Vec<Severity> {
            let of_rule = |transition: Transition| match transition.kind {
                Kind::Raised { severity, .. } if CATALOGUE[transition.rule].code == "B-02" => {
                    Some(severity)
                }
                _ => None,
            };
            tape.play()
                .transitions
                .into_iter()
                .filter_map(of_rule)
                .collect()
        };
        assert_eq!(severities(no_flow(20..40)), [Severity::High]);
        let tape = no_flow(20..40).rule("B-02", |s| s.severity = Severity::Info);
        assert_eq!(severities(tape), [Severity::Info]);
    }

    /// Held back for so many minutes, and raised with the masks set to 0.
    #[track_caller]
    fn check_masked(code: &str, tape: impl Fn() -> Tape, held_back: u32, expected: Raise) {
        let unmasked = tape().plant(|plant| {
            (plant.switching_mask_min, plant.normal_stop_pct) = (0, 0.0);
        });
        assert_eq!(tape().suppressed(code), held_back, "{code}");
        check(code, tape(), &[]);
        assert_eq!(unmasked.suppressed(code), 0, "{code}");
        check(code, unmasked, &[expected]);
    }

    #[test]
    fn a_04_is_held_back_for_5_minutes_after_a_pump_switched() {
        let jump = |at: i64| {
            Tape::minutes(60)
                .during(20.., |row| row.on(P2, 30.0))
                .during(at.., |row| row.kw(P1, 40.0))
        };
        check_masked("A-04", || jump(24), 1, (24, "P1", Some(25)));
        assert_eq!(jump(25).suppressed("A-04"), 0);
        check("A-04", jump(25), &[(25, "P1", Some(26))]);
    }

    #[test]
    fn c_02_and_c_03_are_held_back_for_5_minutes_after_a_pump_switched() {
        let step = |switched: i64, flow: f64| {
            Tape::minutes(60)
                .during(switched.., |row| row.on(P2, 30.0))
                .during(40.., |row| row.flow(flow))
        };
        check_masked("C-02", || step(36, 400.0), 1, (40, "", Some(41)));
        check("C-02", step(35, 400.0), &[(40, "", Some(41))]);
        check_masked("C-03", || step(38, 100.0), 3, (40, "", Some(43)));
        // The mask ends while the condition goes on.
        assert_eq!(step(37, 100.0).suppressed("C-03"), 2);
        check("C-03", step(37, 100.0), &[(42, "", Some(43))]);
    }

    #[test]
    fn a_01_is_held_back_when_the_last_pump_stops_at_a_full_tank() {
        // The power of 19 is within the look-back of 20, 21 and 22.
        let stop = |level: f64| {
            Tape::minutes(60)
                .during(.., |row| row.level(level - (row.at - 19).max(0) as f64))
                .during(20..40, Line::all_off)
        };
        check_masked("A-01", || stop(400.0), 3, (20, "", Some(40)));
        check("A-01", stop(399.9), &[(20, "", Some(40))]);
        let two = stop(450.0).during(..20, |row| row.on(P2, 30.0));
        assert_eq!(two.suppressed("A-01"), 0);
        check("A-01", two, &[(20, "", Some(40))]);
    }

    /// An outage from 20 on at a low and falling level.
    fn outage() -> Tape {
        Tape::minutes(80)
            .during(20.., Line::all_off)
            .during(.., |row| row.level(240.0 - row.at as f64))
    }

    #[test]
    fn a_03_sees_the_outage_as_it_was_before_the_minute() {
        let back = || outage().during(35.., |row| row.on(P1, 30.0));
        check("A-01", back(), &[(20, "", Some(35))]);
        check("A-03", back(), &[(35, "", Some(35))]);
    }

    #[test]
    fn a_05_and_group_h_see_alerts_as_they_are_after_the_minute() {
        // Power without a command ends the outage at 60; all have been off for 41 minutes by then.
        let powered = || outage().during(60.., |row| row.kw(P1, 5.0));
        check("A-01", powered(), &[(20, "", Some(60))]);
        check("A-05", powered(), &[(60, "", None)]);
        let draining = outage().during(.., |row| row.level(240.0 - 2.0 * row.at as f64));
        check("H-01", draining, &[(20, "", None)]);
    }

    /// 10.5 kWh, half a kWh more than the day's budget, and no more.
    fn over_budget() -> Tape {
        Tape::minutes(900)
            .plant(|plant| plant.daily_energy_budget_kwh = 10.0)
            .during(21.., Line::all_off)
    }

    #[test]
    fn g_04_resolves_at_midnight_only() {
        check("G-04", over_budget(), &[(20, "", Some(840))]);
        check("G-04", over_budget().gap(30..), &[(20, "", Some(840))]);
        let raised_budget = |plant: &mut Plant| plant.daily_energy_budget_kwh = 100.0;
        let tape = over_budget().plant_from(30, raised_budget);
        check("G-04", tape, &[(20, "", Some(840))]);
    }

    #[test]
    fn midnight_is_that_of_the_plant() {
        // 10:00 UTC is 15:30 in India.
        let tape = over_budget().plant(|plant| {
            plant.zone = jiff::tz::TimeZone::get("Asia/Kolkata").expect("a zone");
        });
        check("G-04", tape, &[(20, "", Some(510))]);
    }

    #[test]
    fn the_result_of_a_closed_hour_stands_until_the_next() {
        // A sixth of the hour at 165 and the rest at 500 lift the last 24 h to 179.5, above 0.85 × 200.
        let tape = Tape::starting(0, 0, 48 * 60)
            .every(10)
            .during(24 * 60.., |row| row.flow(165.0))
            .during(45 * 60 + 1.., |row| row.flow(500.0));
        check("C-04", tape, &[(45 * 60, "", Some(46 * 60))]);
    }

    #[test]
    fn the_result_of_a_closed_day_stands_until_the_next() {
        let tape = Tape::days(&[10.0, 10.0, 10.0, 7.0, 10.0]).gap(5_800..7_000);
        check("G-03", tape, &[(4 * 1440, "P1", Some(5 * 1440))]);
    }

    /// The last row before the gap is that of minute 19.
    fn silence(until: i64) -> Tape {
        Tape::minutes(80).gap(20..until)
    }

    #[test]
    fn silence_is_told_at_6_minutes_and_at_31() {
        check("F-01", silence(26), &[(25, "", Some(26))]);
        check("F-01", silence(51), &[(25, "", Some(50))]);
        check("F-02", silence(51), &[(50, "", Some(51))]);
    }

    #[test]
    fn a_row_at_exactly_that_minute_means_no_raise() {
        check("F-01", silence(25), &[]);
        check("F-01", silence(50), &[(25, "", Some(50))]);
        check("F-02", silence(50), &[]);
    }

    #[test]
    fn a_full_hour_within_the_silence_changes_nothing() {
        // 11:00, at 60, lies 5 minutes after the one last row and 30 after the other.
        check("F-01", Tape::minutes(80).gap(56..70), &[(61, "", Some(70))]);
        check("F-01", Tape::minutes(80).gap(31..), &[(36, "", Some(61))]);
        check("F-02", Tape::minutes(80).gap(31..), &[(61, "", None)]);
    }

    #[test]
    fn a_short_gap_ends_with_its_own_limit() {
        let tape = silence(60).rule("F-01", |s| s.limits[1] = 20.0);
        check("F-01", tape, &[(25, "", Some(40))]);
    }
}
