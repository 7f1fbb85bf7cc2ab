//! From the outbox to the broker.

use crate::{config::Config, store::outbox::Face};

/// How a station with this config shows itself; `None` without a broker.
pub fn face(config: &Config) -> Option<Face> {
    config.mqtt.as_ref().map(|mqtt| Face {
        site: config.site_id.clone(),
        base: format!("{}/{}", mqtt.prefix, config.site_id),
    })
}
