//! Records of TLS 1.3 that carry what follows the handshake, encrypted straight into the connection's output.
//!
//! OpenSSL copies plaintext into a buffer of its own, encrypts it there, and hands it to the BIO, which has to copy it
//! once more. But it knows transports that encrypt by themselves, as the Linux kernel can (`SSL_OP_ENABLE_KTLS`), and
//! gives those the key and then the plaintext. Our [BIO](crate::bio) is one of them: it reads the program's bytes and
//! writes ciphertext (RFC 8446 §5.2) where it is sent from. OpenSSL goes on to decide what is sent, in which records and
//! with which keys; a key update brings a new writer. Received records are OpenSSL's business.

use foreign_types::ForeignTypeRef;
use libc::{c_int, c_void};
use openssl::cipher::{Cipher, CipherRef};
use openssl::cipher_ctx::CipherCtx;
use zeroize::Zeroizing;

use crate::ErrorStack;
use crate::result::one;

/// Whether OpenSSL can be told so: it has to be a version with separate record layers (3.2), built with the option.
pub(crate) const IS_AVAILABLE: bool =
    cfg!(all(feature = "vendored", feature = "direct-records", target_os = "linux", target_env = "gnu"));

/// The wire's number of TLS 1.3, and what its records say instead (RFC 8446 §5.1).
const TLS1_3: u16 = 0x0304;
const LEGACY_VERSION: [u8; 2] = [3, 3];

/// The content type of application data, and of every encrypted record as it looks from outside.
pub(crate) const APPLICATION_DATA: u8 = 23;
const HEADER: usize = 5;
const TAG: usize = 16;
const NONCE: usize = 12;

/// `linux/tls.h`: how the key of each cipher is laid out behind version and cipher, two bytes each.
struct Layout {
    /// Its number, `TLS_CIPHER_…`.
    cipher: u16,
    iv: usize,
    key: usize,
    salt: usize,
}

/// The version and the cipher, which come first.
const HEAD: usize = 4;
const SEQUENCE: usize = 8;
const LAYOUTS: [Layout; 3] = [
    Layout { cipher: 51, iv: 8, key: 16, salt: 4 },
    Layout { cipher: 52, iv: 8, key: 32, salt: 4 },
    Layout { cipher: 54, iv: 12, key: 32, salt: 0 },
];

/// What can be told of a record that was written.
pub(crate) struct Written {
    pub(crate) header: [u8; HEADER],
    pub(crate) content_type: u8,
}

/// Encrypts with one key.
pub(crate) struct RecordWriter {
    context: CipherCtx,
    iv: Zeroizing<[u8; NONCE]>,
    /// The number of the next record; none is left when all have been used.
    sequence: Option<u64>,
}

impl RecordWriter {
    /// A writer with the key that OpenSSL describes as to the kernel; `None` where it is none for TLS 1.3.
    ///
    /// # Safety
    /// `info` must be what comes with `BIO_CTRL_SET_KTLS` on Linux: the structure of its cipher in `linux/tls.h`.
    pub(crate) unsafe fn from_crypto_info(info: *const c_void) -> Option<Self> {
        // SAFETY: each of those structures begins with two numbers of two bytes, its version and its cipher.
        let head = unsafe { std::slice::from_raw_parts(info.cast::<u8>(), HEAD) };
        let [version, number] = [0, 2].map(|at| u16::from_ne_bytes([head[at], head[at + 1]]));
        let layout = LAYOUTS.iter().find(|layout| layout.cipher == number && version == TLS1_3)?;
        let length = HEAD + layout.iv + layout.key + layout.salt + SEQUENCE;
        // SAFETY: the structure of this cipher is that long.
        let whole = unsafe { std::slice::from_raw_parts(info.cast::<u8>(), length) };
        let rest = &whole[HEAD..];
        let (iv, rest) = rest.split_at(layout.iv);
        let (key, rest) = rest.split_at(layout.key);
        let (salt, sequence) = rest.split_at(layout.salt);
        let cipher = match number {
            51 => Cipher::aes_128_gcm(),
            52 => Cipher::aes_256_gcm(),
            _ => Cipher::chacha20_poly1305(),
        };
        let sequence = u64::from_be_bytes(sequence.try_into().ok()?);
        Self::new(cipher, key, [salt, iv], sequence).ok()
    }

    fn new(
        cipher: &CipherRef,
        key: &[u8],
        iv: [&[u8]; 2],
        sequence: u64,
    ) -> Result<Self, openssl::error::ErrorStack> {
        let mut whole = Zeroizing::new([0; NONCE]);
        let (salt, rest) = whole.split_at_mut(iv[0].len());
        salt.copy_from_slice(iv[0]);
        rest.copy_from_slice(iv[1]);
        let mut context = CipherCtx::new()?;
        context.encrypt_init(Some(cipher), Some(key), Some(&*whole))?;
        Ok(Self { context, iv: whole, sequence: Some(sequence) })
    }

