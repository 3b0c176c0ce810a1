//! What pods of a run may connect to: names, and what a step needs; everything else is refused.
//!
//! Claims are mounted by the node, so that storage needs no rule.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
    NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::names::{Names, is_dns_label};
use super::pod::METRICS_PORT;
use crate::config::{DatabaseSettings, MetricsSettings};
use crate::error::Result;
use crate::plan::setting;
use crate::stage::Stage;

/// The label every namespace has.
const NAMESPACE: &str = "kubernetes.io/metadata.name";

/// Names of hosts for all pods; metrics to and from the monitoring.
///
/// # Errors
/// Where the Pushgateway is nowhere a policy can name.
pub(super) fn policy_of_all(names: &Names, metrics: &MetricsSettings, wave: u8) -> Result<NetworkPolicy> {
    let push = Pushgateway::of(metrics)?.map(|gateway| egress(vec![gateway.peer()], gateway.ports()));
    let names_of_hosts = egress(vec![namespace("kube-system")], Some(vec![port("UDP", 53), port("TCP", 53)]));
    let scrape = (metrics.port != 0).then(|| NetworkPolicyIngressRule {
        from: Some(vec![namespace(&metrics.namespace)]),
        ports: Some(vec![NetworkPolicyPort {
            port: Some(IntOrString::String(METRICS_PORT.to_owned())),
            protocol: Some("TCP".to_owned()),
            end_port: None,
        }]),
    });
    let spec = NetworkPolicySpec {
        egress: Some(std::iter::once(names_of_hosts).chain(push).collect()),
        ingress: scrape.map(|rule| vec![rule]),
        pod_selector: Some(names.selector(None)),
        policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
    };
    Ok(NetworkPolicy { metadata: names.metadata(names.run.clone(), wave), spec: Some(spec) })
}

/// The database, for the pods of `load` alone.
///
/// # Errors
/// Where its addresses are not said.
pub(super) fn policy_of_load(names: &Names, database: &DatabaseSettings, wave: u8) -> Result<NetworkPolicy> {
    let mut blocks = Vec::new();
    for cidr in &database.cidr {
        blocks.push(address_block(cidr)?);
    }
    if blocks.is_empty() {
        return Err(setting(
            "job.database.cidr",
            "`load` is asked for: say at which addresses it finds the database, as [\"192.0.2.10/32\"], or set \
             load.enabled = false",
        ));
    }
    // No run's name has a dot, so that no other run's policy is called so.
    let name = format!("{}.{}", names.run, Stage::Load);
    let spec = NetworkPolicySpec {
        egress: Some(vec![egress(blocks, Some(vec![port("TCP", database.port)]))]),
        ingress: None,
        pod_selector: Some(names.selector(Some(Stage::Load.name()))),
        policy_types: Some(vec!["Egress".to_owned()]),
    };
    Ok(NetworkPolicy { metadata: names.metadata(name, wave), spec: Some(spec) })
}

/// Where metrics are pushed to.
struct Pushgateway<'a> {
    host: Host<'a>,
    port: u16,
}

enum Host<'a> {
    Address(IpAddr),
    /// A Service of this namespace.
    ServiceIn(&'a str),
}

impl<'a> Pushgateway<'a> {
    /// `http://HOST:PORT`, as the settings have it.
    fn of(metrics: &'a MetricsSettings) -> Result<Option<Self>> {
        let url = metrics.pushgateway.as_str();
        if url.is_empty() {
            return Ok(None);
        }
        let refused = || {
            let problem = format!(
                "`{url}` is no place that a network policy can name: give http://HOST:PORT with an address, or a \
                 Service as pushgateway.monitoring.svc"
            );
            setting("job.metrics.pushgateway", problem)
        };
        let (host, port) =
            url.strip_prefix("http://").and_then(|rest| rest.rsplit_once(':')).ok_or_else(refused)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(refused)?;
        let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let host = match literal.parse() {
            Ok(address) => Host::Address(address),
            Err(_) => Host::ServiceIn(namespace_of(host).ok_or_else(refused)?),
        };
        Ok(Some(Self { host, port }))
    }

    fn peer(&self) -> NetworkPolicyPeer {
        match self.host {
            Host::Address(address) => block(format!("{address}/{}", most_bits(address))),
            Host::ServiceIn(name) => namespace(name),
        }
    }

    /// Most network plugins look at a connection to a Service when it is on its way to a pod already: to that pod's port,
    /// which only the Service knows.
    fn ports(&self) -> Option<Vec<NetworkPolicyPort>> {
        match self.host {
            Host::Address(_) => Some(vec![port("TCP", self.port)]),
            Host::ServiceIn(_) => None,
        }
    }
}

/// The namespace in a Service's name: `<service>.<namespace>`, `….svc`, `….svc.<cluster's domain>`.
fn namespace_of(host: &str) -> Option<&str> {
    let labels: Vec<&str> = host.split('.').collect();
    let is_service = match labels.as_slice() {
        [_, _] | [_, _, "svc"] => true,
        [_, _, "svc", domain @ ..] => domain.iter().all(|label| is_dns_label(label)),
        _ => false,
    };
    let namespace = labels.get(1).copied().filter(|_| is_service)?;
    (is_dns_label(labels.first().copied().unwrap_or_default()) && is_dns_label(namespace))
        .then_some(namespace)
}

/// Addresses as `192.0.2.0/24`.
fn address_block(cidr: &str) -> Result<NetworkPolicyPeer> {
    let parts = cidr.split_once('/').and_then(|(address, bits)| {
        let address: IpAddr = address.parse().ok()?;
        let bits: u8 = bits.parse().ok()?;
        (bits <= most_bits(address)).then_some(())
    });
    match parts {
        Some(()) => Ok(block(cidr.to_owned())),
        None => Err(setting(
            "job.database.cidr",
            format!("`{cidr}` is not a block of addresses: write one host as 192.0.2.10/32"),
        )),
    }
}

fn most_bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn block(cidr: String) -> NetworkPolicyPeer {
    NetworkPolicyPeer { ip_block: Some(IPBlock { cidr, except: None }), ..NetworkPolicyPeer::default() }
}

fn namespace(name: &str) -> NetworkPolicyPeer {
    let labels = BTreeMap::from([(NAMESPACE.to_owned(), name.to_owned())]);
    NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector { match_labels: Some(labels), match_expressions: None }),
        ..NetworkPolicyPeer::default()
    }
}

/// To all ports where none are given.
fn egress(to: Vec<NetworkPolicyPeer>, ports: Option<Vec<NetworkPolicyPort>>) -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule { ports, to: Some(to) }
}

fn port(protocol: &str, number: u16) -> NetworkPolicyPort {
    NetworkPolicyPort {
        end_port: None,
        port: Some(IntOrString::Int(i32::from(number))),
        protocol: Some(protocol.to_owned()),
    }
}
