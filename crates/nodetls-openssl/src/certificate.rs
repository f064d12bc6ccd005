//! X.509 certificates as facts: bytes and fields, no opinion.

use std::fmt;

use foreign_types::{ForeignType, ForeignTypeRef};
use libc::c_int;
use openssl::asn1::Asn1TimeRef;
use openssl::hash::MessageDigest;
use openssl::stack::StackRef;
use openssl::x509::{X509, X509Crl, X509NameRef, X509Ref};
use openssl_sys::{ASN1_STRING, BIO, GENERAL_NAME, stack_st_X509};

use crate::result::non_null;
use crate::{ErrorStack, init, sys};

/// A certificate. Cloning shares it.
#[derive(Clone)]
pub struct Certificate(X509);

/// One attribute of a distinguished name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAttribute {
    /// OpenSSL's short name of the type (`CN`), or its dotted number.
    pub key: String,
    /// The value as UTF-8; `None` where it is not text.
    pub value: Option<String>,
    /// Attributes of one relative distinguished name share this number.
    pub set: i32,
}

/// One entry of the subject alternative name (RFC 5280 §4.2.1.6), its text not interpreted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlternativeName {
    /// `dNSName`.
    Dns(Vec<u8>),
    /// `iPAddress`: four or sixteen bytes, if it is well made.
    Ip(Vec<u8>),
    /// `uniformResourceIdentifier`.
    Uri(Vec<u8>),
    /// `rfc822Name`.
    Email(Vec<u8>),
    /// `directoryName`, as text in the form of RFC 2253.
    Directory(String),
    /// `registeredID` in dotted form.
    RegisteredId(String),
    /// `otherName` whose value is a UTF8String or an IA5String.
    OtherText {
        /// The kind of name in dotted form.
        kind: String,
        /// The string's bytes.
        value: Vec<u8>,
        /// Whether it is a UTF8String.
        is_utf8: bool,
    },
    /// `x400Address`.
    X400Address,
    /// `ediPartyName`.
    EdiPartyName,
    /// Every other kind.
    Other,
}

impl Certificate {
    /// # Safety
    /// `raw` must be null or a live certificate.
    pub(crate) unsafe fn from_borrowed(raw: *mut openssl_sys::X509) -> Option<Self> {
        if raw.is_null() {
            return None;
        }
        // SAFETY: not null, and alive by the caller's promise; `to_owned` takes a reference of its own.
        Some(Self(unsafe { X509Ref::from_ptr(raw) }.to_owned()))
    }

    /// Reads a certificate from DER.
    ///
    /// # Errors
    /// When the bytes are not a certificate.
    pub fn from_der(der: &[u8]) -> Result<Self, ErrorStack> {
        init();
        ErrorStack::clear();
        Ok(Self(X509::from_der(der)?))
    }

    pub(crate) fn x509(&self) -> &X509Ref {
        &self.0
    }

    /// The certificate's DER form.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn to_der(&self) -> Result<Vec<u8>, ErrorStack> {
        ErrorStack::clear();
        Ok(self.0.to_der()?)
    }

    /// The certificate's PEM form.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn to_pem(&self) -> Result<Vec<u8>, ErrorStack> {
        ErrorStack::clear();
        Ok(self.0.to_pem()?)
    }

    /// The subject's attributes in order.
    pub fn subject(&self) -> Vec<NameAttribute> {
        name_attributes(self.0.subject_name())
    }

    /// The issuer's attributes in order.
    pub fn issuer(&self) -> Vec<NameAttribute> {
        name_attributes(self.0.issuer_name())
    }

    /// Whether `issuer` could have issued this certificate, judged by names and key identifiers.
    ///
    /// Corresponds to `X509_check_issued`.
    pub fn is_issued_by(&self, issuer: &Self) -> bool {
        ErrorStack::clear();
        let issued = issuer.0.issued(&self.0) == openssl::x509::X509VerifyResult::OK;
        ErrorStack::clear();
        issued
    }

    /// Not valid before this time, as `Aug 14 00:00:00 2017 GMT`.
    pub fn not_before(&self) -> String {
        time_text(self.0.not_before())
    }

    /// Not valid after this time, as `Nov 20 23:59:59 2019 GMT`.
    pub fn not_after(&self) -> String {
        time_text(self.0.not_after())
    }

    /// The serial number in upper-case hexadecimal.
    pub fn serial_number(&self) -> String {
        ErrorStack::clear();
        let number =
            self.0.serial_number().to_bn().and_then(|number| number.to_hex_str().map(|hex| hex.to_string()));
        number.unwrap_or_default()
    }

    /// The digest of the DER form by SHA-1 (20 bytes); an identifier, not a protection.
    pub fn sha1(&self) -> Vec<u8> {
        self.0.digest(MessageDigest::sha1()).map(|digest| digest.to_vec()).unwrap_or_default()
    }

    /// The digest of the DER form by SHA-256 (32 bytes).
    pub fn sha256(&self) -> Vec<u8> {
        self.0.digest(MessageDigest::sha256()).map(|digest| digest.to_vec()).unwrap_or_default()
    }

    /// The public key's kind (`RSA`, `EC`, `ED25519`) and size in bits, when OpenSSL can read it.
    pub fn public_key(&self) -> Option<(&'static str, u32)> {
        ErrorStack::clear();
        let key = self.0.public_key();
        ErrorStack::clear();
        let key = key.ok()?;
        let kind = openssl::nid::Nid::from_raw(key.id().as_raw()).short_name().unwrap_or("unknown");
        let kind = match kind {
            "rsaEncryption" => "RSA",
            "id-ecPublicKey" => "EC",
            other => other,
        };
        Some((kind, key.bits()))
    }

    /// The subject alternative names; `None` when the extension is absent or cannot be read.
    pub fn alternative_names(&self) -> Option<Vec<AlternativeName>> {
        ErrorStack::clear();
        let names = self.0.subject_alt_names();
        ErrorStack::clear();
        Some(names?.iter().map(|name| alternative_name(name.as_ptr())).collect())
    }
}

