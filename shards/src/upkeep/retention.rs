//! Retention: what a log's configuration no longer keeps goes from its start.

use crate::api::LogId;
use crate::canary::{self, Canary};
use crate::index::ExtentIndex;
use crate::shard::Shard;

impl Shard {
    pub(super) fn retain(&mut self) {
        let expires = self.now_ms >= self.upkeep.age_check_at;
        let wall_ms = expires.then_some(self.wall_ms);
        let due: Vec<(LogId, u64)> = self
            .logs
            .iter()
            .filter_map(|(&log, state)| Some((log, retained_from(state, wall_ms)?)))
            .collect();
        if expires {
            self.upkeep.age_check_at = self.now_ms + self.config.age_check_ms;
            self.logs.values_mut().for_each(|state| state.age_checked = state.end);
        }
        for (log, start) in due {
            if let Err(error) = self.move_start(log, start, false) {
                tracing::debug!(log, %error, "retention waits");
                return;
            }
        }
    }
}

/// The start that a log's retention asks for, if it is past the present one: whole extents go, or in segments that
/// are not sealed whole runs. Time counts only when `wall_ms` is given.
fn retained_from(state: &crate::index::Log, wall_ms: Option<u64>) -> Option<u64> {
    let config = &state.config;
    if config.retention_ms.is_none() && config.retention_bytes.is_none() {
        return None;
    }
    let oldest_kept = wall_ms.zip(config.retention_ms).map(|(now, ms)| now.saturating_sub(ms) as i64);
    let expired =
        |end, max_timestamp| end <= state.age_checked && oldest_kept.is_some_and(|t| max_timestamp < t);
    let total: u64 = state.extents.iter().map(|e| e.bytes).sum();
    let mut excess = config.retention_bytes.map_or(0, |keep| total.saturating_sub(keep));
    let mut start = state.start;
    for extent in &state.extents {
        let old = expired(extent.end, extent.max_timestamp);
        let over = excess >= extent.bytes || excess > 0 && canary::on(Canary::RetainTooLittle);
        if old || over {
            excess = excess.saturating_sub(extent.bytes);
            start = extent.end;
            continue;
        }
        if let ExtentIndex::Open(runs) = &extent.index {
            for run in runs {
                let end = extent.base + u64::from(run.offset_delta) + u64::from(run.records);
                let over = excess >= u64::from(run.bytes);
                if !expired(end, run.max_timestamp) && !over {
                    break;
                }
                excess = excess.saturating_sub(run.bytes.into());
                start = end;
            }
        }
        break;
    }
    let start = start.min(state.high_watermark);
    (start > state.start).then_some(start)
}
