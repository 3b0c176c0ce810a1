//! Units from folders, names and headers, and what makes a file broken.

mod claims;
mod release;
mod store;
mod tree;
