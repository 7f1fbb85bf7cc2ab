//! The advisory schedule: which pumps to run when, so that the energy of the next day costs least. Advice only; the PLC decides.
//!
//! `problem` says what is to be planned, `solve` finds a schedule and proves how near to the cheapest it is (`values` from below,
//! `search` from above), `evaluate` prices it without knowing how it was found. `relaxation` bounds it a second time, with another
//! program and code, and tells what water is worth; `speeds` finds what lies between the speeds that the search knows.
//!
//! `scene` makes a problem of the station as it stands and a `plan` of its answer; `reasons` says why it is so, `what_if` what else would be.
//!
//! `baseline` is the station's own control as its history shows it, `savings` what advice saves beside it.
//!
//! *Invariant.* All of these are pure, and the same problem gives the same schedule. `worker` and `books` connect them with the store.

pub mod baseline;
pub mod books;
pub mod evaluate;
pub mod plan;
pub mod problem;
mod program;
pub mod reasons;
pub mod relaxation;
pub mod savings;
pub mod scene;
mod search;
pub mod solve;
pub mod speeds;
pub mod station;
mod values;
pub mod what_if;
pub mod worker;
