//! The rules in force, and those that take their place when they are loaded anew.

use crate::config::Detect;
use crate::detect::{Sigma, Sources, load};
use std::sync::{Mutex, PoisonError};

/// Loads rules for whoever judges by them.
pub(super) struct Rules {
    settings: Detect,
    fresh: Mutex<Option<Sigma>>,
}

impl Rules {
    /// Loads the rules that the settings name. What is wrong is said; the rest counts.
    pub(super) fn load(settings: &Detect) -> Self {
        let rules = Self {
            settings: settings.clone(),
            fresh: Mutex::new(None),
        };
        rules.reload();
        rules
    }

    /// Loads them anew. When not one is left, those that are in force stay.
    pub(super) fn reload(&self) {
        let loaded = load(&Sources::from(&self.settings));
        for problem in &loaded.problems {
            tracing::warn!("{problem}");
        }
        let rules = loaded.sigma.rules();
        if rules == 0 {
            tracing::error!("no rule could be loaded: nothing new is judged by");
            return;
        }
        tracing::info!(
            "{rules} rules and {} exceptions are in force",
            loaded.exceptions.len()
        );
        *self.fresh.lock().unwrap_or_else(PoisonError::into_inner) = Some(loaded.sigma);
    }

    /// Rules that were loaded since this was last asked.
    pub(super) fn take(&self) -> Option<Sigma> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
