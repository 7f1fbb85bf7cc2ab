//! Level-staged pump control with duty rotation.

use super::station::{ControlSettings, PUMPS};

/// Time over which the use of a pump is forgotten, minutes. Finite, so that a pump that
/// ran on for a day is not left out for a week.
const USE_MEMORY_MINUTES: f64 = 2880.0;
/// Highest stage at which a pump is handed over, since that runs one pump more for a while.
const HAND_OVER_MAX_STAGE: usize = 3;

/// What a fault demands of one pump.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Hold {
    /// The level control decides.
    #[default]
    Auto,
    /// The pump runs whatever the level.
    On,
    /// The pump rests whatever the level.
    Off,
}

/// Demands on the control for one minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Orders {
    /// Hold of each pump.
    pub hold: [Hold; PUMPS],
    /// Pumps taken first and released last by the level control.
    pub prefer: [bool; PUMPS],
}

/// State of the control.
#[derive(Debug, Clone)]
pub struct Control {
    settings: ControlSettings,
    on: [bool; PUMPS],
    /// Minutes each pump has been in its present state.
    in_state_minutes: [u32; PUMPS],
    /// Share of the last days each pump has run, 0 to 1: the least used one is next.
    recent_use: [f64; PUMPS],
    stage: usize,
    since_stage_minutes: u32,
}

impl Control {
    /// All pumps off and rested, pump 1 first in the rotation.
    pub fn new(settings: ControlSettings) -> Self {
        Self {
            on: [false; PUMPS],
            in_state_minutes: [settings.min_rest_minutes; PUMPS],
            recent_use: [0.0; PUMPS],
            stage: 0,
            since_stage_minutes: settings.stage_delay_minutes,
            settings,
        }
    }

    /// Which pumps are commanded on.
    pub fn on(&self) -> [bool; PUMPS] {
        self.on
    }

    /// The `count` pumps most in duty: running ones first, then the least used.
    pub fn lead_pumps(&self, count: usize) -> Vec<usize> {
        let mut pumps: Vec<usize> = (0..PUMPS).collect();
        pumps.sort_by(|&a, &b| {
            let duty = self.on[b].cmp(&self.on[a]);
            duty.then_with(|| self.recent_use[a].total_cmp(&self.recent_use[b]))
        });
        pumps.truncate(count);
        pumps
    }

    /// Starts a pump by hand; the level control keeps or stops it afterwards.
    pub fn call(&mut self, pump: usize) {
        self.set(pump, true);
        self.stage = self.stage.max(1);
    }

    /// Decides the next minute from the tank level, percent of the full tank.
    pub fn step(&mut self, level_percent: f64, orders: &Orders) {
        for minutes in &mut self.in_state_minutes {
            *minutes = minutes.saturating_add(1);
        }
        for (share, on) in self.recent_use.iter_mut().zip(self.on) {
            *share += (f64::from(u8::from(on)) - *share) / USE_MEMORY_MINUTES;
        }
        self.choose_stage(level_percent);
        for pump in 0..PUMPS {
            match orders.hold[pump] {
                Hold::Auto => {}
                Hold::On => self.set(pump, true),
                Hold::Off => self.set(pump, false),
            }
        }
        let running = self.on.iter().filter(|on| **on).count();
        if let Some(pump) = self.missing_preferred(orders) {
            self.set(pump, true);
        } else if running < self.stage {
            self.start_next(orders);
        } else if running > self.stage {
            self.stop_next(orders);
        } else if self.duty_change_due(orders) {
            // One pump more than the stage asks for: the next minute stops the oldest.
            self.start_next(orders);
        }
    }

    fn choose_stage(&mut self, level_percent: f64) {
        self.since_stage_minutes = self.since_stage_minutes.saturating_add(1);
        if self.since_stage_minutes < self.settings.stage_delay_minutes {
            return;
        }
        if self.stage < PUMPS && level_percent < self.settings.start_level_percent[self.stage] {
            self.stage += 1;
        } else if self.stage > 0 && level_percent > self.settings.stop_level_percent[self.stage - 1]
        {
            self.stage -= 1;
        } else {
            return;
        }
        self.since_stage_minutes = 0;
    }

    fn missing_preferred(&self, orders: &Orders) -> Option<usize> {
        (0..PUMPS).find(|&pump| {
            self.stage > 0
                && orders.prefer[pump]
                && orders.hold[pump] == Hold::Auto
                && !self.on[pump]
                && self.in_state_minutes[pump] >= self.settings.min_rest_minutes
        })
    }

