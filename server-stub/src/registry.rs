//! Who may send: tokens that let a host in, and the hosts that were let in.

use crate::authority::hex;
use picket_common::time::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::path::Path;
use std::time::Duration;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS tokens(
        id TEXT PRIMARY KEY, hash BLOB NOT NULL, uses INTEGER NOT NULL, expires INTEGER NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS agents(
        id TEXT PRIMARY KEY, host TEXT NOT NULL, enrolled INTEGER NOT NULL, seen INTEGER, revoked INTEGER,
        token TEXT NOT NULL) STRICT;";

/// Why a host is not let in, or the registry cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The database.
    #[error("registry: {0}")]
    Database(#[from] rusqlite::Error),
    /// The token.
    #[error("the token is {0}; make another with `picket-collector token create`")]
    Token(&'static str),
    /// No such thing.
    #[error("there is no {0} '{1}'")]
    Unknown(&'static str, String),
}

/// A host that was let in.
#[derive(Clone, Debug, Serialize)]
pub struct Agent {
    /// Its id: the common name of its certificate.
    pub id: String,
    /// Its name, by its own account.
    pub host: String,
    /// When it was let in.
    pub enrolled: Timestamp,
    /// When it last sent something.
    pub seen: Option<Timestamp>,
    /// When it was shut out.
    pub revoked: Option<Timestamp>,
}

/// A token as it is kept: without its secret.
#[derive(Clone, Debug, Serialize)]
pub struct TokenRow {
    /// Its id, the token's second part.
    pub id: String,
    /// How many hosts it still lets in.
    pub uses: u32,
    /// Until when.
    pub expires: Timestamp,
}

/// See the module.
pub struct Registry {
    database: Connection,
}

impl Registry {
    /// Opens the registry in `folder`.
    pub fn open(folder: &Path) -> Result<Self, RegistryError> {
        let database = Connection::open(folder.join("registry.db"))?;
        database.busy_timeout(Duration::from_secs(10))?;
        database.pragma_update(None, "journal_mode", "wal")?;
        database.execute_batch(SCHEMA)?;
        Ok(Self { database })
    }

    /// Makes a token that lets `uses` hosts in within `life`; `pin` names the authority.
    pub fn create_token(&mut self, uses: u32, life: Duration, pin: &str) -> Result<String, RegistryError> {
        let id = hex(uuid::Uuid::new_v4().as_bytes())
            .chars()
            .take(12)
            .collect::<String>();
        let secret = hex(uuid::Uuid::new_v4().as_bytes()) + &hex(uuid::Uuid::new_v4().as_bytes());
        self.database.execute(
            "INSERT INTO tokens VALUES (?1, ?2, ?3, ?4)",
            params![id, hash(&secret), uses, now().plus(life).as_micros()],
        )?;
        Ok(format!("picket1.{id}.{secret}.{pin}"))
    }

    /// All tokens.
    pub fn tokens(&self) -> Result<Vec<TokenRow>, RegistryError> {
        let mut query = self
            .database
            .prepare("SELECT id, uses, expires FROM tokens ORDER BY expires")?;
        let rows = query.query_map([], |row| {
            Ok(TokenRow {
                id: row.get(0)?,
                uses: row.get(1)?,
                expires: Timestamp::from_micros(row.get(2)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// A token lets nobody in any more.
    pub fn revoke_token(&mut self, id: &str) -> Result<(), RegistryError> {
        match self.database.execute("DELETE FROM tokens WHERE id = ?1", [id])? {
            0 => Err(RegistryError::Unknown("token", id.to_owned())),
            _ => Ok(()),
        }
    }

    /// Takes one use of a token and lets a host in. Gives its id.
    pub fn enroll(&mut self, token: &str, host: &str) -> Result<String, RegistryError> {
        let mut parts = token.split('.');
        let (Some("picket1"), Some(id), Some(secret)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(RegistryError::Token("no token"));
        };
        let change = self
            .database
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let row = change
            .query_row(
                "SELECT hash, uses, expires FROM tokens WHERE id = ?1",
                [id],
                |row| {
                    Ok((
                        row.get::<_, Vec<u8>>(0)?,
                        row.get::<_, u32>(1)?,
                        row.get::<_, i64>(2)?,
                    ))
                },
            )
            .optional()?;
        let Some((kept, uses, expires)) = row else {
            return Err(RegistryError::Token("unknown"));
        };
        // Both sides are hashes: what the time of a comparison tells of them is of no use.
        if kept != hash(secret) {
            return Err(RegistryError::Token("unknown"));
        }
        if expires <= now().as_micros() {
            return Err(RegistryError::Token("expired"));
        }
        if uses == 0 {
            return Err(RegistryError::Token("used"));
        }
        change.execute("UPDATE tokens SET uses = uses - 1 WHERE id = ?1", [id])?;
        let agent = uuid::Uuid::new_v4().to_string();
        let host: String = host.chars().filter(|sign| !sign.is_control()).take(253).collect();
        change.execute(
            "INSERT INTO agents VALUES (?1, ?2, ?3, NULL, NULL, ?4)",
            params![agent, host, now().as_micros(), id],
        )?;
        change.commit()?;
        Ok(agent)
    }

    /// Whether an agent may send. Looked up for each request, so that a revocation holds at once.
    pub fn admits(&self, agent: &str) -> Result<bool, RegistryError> {
        let mut query = self
            .database
            .prepare_cached("SELECT revoked IS NULL FROM agents WHERE id = ?1")?;
        Ok(query
            .query_row([agent], |row| row.get(0))
            .optional()?
            .unwrap_or(false))
    }

    /// Notes that an agent has sent something.
    pub fn saw(&self, agent: &str) -> Result<(), RegistryError> {
        // At most once a minute: this is for people, and each change is a sync.
        self.database
            .prepare_cached("UPDATE agents SET seen = ?2 WHERE id = ?1 AND ifnull(seen, 0) < ?2 - 60000000")?
            .execute(params![agent, now().as_micros()])?;
        Ok(())
    }

    /// All hosts that were ever let in.
    pub fn agents(&self) -> Result<Vec<Agent>, RegistryError> {
        let mut query = self
            .database
            .prepare("SELECT id, host, enrolled, seen, revoked FROM agents ORDER BY host, enrolled")?;
        let rows = query.query_map([], |row| {
            Ok(Agent {
                id: row.get(0)?,
                host: row.get(1)?,
                enrolled: Timestamp::from_micros(row.get(2)?),
                seen: row.get::<_, Option<i64>>(3)?.map(Timestamp::from_micros),
                revoked: row.get::<_, Option<i64>>(4)?.map(Timestamp::from_micros),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Shuts a host out, at once.
    pub fn revoke_agent(&mut self, id: &str) -> Result<(), RegistryError> {
        let changed = self.database.execute(
            "UPDATE agents SET revoked = ifnull(revoked, ?2) WHERE id = ?1",
            params![id, now().as_micros()],
        )?;
        match changed {
            0 => Err(RegistryError::Unknown("agent", id.to_owned())),
            _ => Ok(()),
        }
    }
}

fn hash(secret: &str) -> Vec<u8> {
    Sha256::digest(secret).to_vec()
}

fn now() -> Timestamp {
    jiff::Timestamp::now().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_used_up_expire_and_are_no_use_with_another_secret() {
        let folder = tempfile::tempdir().unwrap();
        let mut registry = Registry::open(folder.path()).unwrap();
        let hour = Duration::from_secs(3600);
        let token = registry.create_token(2, hour, "pin").unwrap();
        let first = registry.enroll(&token, "a\u{1b}[2J").unwrap();
        registry.enroll(&token, "b").unwrap();
        let refused =
            |registry: &mut Registry, token: &str| registry.enroll(token, "c").unwrap_err().to_string();
        assert!(refused(&mut registry, &token).contains("is used"));
        let old = registry.create_token(1, Duration::ZERO, "pin").unwrap();
        assert!(refused(&mut registry, &old).contains("expired"));
        let good = registry.create_token(1, hour, "pin").unwrap();
        let id = good.split('.').nth(1).unwrap();
        assert!(refused(&mut registry, &format!("picket1.{id}.guess.pin")).contains("unknown"));
        assert!(refused(&mut registry, "nonsense").contains("no token"));
        registry.revoke_token(id).unwrap();
        assert!(refused(&mut registry, &good).contains("unknown"));

        assert!(registry.admits(&first).unwrap());
        registry.revoke_agent(&first).unwrap();
        assert!(!registry.admits(&first).unwrap() && !registry.admits("other").unwrap());
        let agents = registry.agents().unwrap();
        assert_eq!(agents.len(), 2);
        assert!(agents[0].host.starts_with("a[2J") && agents[0].revoked.is_some());
    }
}
