//! Days run by advice that is made anew each slot, on the simulated hydraulics, with demand that is not as forecast: limits and times
//! are kept at every minute, and it costs less than level controls do.

#[path = "common/instances.rs"]
#[allow(dead_code, reason = "the rolling station takes one of the days")]
mod instances;
#[path = "common/rolling.rs"]
mod rolling;

use rolling::{Control, run};

#[test]
fn advice_keeps_limits_and_times_and_costs_less_than_level_controls() {
    let advice = run(Control::Advice, 2, 0.08, 3);
    assert!(advice.faults.is_empty(), "{:?}", advice.faults);
    assert!(
        advice.level_pct.0 >= 15.0 && advice.level_pct.1 <= 90.0,
        "{:?}",
        advice.level_pct
    );
    assert!(advice.starts <= 2 * 15, "{advice:?}");
    for control in [Control::Level, Control::TariffAware, Control::BestFirst] {
        let other = run(control, 2, 0.08, 3);
        assert!(
            advice.cost < 0.97 * other.cost,
            "{control:?}: {} / {}",
            advice.cost,
            other.cost
        );
    }
}
