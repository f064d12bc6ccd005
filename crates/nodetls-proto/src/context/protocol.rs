//! Versions, cipher suites, groups, signature algorithms and sessions: what the options mean for OpenSSL.

use nodetls_openssl::{ContextBuilder, DhParameters};

use super::{DhParam, SECURITY_LEVEL, SecureContextOptions};
use crate::cipher::CipherLists;
use crate::defaults::Defaults;
use crate::error::{ConfigError, Error};
use crate::version::ProtocolVersion;

/// The manual: "The key length must be greater than or equal to 1024 bits or else an error will be thrown."
const MIN_DH_BITS: u32 = 1024;

/// The longest cipher or group list that is passed to OpenSSL.
const MAX_LIST: usize = 16 * 1024;

/// Whether contexts can be made of these protocol settings.
pub(crate) fn check_protocol(options: &SecureContextOptions, defaults: &Defaults) -> Result<(), Error> {
    let mut builder = ContextBuilder::new().map_err(Error::bug)?;
    let ciphers = cipher_lists(options, defaults)?;
    set_protocol(&mut builder, options, defaults, &ciphers).map(|_| ())
}

pub(super) fn cipher_lists(
    options: &SecureContextOptions,
    defaults: &Defaults,
) -> Result<CipherLists, Error> {
    let ciphers = bounded("ciphers", options.ciphers.as_deref().unwrap_or(&defaults.ciphers))?;
    Ok(CipherLists::parse(ciphers))
}

pub(super) fn set_protocol(
    builder: &mut ContextBuilder,
    options: &SecureContextOptions,
    defaults: &Defaults,
    ciphers: &CipherLists,
) -> Result<ProtocolVersion, Error> {
    let (min, max) = versions(options, defaults, ciphers)?;
    builder.set_min_version(min.to_wire()).map_err(ConfigError::from_openssl("minVersion"))?;
    builder.set_max_version(max.to_wire()).map_err(ConfigError::from_openssl("maxVersion"))?;
    let dh = dh_parameters(options)?;
    // The level goes first: a cipher string may still name another one.
    let level = match &dh {
        _ if ciphers.names_security_level() => SECURITY_LEVEL,
        _ if min < ProtocolVersion::Tls1_2 => 0,
        Some(dh) if dh.bits() < 2048 => 1,
        _ => SECURITY_LEVEL,
    };
    builder.set_security_level(level);
    builder.set_cipher_suites(&ciphers.tls1_3).map_err(ConfigError::from_openssl("ciphers"))?;
    if !ciphers.tls1_2.is_empty() {
        builder.set_cipher_list(&ciphers.tls1_2).map_err(ConfigError::from_openssl("ciphers"))?;
    }
    let groups = options.ecdh_curve.as_deref().unwrap_or(&defaults.ecdh_curve);
    if groups != "auto" {
        set_groups(builder, bounded("ecdhCurve", groups)?)?;
    }
    if let Some(algorithms) = options.sigalgs.as_deref() {
        let algorithms = bounded("sigalgs", algorithms)?;
        builder.set_signature_algorithms(algorithms).map_err(ConfigError::from_openssl("sigalgs"))?;
    }
    match (&options.dhparam, dh) {
        (_, Some(dh)) => builder.set_dh_parameters(&dh).map_err(ConfigError::from_openssl("dhparam"))?,
        (Some(DhParam::Auto), None) => builder.set_dh_auto(),
        _ => {}
    }
    builder.set_options(options.secure_options);
    set_sessions(builder, options)?;
    Ok(max)
}

fn set_groups(builder: &mut ContextBuilder, groups: &str) -> Result<(), Error> {
    // Node: this code for every list that OpenSSL does not take, for which it gives no reason. From OpenSSL 3.5 on it
    // takes an empty one too, which leaves nothing to agree on.
    let taken = if groups.trim().is_empty() { None } else { builder.set_groups(groups).ok() };
    taken.ok_or_else(|| {
        ConfigError::refused("ecdhCurve", "ERR_CRYPTO_OPERATION_FAILED", "Failed to set ECDH curve")
    })
}

