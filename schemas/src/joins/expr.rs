//! What a column of a join is made of: few operations, each with one meaning for SQL and for polars.
//!
//! NULL is SQL's: an operation on NULL is NULL, but `and` and `or` follow three-valued logic, a [`Expr::Case`] passes
//! over conditions that are NULL, and [`Expr::IsNull`] is never NULL itself. Numbers are compared and calculated with in
//! double precision or 64-bit integers alone, after a [`Expr::Wide`]: no engine chooses a type. Products, quotients and
//! square roots are IEEE's, rounded once each, so that both engines give the same bits; logarithms, which are not, are
//! left out. A server stops at a division by zero and at an overflow: definitions keep their operands away from both.

use crate::Kind;

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// A column of one of the tables.
    Column {
        /// The table, by its alias.
        alias: &'static str,
        /// The column.
        name: String,
    },
    /// A text.
    Text(String),
    /// True or false.
    Bool(bool),
    /// A whole number of 64 bits.
    Int(i64),
    /// A finite number in double precision.
    Real(f64),
    /// Nothing, of a type.
    Null(Kind),
    /// Whether a table has any row like this one, whatever its target: see [`super::Presence`]. Never NULL.
    Present(&'static str),
    /// An integer as 64 bits, a float in double precision.
    Wide(Box<Self>),
    /// Whether this bit of a 64-bit integer is 1.
    Bit(Box<Self>, u32),
    /// A comparison of two values of one type.
    Compare(Box<Self>, Comparison, Box<Self>),
    /// Arithmetic on two values of one type, each of 64 bits.
    Arithmetic(Box<Self>, Operation, Box<Self>),
    /// The square root of a number in double precision, not below zero.
    Sqrt(Box<Self>),
    /// True where all are, else false where one is.
    And(Vec<Self>),
    /// True where one is, else false where all are.
    Or(Vec<Self>),
    /// The opposite.
    Not(Box<Self>),
    /// Whether it is NULL.
    IsNull(Box<Self>),
    /// The value of the first condition that is true, else the last value.
    Case(Vec<(Self, Self)>, Box<Self>),
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// The same value.
    Equal,
    /// Below.
    Less,
    /// Above.
    Greater,
    /// Not above.
    AtMost,
    /// Not below.
    AtLeast,
}

/// Arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// a + b
    Plus,
    /// a - b
    Minus,
    /// a * b
    Times,
    /// a / b, in double precision only.
    Over,
}

/// A column of the table with this alias.
pub fn column(alias: &'static str, name: impl Into<String>) -> Expr {
    Expr::Column { alias, name: name.into() }
}

/// A text.
pub fn text(value: &str) -> Expr {
    Expr::Text(value.to_owned())
}

/// The first that is not NULL.
pub fn first_of(values: Vec<Expr>) -> Expr {
    let mut values = values.into_iter().rev();
    let last = values.next().unwrap_or(Expr::Null(Kind::Bool));
    values.fold(last, |rest, value| case(vec![(value.clone().is_some(), value)], rest))
}

/// The value of the first condition that is true, else the last one.
pub fn case(whens: Vec<(Expr, Expr)>, otherwise: Expr) -> Expr {
    Expr::Case(whens, Box::new(otherwise))
}

impl Expr {
    /// As 64-bit integer or in double precision.
    pub fn wide(self) -> Self {
        Self::Wide(Box::new(self))
    }

    /// Whether this bit is 1.
    pub fn bit(self, bit: u32) -> Self {
        Self::Bit(Box::new(self), bit)
    }

    fn compare(self, comparison: Comparison, other: Self) -> Self {
        Self::Compare(Box::new(self), comparison, Box::new(other))
    }

    /// Whether both are the same value.
    pub fn equals(self, other: Self) -> Self {
        self.compare(Comparison::Equal, other)
    }

    /// Whether it is below the other.
    pub fn below(self, other: Self) -> Self {
        self.compare(Comparison::Less, other)
    }

    /// Whether it is above the other.
    pub fn above(self, other: Self) -> Self {
        self.compare(Comparison::Greater, other)
    }

    /// Whether it lies between two others, or is one of them.
    pub fn within(self, least: Self, most: Self) -> Self {
        Self::And(vec![
            self.clone().compare(Comparison::AtLeast, least),
            self.compare(Comparison::AtMost, most),
        ])
    }

    fn arithmetic(self, operation: Operation, other: Self) -> Self {
        Self::Arithmetic(Box::new(self), operation, Box::new(other))
    }

    /// The sum.
    pub fn plus(self, other: Self) -> Self {
        self.arithmetic(Operation::Plus, other)
    }

    /// The difference.
    pub fn minus(self, other: Self) -> Self {
        self.arithmetic(Operation::Minus, other)
    }

    /// The product.
    pub fn times(self, other: Self) -> Self {
        self.arithmetic(Operation::Times, other)
    }

    /// The quotient.
    pub fn over(self, other: Self) -> Self {
        self.arithmetic(Operation::Over, other)
    }

    /// The square root.
    pub fn sqrt(self) -> Self {
        Self::Sqrt(Box::new(self))
    }

    /// The opposite.
    pub fn negated(self) -> Self {
        Self::Not(Box::new(self))
    }

    /// Whether it is NULL.
    pub fn is_null(self) -> Self {
        Self::IsNull(Box::new(self))
    }

    /// Whether it is anything but NULL.
    pub fn is_some(self) -> Self {
        self.is_null().negated()
    }

