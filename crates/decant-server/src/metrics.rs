//! What is counted and timed, as Prometheus reads it.

mod times;

pub use times::Times;

use crate::app::Serving;
use crate::scheduler::Stats;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// Method, route and status. The route is the router's pattern, so that nobody makes up new ones.
type Answered = [(&'static str, String); 3];

/// What is counted and timed.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    answered: Family<Answered, Counter>,
    seconds: Histogram,
    cut: Counter,
    /// How many requests are under way, streams included.
    pub open: Gauge,
    /// What listeners were told, and when.
    pub times: Times,
}

impl Metrics {
    /// Nothing counted yet; the scheduler is asked for its own numbers once it is there.
    pub fn new(serving: Arc<OnceLock<Serving>>) -> Self {
        let mut registry = Registry::with_prefix("decant");
        let (answered, cut, open) = (Family::<Answered, Counter>::default(), Counter::default(), Gauge::default());
        let seconds = Histogram::new(exponential_buckets(0.001, 2.0, 18)); // 1 ms to 2 minutes
        let times = Times::default();
        registry.register("http_requests", "Requests that are over", answered.clone());
        registry.register("http_requests_cut", "Requests whose client went away before the end", cut.clone());
        registry.register("http_requests_open", "Requests under way", open.clone());
        registry.register_with_unit("http_request", "Until the last byte", Unit::Seconds, seconds.clone());
        registry.register_with_unit(
            "time_to_first_token",
            "From a job's submission to the first token of each choice",
            Unit::Seconds,
            times.first.clone(),
        );
        registry.register_with_unit(
            "time_per_token",
            "Between two tokens of a choice, by strategies that stream",
            Unit::Seconds,
            times.between.clone(),
        );
        registry.register_collector(Box::new(Scheduler(serving)));
        Metrics { registry, answered, seconds, cut, open, times }
    }

    /// Counts a request that is over; `whole` unless its client went away before the last byte.
    pub fn ended(&self, method: &str, route: &str, status: u16, seconds: f64, whole: bool) {
        let labels = [("method", method.into()), ("route", route.into()), ("status", status.to_string())];
        self.answered.get_or_create(&labels).inc();
        self.seconds.observe(seconds);
        if !whole {
            self.cut.inc();
        }
    }

    /// All of it, in the text format of OpenMetrics, which Prometheus reads.
    ///
    /// # Errors
    /// Never, but the formatter's signature has one.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// The scheduler's own numbers, asked for when somebody looks.
struct Scheduler(Arc<OnceLock<Serving>>);

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scheduler")
    }
}

impl Collector for Scheduler {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let stats = self.0.get().map(|serving| serving.scheduler.stats()).unwrap_or_default();
        for (name, help, value) in gauges(&stats) {
            let gauge = ConstGauge::new(value as i64);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        for (name, help, value) in counters(&stats) {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        for (name, help, value) in seconds(&stats) {
            let counter = ConstCounter::new(value);
            let metric = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), counter.metric_type())?;
            counter.encode(metric)?;
        }
        Ok(())
    }
}

fn gauges(stats: &Stats) -> [(&'static str, &'static str, usize); 3] {
    [
        ("jobs_waiting", "Jobs that wait", stats.waiting),
        ("sequences_live", "Texts that are live", stats.live),
        ("cached_positions", "Positions that live texts and kept prefixes hold in caches", stats.cached),
    ]
}

fn counters(stats: &Stats) -> [(&'static str, &'static str, u64); 7] {
    [
        ("jobs", "Jobs taken", stats.jobs),
        ("texts_cancelled", "Prompts and texts that nobody listened to any more", stats.cancelled),
        ("prompt_tokens", "Tokens of prompts", stats.prompt_tokens),
        ("prompt_tokens_found", "Tokens of prompts found in kept caches", stats.prompt_tokens_found),
        ("generated_tokens", "Tokens drawn or decided", stats.generated_tokens),
        ("steps", "Batches fed", stats.steps),
        ("step_sequences", "Sequences in the batches, summed", stats.batched),
    ]
}

fn seconds(stats: &Stats) -> [(&'static str, &'static str, f64); 2] {
    [
        ("step", "Time spent in batches", stats.step_seconds),
        ("sampling", "Time spent in samplers", stats.sampling_seconds),
    ]
}
