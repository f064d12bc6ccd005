//! Key agreement of handshakes by graviola, where this OpenSSL and this processor can use it.

mod hybrid;
mod key_management;
mod x25519;

use libc::c_int;

use crate::ErrorStack;
use crate::provider::{self, END_OF_ALGORITHMS, Operation, Table};
use crate::sys::OSSL_ALGORITHM;

/// The first version of OpenSSL, as it numbers them, that is known to be able to: it takes the keys of a group from any
/// provider. Old ones (3.0) would not know the group at all, since the provider that names it is another.
const FIRST_OPENSSL: i64 = 0x3060_0000;

/// Whether this OpenSSL can use them, and this processor has what graviola asks of one.
pub(crate) fn are_available() -> bool {
    openssl::version::number() >= FIRST_OPENSSL && is_cpu_sufficient()
}

fn is_cpu_sufficient() -> bool {
    // It takes this one for granted.
    #[cfg(target_arch = "x86_64")]
    let multiplies = std::arch::is_x86_feature_detected!("bmi2");
    #[cfg(target_arch = "aarch64")]
    let multiplies = true;
    multiplies && graviola::util::is_cpu_supported()
}

static KEYS: Table<OSSL_ALGORITHM, 3> = Table([x25519::KEYS, hybrid::KEYS, END_OF_ALGORITHMS]);
static EXCHANGES: Table<OSSL_ALGORITHM, 2> = Table([x25519::EXCHANGE, END_OF_ALGORITHMS]);
static ENCAPSULATIONS: Table<OSSL_ALGORITHM, 2> = Table([hybrid::KEM, END_OF_ALGORITHMS]);

/// The algorithms of a kind, with their end mark; null for none.
pub(crate) fn algorithms(kind: c_int) -> *const OSSL_ALGORITHM {
    match kind {
        provider::KEYMGMT => KEYS.0.as_ptr(),
        provider::KEYEXCH => EXCHANGES.0.as_ptr(),
        provider::KEM => ENCAPSULATIONS.0.as_ptr(),
        _ => std::ptr::null(),
    }
}

/// As the provider's.
pub(crate) fn let_openssl_go_first() -> Result<(), ErrorStack> {
    let names = [
        (Operation::Keys, c"X25519"),
        (Operation::Exchange, c"X25519"),
        (Operation::Keys, c"X25519MLKEM768"),
        (Operation::Encapsulation, c"X25519MLKEM768"),
    ];
    provider::find_all(&names, &[None])
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use foreign_types::{ForeignType, ForeignTypeRef};
    use openssl::pkey::{PKey, PKeyRef, Private};

    use super::*;
    use crate::algorithms;
    use crate::record_writer::tests::connected_by;
    use crate::result::non_null;
    use crate::sys;

    /// A key made by this crate's provider, as a handshake has it made.
    pub(super) fn provided(algorithm: &CStr, group: &CStr) -> Option<PKey<Private>> {
        algorithms::load_provider().unwrap();
        generated(algorithm, group, Some(algorithms::PROPERTIES))
    }

    /// A key made by whoever the properties lead to.
    pub(super) fn generated(
        algorithm: &CStr,
        group: &CStr,
        properties: Option<&CStr>,
    ) -> Option<PKey<Private>> {
        let library = std::ptr::null_mut();
        let properties = properties.map_or(std::ptr::null(), CStr::as_ptr);
        // SAFETY: the strings live for the call, and the null library context is the default one.
        let context =
            unsafe { openssl_sys::EVP_PKEY_CTX_new_from_name(library, algorithm.as_ptr(), properties) };
        let context = non_null(context).unwrap();
        let mut key = std::ptr::null_mut();
        // SAFETY: the context was made above; so for the next three.
        assert_eq!(unsafe { openssl_sys::EVP_PKEY_keygen_init(context.as_ptr()) }, 1);
        // SAFETY: as above.
        if unsafe { sys::EVP_PKEY_CTX_set_group_name(context.as_ptr(), group.as_ptr()) } == 1 {
            // SAFETY: as above.
            unsafe { openssl_sys::EVP_PKEY_keygen(context.as_ptr(), &raw mut key) };
        }
        // SAFETY: as above, and it is not used again.
        unsafe { openssl_sys::EVP_PKEY_CTX_free(context.as_ptr()) };
        // SAFETY: OpenSSL has handed over the one reference.
        non_null(key).ok().map(|key| unsafe { PKey::from_ptr(key.as_ptr()) })
    }

    /// Whose a key is.
    pub(super) fn provider_of<T>(key: &PKeyRef<T>) -> &CStr {
        // SAFETY: the key is alive; the provider lives as long as the process.
        let provider = unsafe { sys::EVP_PKEY_get0_provider(key.as_ptr()) };
        // SAFETY: as above.
        let name = unsafe { sys::OSSL_PROVIDER_get0_name(provider) };
        // SAFETY: the name is a C string, and the provider's.
        unsafe { CStr::from_ptr(name) }
    }

    /// Of the contexts of this crate, without being asked; and the groups are there wherever OpenSSL has them.
    #[test]
    fn handshakes_use_them_wherever_they_can_be_used() {
        let expected = if are_available() { c"nodetls_algorithms" } else { c"default" };
        let groups: &[_] = if are_available() { &["X25519", "X25519MLKEM768"] } else { &["X25519"] };
        for group in groups {
            let [_client, server] = connected_by(|builder| builder.set_groups(group).unwrap());
            let share = server.peer_temporary_key().unwrap();
            assert_eq!(provider_of(&share), expected, "{group}");
        }
    }
}