    /// Everything it is made of, itself first.
    pub fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a Self)) {
        see(self);
        match self {
            Self::Column { .. }
            | Self::Text(_)
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Real(_)
            | Self::Null(_)
            | Self::Present(_) => {}
            Self::Wide(inner)
            | Self::Bit(inner, _)
            | Self::Sqrt(inner)
            | Self::Not(inner)
            | Self::IsNull(inner) => inner.visit(see),
            Self::Compare(left, _, right) | Self::Arithmetic(left, _, right) => {
                left.visit(see);
                right.visit(see);
            }
            Self::And(all) | Self::Or(all) => all.iter().for_each(|one| one.visit(see)),
            Self::Case(whens, otherwise) => {
                for (when, then) in whens {
                    when.visit(see);
                    then.visit(see);
                }
                otherwise.visit(see);
            }
        }
    }

    /// The type, where every part has the type it must have; `find` gives those of columns.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn kind(&self, find: &dyn Fn(&str, &str) -> Option<Kind>) -> Result<Kind, String> {
        let must_be = |inner: &Self, wanted: &[Kind]| {
            let kind = inner.kind(find)?;
            if wanted.contains(&kind) { Ok(kind) } else { Err(format!("{inner:?} is {}", kind.label())) }
        };
        match self {
            Self::Column { alias, name } => {
                find(alias, name).ok_or_else(|| format!("there is no column {alias}.{name}"))
            }
            Self::Text(_) => Ok(Kind::Text),
            Self::Int(_) => Ok(Kind::Int64),
            Self::Real(value) if value.is_finite() => Ok(Kind::Float64),
            Self::Real(value) => Err(format!("{value} is no finite number")),
            Self::Null(kind) => Ok(*kind),
            Self::Bool(_) | Self::Present(_) | Self::IsNull(_) => Ok(Kind::Bool),
            Self::Wide(inner) => {
                let numbers = [Kind::Int16, Kind::Int32, Kind::Int64, Kind::Float32, Kind::Float64];
                let is_float = matches!(must_be(inner, &numbers)?, Kind::Float32 | Kind::Float64);
                Ok(if is_float { Kind::Float64 } else { Kind::Int64 })
            }
            Self::Bit(inner, bit) if *bit < 63 => must_be(inner, &[Kind::Int64]).map(|_| Kind::Bool),
            Self::Bit(_, bit) => Err(format!("a 64-bit integer has no free bit {bit}")),
            Self::Compare(left, comparison, right) => {
                let kind = must_be(left, &[Kind::Int64, Kind::Float64, Kind::Text])?;
                if kind == Kind::Text && *comparison != Comparison::Equal {
                    return Err("texts have no order here".to_owned());
                }
                must_be(right, &[kind]).map(|_| Kind::Bool)
            }
            Self::Arithmetic(left, operation, right) => {
                let kind = must_be(left, &[Kind::Int64, Kind::Float64])?;
                if kind == Kind::Int64 && *operation == Operation::Over {
                    return Err("integers are not divided here".to_owned());
                }
                must_be(right, &[kind])
            }
            Self::Sqrt(inner) => must_be(inner, &[Kind::Float64]),
            Self::And(all) | Self::Or(all) if all.is_empty() => Err("nothing is combined".to_owned()),
            Self::And(all) | Self::Or(all) => {
                all.iter().try_for_each(|one| must_be(one, &[Kind::Bool]).map(drop))?;
                Ok(Kind::Bool)
            }
            Self::Not(inner) => must_be(inner, &[Kind::Bool]),
            Self::Case(whens, otherwise) => {
                let kind = otherwise.kind(find)?;
                for (when, then) in whens {
                    must_be(when, &[Kind::Bool])?;
                    must_be(then, &[kind])?;
                }
                Ok(kind)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(expr: &Expr) -> Result<Kind, String> {
        expr.kind(&|alias, name| match (alias, name) {
            ("t", "small") => Some(Kind::Int16),
            ("t", "real") => Some(Kind::Float32),
            ("t", "text") => Some(Kind::Text),
            _ => None,
        })
    }

    #[test]
    fn no_engine_is_left_to_choose_a_type() {
        let (small, real) = (column("t", "small"), column("t", "real"));
        assert_eq!(kind(&small.clone().wide().bit(60)), Ok(Kind::Bool));
        assert_eq!(kind(&real.clone().wide().over(Expr::Real(2.0)).sqrt()), Ok(Kind::Float64));
        assert_eq!(kind(&small.clone().wide().equals(Expr::Int(1))), Ok(Kind::Bool));
        for wrong in [
            small.clone().bit(1),
            small.clone().wide().bit(63),
            small.clone().equals(Expr::Int(1)),
            small.clone().wide().equals(Expr::Real(1.0)),
            small.wide().over(Expr::Int(2)),
            real.clone().plus(Expr::Real(1.0)),
            column("t", "text").above(text("a")),
            column("t", "text").wide(),
            column("t", "none"),
            Expr::Real(f64::NAN),
            Expr::And(vec![Expr::Int(1)]),
            Expr::Or(vec![]),
            case(vec![(real.is_null(), Expr::Int(1))], Expr::Real(1.0)),
        ] {
            assert!(kind(&wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_first_value_that_is_there_needs_no_operation_of_its_own() {
        let found = first_of(vec![column("t", "small").wide(), Expr::Int(0)]);
        let Expr::Case(whens, otherwise) = &found else { panic!("{found:?}") };
        assert_eq!((whens.len(), &**otherwise), (1, &Expr::Int(0)));
        assert_eq!(kind(&found), Ok(Kind::Int64));
    }
}
