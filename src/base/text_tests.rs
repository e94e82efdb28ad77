use super::*;

#[test]
fn whole_numbers_have_no_sign_no_space_and_do_not_wrap() {
    assert_eq!(decimal_u64("18446744073709551615"), Some(u64::MAX));
    assert_eq!(decimal_u32("4294967295"), Some(u32::MAX));
    assert_eq!(decimal_i64("-9223372036854775808"), Some(i64::MIN));
    assert_eq!(decimal_i64("9223372036854775807"), Some(i64::MAX));
    for bad in ["", " 1", "1 ", "+1", "-1", "1e3", "0x10", "1_000", "18446744073709551616", "１"] {
        assert_eq!(decimal_u64(bad), None, "{bad:?}");
    }
    assert_eq!(decimal_u32("4294967296"), None);
    for bad in ["", "-", "--1", "+1", "-9223372036854775809", "9223372036854775808"] {
        assert_eq!(decimal_i64(bad), None, "{bad:?}");
    }
}

#[test]
fn the_user_id_that_means_no_change_is_refused() {
    assert_eq!(uid("4294967294"), Some(4_294_967_294));
    assert_eq!(uid("4294967295"), None);
    assert_eq!(uid("-1"), None);
}

#[test]
fn modes_are_octal_and_hold_permission_bits_only() {
    assert_eq!(octal_mode("1777"), Some(0o1777));
    assert_eq!(octal_mode("0755"), Some(0o755));
    for bad in ["", "8", "10000", "0o7", "rwx", "-1"] {
        assert_eq!(octal_mode(bad), None, "{bad:?}");
    }
}

#[test]
fn sizes_are_powers_of_1024_in_dockers_units() {
    let good: [(&str, u64); 15] = [
        ("0", 0),
        ("512", 512),
        ("512b", 512),
        ("64m", 64 << 20),
        ("64M", 64 << 20),
        ("64mb", 64 << 20),
        ("64MiB", 64 << 20),
        ("1k", 1024),
        ("1.5g", 3 << 29),
        ("0.5k", 512),
        ("1.5", 1),
        ("2t", 2 << 40),
        ("1.5p", 3 << 49),
        ("16383p", 16383 << 50),
        ("0.1m", 104_857),
    ];
    for (text, bytes) in good {
        assert_eq!(size(text), Some(bytes), "{text}");
    }
    for bad in [
        "", "m", "12x", "-1m", "+1m", "1 m", "1.m", ".5g", "1..5m", "1.5.5m", "1mm", "1bb", "1bib", "1mibs", "16384p",
        "1é",
    ] {
        assert_eq!(size(bad), None, "{bad:?}");
    }
}

#[test]
fn cpus_are_counted_in_billionths() {
    assert_eq!(billionths("1.5"), Some(1_500_000_000));
    assert_eq!(billionths("0.000000001"), Some(1));
    assert_eq!(billionths("2"), Some(2_000_000_000));
    for bad in ["", ".5", "1.", "-1", "1e3", "0.0000000001", "99999999999999999999"] {
        assert_eq!(billionths(bad), None, "{bad:?}");
    }
}

#[test]
fn durations_follow_go_and_bare_numbers_are_seconds() {
    let good = [
        ("10", 10_000_000_000),
        ("1h30m", 5_400_000_000_000),
        ("1.5s", 1_500_000_000),
        ("200ms", 200_000_000),
        ("10us", 10_000),
        ("5ns", 5),
        ("0", 0),
    ];
    for (text, nanoseconds) in good {
        assert_eq!(duration(text), Some(nanoseconds), "{text}");
    }
    for bad in ["", "s", "1x", "-1s", "1h30", "1 s", "999999999h"] {
        assert_eq!(duration(bad), None, "{bad:?}");
    }
}

#[test]
fn cpu_lists_hold_numbers_and_forward_ranges() {
    for good in ["0-2,4", "7", "3-3"] {
        assert!(is_cpu_list(good), "{good}");
    }
    for bad in ["", ",", "1,", "2-1", "1-", "-1", "a", "0-1-2", "0 ,1"] {
        assert!(!is_cpu_list(bad), "{bad:?}");
    }
}

#[test]
fn truth_has_twelve_words() {
    for (words, truth) in
        [("1 t T true TRUE True", Some(true)), ("0 f F false FALSE False", Some(false)), ("yes no tRUE 2", None)]
    {
        assert!(words.split(' ').all(|word| boolean(word) == truth), "{words}");
    }
    assert_eq!([boolean(""), boolean("t T")], [None, None]);
}

#[test]
fn words_are_found_by_their_place() {
    let list = "a bc d ";
    assert_eq!([0, 1, 2, 3, 9].map(|index| word(list, index)), ["a", "bc", "d", "", ""]);
    assert_eq!([place("a bc d", "bc"), place("a bc d", "b"), place("a bc d", "")], [Some(1), None, None]);
}

#[test]
fn names_are_safe_as_file_names() {
    for good in ["a", "web-1", "A.b_c", "0"] {
        assert!(is_name(good), "{good}");
    }
    for bad in ["", ".", "..", "-a", "_a", "a/b", "a b", "é", "a\n", &"a".repeat(129)] {
        assert!(!is_name(bad), "{bad:?}");
    }
}

