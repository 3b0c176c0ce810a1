//! What is looked at when somebody asks: clocks, memory, the card.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use nvml_wrapper::Nvml;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use specmill_kernels::DeviceInfo;

use super::families::{self, Labels, MetricFamily};
use crate::stage::Stage;

/// Metrics that nobody counts.
#[derive(Debug, Default)]
pub(super) struct Sampled {
    stages: Mutex<Stages>,
    card: OnceLock<Option<Card>>,
    /// When results that are still to be loaded were made, by a hash of their unit.
    made: Mutex<HashMap<u64, SystemTime>>,
}

#[derive(Debug, Default)]
struct Stages {
    clocks: BTreeMap<Stage, Clock>,
    last: Option<Stage>,
}

#[derive(Debug, Clone, Copy)]
struct Clock {
    started: Instant,
    took: Option<Duration>,
}

/// A card that its driver's management library knows.
struct Card {
    nvml: Nvml,
    index: u32,
    /// `cuda:N`.
    device: String,
}

impl fmt::Debug for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Card")
            .field("device", &self.device)
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn hash(unit: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    unit.hash(&mut hasher);
    hasher.finish()
}

impl Sampled {
    pub(super) fn begin(&self, stage: Stage) {
        let mut stages = lock(&self.stages);
        stages.clocks.insert(stage, Clock { started: Instant::now(), took: None });
        stages.last = Some(stage);
    }

    pub(super) fn end(&self, stage: Stage) {
        if let Some(clock) = lock(&self.stages).clocks.get_mut(&stage) {
            clock.took.get_or_insert(clock.started.elapsed());
        }
    }

    /// The stage that began last.
    pub(super) fn last_stage(&self) -> Option<Stage> {
        lock(&self.stages).last
    }

    /// Looks at this device from now on, where it is a card.
    pub(super) fn watch(&self, device: &DeviceInfo) {
        // A process has one device.
        let _ = self.card.set(Card::open(device));
    }

    pub(super) fn made(&self, unit: &impl Hash, when: SystemTime) {
        lock(&self.made).insert(hash(unit), when);
    }

    pub(super) fn loaded(&self, unit: &impl Hash) {
        lock(&self.made).remove(&hash(unit));
    }

    /// Seconds since the oldest results that are still to be loaded were made.
    fn oldest_seconds(&self) -> Option<f64> {
        let oldest = lock(&self.made).values().min().copied()?;
        // Where the clock was set back in between they are new.
        Some(SystemTime::now().duration_since(oldest).unwrap_or_default().as_secs_f64())
    }
}

impl Card {
    /// The card behind `cuda:N`; `None` where there is none, or no library to ask.
    ///
    /// The library counts cards in the order of their bus, CUDA in that of its settings: where a machine has several
    /// of different kinds, one of another name than the device's is not taken for it.
    fn open(device: &DeviceInfo) -> Option<Self> {
        let ordinal: u32 = device.device.strip_prefix("cuda:")?.parse().ok()?;
        let nvml = Nvml::init().map_err(|error| tracing::debug!("no metrics of the card: {error}")).ok()?;
        let index = if nvml.device_count().ok()? == 1 { 0 } else { ordinal };
        let name = nvml.device_by_index(index).ok()?.name().ok()?;
        device.name.starts_with(&name).then(|| Self { nvml, index, device: device.device.clone() })
    }

    /// Each metric of the card that its driver tells.
    fn sample(&self) -> Vec<(&'static MetricFamily, f64)> {
        let Ok(card) = self.nvml.device_by_index(self.index) else { return Vec::new() };
        let mut samples = Vec::new();
        if let Ok(memory) = card.memory_info() {
            samples.push((&families::DEVICE_MEMORY_FREE, memory.free as f64));
            samples.push((&families::DEVICE_MEMORY_TOTAL, memory.total as f64));
        }
        if let Ok(utilization) = card.utilization_rates() {
            samples.push((&families::DEVICE_UTILIZATION, f64::from(utilization.gpu) / 100.0));
        }
        samples
    }
}

/// Resident memory of this process; `None` where the system does not say.
fn resident_bytes() -> Option<f64> {
    let text = fs_err::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? * 1024.0)
}

/// Writes the series of one family; nothing where it has none.
fn write(
    encoder: &mut DescriptorEncoder<'_>,
    family: &MetricFamily,
    series: impl IntoIterator<Item = (Labels, f64)>,
) -> fmt::Result {
    let mut series = series.into_iter().peekable();
    if series.peek().is_none() {
        return Ok(());
    }
    // A registered metric gets its full stop from the registry.
    let help = format!("{}.", family.help());
    let mut metric = encoder.encode_descriptor(family.name(), &help, None, family.kind())?;
    for (labels, value) in series {
        ConstGauge::new(value).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

impl Collector for Sampled {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        let clocks: Vec<(Stage, Clock)> =
            lock(&self.stages).clocks.iter().map(|(stage, clock)| (*stage, *clock)).collect();
        let seconds = clocks.iter().map(|(stage, clock)| {
            let took = clock.took.unwrap_or_else(|| clock.started.elapsed());
            (families::STAGE_SECONDS.labelled([stage.name()]), took.as_secs_f64())
        });
        write(encoder, &families::STAGE_SECONDS, seconds)?;
        let running = clocks.iter().map(|(stage, clock)| {
            (families::STAGE_RUNNING.labelled([stage.name()]), f64::from(u8::from(clock.took.is_none())))
        });
        write(encoder, &families::STAGE_RUNNING, running)?;
        let alone = |value: Option<f64>| value.map(|value| (Labels::new(), value));
        write(encoder, &families::LOAD_OLDEST_SECONDS, alone(self.oldest_seconds()))?;
        write(encoder, &families::RESIDENT_BYTES, alone(resident_bytes()))?;
        if let Some(Some(card)) = self.card.get() {
            for (family, value) in card.sample() {
                write(encoder, family, [(family.labelled([card.device.as_str()]), value)])?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_says_how_much_memory_the_process_has() {
        assert!(resident_bytes().unwrap() > f64::from(1 << 20));
    }

    #[test]
    fn the_age_of_what_is_to_be_loaded_is_that_of_the_oldest() {
        let sampled = Sampled::default();
        assert_eq!(sampled.oldest_seconds(), None);
        let ago = |seconds| SystemTime::now() - Duration::from_secs(seconds);
        sampled.made(&"new", ago(10));
        sampled.made(&"old", ago(1000));
        assert!(sampled.oldest_seconds().unwrap() >= 1000.0);
        sampled.loaded(&"old");
        assert!((10.0..500.0).contains(&sampled.oldest_seconds().unwrap()));
        sampled.loaded(&"new");
        assert_eq!(sampled.oldest_seconds(), None);
    }
}