    fn start_next(&mut self, orders: &Orders) {
        let next = (0..PUMPS)
            .filter(|&pump| {
                orders.hold[pump] == Hold::Auto
                    && !self.on[pump]
                    && self.in_state_minutes[pump] >= self.settings.min_rest_minutes
            })
            .min_by(|&a, &b| self.recent_use[a].total_cmp(&self.recent_use[b]));
        if let Some(pump) = next {
            self.set(pump, true);
        }
    }

    fn stop_next(&mut self, orders: &Orders) {
        let next = (0..PUMPS)
            .filter(|&pump| {
                orders.hold[pump] == Hold::Auto
                    && self.on[pump]
                    && self.in_state_minutes[pump] >= self.settings.min_run_minutes
            })
            .min_by_key(|&pump| {
                (
                    orders.prefer[pump],
                    std::cmp::Reverse(self.in_state_minutes[pump]),
                )
            });
        if let Some(pump) = next {
            self.set(pump, false);
        }
    }

    fn duty_change_due(&self, orders: &Orders) -> bool {
        let overdue = |pump: usize| {
            orders.hold[pump] == Hold::Auto
                && !orders.prefer[pump]
                && self.on[pump]
                && self.in_state_minutes[pump] >= self.settings.duty_change_minutes
        };
        self.stage <= HAND_OVER_MAX_STAGE && (0..PUMPS).any(overdue)
    }

    fn set(&mut self, pump: usize, on: bool) {
        if self.on[pump] != on {
            self.on[pump] = on;
            self.in_state_minutes[pump] = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(control: &Control) -> usize {
        control.on().iter().filter(|on| **on).count()
    }

    fn settle(control: &mut Control, level_percent: f64, orders: &Orders, minutes: u32) {
        for _ in 0..minutes {
            control.step(level_percent, orders);
        }
    }

    #[test]
    fn stages_follow_the_level_with_hysteresis() {
        let mut control = Control::new(ControlSettings::default());
        let orders = Orders::default();
        settle(&mut control, 85.0, &orders, 60);
        assert_eq!(running(&control), 0);
        settle(&mut control, 75.0, &orders, 60);
        assert_eq!(running(&control), 1);
        settle(&mut control, 68.0, &orders, 60);
        assert_eq!(running(&control), 2);
        settle(&mut control, 76.0, &orders, 60);
        assert_eq!(running(&control), 2);
        settle(&mut control, 95.0, &orders, 60);
        assert_eq!(running(&control), 0);
    }

    #[test]
    fn rotation_uses_all_pumps() {
        let mut control = Control::new(ControlSettings::default());
        let mut started = [0; PUMPS];
        for _ in 0..12 {
            let before = control.on();
            settle(&mut control, 75.0, &Orders::default(), 30);
            for pump in 0..PUMPS {
                started[pump] += u32::from(control.on()[pump] && !before[pump]);
            }
            settle(&mut control, 95.0, &Orders::default(), 30);
        }
        assert_eq!(started, [2; PUMPS]);
    }

    #[test]
    fn a_long_run_is_handed_over() {
        let mut control = Control::new(ControlSettings::default());
        let mut run_minutes = [0_u32; PUMPS];
        for _ in 0..3000 {
            control.step(
                80.0 - f64::from(u8::from(running(&control) == 0)) * 5.0,
                &Orders::default(),
            );
            for (minutes, on) in run_minutes.iter_mut().zip(control.on()) {
                *minutes = if on { *minutes + 1 } else { 0 };
                assert!(*minutes < 125);
            }
        }
        assert_eq!(running(&control), 1);
    }

    #[test]
    fn holds_override_the_level() {
        let mut control = Control::new(ControlSettings::default());
        let mut orders = Orders::default();
        orders.hold[3] = Hold::On;
        settle(&mut control, 99.0, &orders, 30);
        assert_eq!(control.on(), [false, false, false, true, false, false]);
        orders.hold = [Hold::Off; PUMPS];
        settle(&mut control, 20.0, &orders, 90);
        assert_eq!(running(&control), 0);
    }

    #[test]
    fn a_preferred_pump_leads() {
        let mut control = Control::new(ControlSettings::default());
        let mut orders = Orders::default();
        orders.prefer[4] = true;
        settle(&mut control, 75.0, &orders, 40);
        assert_eq!(control.on(), [false, false, false, false, true, false]);
        assert_eq!(control.lead_pumps(2), vec![4, 0]);
    }
}
