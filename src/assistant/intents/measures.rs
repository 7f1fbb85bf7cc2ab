//! What can be asked for: one table that parsing, SQL and sentences read.

use super::sources::Source::{
    self, Accuracy, Alerts, Days, Ends, Health, Hours, Minutes, Savings, Sessions,
};

/// How the values of a stretch become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fold {
    /// Their mean.
    Mean,
    /// The lowest.
    Min,
    /// The highest.
    Max,
    /// Their sum.
    Total,
}

/// What a row of a table contributes. `{p}` stands for a pump's number, `{flow}` for the flow as far as it is possible,
/// `{pct}` for what makes a raw level a share of the full tank.
#[derive(Clone, Copy, Debug)]
pub(super) enum Column {
    /// A state: mean, lowest and highest; empty where the table has none.
    Gauge(&'static str, &'static str, &'static str),
    /// A part of a sum.
    Amount(&'static str),
    /// Parts of two sums, of which one is divided by the other.
    Ratio(&'static str, &'static str),
}

use Column::{Amount, Gauge, Ratio};

/// A target that a figure is held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Target {
    /// It should be above this.
    pub(super) above: f64,
    /// As a sentence tells it.
    pub(super) told: &'static str,
}

/// Something that can be asked for.
#[derive(Debug)]
pub(super) struct Measure {
    /// Name of the column in answers.
    pub(super) column: &'static str,
    /// As sentences call it.
    pub(super) name: &'static str,
    /// As questions call it; with commas between; the longest phrase that fits wins.
    pub(super) words: &'static str,
    /// Its unit; `h` for minutes that are told as a time, empty for counts.
    pub(super) unit: &'static str,
    /// Digits after the point.
    pub(super) decimals: usize,
    /// What is meant when a question names no fold.
    pub(super) usual: Fold,
    /// Where it is found for the station, best first.
    pub(super) station: &'static [(Source, Column)],
    /// Where it is found for a pump, best first.
    pub(super) pump: &'static [(Source, Column)],
    /// What it should be.
    pub(super) target: Option<Target>,
    /// More of it is better; `None` where that cannot be said.
    pub(super) more_is_better: Option<bool>,
}

impl Measure {
    /// It adds up over time.
    pub(super) fn is_amount(&self) -> bool {
        let first = self.station.first().or(self.pump.first());
        matches!(first, Some((_, Amount(_))))
    }

    /// It is a number of things.
    pub(super) fn is_count(&self) -> bool {
        self.unit.is_empty() && self.is_amount()
    }
}

/// What most measures share; each says only where it differs.
const MEASURE: Measure = Measure {
    column: "",
    name: "",
    words: "",
    unit: "",
    decimals: 0,
    usual: Fold::Mean,
    station: &[],
    pump: &[],
    target: None,
    more_is_better: None,
};

const fn same(row: &'static str) -> Column {
    Gauge(row, row, row)
}

/// A measure by the name of its column.
pub(super) fn measure(column: &str) -> &'static Measure {
    let found = MEASURES.iter().find(|measure| measure.column == column);
    found.unwrap_or(&MEASURES[0])
}