impl From<X509> for Certificate {
    fn from(certificate: X509) -> Self {
        Self(certificate)
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Certificate({:?})", self.0.subject_name())
    }
}

/// All certificates of a PEM text, labelled `CERTIFICATE`, `X509 CERTIFICATE` or `TRUSTED CERTIFICATE`.
///
/// # Errors
/// When a block cannot be read, or there is none.
///
/// Corresponds to `PEM_read_bio_X509_AUX`.
pub fn certificates_from_pem(pem: &[u8]) -> Result<Vec<Certificate>, ErrorStack> {
    read_pem(pem, |bio| {
        // SAFETY: the BIO is alive; a null password callback is never called for certificates.
        let raw =
            unsafe { sys::PEM_read_bio_X509_AUX(bio, std::ptr::null_mut(), None, std::ptr::null_mut()) };
        // SAFETY: the certificate is new and ours.
        (!raw.is_null()).then(|| Certificate(unsafe { X509::from_ptr(raw) }))
    })
}

/// All revocation lists of a PEM text, labelled `X509 CRL`.
pub(crate) fn revocation_lists_from_pem(pem: &[u8]) -> Result<Vec<X509Crl>, ErrorStack> {
    read_pem(pem, |bio| {
        let nothing = std::ptr::null_mut();
        // SAFETY: the BIO is alive; a null password callback is never called for revocation lists.
        let raw = unsafe { openssl_sys::PEM_read_bio_X509_CRL(bio, std::ptr::null_mut(), None, nothing) };
        // SAFETY: the list is new and ours.
        (!raw.is_null()).then(|| unsafe { X509Crl::from_ptr(raw) })
    })
}

/// Reads blocks until there are no more; at least one is needed.
fn read_pem<T>(pem: &[u8], read: impl Fn(*mut BIO) -> Option<T>) -> Result<Vec<T>, ErrorStack> {
    init();
    ErrorStack::clear();
    let length = c_int::try_from(pem.len()).map_err(|_| ErrorStack::default())?;
    // SAFETY: the BIO only reads `length` bytes of `pem`, which outlives it.
    let bio = non_null(unsafe { openssl_sys::BIO_new_mem_buf(pem.as_ptr().cast(), length) })?;
    let found: Vec<T> = std::iter::from_fn(|| read(bio.as_ptr())).collect();
    let end = ErrorStack::drain();
    // SAFETY: the BIO is ours and not used again.
    unsafe { openssl_sys::BIO_free_all(bio.as_ptr()) };
    let no_more = end.first().is_some_and(|entry| {
        entry.library_number == openssl_sys::ERR_LIB_PEM
            && entry.reason_number == openssl_sys::PEM_R_NO_START_LINE
    });
    if no_more && !found.is_empty() { Ok(found) } else { Err(end) }
}

/// Shares the certificates of OpenSSL's stack.
///
/// # Safety
/// `stack` must be null or a live stack of certificates.
pub(crate) unsafe fn certificates_of(stack: *mut stack_st_X509) -> Vec<Certificate> {
    if stack.is_null() {
        return Vec::new();
    }
    // SAFETY: not null, and alive by the caller's promise.
    let stack = unsafe { StackRef::<X509>::from_ptr(stack) };
    stack.iter().map(|certificate| Certificate(certificate.to_owned())).collect()
}

fn name_attributes(name: &X509NameRef) -> Vec<NameAttribute> {
    let attribute = |entry: &openssl::x509::X509NameEntryRef| {
        let object = entry.object();
        let key = object.nid().short_name().ok().filter(|name| *name != "UNDEF").map(str::to_owned);
        let value = entry.data().to_string().ok();
        // SAFETY: the entry is alive.
        let set = unsafe { sys::X509_NAME_ENTRY_set(entry.as_ptr()) };
        NameAttribute { key: key.unwrap_or_else(|| object.to_string()), value, set }
    };
    let attributes = name.entries().map(attribute).collect();
    ErrorStack::clear();
    attributes
}

