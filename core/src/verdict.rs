//! A configuration, a policy and a chain come together: what is demanded, what is found, and the verdict.

use std::time::Duration;

use pki_types::{CertificateDer, UnixTime};

use crate::chain::{Facts, Trust, judge, judge_client};
use crate::clock::now;
use crate::demand::{Demand, demand};
use crate::error::Failure;
use crate::info::Auth;
use crate::outcome::Stage;
use crate::{Code, Config, Error, Level, Policy, Role};

/// What `policy` demands of `host`, if `config` has what it takes.
pub(crate) fn demand_of(config: &Config, policy: &Policy, host: &str) -> Result<Demand, Failure> {
    let demand = demand(policy, host)?;
    if matches!(demand.level, Level::Verify | Level::Secure) && config.anchors().is_empty() {
        let message = format!(
            "level {} needs trust anchors, and the configuration has none: add the system's or a file of them",
            demand.level.name()
        );
        return Err(Failure::new(Code::NoRoots, message));
    }
    Ok(demand)
}

/// What is known of a chain, as it is now.
pub(crate) fn facts(
    config: &Config,
    policy: &Policy,
    demand: &Demand,
    chain: &[CertificateDer<'_>],
) -> Facts {
    facts_at(config, policy, demand, chain, now())
}

fn facts_at(
    config: &Config,
    policy: &Policy,
    demand: &Demand,
    chain: &[CertificateDer<'_>],
    now: UnixTime,
) -> Facts {
    with_trust(config, Role::Server, now, |trust| judge(chain, demand, policy, trust))
}

/// What is known of a client's chain, as it is now.
pub(crate) fn client_facts(config: &Config, policy: &Policy, chain: &[CertificateDer<'_>]) -> Facts {
    with_trust(config, Role::Client, now(), |trust| judge_client(chain, policy, trust))
}

/// Judges with what a configuration trusts.
fn with_trust(config: &Config, of: Role, now: UnixTime, judge: impl FnOnce(Trust<'_>) -> Facts) -> Facts {
    let (lists, algorithms) = (config.revocation_lists(), config.algorithms());
    judge(Trust { anchors: config.anchors(), lists: &lists, algorithms: &algorithms, now, of })
}

impl Config {
    /// What a session under this policy would make of a server `host` that shows these certificates, in DER and its
    /// own first: how it is authenticated, or the error. No handshake, so nothing says that the server has the key:
    /// for tools that explain, and for policies that are weighed after a session.
    pub fn judge(&self, policy: &Policy, host: &str, chain: &[&[u8]]) -> Result<Auth, Error> {
        self.judge_at(policy, host, chain, now().as_secs())
    }

    /// The same at another time, in seconds since 1970: the dates of certificates and revocation lists count as they
    /// would then.
    pub fn judge_at(&self, policy: &Policy, host: &str, chain: &[&[u8]], now: u64) -> Result<Auth, Error> {
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
        let judged = |failure: Failure, level, stage| failure.judge(Role::Client, level, stage, false);
        let demand =
            demand_of(self, policy, host).map_err(|failure| judged(failure, policy.level(), Stage::Local))?;
        let chain: Vec<_> = chain.iter().map(|certificate| CertificateDer::from(*certificate)).collect();
        let facts = facts_at(self, policy, &demand, &chain, now);
        match facts.failure() {
            Some(failure) if demand.level.authenticates() => {
                Err(judged(failure.clone(), demand.level, Stage::Handshake))
            }
            _ => Ok(facts.auth()),
        }
    }
}
