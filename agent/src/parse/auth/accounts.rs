//! Accounts and groups, as shadow's tools report them.

use AuthAction::{
    ExpiryChanged, GroupAdded, GroupChanged, GroupDeleted, PasswordChanged, UserAdded, UserChanged,
    UserDeleted,
};
use picket_common::event::{AuthAction, AuthEvent, Outcome};

pub(super) fn message(program: &str, text: &str) -> Option<AuthEvent> {
    let new = |action, user: Option<&str>, group: Option<&str>| {
        let mut event = AuthEvent::new(action, Outcome::Success, program);
        event.target_user = user.map(Into::into);
        event.group = group.map(Into::into);
        event
    };
    if let Some(rest) = text.strip_prefix("new user: name=") {
        return Some(new(UserAdded, Some(rest.split_once(", ")?.0), None));
    }
    if let Some(rest) = text.strip_prefix("new group: name=") {
        return Some(new(GroupAdded, None, Some(rest.split_once(", ")?.0)));
    }
    if let Some((user, _)) = text
        .strip_prefix("failed adding user '")
        .and_then(|rest| rest.rsplit_once('\''))
    {
        let mut event = new(UserAdded, Some(user), None);
        event.outcome = Outcome::Failure;
        return Some(event);
    }
    // `add 'bob' to group 'sudo'`, `delete 'bob' from group 'sudo'`; `to shadow group` repeats the first.
    for (verb, joint) in [("add '", "' to group '"), ("delete '", "' from group '")] {
        if let Some((user, group)) = text.strip_prefix(verb).and_then(|rest| rest.split_once(joint)) {
            let mut event = new(GroupChanged, Some(user), Some(group.strip_suffix('\'')?));
            event.reason = Some(verb.trim_end_matches(" '").into());
            return Some(event);
        }
    }
    if let Some(user) = text.strip_prefix("delete user '") {
        return Some(new(UserDeleted, Some(user.strip_suffix('\'')?), None));
    }
    if let Some((group, _)) = text
        .strip_prefix("removed group '")
        .and_then(|rest| rest.split_once("' owned by '"))
    {
        return Some(new(GroupDeleted, None, Some(group)));
    }
    if let Some(group) = text
        .strip_prefix("group '")
        .and_then(|rest| rest.strip_suffix("' removed"))
    {
        return Some(new(GroupDeleted, None, Some(group)));
    }
    if let Some(rest) = text.strip_prefix("group changed in /etc/group (group ") {
        let end = rest.find(['/', ',', ')'])?;
        return Some(new(GroupChanged, None, rest.get(..end)));
    }
    for verb in [
        "change user '",
        "lock user '",
        "unlock user '",
        "change user name '",
    ] {
        if let Some((user, what)) = text.strip_prefix(verb).and_then(|rest| rest.split_once('\'')) {
            let mut event = new(UserChanged, Some(user), None);
            let what = what.trim_start();
            event.reason = Some(
                if verb.starts_with("change") {
                    what
                } else {
                    verb.trim_end_matches(" '")
                }
                .into(),
            );
            return Some(event);
        }
    }
    if let Some((user, by)) = text
        .strip_prefix("password for '")
        .and_then(|rest| rest.split_once("' changed by '"))
    {
        let mut event = new(PasswordChanged, Some(user), None);
        event.user = Some(by.strip_suffix('\'')?.into());
        return Some(event);
    }
    if let Some(user) = text.strip_prefix("changed password expiry for ") {
        return Some(new(ExpiryChanged, Some(user), None));
    }
    // gpasswd: `user bob added by root to group sudo`
    let (user, rest) = text.strip_prefix("user ")?.split_once(' ')?;
    let (verb, rest) = rest.split_once(" by ")?;
    let (by, group) = rest
        .split_once(" to group ")
        .or_else(|| rest.split_once(" from group "))?;
    let mut event = new(GroupChanged, Some(user), Some(group));
    event.user = Some(by.into());
    event.reason = Some(verb.into());
    Some(event)
}
