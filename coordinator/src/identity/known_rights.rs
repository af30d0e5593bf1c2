//! What users may do, remembered for as long as the rules stay the same.

use parking_lot::Mutex;
use skep_catalog::model::AccessRules;
use skep_catalog::{CatalogSnapshot, EnabledRoles, Rights};
use std::sync::Arc;

/// For how many users, with the roles that they have enabled, it is remembered what they may do.
const REMEMBERED_MAX: usize = 256;

/// What follows from the rules for those who have asked last.
#[derive(Default)]
pub(crate) struct KnownRights(Mutex<Vec<Known>>);

struct Known {
    /// What it follows from. Snapshots share it for as long as it stays the same.
    rules: Arc<AccessRules>,
    is_admin: bool,
    user: String,
    enabled: EnabledRoles,
    rights: Arc<Rights>,
}

impl KnownRights {
    /// What `user` may do in `snapshot` with those of their roles.
    pub(crate) fn of(
        &self,
        snapshot: &CatalogSnapshot,
        user: &str,
        enabled: &EnabledRoles,
    ) -> Arc<Rights> {
        let rules = snapshot.access();
        let is_admin = snapshot.user(user).is_ok_and(|user| user.admin);
        let mut known = self.0.lock();
        let is_meant = |known: &Known| {
            known.user == user && known.enabled == *enabled && known.is_admin == is_admin
        };
        let found = known.iter().find(|known| is_meant(known));
        if let Some(found) = found.filter(|found| Arc::ptr_eq(&found.rules, rules)) {
            return Arc::clone(&found.rights);
        }
        let rights = Arc::new(Rights::of(snapshot, user, enabled));
        known.retain(|known| Arc::ptr_eq(&known.rules, rules) && !is_meant(known));
        known.truncate(REMEMBERED_MAX - 1);
        known.push(Known {
            rules: Arc::clone(rules),
            is_admin,
            user: user.to_owned(),
            enabled: enabled.clone(),
            rights: Arc::clone(&rights),
        });
        rights
    }
}
