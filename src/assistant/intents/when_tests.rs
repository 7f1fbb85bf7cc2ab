//! Periods: one table of what people say and what it means, at 14:20 on Friday 4 April 2025.

use super::{dates::day, periods::Period, when::periods, words::Words};
use crate::calendar::text;

fn read(question: &str) -> Result<Vec<Period>, String> {
    let now = day(2025, 4, 4).expect("a date") * 1440 + 14 * 60 + 20;
    let first = day(2025, 3, 1).expect("a date") * 1440;
    periods(&mut Words::read(question, now), first).map_err(|refused| refused.reason)
}

fn ends(period: &Period) -> String {
    let short = |minute: i64| text(minute)[..16].replace(" 00:00", "");
    let mut told = format!("{} {}", short(period.from), short(period.until));
    if let Some((from, until)) = period.clock {
        told.push_str(&format!(" clock {from} {until}"));
    }
    if period.days != super::periods::Days::All {
        told.push_str(&format!(" {:?}", period.days));
    }
    if let Some(peak) = period.peak {
        told.push_str(&format!(" peak {peak}"));
    }
    told
}

#[test]
fn reads_what_people_call_periods() {
    for (said, meant) in [
        ("today", "2025-04-04 2025-04-05"),
        ("yesterday", "2025-04-03 2025-04-04"),
        ("the day before yesterday", "2025-04-02 2025-04-03"),
        ("this week", "2025-03-31 2025-04-05"),
        ("last week", "2025-03-24 2025-03-31"),
        ("in the past week", "2025-03-24 2025-03-31"),
        ("this month", "2025-04-01 2025-04-05"),
        ("last month", "2025-03-01 2025-04-01"),
        ("last year", "2024-01-01 2025-01-01"),
        ("this year", "2025-01-01 2025-04-05"),
        ("last quarter", "2025-01-01 2025-04-01"),
        ("Q1 2025", "2025-01-01 2025-04-01"),
        ("in the last hour", "2025-04-04 13:21 2025-04-04 14:21"),
        ("last 30 minutes", "2025-04-04 13:51 2025-04-04 14:21"),
        ("past 24 hours", "2025-04-03 14:21 2025-04-04 14:21"),
        ("last three days", "2025-04-02 2025-04-05"),
        ("the last 2 weeks", "2025-03-22 2025-04-05"),
        ("last 2 months", "2025-02-04 2025-04-05"),
        ("since Monday", "2025-03-31 2025-04-05"),
        ("since 1 March", "2025-03-01 2025-04-05"),
        ("since 08:00", "2025-04-04 08:00 2025-04-04 14:21"),
        ("since yesterday", "2025-04-03 2025-04-05"),
        ("on Monday", "2025-03-31 2025-04-01"),
        ("last Tuesday", "2025-04-01 2025-04-02"),
        ("last Friday", "2025-03-28 2025-03-29"),
        ("on Friday", "2025-04-04 2025-04-05"),
        ("on 2025-03-04", "2025-03-04 2025-03-05"),
        ("4 March", "2025-03-04 2025-03-05"),
        ("March 4th", "2025-03-04 2025-03-05"),
        ("on Tuesday, 4 March 2025", "2025-03-04 2025-03-05"),
        ("in March", "2025-03-01 2025-04-01"),
        ("March 2025", "2025-03-01 2025-04-01"),
        ("in 2024", "2024-01-01 2025-01-01"),
        ("3 days ago", "2025-04-01 2025-04-02"),
        ("two weeks ago", "2025-03-17 2025-03-24"),
        ("in week 10", "2025-03-03 2025-03-10"),
        ("last weekend", "2025-03-29 2025-03-31"),
        ("over the weekend", "2025-03-29 2025-03-31"),
    ] {
        let found = read(said).expect("periods");
        assert_eq!(
            found.iter().map(ends).collect::<Vec<_>>(),
            [meant],
            "{said}"
        );
    }
}

#[test]
fn reads_ends() {
    for (said, meant) in [
        ("between 2025-03-04 and 2025-03-06", "2025-03-04 2025-03-07"),
        ("from 3 March to 5 March", "2025-03-03 2025-03-06"),
        ("from 3 to 5 March", "2025-03-03 2025-03-06"),
        ("1 - 5 March 2025", "2025-03-01 2025-03-06"),
        ("from Monday to Wednesday", "2025-03-31 2025-04-03"),
        ("from Monday to Friday", "2025-03-31 2025-04-05"),
        ("between 8 and 12", "2025-04-04 08:00 2025-04-04 12:00"),
        (
            "between 8:00 and 12:00 yesterday",
            "2025-04-03 08:00 2025-04-03 12:00",
        ),
        (
            "yesterday from 08:00 to 12:00",
            "2025-04-03 08:00 2025-04-03 12:00",
        ),
        (
            "from 22:00 to 06:00 on 2025-03-04",
            "2025-03-04 22:00 2025-03-05 06:00",
        ),
        (
            "from 2025-03-04 08:00 to 2025-03-05 12:00",
            "2025-03-04 08:00 2025-03-05 12:00",
        ),
        (
            "between 8 and 12 last week",
            "2025-03-24 2025-03-31 clock 480 720",
        ),
        (
            "from 2 pm to 4 pm yesterday",
            "2025-04-03 14:00 2025-04-03 16:00",
        ),
        ("after 18:00 yesterday", "2025-04-03 18:00 2025-04-04"),
        ("before 6:00 today", "2025-04-04 2025-04-04 06:00"),
        ("until 3 March", "2025-03-01 2025-03-04"),
        (
            "between yesterday 22:00 and today 06:00",
            "2025-04-03 22:00 2025-04-04 06:00",
        ),
    ] {
        let found = read(said).expect("periods");
        assert_eq!(
            found.iter().map(ends).collect::<Vec<_>>(),
            [meant],
            "{said}"
        );
    }
}

