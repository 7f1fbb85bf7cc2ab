//! Which calls an alert's life plans and calls off.

use std::collections::BTreeSet;

use rusqlite::params;
use tempfile::TempDir;

use super::{
    Store, alert_id,
    calls::{Attempt, Call, CallPlan, Noted, next_call},
    journal::{Told, What},
};
use crate::{
    calendar::Minute,
    clock::Clock,
    rules::{CATALOGUE, engine::Subject, index_of},
};

/// The minute of the raise.
const RAISED: Minute = 29_000_000;
/// The time of all that happens.
const NOW_S: i64 = RAISED * 60 + 200;
const P2: Subject = Some(1);

struct Case {
    store: Store,
    _folder: TempDir,
}

impl Case {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let mut store = Store::open(&folder.path().join("calls.db"), None).expect("a store");
        store.set_call_plan(Some(CallPlan {
            site: ("stp-01".into(), "STP".into()),
            hooks: vec!["webhook"],
            critical_escalate_s: 300,
            high_escalate_s: 1800,
            // One that stands still.
            clock: Clock::fast(NOW_S, 0.0),
        }));
        Self {
            store,
            _folder: folder,
        }
    }

    fn tell(&mut self, code: &str, what: What, minute: Minute, backfilled: bool) {
        let rule = index_of(code).expect("a rule");
        let id = alert_id(RAISED, rule, P2);
        let sql = match what {
            What::Raised => {
                "INSERT INTO alerts_log (id, ts, timestamp, severity, rule, pump, message) VALUES (?1, ?2, '2025-02-20 05:20:00', ?3, ?4, 'P2', 'no power')"
            }
            What::Resolved => {
                "UPDATE alerts_log SET resolved = 1, duration_min = 3 WHERE id = ?1 AND ?2 = ?2 AND ?3 = ?3 AND ?4 = ?4"
            }
            What::Reopened => {
                "UPDATE alerts_log SET resolved = 0, duration_min = NULL WHERE id = ?1 AND ?2 = ?2 AND ?3 = ?3 AND ?4 = ?4"
            }
            What::Withdrawn => "",
        };
        if !sql.is_empty() {
            let severity = CATALOGUE[rule].severity.name();
            let written = params![id, RAISED * 60, severity, code];
            self.store
                .connection
                .execute(sql, written)
                .expect("written");
        }
        let told = Told {
            minute,
            local: minute,
            rule,
            subject: P2,
            raised: RAISED,
            what,
            backfilled,
        };
        self.store.announce(&told).expect("announced");
        if what == What::Withdrawn {
            let gone = self
                .store
                .connection
                .execute("DELETE FROM alerts_log WHERE id = ?", [id]);
            assert_eq!(gone, Ok(1));
        }
    }

    fn next(&self, now_s: i64) -> Option<(Call, i64)> {
        next_call(&self.store.connection, "webhook", now_s, &BTreeSet::new()).expect("calls")
    }

    /// Hands the next call over; its reason.
    fn take(&mut self, now_s: i64) -> String {
        let (call, wait_s) = self.next(now_s).expect("a call");
        assert!(wait_s <= 0, "{call:?} is due in {wait_s} s");
        let taken = Attempt::Taken {
            detail: "200".into(),
        };
        let noted = self.store.note_attempt(call.id, &taken, now_s);
        assert_eq!(noted.expect("noted"), Noted::Sent);
        call.reason
    }

    fn fail(&mut self, now_s: i64) -> Noted {
        let (call, _) = self.next(now_s).expect("a call");
        let failed = Attempt::Failed {
            detail: "500".into(),
            retry_in_s: 5,
        };
        let noted = self.store.note_attempt(call.id, &failed, now_s);
        noted.expect("noted")
    }

    fn waiting(&self) -> String {
        let sql = "SELECT coalesce(group_concat(reason, ' '), '') FROM (SELECT reason FROM notifications WHERE state = 'waiting' ORDER BY id)";
        self.store
            .connection
            .query_row(sql, [], |row| row.get(0))
            .expect("read")
    }

    fn acknowledge(&mut self, code: &str) {
        let id = alert_id(RAISED, index_of(code).expect("a rule"), P2);
        let ack = "INSERT INTO alert_acks (alert_id, operator, acked_ts) VALUES (?, 'op', 0)";
        self.store.connection.execute(ack, [id]).expect("written");
        self.store.cancel_calls(id, "acknowledged").expect("done");
    }
}

#[test]
fn critical_calls_at_once_and_escalates_and_high_only_escalates() {
    for (code, waiting, wait_s) in [("B-01", "raised escalated", 0), ("B-04", "escalated", 1800)] {
        let mut case = Case::new();
        case.tell(code, What::Raised, RAISED, false);
        assert_eq!(case.waiting(), waiting);
        assert_eq!(case.next(NOW_S).map(|(_, wait_s)| wait_s), Some(wait_s));
    }
    let mut case = Case::new();
    case.tell("B-05", What::Raised, RAISED, false);
    assert_eq!(case.waiting(), "", "WARNING calls nobody");
}