fn dh_parameters(options: &SecureContextOptions) -> Result<Option<DhParameters>, Error> {
    let Some(DhParam::Pem(pem)) = &options.dhparam else { return Ok(None) };
    let parameters = DhParameters::from_pem(pem).map_err(ConfigError::from_openssl("dhparam"))?;
    if parameters.bits() < MIN_DH_BITS {
        let message = "DH parameter is less than 1024 bits";
        return Err(ConfigError::refused("dhparam", "ERR_INVALID_ARG_VALUE", message));
    }
    Ok(Some(parameters))
}

fn set_sessions(builder: &mut ContextBuilder, options: &SecureContextOptions) -> Result<(), Error> {
    let seconds = i32::try_from(options.session_timeout.as_secs()).map_err(|_| {
        ConfigError::refused("sessionTimeout", "ERR_OUT_OF_RANGE", "more than 2,147,483,647 seconds")
    })?;
    builder.set_session_timeout(seconds.unsigned_abs());
    if options.session_tickets > 16 {
        return Err(ConfigError::refused("session_tickets", "ERR_OUT_OF_RANGE", "more than 16"));
    }
    builder.set_num_tickets(options.session_tickets).map_err(ConfigError::from_openssl("session_tickets"))?;
    if options.dangerous_key_log {
        builder.enable_key_log();
    }
    Ok(())
}

fn bounded<'a>(option: &'static str, list: &'a str) -> Result<&'a str, Error> {
    if list.len() > MAX_LIST {
        return Err(ConfigError::refused(
            option,
            "ERR_OUT_OF_RANGE",
            format!("longer than {MAX_LIST} bytes"),
        ));
    }
    Ok(list)
}

/// The version range, narrowed where the cipher list leaves a generation without suites, as Node.js does it.
fn versions(
    options: &SecureContextOptions,
    defaults: &Defaults,
    ciphers: &CipherLists,
) -> Result<(ProtocolVersion, ProtocolVersion), Error> {
    use ProtocolVersion::{Tls1_2, Tls1_3};
    let (mut min, mut max) =
        match (options.secure_protocol.as_deref(), options.min_version, options.max_version) {
            (Some(method), ..) => method_versions(method, options)?,
            (None, Some(min), Some(max)) => (min, max),
            // One that is given moves a default that it contradicts: it can mean nothing else.
            (None, Some(min), None) => (min, defaults.max_version.max(min)),
            (None, None, Some(max)) => (defaults.min_version.min(max), max),
            (None, None, None) => (defaults.min_version, defaults.max_version),
        };
    if min > max {
        let message = format!("the minimum {min} is above the maximum {max}");
        return Err(ConfigError::refused("minVersion", "ERR_TLS_PROTOCOL_VERSION_CONFLICT", message));
    }
    if ciphers.tls1_2.is_empty() && max == Tls1_3 {
        min = Tls1_3;
    }
    if ciphers.tls1_3.is_empty() && min < Tls1_3 {
        max = max.min(Tls1_2);
    }
    Ok((min, max))
}

/// The versions of an OpenSSL method (`SSL_CTX_new(3)`), as Node.js reads its name. Methods for one side are read like
/// those for both.
fn method_versions(
    method: &str,
    options: &SecureContextOptions,
) -> Result<(ProtocolVersion, ProtocolVersion), Error> {
    use ProtocolVersion::{Tls1_0, Tls1_1, Tls1_2, Tls1_3};
    if let Some(version) = options.min_version.or(options.max_version) {
        let message = format!("TLS protocol version {version} conflicts with secureProtocol {method}");
        return Err(ConfigError::refused("secureProtocol", "ERR_TLS_PROTOCOL_VERSION_CONFLICT", message));
    }
    let name = method.strip_suffix("_method").unwrap_or_default();
    let name = name.strip_suffix("_client").or_else(|| name.strip_suffix("_server")).unwrap_or(name);
    match name {
        "TLS" => Ok((Tls1_0, Tls1_3)),
        "SSLv23" => Ok((Tls1_0, Tls1_2)),
        "TLSv1" => Ok((Tls1_0, Tls1_0)),
        "TLSv1_1" => Ok((Tls1_1, Tls1_1)),
        "TLSv1_2" => Ok((Tls1_2, Tls1_2)),
        _ => {
            let message = match name {
                "SSLv2" | "SSLv3" => format!("{name} methods disabled"),
                _ => format!("Unknown method: {method}"),
            };
            Err(ConfigError::refused("secureProtocol", "ERR_TLS_INVALID_PROTOCOL_METHOD", message))
        }
    }
}