    /// Appends a record of this type, which is hidden in it, to the output.
    pub(crate) fn write(
        &mut self,
        content_type: u8,
        plaintext: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<Written, ErrorStack> {
        let length = plaintext.len() + 1 + TAG;
        let [high, low] = u16::try_from(length).map_err(|_| ErrorStack::default())?.to_be_bytes();
        let header = [APPLICATION_DATA, LEGACY_VERSION[0], LEGACY_VERSION[1], high, low];
        let nonce = self.next_nonce().ok_or_else(ErrorStack::default)?;
        self.context.encrypt_init(None, None, Some(&nonce))?;
        self.context.cipher_update(&header, None)?;
        output.reserve(HEADER + length);
        let start = output.len();
        output.extend_from_slice(&header);
        let encrypted = self.encrypt(plaintext, content_type, output);
        if encrypted.is_err() {
            output.truncate(start);
        }
        encrypted.map(|()| Written { header, content_type })
    }

    /// Appends the ciphertext, with the type behind the plaintext, and its tag; there is room for them.
    fn encrypt(
        &mut self,
        plaintext: &[u8],
        content_type: u8,
        output: &mut Vec<u8>,
    ) -> Result<(), ErrorStack> {
        let spare = output.spare_capacity_mut();
        assert!(spare.len() > plaintext.len() + TAG, "the caller has made room");
        let mut count: c_int = 0;
        let length = c_int::try_from(plaintext.len()).map_err(|_| ErrorStack::default())?;
        // SAFETY: the context is alive; a cipher without blocks writes exactly as much as it reads, for which there is
        // room behind the vector's end.
        one(unsafe {
            openssl_sys::EVP_CipherUpdate(
                self.context.as_ptr(),
                spare.as_mut_ptr().cast(),
                &raw mut count,
                plaintext.as_ptr(),
                length,
            )
        })?;
        if count != length {
            return Err(ErrorStack::default());
        }
        // SAFETY: so many bytes behind the vector's end have just been initialised.
        unsafe { output.set_len(output.len() + plaintext.len()) };
        let mut end = [0; 1 + TAG];
        self.context.cipher_update(&[content_type], Some(&mut end[..1]))?;
        self.context.cipher_final(&mut [])?;
        self.context.tag(&mut end[1..])?;
        output.extend_from_slice(&end);
        Ok(())
    }

    /// RFC 8446 §5.3: the number of the record, padded to the left, exclusive-ored with the IV. None is used twice.
    fn next_nonce(&mut self) -> Option<[u8; NONCE]> {
        let sequence = self.sequence?;
        self.sequence = sequence.checked_add(1);
        let mut nonce = *self.iv;
        for (byte, number) in nonce[NONCE - SEQUENCE..].iter_mut().zip(sequence.to_be_bytes()) {
            *byte ^= number;
        }
        Some(nonce)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use openssl::asn1::Asn1Time;
    use openssl::ec::{EcGroup, EcKey};
    use openssl::hash::MessageDigest;
    use openssl::nid::Nid;
    use openssl::pkey::PKey;
    use openssl::symm::{self, decrypt_aead};
    use openssl::x509::X509;

    use super::*;
    use crate::{
        Certificate, Ciphertext, ContextBuilder, KeyUpdateRequest, PrivateKey, Progress, Ssl, TicketKey,
        TicketKeyRing, TrustStoreBuilder,
    };

    /// The structure of `linux/tls.h` for this cipher, with a key of 7s, an IV of 1s and a salt of 2s.
    fn crypto_info(version: u16, layout: &Layout, sequence: u64) -> Vec<u8> {
        let mut info = [version.to_ne_bytes(), layout.cipher.to_ne_bytes()].concat();
        for (byte, length) in [(1, layout.iv), (7, layout.key), (2, layout.salt)] {
            info.extend(vec![byte; length]);
        }
        info.extend(sequence.to_be_bytes());
        info
    }

    fn writer(version: u16, layout: &Layout, sequence: u64) -> Option<RecordWriter> {
        let info = crypto_info(version, layout, sequence);
        // SAFETY: the structure was made above.
        unsafe { RecordWriter::from_crypto_info(info.as_ptr().cast()) }
    }

    fn nonce(layout: &Layout, sequence: u64) -> Vec<u8> {
        let iv = [vec![2; layout.salt], vec![1; layout.iv]].concat();
        let number = [&[0; 4][..], &sequence.to_be_bytes()].concat();
        iv.iter().zip(number).map(|(iv, number)| iv ^ number).collect()
    }

    #[test]
    fn records_can_be_read_with_the_key_and_the_number_of_each() {
        let ciphers =
            [symm::Cipher::aes_128_gcm(), symm::Cipher::aes_256_gcm(), symm::Cipher::chacha20_poly1305()];
        for (layout, cipher) in LAYOUTS.iter().zip(ciphers) {
            let mut writer = writer(TLS1_3, layout, 255).unwrap();
            for (sequence, text) in (255..).zip([&b"first"[..], b"", &[9; 16384]]) {
                let mut output = b"before".to_vec();
                writer.write(21, text, &mut output).unwrap();
                let record = &output[b"before".len()..];
                let (header, body) = record.split_at(HEADER);
                assert_eq!(header, [23, 3, 3, (body.len() >> 8) as u8, body.len() as u8]);
                let (ciphertext, tag) = body.split_at(body.len() - TAG);
                let nonce = nonce(layout, sequence);
                let plaintext =
                    decrypt_aead(cipher, &vec![7; layout.key], Some(&nonce), header, ciphertext, tag)
                        .unwrap();
                assert_eq!(plaintext, [text, &[21]].concat());
            }
        }
    }

    #[test]
    fn no_number_is_used_twice() {
        let mut writer = writer(TLS1_3, &LAYOUTS[0], u64::MAX).unwrap();
        let mut output = Vec::new();
        assert!(writer.write(23, b"the last", &mut output).is_ok());
        let length = output.len();
        assert!(writer.write(23, b"one too many", &mut output).is_err());
        assert_eq!(output.len(), length);
    }

    #[test]
    fn other_versions_and_ciphers_are_left_to_openssl() {
        assert!(writer(0x0303, &LAYOUTS[0], 0).is_none());
        assert!(writer(TLS1_3, &Layout { cipher: 53, iv: 8, key: 16, salt: 4 }, 0).is_none());
    }

    fn identity() -> (Certificate, PrivateKey) {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
        let mut builder = X509::builder().unwrap();
        builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        let certificate = Certificate::from_der(&builder.build().to_der().unwrap()).unwrap();
        (certificate, PrivateKey::from_pem(&key.private_key_to_pem_pkcs8().unwrap(), None).unwrap())
    }

    /// A client and a server that have come to the end of their handshakes, in this version.
    fn connected(version: u16) -> [Ssl; 2] {
        connected_by(|builder| {
            builder.set_min_version(version).unwrap();
            builder.set_max_version(version).unwrap();
        })
    }

    /// The same, with a context that has been prepared so.
    pub(crate) fn connected_by(prepare: impl FnOnce(&mut ContextBuilder)) -> [Ssl; 2] {
        let (certificate, key) = identity();
        let mut builder = ContextBuilder::new().unwrap();
        builder.use_identity(&certificate, &key, &[]).unwrap();
        prepare(&mut builder);
        let context = builder.build();
        let keys: TicketKeyRing = [TicketKey::random(32).unwrap()].into();
        let mut client = Ssl::client(&context).unwrap();
        client.set_trust(&TrustStoreBuilder::new().unwrap().build()).unwrap();
        let mut server = Ssl::server(&context, Ciphertext::default(), keys).unwrap();
        for _ in 0..4 {
            client.handshake().unwrap();
            carry(&mut client, &mut server);
            server.handshake().unwrap();
            carry(&mut server, &mut client);
        }
        [client, server]
    }

    fn carry(from: &mut Ssl, to: &mut Ssl) {
        let bytes = from.transmit().to_vec();
        assert_eq!(to.received_mut().extend(&bytes), bytes.len());
        from.transmitted(bytes.len());
    }

    #[test]
    fn both_sides_write_their_records_themselves_in_tls_1_3_and_only_there() {
        for (version, expected) in [(TLS1_3, IS_AVAILABLE), (0x0303, false)] {
            for side in connected(version) {
                assert_eq!(side.state().writer.is_some(), expected, "{version:x}");
            }
        }
    }

    #[test]
    fn new_keys_bring_a_new_writer() {
        let [mut client, mut server] = connected(TLS1_3);
        for text in [&b"with the old key"[..], b"with the new one"] {
            client.write(text).unwrap();
            carry(&mut client, &mut server);
            let mut read = Vec::with_capacity(64);
            assert_eq!(server.read(&mut &[][..], &mut read).unwrap(), Progress::Done(text.len()));
            assert_eq!(read, text);
            client.update_keys(KeyUpdateRequest::Requested).unwrap();
        }
    }
}
