use std::format;
use std::vec::Vec;

use super::*;

/// A call as the specification lays it out.
#[rustfmt::skip]
fn expected() -> Vec<u8> {
    [
        &b"l"[..], &[CALL, 0, 1],                               // low byte first; a call; no flags; version 1
        &58u32.to_le_bytes(), &7u32.to_le_bytes(),              // bytes of the body; the call's number
        &63u32.to_le_bytes(),                                   // bytes of the fields
        &[1], b"\x01o\0", &2u32.to_le_bytes(), b"/a\0",         // 1, the object: its type, its length, a zero behind it
        &[0; 5],                                                // up to a multiple of 8
        &[3], b"\x01s\0", &4u32.to_le_bytes(), b"Make\0",       // 3, the method
        &[0; 3],
        &[6], b"\x01s\0", &3u32.to_le_bytes(), b"b.c\0",        // 6, to whom
        &[0; 4],
        &[8], b"\x01g\0", b"\x09sa(sv)uay\0",                   // 8, the body's types: a single byte of length
        &[0; 1],                                                // the body begins at a multiple of 8
        &2u32.to_le_bytes(), b"hi\0", &[0],                     // a text, and a byte up to the array's length
        &32u32.to_le_bytes(),                                   // bytes of the array's elements, without what comes before them
        &[0; 4],
        &1u32.to_le_bytes(), b"N\0", b"\x01b\0", &[0; 3],       // a name, the type of its value
        &1u32.to_le_bytes(),                                    // true is 1 in four bytes
        &1u32.to_le_bytes(), b"T\0", b"\x01u\0", &[0; 3],
        &9u32.to_le_bytes(),
        &5u32.to_le_bytes(),                                    // a number
        &2u32.to_le_bytes(), &[0xaa, 0xbb],                     // bytes
    ].concat()
}

fn made() -> Vec<u8> {
    let mut body = Writer::default();
    body.text("hi");
    let array = body.open(8);
    body.property("N", Value::Bool(true));
    body.property("T", Value::Number(9));
    body.close(array);
    body.number(5);
    body.number(2);
    body.bytes.extend_from_slice(&[0xaa, 0xbb]);
    call(7, ["/a", "", "Make", "", "", "b.c"], "sa(sv)uay", &body)
}

#[test]
fn a_call_is_written_as_the_specification_has_it() {
    let (made, expected) = (made(), expected());
    assert_eq!(made, expected, "\n{made:02x?}\n{expected:02x?}");
}

#[test]
fn what_was_written_is_read_again() {
    let bytes = expected();
    let (message, length) = next(&bytes).unwrap().unwrap();
    assert_eq!(length, bytes.len());
    assert_eq!((message.kind, message.path, message.member, message.types), (CALL, "/a", "Make", "sa(sv)uay"));
    let mut body = message.body;
    assert_eq!((body.text(), body.number()), (Some("hi"), Some(32)));
}

/// A signal with the high byte first, as a bus on another machine may pass it on.
#[rustfmt::skip]
fn signal() -> Vec<u8> {
    [
        &b"B"[..], &[SIGNAL, 1, 1], &19u32.to_be_bytes(), &2u32.to_be_bytes(), &56u32.to_be_bytes(),
        &[1], b"\x01o\0", &1u32.to_be_bytes(), b"/\0", &[0; 6],
        &[2], b"\x01s\0", &3u32.to_be_bytes(), b"a.b\0", &[0; 4],
        &[7], b"\x01s\0", &4u32.to_be_bytes(), b":1.2\0", &[0; 3],
        &[8], b"\x01g\0", b"\x02us\0",
        &258u32.to_be_bytes(), &10u32.to_be_bytes(), b"\xc3\xa9 and so \0",
    ].concat()
}

#[test]
fn the_high_byte_may_come_first() {
    let bytes = signal();
    let (message, length) = next(&bytes).unwrap().unwrap();
    assert_eq!(length, bytes.len());
    assert_eq!((message.kind, message.interface, message.sender, message.types), (SIGNAL, "a.b", ":1.2", "us"));
    let mut body = message.body;
    assert_eq!((body.number(), body.text(), body.number()), (Some(258), Some("\u{e9} and so "), None));
}

#[test]
fn values_of_all_types_are_written_at_their_places() {
    let cases: [(Value<'_>, &[u8]); 10] = [
        (Value::Bool(false), b"\x01b\0\0\0\0\0\0"),
        (Value::Signed(-2), b"\x01i\0\0\xfe\xff\xff\xff"),
        (Value::Number(7), b"\x01u\0\0\x07\0\0\0"),
        (Value::SignedLong(-1), b"\x01x\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"),
        (Value::Long(1), b"\x01t\0\0\0\0\0\0\x01\0\0\0\0\0\0\0"),
        (Value::Text("a"), b"\x01s\0\0\x01\0\0\0a\0"),
        (Value::Bytes(&[5, 6]), b"\x02ay\0\x02\0\0\0\x05\x06"),
        (Value::Numbers(&[8]), b"\x02au\0\x04\0\0\0\x08\0\0\0"),
        (Value::Texts(&["b"]), b"\x02as\0\x06\0\0\0\x01\0\0\0b\0"),
        (Value::Pairs(&[("c", "d")]), b"\x05a(ss)\0\0\x0e\0\0\0\0\0\0\0\x01\0\0\0c\0\0\0\x01\0\0\0d\0"),
    ];
    for (value, bytes) in cases {
        let mut writer = Writer::default();
        writer.variant(value);
        let aligned = format!("{:02x?}", writer.bytes());
        assert_eq!(writer.bytes(), bytes, "{value:?}: {aligned}");
    }
}

#[test]
fn what_is_cut_short_is_waited_for_and_what_is_damaged_refused() {
    for bytes in [expected(), signal()] {
        for length in 0..bytes.len() {
            assert!(matches!(next(&bytes[..length]), Ok(None)), "{length}");
        }
    }
    // The order, the kind, the version, the lengths, a field of a type that it does not have, a text without its zero byte, one
    // that is no UTF-8, bytes between values that are not zero.
    let changes: &[(usize, u8)] =
        &[(0, b'x'), (1, 0), (3, 2), (7, 1), (15, 1), (17, 9), (18, b's'), (26, 1), (25, 0xff), (28, 1)];
    for &(at, byte) in changes {
        let mut bytes = expected();
        bytes[at] = byte;
        assert!(next(&bytes).is_err(), "{at}");
    }
    let mut bytes = expected();
    bytes[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(next(&bytes).is_err());
}

#[test]
fn a_field_that_nobody_knows_is_passed_over() {
    let with = |field: &[u8]| {
        let length = field.len() as u32;
        let mut bytes =
            [&b"l"[..], &[RETURN, 0, 1], &0u32.to_le_bytes(), &1u32.to_le_bytes(), &length.to_le_bytes()].concat();
        bytes.extend_from_slice(field);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    };
    assert!(next(&with(b"\x0b\x01s\0\x01\0\0\0a\0")).unwrap().is_some());
    assert_eq!(next(&with(b"\x05\x01u\0\x03\0\0\0")).unwrap().unwrap().0.answers, 3);
    assert!(next(&with(b"\x0b\x02as\0\0\0\0\0\0\0\0")).is_err());
    assert!(next(&with(b"\x00\x01s\0\x01\0\0\0a\0")).is_err());
    assert!(next(&with(b"\x07\x01u\0\x01\0\0\0")).is_err());
}
