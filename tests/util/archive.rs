//! Tar archives made by hand: with names and links that no tool would write.

/// A member: `f`ile, `d`irectory, symbolic `l`ink, `h`ard link, `c`haracter device or FIFO `p`, with a body for a file.
///
/// # Panics
/// A name or link over 100 bytes that contains no `/` to split it at.
pub fn member(archive: &mut Vec<u8>, name: &[u8], kind: char, link: &[u8], body: &[u8]) {
    let letter = match kind {
        'f' => b'0',
        'h' => b'1',
        'l' => b'2',
        'c' => b'3',
        'd' => b'5',
        'p' => b'6',
        _ => panic!("no such kind of member: {kind}"),
    };
    // GNU's members for what does not fit.
    for (letter, long) in [(b'K', link), (b'L', name)] {
        if long.len() > 100 {
            header(archive, b"././@LongLink", letter, b"", long.len() + 1);
            archive.extend_from_slice(long);
            archive.push(0);
            pad(archive);
        }
    }
    let size = if kind == 'f' { body.len() } else { 0 };
    header(archive, &name[..name.len().min(100)], letter, &link[..link.len().min(100)], size);
    archive.extend_from_slice(&body[..size]);
    pad(archive);
}

/// The end mark.
pub fn end(archive: &mut Vec<u8>) {
    archive.resize(archive.len() + 1024, 0);
}

fn pad(archive: &mut Vec<u8>) {
    archive.resize(archive.len().next_multiple_of(512), 0);
}

fn header(archive: &mut Vec<u8>, name: &[u8], letter: u8, link: &[u8], size: usize) {
    let mut block = [0; 512];
    let mut put = |at: usize, text: &[u8]| block[at..at + text.len()].copy_from_slice(text);
    put(0, name);
    put(100, b"0000666\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, b"14743000000\0");
    put(148, b"        ");
    put(156, &[letter]);
    put(157, link);
    put(257, b"ustar  \0");
    put(329, b"0000001\0");
    put(337, b"0000003\0");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    archive.extend_from_slice(&block);
}
