//! Where to go on when box and central office meet: pure.

use crate::store::changes::Standing;

/// What the central office has of this site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The store it came from.
    pub epoch: String,
    /// The newest entry of that store's change log that has arrived.
    pub last_rev: i64,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meeting {
    /// Send what is behind this entry.
    GoOn(i64),
    /// Put everything into the change log once more, behind `after`, and send it.
    SendAll {
        /// Sequence numbers up to here are taken.
        after: i64,
        /// For the log.
        why: &'static str,
    },
    /// Send nothing, and say why.
    Refuse(String),
}

/// Compares what the store knows with what the central office has.
///
/// The smaller of the two marks counts: a central office that is behind was restored from a backup; one that is ahead took a
/// batch whose confirmation was lost. One that has what this store never sent knows a future of it that a restored box no longer
/// has. Sending again what has arrived changes nothing.
pub fn meet(standing: &Standing, centre: Option<&Mark>) -> Meeting {
    let Some(centre) = centre else {
        return Meeting::SendAll {
            after: 0,
            why: "the central office has nothing of this site",
        };
    };
    if centre.epoch != standing.epoch {
        return Meeting::Refuse(format!(
            "the central office has this site's rows from another store ({}, this one is {}): two boxes with one site id, or a \
             new store; if this box replaces the other one, run `pumphouse resync --take-over`",
            short(&centre.epoch),
            short(&standing.epoch)
        ));
    }
    let from = standing.acked.min(centre.last_rev);
    if centre.last_rev > standing.sent {
        Meeting::SendAll {
            after: centre.last_rev.max(standing.newest),
            why: "this store is older than what the central office has",
        }
    } else if from < standing.pruned {
        Meeting::SendAll {
            after: standing.newest,
            why: "the central office was restored from a backup older than the change log",
        }
    } else {
        Meeting::GoOn(from)
    }
}

fn short(epoch: &str) -> &str {
    epoch.get(..8).unwrap_or(epoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(acked: i64, newest: i64, pruned: i64, centre: Option<i64>, expected: &Meeting) {
        let standing = Standing {
            epoch: "a".into(),
            acked,
            newest,
            pruned,
            sent: acked + 1,
        };
        let mark = centre.map(|last_rev| Mark {
            epoch: "a".into(),
            last_rev,
        });
        let met = meet(&standing, mark.as_ref());
        let same = match (&met, expected) {
            (
                Meeting::SendAll { after, .. },
                Meeting::SendAll {
                    after: expected, ..
                },
            ) => after == expected,
            (met, expected) => met == expected,
        };
        assert!(same, "{met:?}, expected {expected:?}");
    }

    #[test]
    fn goes_on_where_the_lesser_mark_is() {
        let all = |after| Meeting::SendAll { after, why: "" };
        check(7, 9, 0, Some(7), &Meeting::GoOn(7));
        // A confirmation was lost.
        check(7, 9, 0, Some(8), &Meeting::GoOn(7));
        // Restored from a backup, within what the change log keeps and before it.
        check(7, 9, 3, Some(3), &Meeting::GoOn(3));
        check(7, 9, 3, Some(2), &all(9));
        // Wiped; never seen.
        check(7, 9, 3, None, &all(0));
        check(0, 9, 0, None, &all(0));
        // The box was restored from a backup, and has gone on before it met the central office, or not.
        check(4, 6, 0, Some(8), &all(8));
        check(4, 9, 0, Some(8), &all(9));
    }

    #[test]
    fn refuses_the_rows_of_another_store() {
        let standing = Standing {
            epoch: "a".into(),
            acked: 0,
            newest: 3,
            pruned: 0,
            sent: 0,
        };
        let centre = Mark {
            epoch: "b".into(),
            last_rev: 3,
        };
        assert!(matches!(meet(&standing, Some(&centre)), Meeting::Refuse(_)));
    }
}
