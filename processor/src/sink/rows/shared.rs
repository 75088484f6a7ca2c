//! The state that the writers of rows share.

use std::sync::Arc;

use super::phase::Phase;
use super::store::RowStore;
use crate::config;
use crate::sink::stats::Stats;

/// The state that the writers of both kinds and the facts share.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) store: Arc<dyn RowStore>,
    pub(super) tables: Arc<config::Tables>,
    pub(super) stats: Arc<Stats>,
    pub(super) phase: Phase,
}
