//! Catalogues in the database: their tables made, filled, indexed and read back.

mod export;
mod index;
mod load;
mod migrate;
mod shelf;
mod verify;
