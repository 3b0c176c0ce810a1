//! Every operation on small inputs, compared with the CPU bit by bit: what a device shows before it is trusted.

mod inputs;
mod operations;

use std::fmt;

use crate::simd::Simd;
use crate::{Backend, Cpu, Element, KernelError};

/// What became of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationTest {
    /// The operation, as [`Backend`] calls it.
    pub operation: &'static str,
    /// Else why it failed, or which outputs differ, and where first.
    pub outcome: Result<(), String>,
}

/// Runs every operation on `dev` and on the CPU (portable instructions, one thread) and compares all outputs.
///
/// Inputs are seeded, with lengths that fill no vector, warp or block, an absent arm, and missing pixels of every
/// kind. An operation that fails stops no other.
pub fn self_test<B: Backend>(dev: &B) -> Vec<OperationTest> {
    let judge = Cpu::with_simd(1, Simd::available()[0]).map_err(|error| error.to_string());
    let twins = operations::all::<B>().into_iter().zip(operations::all::<Cpu>());
    twins
        .map(|((operation, ours), (_, theirs))| {
            let outcome = judge.as_ref().map_err(String::clone).and_then(|judge| {
                let expected = theirs(judge).map_err(|error| format!("on the CPU: {error}"))?;
                let found = ours(dev).map_err(|error| error.to_string())?;
                compare(&expected, &found)
            });
            OperationTest { operation, outcome }
        })
        .collect()
}

/// A number with its type.
#[derive(Debug, Clone, Copy)]
enum Number {
    F32(f32),
    F64(f64),
    U32(u32),
    U8(u8),
}

impl Number {
    fn bits(self) -> u64 {
        match self {
            Self::F32(x) => u64::from(x.to_bits()),
            Self::F64(x) => x.to_bits(),
            Self::U32(x) => u64::from(x),
            Self::U8(x) => u64::from(x),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::F32(x) => write!(f, "{x:?} ({:#010x})", x.to_bits()),
            Self::F64(x) => write!(f, "{x:?} ({:#018x})", x.to_bits()),
            Self::U32(x) => write!(f, "{x}"),
            Self::U8(x) => write!(f, "{x}"),
        }
    }
}

impl From<f32> for Number {
    fn from(x: f32) -> Self {
        Self::F32(x)
    }
}

impl From<f64> for Number {
    fn from(x: f64) -> Self {
        Self::F64(x)
    }
}

impl From<u32> for Number {
    fn from(x: u32) -> Self {
        Self::U32(x)
    }
}

impl From<u8> for Number {
    fn from(x: u8) -> Self {
        Self::U8(x)
    }
}

/// One array that an operation gives.
#[derive(Debug, Clone)]
struct Output {
    name: String,
    /// Numbers of a row.
    columns: usize,
    numbers: Vec<Number>,
}

impl Output {
    /// Which numbers of `found` are not these, if any.
    fn difference(&self, found: &Self) -> Option<String> {
        let name = &self.name;
        let (expected, n) = (&self.numbers, self.numbers.len());
        if found.numbers.len() != n {
            return Some(format!("`{name}` has {} numbers instead of {n}", found.numbers.len()));
        }
        let differs = |&at: &usize| expected[at].bits() != found.numbers[at].bits();
        let first = (0..n).find(differs)?;
        let count = (0..n).filter(differs).count();
        let (row, column) = (first / self.columns.max(1), first % self.columns.max(1));
        Some(format!(
            "{count} of {n} numbers of `{name}` differ, first in row {row}, column {column}: {} instead of {}",
            found.numbers[first], expected[first]
        ))
    }
}

/// Says which outputs differ by any bit.
fn compare(expected: &[Output], found: &[Output]) -> Result<(), String> {
    let differences: Vec<String> =
        expected.iter().zip(found).filter_map(|(expected, found)| expected.difference(found)).collect();
    if differences.is_empty() { Ok(()) } else { Err(differences.join("; ")) }
}

