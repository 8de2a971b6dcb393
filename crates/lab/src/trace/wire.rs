//! Values as bytes, and back without trust.

use freehold::machine::trace::{
    Asker, FaultOutcome, Held, Mapped, Mobility, Owner, Shared, Source, Toward, Uncached, Verdict, Work,
};
use freehold::machine::{
    Access, Asid, CpuId, Entry, FileKey, KernelFrame, Level, MAX_ORDER, NodeId, Order, Pfn, VirtAddr, Vpn,
    VpnRange,
};

/// Page numbers end here: 64-bit addresses have no more.
const PAGES_END: u64 = 1 << 52;

/// Bytes that mean nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Bad(pub(crate) &'static str);

/// Bytes that are read.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Bad> {
        let (&first, rest) = self.bytes.split_first().ok_or(Bad("it ends inside a value"))?;
        self.bytes = rest;
        Ok(first)
    }

    /// How many things follow, each of at least one byte.
    fn count(&mut self) -> Result<usize, Bad> {
        match usize::try_from(u64::take(self)?) {
            Ok(count) if count <= self.bytes.len() => Ok(count),
            _ => Err(Bad("a list or text is longer than its block")),
        }
    }
}

/// A value as bytes: numbers of 7 bits a byte, the lowest first.
pub(crate) trait Wire: Sized {
    fn put(&self, out: &mut Vec<u8>);
    fn take(from: &mut Reader<'_>) -> Result<Self, Bad>;
}

impl Wire for u64 {
    fn put(&self, out: &mut Vec<u8>) {
        let mut left = *self;
        while left >= 0x80 {
            out.push(left as u8 | 0x80);
            left >>= 7;
        }
        out.push(left as u8);
    }

    fn take(from: &mut Reader<'_>) -> Result<u64, Bad> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = from.byte()?;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Bad("a number has more than 64 bits"))
    }
}

impl Wire for i64 {
    fn put(&self, out: &mut Vec<u8>) {
        ((*self << 1) ^ (*self >> 63)).cast_unsigned().put(out);
    }
    fn take(from: &mut Reader<'_>) -> Result<i64, Bad> {
        let bits = u64::take(from)?;
        Ok((bits >> 1).cast_signed() ^ -((bits & 1).cast_signed()))
    }
}

impl Wire for u32 {
    fn put(&self, out: &mut Vec<u8>) {
        u64::from(*self).put(out);
    }
    fn take(from: &mut Reader<'_>) -> Result<u32, Bad> {
        u32::try_from(u64::take(from)?).map_err(|_| Bad("a number has more than 32 bits"))
    }
}

impl Wire for u8 {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }
    fn take(from: &mut Reader<'_>) -> Result<u8, Bad> {
        from.byte()
    }
}

impl Wire for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn take(from: &mut Reader<'_>) -> Result<bool, Bad> {
        match from.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Bad("a truth is neither 0 nor 1")),
        }
    }
}

impl Wire for String {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u64).put(out);
        out.extend_from_slice(self.as_bytes());
    }
    fn take(from: &mut Reader<'_>) -> Result<String, Bad> {
        let len = from.count()?;
        let (text, rest) = from.bytes.split_at(len);
        from.bytes = rest;
        String::from_utf8(text.into()).map_err(|_| Bad("a text is not UTF-8"))
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }
    fn take(from: &mut Reader<'_>) -> Result<Option<T>, Bad> {
        Ok(if bool::take(from)? { Some(T::take(from)?) } else { None })
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u64).put(out);
        self.iter().for_each(|item| item.put(out));
    }
    fn take(from: &mut Reader<'_>) -> Result<Vec<T>, Bad> {
        let count = from.count()?;
        (0..count).map(|_| T::take(from)).collect()
    }
}

impl<A: Wire, B: Wire> Wire for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }
    fn take(from: &mut Reader<'_>) -> Result<(A, B), Bad> {
        Ok((A::take(from)?, B::take(from)?))
    }
}

