//! Binary-table column formats (TFORMn).

/// What a column's elements are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElementKind {
    /// `L`: T, F or null.
    Logical,
    /// `X`: bits.
    Bit,
    /// `B`: unsigned byte.
    Byte,
    /// `I`: 16-bit integer.
    Short,
    /// `J`: 32-bit integer.
    Int,
    /// `K`: 64-bit integer.
    Long,
    /// `A`: characters.
    Text,
    /// `E`: 32-bit float.
    Float,
    /// `D`: 64-bit float.
    Double,
    /// `C`: pair of floats.
    Complex,
    /// `M`: pair of doubles.
    DoubleComplex,
}

/// A parsed TFORM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TForm {
    /// Elements per row; for variable-length columns 0 or 1 descriptors.
    pub repeat: u64,
    /// Element type; for variable-length columns that of the heap's elements.
    pub element: ElementKind,
    /// Bytes per row of descriptors, for `P` and `Q` columns.
    pub descriptor_bytes: Option<u64>,
    /// The `w` of `rAw`: the cell is several strings of this length.
    pub substring: Option<u64>,
}

/// Text that is not a TFORM.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a column format")]
pub struct TFormError(pub String);

impl ElementKind {
    /// The kind a TFORM letter stands for; lower case is accepted.
    fn from_letter(letter: u8) -> Option<Self> {
        Some(match letter.to_ascii_uppercase() {
            b'L' => Self::Logical,
            b'X' => Self::Bit,
            b'B' => Self::Byte,
            b'I' => Self::Short,
            b'J' => Self::Int,
            b'K' => Self::Long,
            b'A' => Self::Text,
            b'E' => Self::Float,
            b'D' => Self::Double,
            b'C' => Self::Complex,
            b'M' => Self::DoubleComplex,
            _ => return None,
        })
    }

    /// Bytes of `n` elements.
    pub fn bytes_of(self, n: u64) -> Option<u64> {
        match self {
            Self::Bit => Some(n.div_ceil(8)),
            Self::Logical | Self::Byte | Self::Text => Some(n),
            Self::Short => n.checked_mul(2),
            Self::Int | Self::Float => n.checked_mul(4),
            Self::Long | Self::Double | Self::Complex => n.checked_mul(8),
            Self::DoubleComplex => n.checked_mul(16),
        }
    }
}

impl TForm {
    /// Parses `rT`, `rAw`, `rPt(max)` and `rQt(max)`.
    ///
    /// # Errors
    /// [`TFormError`] where the text has another form, or a size that does not fit.
    pub fn parse(text: &str) -> Result<Self, TFormError> {
        let err = || TFormError(text.to_owned());
        let trimmed = text.trim();
        let digits = trimmed.bytes().take_while(u8::is_ascii_digit).count();
        let (count, rest) = trimmed.split_at(digits);
        // cfitsio reads repeat counts through a double: keep to what both read alike.
        let repeat: u64 = if count.is_empty() { 1 } else { count.parse().map_err(|_| err())? };
        if repeat > 1 << 40 {
            return Err(err());
        }
        let (&letter, tail) = rest.as_bytes().split_first().ok_or_else(err)?;
        let form = match letter.to_ascii_uppercase() {
            pointer @ (b'P' | b'Q') => Self {
                repeat,
                element: heap_element(tail).ok_or_else(err)?,
                descriptor_bytes: Some(if pointer == b'P' { 8 } else { 16 }),
                substring: None,
            },
            _ => Self {
                repeat,
                element: ElementKind::from_letter(letter).ok_or_else(err)?,
                descriptor_bytes: None,
                substring: substring(letter, tail).ok_or_else(err)?,
            },
        };
        if form.descriptor_bytes.is_some() && form.repeat > 1 {
            return Err(err());
        }
        Ok(form)
    }

    /// Bytes that the column takes in a row.
    pub fn row_bytes(&self) -> Option<u64> {
        match self.descriptor_bytes {
            Some(bytes) => self.repeat.checked_mul(bytes),
            None => self.element.bytes_of(self.repeat),
        }
    }

    /// One number, logical or string per row, in the row itself.
    pub fn is_scalar(&self) -> bool {
        self.descriptor_bytes.is_none() && self.repeat == 1
    }
}

/// The `t(max)` of a variable-length format.
fn heap_element(tail: &[u8]) -> Option<ElementKind> {
    let (&letter, size) = tail.split_first()?;
    let size = size.trim_ascii();
    let well_formed = size.is_empty()
        || size
            .strip_prefix(b"(")
            .and_then(|s| s.strip_suffix(b")"))
            .is_some_and(|s| !s.is_empty() && s.iter().all(u8::is_ascii_digit));
    if well_formed { ElementKind::from_letter(letter) } else { None }
}

/// The `w` of `rAw`; nothing may follow any other letter.
fn substring(letter: u8, tail: &[u8]) -> Option<Option<u64>> {
    if tail.is_empty() {
        return Some(None);
    }
    let width = std::str::from_utf8(tail).ok()?.parse().ok()?;
    (letter.eq_ignore_ascii_case(&b'A') && width > 0).then_some(Some(width))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_seen_in_desi_files_have_their_width() {
        let widths = [
            ("K", 8),
            ("1K", 8),
            ("k", 8),
            ("10D", 80),
            ("186E", 744),
            ("6A", 6),
            ("1PA(6)", 8),
            ("1PB(71) ", 8),
            ("QE", 16),
            ("16X", 2),
            ("9X", 2),
            ("L", 1),
            ("0A", 0),
            ("M", 16),
            ("20A5", 20),
        ];
        for (text, bytes) in widths {
            assert_eq!(TForm::parse(text).unwrap().row_bytes(), Some(bytes), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "5", "Y", "E8.3", "-1J", "2PE(3)", "PZ", "1PA(x)", "99999999999999999999D", "20A0"] {
            assert!(TForm::parse(text).is_err(), "{text}");
        }
    }
}
