//! Tests of the codec against bytes written down by hand, and against hostile input.

use super::*;
use crate::types::Uuid;
use bytes::Bytes;
use proptest::prelude::*;

crate::message! {
    /// Every kind of field.
    pub struct Kitchen(0..=4, flexible 2..) {
        error_code: i16,
        leader_id: i32 [1..] = -1,
        name: Option<Str> [.., null 1..],
        topics: Vec<KitchenTopic>,
        cursor: Option<KitchenCursor> [2.., null 3..],
        records: Option<Records> [.., null ..],
        rack: Option<Str> [3.., null 3.., tag 0],
        ids: Vec<i32> [3.., tag 1],
        spot: Option<KitchenCursor> [3.., null 4.., tag 5],
        /// An odd one.
        ratio: f64 [4.., tag 7] = 0.5,
    }

    /// In an array.
    pub struct KitchenTopic {
        name: Str [..=2],
        topic_id: Uuid [3..],
        partitions: Vec<i32>,
    }

    /// Nullable.
    pub struct KitchenCursor {
        index: i32 = -1,
    }

    /// No field at all, never flexible.
    pub struct Empty(0..=0) {}
}

fn bytes(hex: &str) -> Bytes {
    let digits: Vec<u8> =
        hex.chars().filter_map(|c| c.to_digit(16)).map(|d| u8::try_from(d).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn kitchen() -> Kitchen {
    Kitchen {
        error_code: 3,
        leader_id: 5,
        name: Some("ab".into()),
        topics: vec![KitchenTopic { name: "t".into(), topic_id: Uuid(1), partitions: vec![7] }],
        cursor: Some(KitchenCursor { index: 9 }),
        records: Some(Records::from(Bytes::from_static(b"rr"))),
        rack: Some("z".into()),
        ids: vec![1],
        spot: Some(KitchenCursor { index: 2 }),
        ratio: 0.25,
    }
}

#[test]
fn bytes_are_those_of_the_schema() {
    let topic_id = "00000000000000000000000000000001";
    for (version, hex) in [
        (0, "0003 00026162 00000001 000174 00000001 00000007 00000002 7272".to_owned()),
        (1, "0003 00000005 00026162 00000001 000174 00000001 00000007 00000002 7272".to_owned()),
        (2, "0003 00000005 036162 02 0274 0200000007 00 0000000900 037272 00".to_owned()),
        (
            3,
            format!(
                "0003 00000005 036162 02 {topic_id} 0200000007 00 01 0000000900 037272 \
                 03 00 02 027a  01 05 0200000001  05 05 0000000200"
            ),
        ),
        (
            4,
            format!(
                "0003 00000005 036162 02 {topic_id} 0200000007 00 01 0000000900 037272 \
                 04 00 02 027a  01 05 0200000001  05 06 010000000200  07 08 3fd0000000000000"
            ),
        ),
    ] {
        let expected = bytes(&hex);
        let encoded = kitchen().to_bytes(version).unwrap();
        assert_eq!(encoded, expected, "version {version}");
        let decoded = Kitchen::from_bytes(version, expected.clone()).unwrap();
        assert_eq!(decoded.to_bytes(version).unwrap(), expected, "version {version}");
    }
}

#[test]
fn absent_fields_get_their_defaults() {
    let decoded = Kitchen::from_bytes(0, Kitchen::default().to_bytes(0).unwrap()).unwrap();
    assert_eq!(decoded.leader_id, -1);
    assert_eq!(decoded.name, Some(Str::default()));
    assert_eq!(decoded.records, None);
    assert_eq!(decoded.ratio, 0.5);
    assert_eq!(Empty {}.to_bytes(0).unwrap(), Bytes::new());
}

#[test]
fn unknown_tags_are_skipped_and_counted() {
    let plain = Kitchen::default().to_bytes(4).unwrap();
    let body = plain.slice(..plain.len() - 1);
    let with_tags = |count: u32| {
        let mut writer = Writer::new();
        writer.put_slice(&body);
        writer.put_uvarint(count);
        for tag in 0..count {
            writer.put_uvarint(100 + tag);
            writer.put_uvarint(1);
            writer.put_u8(9);
        }
        Kitchen::from_bytes(4, writer.finish().unwrap().into_bytes())
    };
    assert_eq!(with_tags(1_000), Ok(Kitchen { name: None, ..Kitchen::default() }));
    assert_eq!(with_tags(1_001), Err(DecodeError::Tags));
    assert_eq!(with_tags(1_000_000), Err(DecodeError::Tags));
}

#[test]
fn errors() {
    let good = kitchen().to_bytes(4).unwrap();
    let mut longer = good.to_vec();
    longer.push(0);
    assert_eq!(Kitchen::from_bytes(4, longer.into()), Err(DecodeError::Trailing(1)));
    assert_eq!(Kitchen::from_bytes(5, good.clone()), Err(DecodeError::Version(5)));
    assert_eq!(kitchen().to_bytes(-1), Err(EncodeError::Version(-1)));
    for end in 0..good.len() {
        assert!(Kitchen::from_bytes(4, good.slice(..end)).is_err(), "{end}");
    }
    let long = Kitchen { name: Some("x".repeat(40_000).into()), ..Kitchen::default() };
    assert_eq!(long.to_bytes(1), Err(EncodeError::Length(40_000)));
    assert_eq!(Kitchen::from_bytes(4, long.to_bytes(4).unwrap()), Ok(long));
    for (hex, error) in [
        // Null name in version 0.
        ("0003 ffff", DecodeError::Null),
        ("0003 fffe", DecodeError::Negative(-2)),
        ("0003 0002 6162 7fffffff 0000", DecodeError::Length { declared: 0x7fff_ffff, left: 2 }),
        ("0003 0002 6162 ffffffff", DecodeError::Null),
        ("0003 0002 c328", DecodeError::Utf8),
        ("0003 0009 6162", DecodeError::Length { declared: 9, left: 2 }),
    ] {
        assert_eq!(Kitchen::from_bytes(0, bytes(hex)), Err(error), "{hex}");
    }
}

#[test]
fn varints() {
    for (value, hex) in
        [(0_u32, "00"), (127, "7f"), (128, "8001"), (300, "ac02"), (u32::MAX, "ffffffff0f")]
    {
        let mut writer = Writer::new();
        writer.put_uvarint(value);
        assert_eq!(writer.finish().unwrap().into_bytes(), bytes(hex));
        assert_eq!(Reader::new(bytes(hex)).uvarint(), Ok(value));
    }
    for bad in ["ffffffff1f", "ffffffffff01", "8000", "ff00", "808080808000"] {
        assert_eq!(Reader::new(bytes(bad)).uvarint(), Err(DecodeError::Varint), "{bad}");
    }
    assert_eq!(Reader::new(bytes("80")).uvarint(), Err(DecodeError::End { needed: 1, left: 0 }));
    assert_eq!(Reader::new(bytes("ffffffffffffffffff02")).varlong(), Err(DecodeError::Varint));
    for (value, hex) in [(0_i64, "00"), (-1, "01"), (1, "02"), (i64::MIN, "ffffffffffffffffff01")] {
        assert_eq!(Reader::new(bytes(hex)).varlong(), Ok(value), "{hex}");
    }
    assert_eq!(Reader::new(bytes("ffffffff0f")).varint(), Ok(i32::MIN));
}

#[test]
fn long_records_are_not_copied() {
    let long = Bytes::from(vec![7; SHARE_MIN]);
    let records = Records::from(vec![long.clone(), Bytes::from_static(b"short"), long.clone()]);
    let message = Kitchen { records: Some(records), ..Kitchen::default() };
    let mut writer = Writer::framed(64);
    message.encode(2, &mut writer);
    let frame = writer.finish().unwrap();
    assert_eq!(frame.parts.len(), 5);
    assert_eq!(frame.parts[1].as_ptr(), long.as_ptr());
    assert_eq!(frame.parts[3].as_ptr(), long.as_ptr());
    assert_eq!(frame.len, frame.parts.iter().map(Bytes::len).sum::<usize>());
    let whole = frame.clone().into_bytes();
    assert_eq!(whole[..4], i32::try_from(frame.len - 4).unwrap().to_be_bytes());
    let decoded = Kitchen::from_bytes(2, whole.slice(4..)).unwrap();
    assert_eq!(decoded.records, message.records);
    // Decoding shares the frame's bytes.
    let records = decoded.records.unwrap();
    let range = whole.as_ptr_range();
    assert!(range.contains(&records.slices()[0].as_ptr()));

    let mut short = Writer::framed(0);
    short.put_i16(3);
    assert_eq!(short.finish().unwrap().into_bytes(), bytes("00000002 0003"));
}

#[test]
fn memory_is_bounded_by_what_arrived() {
    // 32 bytes of memory for each byte on the wire: let through up to the base, refused beyond.
    let names = |count: usize, reader: fn(Bytes) -> Reader| {
        let mut writer = Writer::new();
        writer.put_array_length(Some(count), true);
        writer.put_slice(&vec![1; count]);
        let cx = Cx::new(0, true);
        Vec::<Str>::get(&mut reader(writer.finish().unwrap().into_bytes()), cx)
    };
    assert_eq!(names(2_000, Reader::new).map(|names| names.len()), Ok(2_000));
    assert_eq!(names(3_000, Reader::new), Err(DecodeError::Budget));
    assert_eq!(names(3_000, Reader::of_own).map(|names| names.len()), Ok(3_000));
    assert_eq!(names(5_000, Reader::of_own), Err(DecodeError::Budget));
}

#[test]
fn text_is_found_by_str_in_maps() {
    let map = std::collections::BTreeMap::from([(Str::from("a"), 1), (Str::from("b"), 2)]);
    assert_eq!(map.get("b"), Some(&2));
    assert_eq!(Str::from("a"), "a");
    assert_eq!(format!("{} {:?}", Str::from("a"), Str::from("a")), "a \"a\"");
}

proptest! {
    #[test]
    fn what_is_written_is_read(seed: u64, version in 0..=4_i16) {
        let message = Kitchen::sample_of(version, &mut Sampler::new(seed));
        let encoded = message.to_bytes(version).unwrap();
        prop_assert_eq!(Kitchen::from_bytes(version, encoded), Ok(message));
    }

    #[test]
    fn any_bytes_are_answered(input in proptest::collection::vec(any::<u8>(), 0..200), version in 0..=4_i16) {
        // Errors are fine; panics are not.
        prop_assert!(Kitchen::from_bytes(version, input.into()).map_or(true, |k| k.to_bytes(version).is_ok()));
    }
}