#[test]
fn reads_parts_of_days() {
    for (said, meant) in [
        ("this morning", "2025-04-04 06:00 2025-04-04 12:00"),
        ("yesterday afternoon", "2025-04-03 12:00 2025-04-03 18:00"),
        ("yesterday evening", "2025-04-03 18:00 2025-04-03 22:00"),
        ("last night", "2025-04-03 22:00 2025-04-04 06:00"),
        ("on Monday night", "2025-03-31 22:00 2025-04-01 06:00"),
        ("in the evening", "2025-04-03 18:00 2025-04-03 22:00"),
        (
            "in the mornings last week",
            "2025-03-24 2025-03-31 clock 360 720",
        ),
        ("at 14:30 yesterday", "2025-04-03 14:30 2025-04-03 14:31"),
        ("yesterday at noon", "2025-04-03 12:00 2025-04-03 12:01"),
        ("at 3 pm", "2025-04-03 15:00 2025-04-03 15:01"),
        ("at 8", "2025-04-04 08:00 2025-04-04 08:01"),
        ("2025-03-04 14:30", "2025-03-04 14:30 2025-03-04 14:31"),
        ("3 hours ago", "2025-04-04 11:20 2025-04-04 11:21"),
        ("at weekends last month", "2025-03-01 2025-04-01 Weekends"),
        ("on weekdays in March", "2025-03-01 2025-04-01 Weekdays"),
        ("on Mondays", "2025-03-01 2025-04-05 Only(1)"),
        ("in peak hours last week", "2025-03-24 2025-03-31 peak true"),
        ("off-peak yesterday", "2025-04-03 2025-04-04 peak false"),
    ] {
        let found = read(said).expect("periods");
        assert_eq!(
            found.iter().map(ends).collect::<Vec<_>>(),
            [meant],
            "{said}"
        );
    }
}

#[test]
fn reads_two_periods() {
    for (said, meant) in [
        (
            "this week with last week",
            ["2025-03-31 2025-04-05", "2025-03-24 2025-03-31"],
        ),
        (
            "today vs yesterday",
            ["2025-04-04 2025-04-05", "2025-04-03 2025-04-04"],
        ),
        (
            "today and yesterday at 8:00",
            [
                "2025-04-04 08:00 2025-04-04 08:01",
                "2025-04-03 08:00 2025-04-03 08:01",
            ],
        ),
        (
            "weekdays with weekends in March",
            [
                "2025-03-01 2025-04-01 Weekdays",
                "2025-03-01 2025-04-01 Weekends",
            ],
        ),
    ] {
        let found = read(said).expect("periods");
        assert_eq!(found.iter().map(ends).collect::<Vec<_>>(), meant, "{said}");
    }
}

#[test]
fn leaves_alone_what_is_no_period() {
    for said in [
        "between 20 and 85 %",
        "over 200 m³/h",
        "may I ask",
        "pump 3 and pump 4",
        "less than 8 starts",
        "night flow alerts",
        "peak flow",
        "week",
    ] {
        assert_eq!(read(said), Ok(Vec::new()), "{said}");
    }
}

#[test]
fn tells_what_cannot_be() {
    for (said, reason) in [
        ("on 31 February", "31 February is no date"),
        ("on 2025-02-30", "2025-02-30 is no date"),
        ("at 25:00", "25:00 is no time of the day"),
        (
            "on 3/4",
            "3/4 can be two dates; write 2025-03-04, 4 March or 4.3.2025",
        ),
    ] {
        assert_eq!(read(said), Err(reason.into()), "{said}");
    }
}

#[test]
fn names_periods_with_their_dates() {
    for (said, told) in [
        ("yesterday", "yesterday (3 April 2025)"),
        ("today", "today (4 April 2025, so far)"),
        ("last week", "last week (24 to 30 March 2025)"),
        ("on 4 March", "on 4 March 2025"),
        ("from 3 to 5 March", "from 3 to 5 March 2025"),
        ("in March", "in March 2025"),
        (
            "yesterday from 8 to 12",
            "yesterday (08:00 to 12:00 on 3 April 2025)",
        ),
        ("at 14:30 yesterday", "at 14:30 on 3 April 2025"),
        (
            "at weekends last month",
            "last month (1 to 31 March 2025), at weekends",
        ),
    ] {
        assert_eq!(read(said).expect("periods")[0].told(), told, "{said}");
    }
}
