//! Just enough of DER to write certificates that no library would.

/// A value with this tag.
pub(crate) fn value(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len();
    let mut der = vec![tag];
    match u8::try_from(length) {
        Ok(short @ 0..0x80) => der.push(short),
        Ok(long) => der.extend([0x81, long]),
        Err(_) => {
            der.push(0x82);
            der.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
    }
    der.extend(contents);
    der
}

pub(crate) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    value(0x30, &parts.concat())
}

pub(crate) fn integer(number: i64) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let sign = if number < 0 { 0xFF } else { 0 };
    // The first byte that counts shows the sign in its highest bit.
    let start = (0..7).find(|at| bytes[*at] != sign || (bytes[at + 1] ^ sign) & 0x80 != 0).unwrap_or(7);
    value(2, &bytes[start..])
}

pub(crate) fn identifier(dotted: &str) -> Vec<u8> {
    let numbers: Vec<u32> = dotted.split('.').map(|number| number.parse().unwrap()).collect();
    let mut contents = vec![u8::try_from(numbers[0] * 40 + numbers[1]).unwrap()];
    for number in &numbers[2..] {
        let septets =
            (0..5).rev().map(|at| (number >> (7 * at)) as u8 & 0x7F).skip_while(|septet| *septet == 0);
        let mut septets: Vec<u8> = septets.collect();
        let last = septets.pop().unwrap_or(0);
        contents.extend(septets.iter().map(|septet| septet | 0x80));
        contents.push(last);
    }
    value(6, &contents)
}

pub(crate) fn bits(bytes: &[u8]) -> Vec<u8> {
    value(3, &[&[0], bytes].concat())
}

/// A name of one common name.
pub(crate) fn name(common_name: &str) -> Vec<u8> {
    let attribute = sequence(&[identifier("2.5.4.3"), value(0x0C, common_name.as_bytes())]);
    sequence(&[value(0x31, &attribute)])
}

/// `dNSName`.
pub(crate) fn dns(name: &str) -> Vec<u8> {
    value(0x82, name.as_bytes())
}

/// `iPAddress`, or one with its mask.
pub(crate) fn ip(bytes: &[u8]) -> Vec<u8> {
    value(0x87, bytes)
}

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in der.chunks(48) {
        for group in line.chunks(3) {
            let number =
                (0..3).fold(0, |number, at| number << 8 | u32::from(group.get(at).copied().unwrap_or(0)));
            let digit = |at: usize| match at <= group.len() {
                true => char::from(DIGITS[(number >> (18 - 6 * at)) as usize & 0x3F]),
                false => '=',
            };
            text.extend((0..4).map(digit));
        }
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}