/// Outputs on their way from a device to the host.
struct Outputs<'a, B> {
    dev: &'a B,
    kept: Vec<Output>,
}

impl<'a, B: Backend> Outputs<'a, B> {
    fn of(dev: &'a B) -> Self {
        Self { dev, kept: Vec::new() }
    }

    /// Copies an array of rows of `columns` numbers.
    fn keep<T: Element + Into<Number>>(
        &mut self,
        name: impl Into<String>,
        columns: usize,
        array: &B::Array<T>,
    ) -> Result<(), KernelError> {
        let numbers = self.dev.download(array)?.into_iter().map(Into::into).collect();
        self.kept.push(Output { name: name.into(), columns, numbers });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn judge() -> Cpu {
        Cpu::with_simd(1, Simd::available()[0]).expect("a thread starts")
    }

    #[test]
    fn every_output_of_every_operation_holds_something() {
        let judge = judge();
        for (operation, run) in operations::all::<Cpu>() {
            let outputs = run(&judge).expect("the inputs are valid");
            assert!(!outputs.is_empty(), "{operation}");
            for Output { name, numbers, .. } in outputs {
                assert!(numbers.iter().any(|number| number.bits() != 0), "{operation}: `{name}` is 0");
                // What is the same everywhere shows no mistake of place.
                let first = numbers[0].bits();
                assert!(
                    numbers.iter().any(|number| number.bits() != first),
                    "{operation}: `{name}` is constant"
                );
            }
        }
    }

    #[test]
    fn one_bit_anywhere_is_told_with_its_place() {
        let judge = judge();
        for (operation, run) in operations::all::<Cpu>() {
            let expected = run(&judge).expect("the inputs are valid");
            assert_eq!(compare(&expected, &expected), Ok(()));
            for which in 0..expected.len() {
                let Output { name, columns, numbers } = &expected[which];
                let at = numbers.len() - 1;
                let mut found = expected.clone();
                found[which].numbers[at] = match numbers[at] {
                    Number::F32(x) => Number::F32(f32::from_bits(x.to_bits() ^ 1)),
                    Number::F64(x) => Number::F64(f64::from_bits(x.to_bits() ^ 1)),
                    Number::U32(x) => Number::U32(x ^ 1),
                    Number::U8(x) => Number::U8(x ^ 1),
                };
                let said = compare(&expected, &found).expect_err("a bit differs");
                let place = format!("row {}, column {}: ", at / columns, at % columns);
                assert!(
                    said.starts_with(&format!("1 of {} numbers of `{name}`", at + 1)),
                    "{operation}: {said}"
                );
                assert!(said.contains(&place), "{operation}: {said}");
            }
        }
    }

    #[test]
    fn signs_of_zero_and_lengths_are_told_apart() {
        let output = |numbers: &[f32]| {
            vec![Output {
                name: "flux_sp".to_owned(),
                columns: 2,
                numbers: numbers.iter().map(|&x| Number::F32(x)).collect(),
            }]
        };
        assert_eq!(compare(&output(&[f32::NAN]), &output(&[f32::NAN])), Ok(()));
        assert_eq!(
            compare(&output(&[1.0, 2.0, 0.0]), &output(&[1.0, 2.0, -0.0])).expect_err("the sign differs"),
            "1 of 3 numbers of `flux_sp` differ, first in row 1, column 0: -0.0 (0x80000000) instead of 0.0 (0x00000000)"
        );
        assert_eq!(
            compare(&output(&[1.0]), &output(&[])).expect_err("a number is missing"),
            "`flux_sp` has 0 numbers instead of 1"
        );
    }

    #[test]
    fn it_is_over_in_no_time() {
        let cpu = Cpu::new(1).expect("a thread starts");
        let started = Instant::now();
        assert_eq!(self_test(&cpu).len(), operations::all::<Cpu>().len());
        // Some milliseconds; the rest is for a loaded machine.
        assert!(started.elapsed().as_secs() < 2, "{:?}", started.elapsed());
    }
}