macro_rules! numbers {
    ($($type:ident($of:ty) $(where $limit:expr)?;)*) => {$(
        impl Wire for $type {
            fn put(&self, out: &mut Vec<u8>) {
                self.0.put(out);
            }
            fn take(from: &mut Reader<'_>) -> Result<$type, Bad> {
                let value = <$of>::take(from)?;
                $(if !$limit(value) { return Err(Bad(concat!("no such ", stringify!($type)))); })?
                Ok($type(value))
            }
        }
    )*};
}

numbers! {
    Pfn(u32);
    KernelFrame(Pfn);
    VirtAddr(u64);
    Vpn(u64) where |page| page < PAGES_END;
    Asid(u32);
    NodeId(u8);
    CpuId(u32);
    FileKey(u64);
    Entry(u64);
    Order(u8) where |order| order <= MAX_ORDER.0;
    Level(u8) where |level| (1..=Level::ROOT.0).contains(&level);
}

impl Wire for VpnRange {
    fn put(&self, out: &mut Vec<u8>) {
        self.start.0.put(out);
        self.pages().put(out);
    }
    fn take(from: &mut Reader<'_>) -> Result<VpnRange, Bad> {
        let (start, pages) = (u64::take(from)?, u64::take(from)?);
        match start.checked_add(pages) {
            Some(end) if end <= PAGES_END => Ok(VpnRange::sized(Vpn(start), pages)),
            _ => Err(Bad("no such range of pages")),
        }
    }
}

impl Wire for Held {
    fn put(&self, out: &mut Vec<u8>) {
        [self.refs, self.maps, self.pins].iter().for_each(|count| count.put(out));
    }
    fn take(from: &mut Reader<'_>) -> Result<Held, Bad> {
        Ok(Held { refs: u32::take(from)?, maps: u32::take(from)?, pins: u32::take(from)? })
    }
}

macro_rules! choices {
    ($($type:ident: $($choice:ident),*;)*) => {$(
        impl Wire for $type {
            fn put(&self, out: &mut Vec<u8>) {
                let all = [$($type::$choice),*];
                out.push(all.iter().position(|choice| choice == self).unwrap_or(0) as u8);
            }
            fn take(from: &mut Reader<'_>) -> Result<$type, Bad> {
                let all = [$($type::$choice),*];
                all.get(usize::from(from.byte()?)).copied().ok_or(Bad(concat!("no such ", stringify!($type))))
            }
        }
    )*};
}

choices! {
    Access: Read, Write, Execute;
    Mobility: Unmovable, Reclaimable, Movable;
    Owner: User, Kernel;
    Source: CpuList, Zone;
    Uncached: Truncated, Dropped, Unreadable;
    Asker: Program, Call;
    FaultOutcome: Resolved, NotMapped, NotAllowed, Bus, Killed, Shortage;
    Mapped: ZeroPage, NewPage, FilePage, SharedPage, Around, PrivateCopy;
    Verdict: Exclusive, Alone, SharedMapping, Spurious, Shared, FilePage, ZeroPage, Merged;
    Shared: Anonymous, File, Zero;
    Toward: Device, Memory;
}

impl Wire for Work {
    fn put(&self, out: &mut Vec<u8>) {
        let (tag, data) = match *self {
            Work::Unmap => (0, None),
            Work::Discard => (1, None),
            Work::Truncate => (2, None),
            Work::Clean => (3, None),
            Work::Protect => (4, None),
            Work::Forget => (5, None),
            Work::Move { to } => (6, Some(to.0)),
            Work::Fork { child } => (7, Some(child.0.into())),
            Work::ForkPasses { child } => (8, Some(child.0.into())),
            Work::Collapse => (9, None),
        };
        out.push(tag);
        if let Some(data) = data {
            data.put(out);
        }
    }

    fn take(from: &mut Reader<'_>) -> Result<Work, Bad> {
        Ok(match from.byte()? {
            0 => Work::Unmap,
            1 => Work::Discard,
            2 => Work::Truncate,
            3 => Work::Clean,
            4 => Work::Protect,
            5 => Work::Forget,
            6 => Work::Move { to: Vpn::take(from)? },
            7 => Work::Fork { child: Asid::take(from)? },
            8 => Work::ForkPasses { child: Asid::take(from)? },
            9 => Work::Collapse,
            _ => return Err(Bad("no such Work")),
        })
    }
}