/// All that can be asked for.
pub(super) static MEASURES: &[Measure] = &[
    Measure {
        column: "level_pct",
        name: "tank level",
        words: "level, tank level, hlt, hlt level, tank, reservoir, reservoir level, water level, fill, \
             filling, full, fullness, fill level, water tower, tower, storage",
        unit: "%",
        decimals: 1,
        station: &[
            (Minutes, same("hlt_pct")),
            (Hours, Gauge("avg_hlt * {pct}", "", "")),
            (
                Days,
                Gauge(
                    "avg_hlt_level * {pct}",
                    "min_hlt_level * {pct}",
                    "max_hlt_level * {pct}",
                ),
            ),
        ],
        ..MEASURE
    },
    Measure {
        column: "flow_m3h",
        name: "flow",
        words: "flow, flow rate, flowrate, throughput, inflow, discharge, m3/h, m3/hour, fit101, flow meter",
        unit: "m³/h",
        decimals: 1,
        station: &[
            (Minutes, same("{flow}")),
            (Hours, Gauge("avg_flow", "", "")),
            (Days, Gauge("avg_flow_per_hr", "", "peak_flow")),
        ],
        pump: &[(
            Minutes,
            same("CASE WHEN p{p}_onoff = 1 THEN flow_per_pump END"),
        )],
        ..MEASURE
    },
    Measure {
        column: "volume_m3",
        name: "volume pumped",
        words: "volume, water consumption, water use, water used, consumption of water, volume pumped, \
             water pumped, pumped, pumped volume, water, m3, delivered, delivery, total flow, \
             daily flow, flow total, water volume, pump water, water delivered, deliver, output, \
             production, produced, lifted, supplied, water moved, day total, much water, moved, \
             much flow, flow volume",
        unit: "m³",
        usual: Fold::Total,
        station: &[
            (Days, Amount("total_flow")),
            (Hours, Amount("total_flow")),
            (Minutes, Amount("{flow} / 60.0")),
        ],
        pump: &[(
            Minutes,
            Amount("CASE WHEN p{p}_onoff = 1 THEN flow_per_pump END / 60.0"),
        )],
        ..MEASURE
    },
    Measure {
        column: "power_kw",
        name: "power",
        words: "power, power draw, draw, drawing, drew, load, kw, kilowatt, electrical power, power demand, \
             electric power, power consumption, power usage",
        unit: "kW",
        decimals: 1,
        station: &[(Minutes, same("total_kw"))],
        pump: &[(Minutes, same("CASE WHEN p{p}_onoff = 1 THEN p{p}_kwh END"))],
        ..MEASURE
    },
    Measure {
        column: "energy_kwh",
        name: "energy",
        words: "energy, kwh, consumption, electricity, consume, consumed, energy consumption, energy used, \
             energy use, energy usage, electricity consumption, electricity use, used energy, consumer, \
             energy consumer, power used, much power, current used, mwh, much electricity, consuming, \
             consumes, energy hungry, hungriest",
        unit: "kWh",
        usual: Fold::Total,
        station: &[
            (Days, Amount("total_kwh")),
            (Hours, Amount("total_kwh")),
            (Minutes, Amount("total_kw / 60.0")),
        ],
        pump: &[
            (Health, Amount("total_runtime_min * avg_kwh / 60.0")),
            (Minutes, Amount("p{p}_kwh / 60.0")),
        ],
        more_is_better: Some(false),
        ..MEASURE
    },
    Measure {
        column: "run_min",
        name: "running time",
        words: "run, ran, running, runtime, run time, running time, operate, operated, operating, \
             operation, hour on, running hour, run hour, operating hour, pump hour, on time, \
             in operation, work, worked, working, active, idle, use, used, utilisation, utilization, \
             duty, busy, busiest, laziest, utilised",
        unit: "h",
        usual: Fold::Total,
        pump: &[
            (Health, Amount("total_runtime_min")),
            (Hours, Amount("p{p}_on_minutes")),
            (Minutes, Amount("coalesce(p{p}_onoff, 0)")),
        ],
        ..MEASURE
    },
    Measure {
        column: "running_pct",
        name: "share of time running",
        words: "percentage of the time, share of the time, utilisation rate, utilization rate, duty cycle, uptime",
        unit: "%",
        decimals: 1,
        pump: &[(Minutes, same("100.0 * p{p}_onoff"))],
        ..MEASURE
    },
    Measure {
        column: "starts",
        name: "start",
        words: "start, started, starting, switching, switch, switched, switched on, cycle, pump start, \
             number of start, kick in, turn on, switching frequency, switching operation, on cycle, \
             cycled, restart, activation, begin, pump cycle, come on, came on, switch on, turned on",
        usual: Fold::Total,
        pump: &[(Health, Amount("start_count")), (Sessions, Amount("1"))],
        more_is_better: Some(false),
        ..MEASURE
    },
    Measure {
        column: "stops",
        name: "stop",
        words: "stop, stopped, switched off, turned off, switch off, turn off",
        usual: Fold::Total,
        pump: &[(Health, Amount("stop_count")), (Ends, Amount("1"))],
        ..MEASURE
    },
    Measure {
        column: "short_cycles",
        name: "short cycle",
        words: "short cycle, short run, short cycling, short cycled, cycling, short session",
        usual: Fold::Total,
        pump: &[(Sessions, Amount("is_short_cycle"))],
        more_is_better: Some(false),
        ..MEASURE
    },
    Measure {
        column: "run_length_min",
        name: "run",
        words: "run length, length of a run, length of run, single run, longest run, shortest run, \
             average run, run duration, session, pump session, session length, session duration, \
             cycle length, uninterrupted run, continuous run, longest session, run last, longest cycle, \
             mean run, average session, long is a run, without a break, without stopping, at a stretch, \
             non stop, in one go",
        unit: "h",
        station: &[(Sessions, same("duration_min"))],
        pump: &[(Sessions, same("duration_min"))],
        ..MEASURE
    },
    Measure {
        column: "pumps_on",
        name: "number of running pumps",
        words: "pumps on, number of pump running, number of pump on, number of pump active, \
             number of pump operating, pump in operation, pump at once, pump together, \
             number of running pump, pump at the same time, pump simultaneously, simultaneous pump",
        unit: "pumps",
        decimals: 1,
        station: &[
            (Minutes, same("pumps_on_count")),
            (Hours, Gauge("avg_pumps_on", "", "")),
            (Days, Gauge("avg_pumps_on", "", "peak_pumps_on")),
        ],
        ..MEASURE
    },
    Measure {
        column: "kwh_per_m3",
        name: "energy per m³",
        words: "energy per m3, kwh per m3, kwh/m3, specific energy, energy intensity, energy per cubic, \
             specific consumption, energy per cubic m3, consumption per m3, consumption per cubic m3, \
             energy consumption per cubic m3, energy consumption per m3, energy use per m3, \
             energy used per m3, electricity consumption per m3, specific energy consumption, \
             energy per unit, kwh per cubic m3, electricity per m3, electricity per cubic m3, \
             energy for each m3, kwh for each m3, power per m3",
        unit: "kWh/m³",
        decimals: 3,
        station: &[
            (Days, Ratio("total_kwh", "total_flow")),
            (Hours, Ratio("total_kwh", "total_flow")),
            (Minutes, Ratio("total_kw", "{flow}")),
        ],
        more_is_better: Some(false),
        ..MEASURE
    },
    Measure {
        column: "m3_per_kwh",
        name: "efficiency",
        words: "efficiency, efficient, m3 per kwh, delivered per kwh, water delivered per kwh, \
             pumped per kwh, volume per kwh, water per kwh, water pumped per kwh, m3/kwh, \
             pump efficiency, efficiently, inefficient, water per kwh, cubic m3 per kwh, performing, \
             performance, perform",
        unit: "m³/kWh",
        decimals: 2,
        station: &[
            (Days, Ratio("total_flow", "total_kwh")),
            (Hours, Ratio("total_flow", "total_kwh")),
            (Minutes, Ratio("{flow}", "total_kw")),
        ],
        pump: &[
            (
                Health,
                Ratio(
                    "avg_flow_per_kwh * total_runtime_min * avg_kwh",
                    "CASE WHEN avg_flow_per_kwh IS NOT NULL THEN total_runtime_min * avg_kwh END",
                ),
            ),
            (
                Minutes,
                Ratio(
                    "CASE WHEN p{p}_onoff = 1 THEN flow_per_pump END",
                    "CASE WHEN p{p}_onoff = 1 THEN p{p}_kwh END",
                ),
            ),
        ],
        more_is_better: Some(true),
        ..MEASURE
    },
    Measure {
        column: "flow_per_pump_m3h",
        name: "flow for each running pump",
        words: "flow per pump, flow per running pump, flow for each pump",
        unit: "m³/h",
        decimals: 1,
        station: &[(Minutes, same("flow_per_pump"))],
        ..MEASURE
    },
    Measure {
        column: "health_score",
        name: "health score",
        words: "health, health score, score, pump health, healthy, healthiest, sick, sickest, unhealthy, \
             wear, worn, shape, in the worst condition, in the best condition, pump condition, weakest",
        unit: "of 100",
        decimals: 1,
        station: &[(Health, same("health_score"))],
        pump: &[(Health, same("health_score"))],
        target: Some(Target {
            above: 70.0,
            told: "the target is above 70",
        }),
        more_is_better: Some(true),
        ..MEASURE
    },
    Measure {
        column: "efficiency_slope",
        name: "efficiency slope over seven days",
        words: "efficiency slope, slope, efficiency trend, trend of efficiency, trend in efficiency, \
             trend of the efficiency, efficiency trending, losing efficiency, efficiency change, \
             degrading, degradation, getting worse, declining, decline, improving, efficiency improving, \
             efficiency falling, efficiency dropping, deteriorating, efficiency declining",
        unit: "m³/kWh a day",
        decimals: 4,
        station: &[(Health, same("efficiency_slope_7d"))],
        pump: &[(Health, same("efficiency_slope_7d"))],
        target: Some(Target {
            above: 0.0,
            told: "the target is above 0",
        }),
        more_is_better: Some(true),
        ..MEASURE
    },
    Measure {
        column: "tank_stability_pct",
        name: "tank stability",
        words: "stability, tank stability, stability index, tank stability index, stable, level stability, \
             tank stable",
        unit: "%",
        decimals: 1,
        station: &[(
            Minutes,
            same("CASE WHEN hlt_pct IS NOT NULL THEN 100.0 * (hlt_pct BETWEEN 20 AND 85) END"),
        )],
        target: Some(Target {
            above: 95.0,
            told: "the target is above 95 %",
        }),
        more_is_better: Some(true),
        ..MEASURE
    },
    Measure {
        column: "alerts",
        name: "alert",
        words: "alert, incident, warning, fault, problem, alert frequency, issue, failure, trouble, \
             malfunction",
        usual: Fold::Total,
        station: &[(Alerts, Amount("1"))],
        pump: &[(Alerts, Amount("1"))],
        more_is_better: Some(false),
        ..MEASURE
    },
    Measure {
        column: "savings_kwh_pct",
        name: "energy saved by the advice",
        words: "saving, save, saved, optimisation saving, optimization saving, energy saving, energy saved, \
             saving percentage",
        unit: "%",
        decimals: 1,
        station: &[(
            Savings,
            Ratio(
                "100.0 * (baseline_kwh - CASE WHEN savings_kwh_pct IS NOT NULL THEN metered_kwh END)",
                "CASE WHEN savings_kwh_pct IS NOT NULL THEN baseline_kwh END",
            ),
        )],
        target: Some(Target {
            above: 10.0,
            told: "the target is above 10 %",
        }),
        more_is_better: Some(true),
        ..MEASURE
    },
    Measure {
        column: "saved_cost",
        name: "money saved by the advice",
        words: "money saved, cost saving, cost saved, saved money, save money, money did we save, \
             saving in money",
        unit: "{currency}",
        decimals: 2,
        usual: Fold::Total,
        station: &[(Savings, Amount("baseline_cost - metered_cost"))],
        more_is_better: Some(true),
        ..MEASURE
    },
    Measure {
        column: "metered_cost",
        name: "energy cost as metered",
        words: "cost, energy cost, electricity cost, spend, spent, bill, money, paid, pay, \
             electricity bill, pumping cost, energy bill, costing",
        unit: "{currency}",
        decimals: 2,
        usual: Fold::Total,
        station: &[(Savings, Amount("metered_cost"))],
        more_is_better: Some(false),
        ..MEASURE
    },
    Measure {
        column: "rmse",
        name: "error of the forecasts (RMSE)",
        words: "rmse, forecast rmse, forecast error, error of the forecast, prediction error, \
             forecast accuracy, model error",
        decimals: 2,
        unit: "{target}",
        station: &[(Accuracy, same("rmse"))],
        more_is_better: Some(false),
        ..MEASURE
    },
    Measure {
        column: "counter_h",
        name: "running hours on the PLC's counter",
        words: "counter, hour counter, hour meter, running hour counter, runtime counter, rhr, lifetime hour",
        unit: "hours",
        usual: Fold::Max,
        pump: &[(Minutes, same("p{p}_rhr"))],
        ..MEASURE
    },
];