/// The text of a time; for one that does not exist, OpenSSL's words.
fn time_text(time: &Asn1TimeRef) -> String {
    // SAFETY: the time and the BIO are alive.
    text_written(|bio| unsafe { openssl_sys::ASN1_TIME_print(bio, time.as_ptr()) })
}

pub(crate) fn alternative_name(name: *mut GENERAL_NAME) -> AlternativeName {
    // SAFETY: the name is alive while its stack is.
    let GENERAL_NAME { type_, d } = unsafe { name.read() };
    match type_ {
        openssl_sys::GEN_DNS => AlternativeName::Dns(string_bytes(d.cast())),
        openssl_sys::GEN_IPADD => AlternativeName::Ip(string_bytes(d.cast())),
        openssl_sys::GEN_URI => AlternativeName::Uri(string_bytes(d.cast())),
        openssl_sys::GEN_EMAIL => AlternativeName::Email(string_bytes(d.cast())),
        openssl_sys::GEN_DIRNAME => {
            // SAFETY: for this type, `d` is an X509_NAME that lives as long as the general name.
            AlternativeName::Directory(name_text(unsafe { X509NameRef::from_ptr(d.cast()) }))
        }
        openssl_sys::GEN_RID => {
            // SAFETY: for this type, `d` is an ASN1_OBJECT that lives as long as the general name.
            let object = unsafe { openssl::asn1::Asn1ObjectRef::from_ptr(d.cast()) };
            AlternativeName::RegisteredId(crate::details::dotted(object))
        }
        openssl_sys::GEN_OTHERNAME => other_name(d.cast()),
        openssl_sys::GEN_X400 => AlternativeName::X400Address,
        openssl_sys::GEN_EDIPARTY => AlternativeName::EdiPartyName,
        _ => AlternativeName::Other,
    }
}

/// `name` is an `otherName` that lives as long as its general name.
fn other_name(name: *mut sys::OtherName) -> AlternativeName {
    // SAFETY: alive, and OpenSSL has read it whole, so that neither part is null.
    let sys::OtherName { type_id, value } = unsafe { name.read() };
    // SAFETY: as above.
    let value = unsafe { value.read() };
    let is_utf8 = match value.type_ {
        openssl_sys::V_ASN1_UTF8STRING => true,
        openssl_sys::V_ASN1_IA5STRING => false,
        _ => return AlternativeName::Other,
    };
    // SAFETY: values of these types hold a string.
    let string = unsafe { value.value.asn1_string };
    // SAFETY: the object lives as long as the name.
    let kind = crate::details::dotted(unsafe { openssl::asn1::Asn1ObjectRef::from_ptr(type_id) });
    AlternativeName::OtherText { kind, value: string_bytes(string), is_utf8 }
}

/// A name in the form of RFC 2253, with control and non-ASCII characters as they are, for readers who quote the whole.
fn name_text(name: &X509NameRef) -> String {
    const FLAGS: libc::c_ulong =
        sys::XN_FLAG_RFC2253 & !(sys::ASN1_STRFLGS_ESC_MSB | sys::ASN1_STRFLGS_ESC_CTRL);
    // SAFETY: the name and the BIO are alive.
    text_written(|bio| unsafe { sys::X509_NAME_print_ex(bio, name.as_ptr(), 0, FLAGS) })
}

/// The text that OpenSSL writes into a BIO.
fn text_written(write: impl FnOnce(*mut BIO) -> c_int) -> String {
    ErrorStack::clear();
    // SAFETY: nothing is asked of the caller.
    let method = unsafe { openssl_sys::BIO_s_mem() };
    // SAFETY: the method is OpenSSL's own.
    let Ok(bio) = non_null(unsafe { openssl_sys::BIO_new(method) }) else { return String::new() };
    // What is there to be shown is shown, even where OpenSSL has an objection.
    let _ = write(bio.as_ptr());
    ErrorStack::clear();
    let mut start = std::ptr::null_mut();
    // SAFETY: the BIO is alive, and is one in memory.
    let length = unsafe { openssl_sys::BIO_get_mem_data(bio.as_ptr(), &raw mut start) };
    let text = match usize::try_from(length) {
        Ok(length) if length > 0 && !start.is_null() => {
            // SAFETY: the BIO holds that many bytes there until it is freed.
            let bytes = unsafe { std::slice::from_raw_parts(start.cast::<u8>(), length) };
            String::from_utf8_lossy(bytes).into_owned()
        }
        _ => String::new(),
    };
    // SAFETY: the BIO is ours and not used again.
    unsafe { openssl_sys::BIO_free_all(bio.as_ptr()) };
    text
}

fn string_bytes(string: *mut ASN1_STRING) -> Vec<u8> {
    // SAFETY: the callers pass an ASN1_STRING that is alive.
    unsafe { openssl::asn1::Asn1StringRef::from_ptr(string) }.as_slice().to_vec()
}
