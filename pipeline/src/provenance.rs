//! A run record as W3C PROV.