#[test]
fn history_calls_nobody_but_who_was_called_hears_the_end() {
    let mut case = Case::new();
    case.tell("B-01", What::Raised, RAISED, true);
    assert_eq!(case.waiting(), "");
    let mut case = Case::new();
    case.tell("B-01", What::Raised, RAISED, false);
    assert_eq!(case.take(NOW_S), "raised");
    case.tell("B-01", What::Resolved, RAISED + 3, true);
    assert_eq!(case.waiting(), "resolved");
    assert_eq!(case.take(NOW_S), "resolved");
    assert_eq!(case.waiting(), "");
}

#[test]
fn what_ends_before_anybody_was_called_is_not_told() {
    for end in [What::Resolved, What::Withdrawn] {
        let mut case = Case::new();
        case.tell("B-01", What::Raised, RAISED, false);
        case.tell("B-01", end, RAISED + 3, false);
        assert_eq!(case.waiting(), "");
    }
}

#[test]
fn an_alert_that_ends_while_its_call_is_under_way_is_told_to_be_over() {
    for (end, reason) in [(What::Resolved, "resolved"), (What::Withdrawn, "withdrawn")] {
        let mut case = Case::new();
        case.tell("B-01", What::Raised, RAISED, false);
        let (call, _) = case.next(NOW_S).expect("a call");
        case.tell("B-01", end, RAISED, false);
        assert_eq!(case.waiting(), "");
        let taken = Attempt::Taken {
            detail: String::new(),
        };
        case.store
            .note_attempt(call.id, &taken, NOW_S)
            .expect("noted");
        assert_eq!(case.waiting(), reason);
        // A failed one that was called off stays called off.
        let failed = Attempt::Failed {
            detail: String::new(),
            retry_in_s: 5,
        };
        let mut case = Case::new();
        case.tell("B-01", What::Raised, RAISED, false);
        case.tell("B-01", end, RAISED, false);
        let noted = case.store.note_attempt(call.id, &failed, NOW_S);
        assert_eq!(noted.expect("noted"), Noted::Cancelled);
    }
}

#[test]
fn a_reopened_alert_calls_those_who_believe_it_over() {
    let mut case = Case::new();
    case.tell("B-01", What::Raised, RAISED, false);
    assert_eq!(case.take(NOW_S), "raised");
    case.tell("B-01", What::Resolved, RAISED + 3, false);
    // Not told yet: they know of it, only the escalation comes back.
    case.tell("B-01", What::Reopened, RAISED + 3, false);
    assert_eq!(case.waiting(), "escalated");
    case.tell("B-01", What::Resolved, RAISED + 4, false);
    assert_eq!(case.take(NOW_S), "resolved");
    case.tell("B-01", What::Reopened, RAISED + 4, false);
    assert_eq!(case.waiting(), "raised escalated");
    // An acknowledged one has somebody; but they must know that it goes on.
    assert_eq!(case.take(NOW_S), "raised");
    case.acknowledge("B-01");
    case.tell("B-01", What::Resolved, RAISED + 5, false);
    assert_eq!(case.take(NOW_S), "resolved");
    case.tell("B-01", What::Reopened, RAISED + 5, false);
    assert_eq!(case.waiting(), "raised");
}

#[test]
fn an_escalation_that_gets_through_first_takes_the_place_of_the_call() {
    let mut case = Case::new();
    case.tell("B-01", What::Raised, RAISED, false);
    assert_eq!(case.fail(NOW_S), Noted::Waiting);
    assert_eq!(case.next(NOW_S).map(|(_, wait_s)| wait_s), Some(5));
    // What has not failed yet goes first.
    assert_eq!(case.take(NOW_S + 300), "escalated");
    assert_eq!(case.waiting(), "");
}

#[test]
fn a_call_is_given_up_a_day_after_it_was_due() {
    let mut case = Case::new();
    case.tell("B-01", What::Raised, RAISED, false);
    assert_eq!(case.fail(NOW_S), Noted::Waiting);
    case.acknowledge("B-01");
    let mut case = Case::new();
    case.tell("B-04", What::Raised, RAISED, false);
    let due_s = NOW_S + 1800;
    assert_eq!(case.fail(due_s + 86_399), Noted::Waiting);
    assert_eq!(case.fail(due_s + 86_405), Noted::GivenUp);
    assert!(case.next(due_s + 86_500).is_none());
}

#[test]
fn a_clock_that_is_set_back_holds_no_call_up() {
    let mut case = Case::new();
    case.tell("B-01", What::Raised, RAISED, false);
    let years_before_s = NOW_S - 3 * 365 * 86_400;
    assert_eq!(case.next(years_before_s).map(|(_, wait_s)| wait_s), Some(0));
}

#[test]
fn a_held_alarm_calls_nobody() {
    let mut case = Case::new();
    let hold = "INSERT INTO alert_holds VALUES ('B-01', 'P2', 'shelved', 'op', 'relay', 0, NULL)";
    case.store.connection.execute(hold, []).expect("written");
    case.tell("B-01", What::Raised, RAISED, false);
    assert_eq!(case.waiting(), "");
}

#[test]
fn calls_of_a_hook_that_is_gone_are_called_off() {
    let mut case = Case::new();
    case.tell("B-01", What::Raised, RAISED, false);
    case.store.cancel_calls_except(&["command"]).expect("done");
    assert_eq!(case.waiting(), "");
}
