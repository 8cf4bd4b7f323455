//! Messages of the kernel's nf_tables as bytes: a batch is carried out as a whole or not at all.
//!
//! Only what [`super::Firewall`] needs. There is no library for this whose licence and size fit: the messages are few, and
//! none of them is read. This module must not know what the tables are for.

use nix::libc;

/// The subsystem of nf_tables in the type of a message.
const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;

pub(super) const NEW_TABLE: u16 = 0;
pub(super) const DELETE_TABLE: u16 = 2;
pub(super) const NEW_CHAIN: u16 = 3;
pub(super) const NEW_RULE: u16 = 6;
pub(super) const NEW_SET: u16 = 9;
pub(super) const NEW_ELEMENTS: u16 = 12;
pub(super) const DELETE_ELEMENTS: u16 = 14;

/// The attribute that holds an element of any list.
pub(super) const ELEMENT: u16 = 1;
/// The attribute that marks what it holds as attributes.
const NESTED: u16 = 0x8000;

/// Attributes, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Attributes(Vec<u8>);

impl Attributes {
    /// Bytes as they are. At most 65,531 of them: whoever has more makes several messages.
    pub(super) fn bytes(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(value.len() + 4).expect("attributes are short");
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    /// A string with its end.
    pub(super) fn text(&mut self, kind: u16, value: &str) {
        self.bytes(kind, &[value.as_bytes(), &[0]].concat());
    }

    /// A number, which nf_tables has in network byte order.
    pub(super) fn number(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    /// Attributes within one.
    pub(super) fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        fill(&mut inner);
        self.bytes(kind | NESTED, &inner.0);
    }
}

/// A batch. Its messages are numbered from 1 on; the beginning is 0, counted from the number it was made with.
#[derive(Debug)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    first: u32,
    count: u32,
}

impl Batch {
    /// An empty one; `first`: the number of its beginning.
    pub(super) fn new(first: u32) -> Self {
        let mut batch = Self { bytes: Vec::new(), first, count: 0 };
        batch.put(BATCH_BEGIN, 0, 0, SUBSYSTEM, &[]);
        batch
    }

    fn put(&mut self, kind: u16, flags: u16, family: u8, resource: u16, body: &[u8]) {
        let length = u32::try_from(20 + body.len()).expect("messages are short");
        let request = libc::NLM_F_REQUEST as u16;
        self.bytes.extend(length.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend((request | flags).to_ne_bytes());
        self.bytes.extend(self.first.wrapping_add(self.count).to_ne_bytes());
        self.bytes.extend([0; 4]);
        self.bytes.extend([family, 0]);
        self.bytes.extend(resource.to_be_bytes());
        self.bytes.extend(body);
        self.count += 1;
    }

    /// A message about a table of this family (`NFPROTO_IPV4`, `NFPROTO_IPV6`), to be answered. `flags`: `NLM_F_CREATE` and
    /// the like.
    pub(super) fn push(&mut self, kind: u16, flags: u16, family: u8, fill: impl FnOnce(&mut Attributes)) {
        let mut attributes = Attributes::default();
        fill(&mut attributes);
        let flags = flags | libc::NLM_F_ACK as u16;
        self.put(SUBSYSTEM << 8 | kind, flags, family, 0, &attributes.0);
    }

    /// Its bytes, and the numbers of its first and last message; the beginning's own is one less than the first.
    pub(super) fn finish(mut self) -> (Vec<u8>, u32, u32) {
        let last = self.first.wrapping_add(self.count - 1);
        self.put(BATCH_END, 0, 0, SUBSYSTEM, &[]);
        (self.bytes, self.first.wrapping_add(1), last)
    }
}

/// What a rule looks at and does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step<'a> {
    /// Bytes of the packet into a register: from where (1: the network header, 2: the transport header), from which byte on,
    /// how many.
    Load { register: u32, base: u32, offset: u32, length: u32 },
    /// Something about the packet into a register.
    Meta { register: u32, key: u32 },
    /// Goes on only if register 1 holds this.
    Is(&'a [u8]),
    /// Goes on only if this set has what begins in register 1.
    In(&'a str),
    /// Counts.
    Count,
    /// Ends: drop (0) or accept (1).
    Verdict(u32),
}

impl Step<'_> {
    fn name(self) -> &'static str {
        match self {
            Self::Load { .. } => "payload",
            Self::Meta { .. } => "meta",
            Self::Is(_) => "cmp",
            Self::In(_) => "lookup",
            Self::Count => "counter",
            Self::Verdict(_) => "immediate",
        }
    }

    fn fill(self, data: &mut Attributes) {
        match self {
            Self::Load { register, base, offset, length } => {
                [register, base, offset, length]
                    .into_iter()
                    .zip(1..)
                    .for_each(|(value, kind)| data.number(kind, value));
            }
            Self::Meta { register, key } => {
                data.number(1, register);
                data.number(2, key);
            }
            Self::Is(bytes) => {
                data.number(1, 1);
                data.number(2, 0);
                data.nested(3, |value| value.bytes(1, bytes));
            }
            Self::In(set) => {
                data.text(1, set);
                data.number(2, 1);
            }
            Self::Count => {}
            Self::Verdict(code) => {
                data.number(1, 0);
                data.nested(2, |value| value.nested(2, |verdict| verdict.number(1, code)));
            }
        }
    }

    /// The expressions of a rule.
    pub(super) fn all(steps: &[Self], list: &mut Attributes) {
        for step in steps {
            list.nested(ELEMENT, |expression| {
                expression.text(1, step.name());
                expression.nested(2, |data| step.fill(data));
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_their_length_is_not() {
        let mut attributes = Attributes::default();
        attributes.nested(7, |inner| {
            inner.text(1, "abcd");
            inner.number(2, 5);
        });
        let length = |value: u16| value.to_ne_bytes();
        let mut expected = Vec::new();
        expected.extend([length(4 + 12 + 8), length(7 | NESTED), length(9), length(1)].concat());
        expected.extend(b"abcd\0\0\0\0");
        expected.extend([length(8), length(2)].concat());
        expected.extend([0, 0, 0, 5]);
        assert_eq!(attributes.0, expected);
    }

    #[test]
    fn messages_of_a_batch_are_numbered_between_its_ends() {
        let mut batch = Batch::new(40);
        batch.push(NEW_TABLE, 0, 2, |table| table.text(1, "t"));
        batch.push(DELETE_TABLE, 0, 2, |table| table.text(1, "t"));
        let (bytes, first, last) = batch.finish();
        assert_eq!((first, last), (41, 42));
        let mut at = 0;
        let mut seen = Vec::new();
        while let Some(head) = bytes.get(at..at + 12) {
            let number = |range: std::ops::Range<usize>| u32::from_ne_bytes(head[range].try_into().unwrap());
            seen.push((u16::from_ne_bytes([head[4], head[5]]), number(8..12)));
            at += number(0..4) as usize;
        }
        assert_eq!(seen, [(0x10, 40), (0xa00, 41), (0xa02, 42), (0x11, 43)]);
        assert_eq!(at, bytes.len());
    }
}
