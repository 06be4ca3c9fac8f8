//! Zigzag varints of records: 0, -1, 1, -2, ... as 0, 1, 2, 3, ...

/// Takes one of at most 64 bits from the front of `bytes`.
#[inline]
pub(super) fn take_i64(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0_u64;
    for shift in (0..70).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        // The tenth byte has room for one bit.
        if shift == 63 && *byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    None
}

/// Takes one of at most 32 bits from the front of `bytes`.
#[inline]
pub(super) fn take_i32(bytes: &mut &[u8]) -> Option<i32> {
    // One byte says most lengths and deltas.
    if let [byte @ 0..0x80, rest @ ..] = bytes {
        let value = u32::from(*byte);
        *bytes = rest;
        return Some((value >> 1) as i32 ^ -((value & 1) as i32));
    }
    take_i64(bytes).and_then(|value| i32::try_from(value).ok())
}

/// Appends one.
#[inline]
pub(super) fn put_i64(out: &mut Vec<u8>, value: i64) {
    let mut value = ((value << 1) ^ (value >> 63)) as u64;
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Bytes that one takes.
#[inline]
pub(super) fn size(value: i64) -> usize {
    let value = ((value << 1) ^ (value >> 63)) as u64;
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_at_their_bounds() {
        for value in
            [0, -1, 1, 63, -64, 64, -65, i64::from(i32::MAX), i64::from(i32::MIN), i64::MAX, i64::MIN]
        {
            let mut bytes = Vec::new();
            put_i64(&mut bytes, value);
            assert_eq!(bytes.len(), size(value), "{value}");
            assert_eq!(take_i64(&mut &bytes[..]), Some(value));
            assert_eq!(take_i32(&mut &bytes[..]), i32::try_from(value).ok());
            assert_eq!(take_i64(&mut &bytes[..bytes.len() - 1]), None);
        }
        assert_eq!(take_i64(&mut &[0xff; 10][..]), None);
        assert_eq!(take_i64(&mut &[0x80; 20][..]), None);
    }
}