#[test]
fn host_names_are_dotted_labels_of_at_most_64_bytes() {
    for good in ["a", "web-1.example.com", "my_host", &"a".repeat(64)] {
        assert!(is_hostname(good), "{good}");
    }
    for bad in ["", ".", "a..b", "-a", "a-", "a b", "a/b", "a.", &"a".repeat(65)] {
        assert!(!is_hostname(bad), "{bad:?}");
    }
}

#[test]
fn paths_are_cleaned_by_their_words_alone() {
    for (text, clean) in
        [("/", "/"), ("/a/", "/a"), ("//a//./b", "/a/b"), ("/a/../b", "/b"), ("/../..", "/"), ("/a/..", "/")]
    {
        assert_eq!(clean_path(text).as_deref(), Some(clean), "{text}");
    }
    for bad in ["", "a", "./a", "../a"] {
        assert_eq!(clean_path(bad), None, "{bad:?}");
    }
}

#[test]
fn swapped_letters_are_one_mistake() {
    for (one, other, away) in [
        ("run", "run", 0),
        ("rnu", "run", 1),
        ("rum", "run", 1),
        ("", "abc", 3),
        ("images", "image", 1),
        ("kitten", "sitting", 3),
    ] {
        assert_eq!(distance(one, other), away, "{one} {other}");
        assert_eq!(distance(other, one), away, "{other} {one}");
    }
}

#[test]
fn the_nearest_word_is_proposed_and_a_far_one_is_not() {
    let words = ["run", "images", "inspect", "rm", "rmi", "ps"];
    for (word, meant) in [
        ("rnu", Some("run")),
        ("imgaes", Some("images")),
        ("insp", Some("inspect")),
        ("xyz", None),
        ("q", None),
        ("frobnicate", None),
    ] {
        assert_eq!(nearest(word, &mut words.into_iter()), meant, "{word}");
    }
}

#[test]
fn image_sizes_have_three_significant_digits_in_powers_of_1000() {
    let cases: [(u64, &str); 13] = [
        (0, "0B"),
        (999, "999B"),
        (1000, "1kB"),
        (1234, "1.23kB"),
        (12_345, "12.3kB"),
        (123_456, "123kB"),
        (1_230_000, "1.23MB"),
        (1_100_000, "1.1MB"),
        (1_050_000, "1.05MB"),
        (999_999, "1MB"),
        (7_800_000, "7.8MB"),
        (5_000_000_000, "5GB"),
        (u64::MAX, "18.4EB"),
    ];
    for (bytes, text) in cases {
        assert_eq!(human_size(bytes), text, "{bytes}");
    }
}

#[test]
fn memory_sizes_have_four_significant_digits_in_powers_of_1024() {
    let cases: [(u64, &str); 8] = [
        (64 << 20, "64MiB"),
        (1000 << 20, "1000MiB"),
        (3 << 29, "1.5GiB"),
        (2_097_152_000, "1.953GiB"),
        (1023, "1023B"),
        (1 << 10, "1KiB"),
        ((1 << 20) - 1, "1MiB"),
        (u64::MAX, "16EiB"),
    ];
    for (bytes, text) in cases {
        assert_eq!(human_binary_size(bytes), text, "{bytes}");
    }
}

/// What the standard library makes of an address.
fn standard(text: &str) -> Option<Address> {
    use core::net::IpAddr::{V4, V6};
    text.parse().ok().map(|address| match address {
        V4(four) => four.to_ipv6_mapped().octets(),
        V6(address) => address.octets(),
    })
}

#[test]
fn addresses_are_those_that_the_standard_library_reads() {
    let good = [
        "0.0.0.0",
        "255.255.255.255",
        "::",
        "::1",
        "1::",
        "fd00::1",
        "1:2:3:4:5:6:7:8",
        "::ffff:1.2.3.4",
        "1:2:3:4:5:6:1.2.3.4",
    ];
    let more = ["1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "ABCD::", "1::2:3", "1:2:3:4:5::1.2.3.4"];
    for text in good.into_iter().chain(more) {
        assert!(address(text).is_some() && address(text) == standard(text), "{text}");
    }
    let bad = [
        "",
        ":",
        ":::",
        // The letters behind the digit 9.
        "::<",
        "1::?",
        "1",
        "1.2.3",
        "1.2.3.256",
        "01.2.3.4",
        "1.2.3.4.5",
        "1.2.3.4:1",
        ":1",
        "1:",
        "1::2::3",
        "::1::",
        "12345::",
    ];
    let more = [
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7:1.2.3.4",
        "::1%lo",
        "[::1]",
        "g::",
        "1.2.3.4::",
        "::1:",
        "1:2:3:4:5:6:7:8::",
    ];
    for text in bad.into_iter().chain(more) {
        assert_eq!((address(text), standard(text)), (None, None), "{text}");
    }
    // Every text of up to seven of these letters.
    for number in 0..4u32.pow(7) {
        let text: String =
            (0..7).map(|at| char::from(b"1:. "[(number >> (2 * at) & 3) as usize])).filter(|c| *c != ' ').collect();
        assert_eq!(address(&text), standard(&text), "{text}");
    }
}

#[test]
fn text_is_cut_as_the_standard_library_splits_it() {
    for text in ["", "=", "a", "a=b", "=b", "a=", "a=b=c", "é=ü"] {
        assert_eq!(text.cut(b'='), text.split_once('='), "{text}");
        assert!(text.parts(b'=').eq(text.split('=')), "{text}");
    }
    assert_eq!((place("a bc d", "bc"), place("a bc d", "b"), place("a", "")), (Some(1), None, None));
}
