//! Where to go on when box and central office meet: pure.

use crate::store::changes::Standing;

/// What the central office has of this site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The store it came from.
    pub epoch: String,
    /// The newest entry of that store's change log that has arrived.
    pub last_rev: i64,
    /// That entry's nonce.
    pub nonce: i64,
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

/// Compares what the store knows with what the central office has. `nonce` is that of the store's own entry of the number at
/// which the central office stands.
///
/// The smaller of the two marks counts: a central office that is behind was restored from a backup; one that is ahead took a
/// batch whose confirmation was lost. Sending again what has arrived changes nothing. When the entry at which it stands is another
/// one than this store has by that number, it knows a future that this store has lost, and rows that may exist nowhere else: a person decides.
pub fn meet(standing: &Standing, centre: Option<&Mark>, nonce: Option<i64>) -> Meeting {
    let Some(centre) = centre else {
        return if standing.pruned == 0 {
            // The change log still has everything.
            Meeting::GoOn(0)
        } else {
            Meeting::SendAll {
                after: standing.newest,
                why: "the central office has nothing of this site",
            }
        };
    };
    if centre.epoch.is_empty() {
        return Meeting::SendAll {
            after: standing.newest.max(centre.last_rev),
            why: "the site is taken over",
        };
    }
    if centre.epoch != standing.epoch {
        return Meeting::Refuse(format!(
            "the central office has this site's rows from another store ({}, this one is {}): two boxes with one site id, or a \
             new store; if this box replaces the other one, run `pumphouse resync --take-over`",
            short(&centre.epoch),
            short(&standing.epoch)
        ));
    }
    let from = standing.acked.min(centre.last_rev);
    // What the office has confirmed may no longer be in the change log; what is in it must be the same there.
    let is_strange = match nonce {
        Some(nonce) => nonce != centre.nonce,
        None => centre.last_rev > standing.acked,
    };
    if is_strange {
        Meeting::Refuse(
            "this store is older than what the central office has of it: it was set back to a backup, or another box runs from a \
             copy of this disk; the office may have rows that exist nowhere else. `pumphouse verify` shows what differs; \
             `pumphouse resync --take-over` makes the office hold what this box holds"
                .into(),
        )
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

    /// The entry of a number has ten times that as its nonce.
    fn check(acked: i64, newest: i64, pruned: i64, centre: Option<i64>, expected: &Meeting) {
        let standing = Standing {
            epoch: "a".into(),
            acked,
            newest,
            pruned,
        };
        let mark = centre.map(|last_rev| Mark {
            epoch: "a".into(),
            last_rev,
            nonce: last_rev * 10,
        });
        let own = mark.as_ref().map(|mark| mark.last_rev * 10);
        let met = meet(&standing, mark.as_ref(), own);
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
        check(7, 9, 3, None, &all(9));
        check(7, 9, 0, None, &Meeting::GoOn(0));
        check(0, 9, 0, None, &Meeting::GoOn(0));
    }

    #[test]
    fn refuses_a_future_that_the_store_has_lost() {
        let standing = Standing {
            epoch: "a".into(),
            acked: 4,
            newest: 9,
            pruned: 0,
        };
        let centre = Mark {
            epoch: "a".into(),
            last_rev: 8,
            nonce: 80,
        };
        for own in [None, Some(81)] {
            assert!(matches!(
                meet(&standing, Some(&centre), own),
                Meeting::Refuse(_)
            ));
        }
        assert_eq!(meet(&standing, Some(&centre), Some(80)), Meeting::GoOn(4));
        // A box that was set back has used the number again, and an office that knows the other future was restored since.
        let restored = Standing {
            acked: 9,
            ..standing.clone()
        };
        assert!(matches!(
            meet(&restored, Some(&centre), Some(81)),
            Meeting::Refuse(_)
        ));
        let freed = Mark {
            epoch: String::new(),
            ..centre
        };
        let all = meet(&standing, Some(&freed), None);
        assert!(matches!(all, Meeting::SendAll { after: 9, .. }));
    }

    #[test]
    fn refuses_the_rows_of_another_store() {
        let standing = Standing {
            epoch: "a".into(),
            acked: 0,
            newest: 3,
            pruned: 0,
        };
        let centre = Mark {
            epoch: "b".into(),
            last_rev: 3,
            nonce: 30,
        };
        assert!(matches!(
            meet(&standing, Some(&centre), Some(30)),
            Meeting::Refuse(_)
        ));
    }
}
